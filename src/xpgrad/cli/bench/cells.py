"""Measure one cell: each contender in turn, in a process that is stopped meanwhile.

In:  a Cell; `Answering` processes of `xpgrad.cli.bench.worker`, by contender.
Out: a dict that JSON can hold: medians in us, seconds of first calls, peaks of memory, who is missing and why.
Holds: a contender that is timed computes the value and the gradient of the first one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from xpgrad.cli.bench.processes import Answering
from xpgrad.cli.bench.steps import Cell
from xpgrad.testing.tolerances import tolerance

ROUND_S = 0.01  # calls shorter than this are timed several at a time
OURS, HAND, PEERS = "xpgrad.compile", "numpy", ("jax.jit", "torch.compile")

Measured = dict[str, Any]


class Disagreement(Exception):
    """A contender computes something else; the message says who, where and what."""


def measured(cell: Cell, workers: Mapping[str, Answering], rounds: int, *, memory: bool = False) -> Measured:
    """The medians of one cell, in us by contender, and the seconds of the first calls.

    Parameters
    ----------
    workers : mapping of str to Answering
        The first one is what the others are held against; it is to be NumPy.
    memory : bool
        Also the bytes that a warm step needs at most beyond what lay there before it.

    Raises
    ------
    Disagreement
        A value or the norm of a gradient is further from the first contender's in float64 than the tolerance of
        the test suite, and than twice the first one's own error.
    """
    found: Measured = {**cell._asdict(), "us": {}, "first_s": {}, "missing": {}}
    calls: dict[str, int] = {}
    by_hand = next(iter(workers.values()))
    exact = by_hand.ask("prepare", cell=list(cell._replace(dtype="float64")))
    first: Measured = {}
    for name, worker in workers.items():
        answer = worker.ask("prepare", cell=list(cell))
        if "missing" in answer:
            found["missing"][name] = answer["missing"]
            continue
        first = first or answer
        _check(cell, name, answer, first, exact)
        found["first_s"][name] = round(answer["first_s"], 3)
        calls[name] = max(1, math.ceil(ROUND_S / answer["warm_s"]))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds):
        for name in list(calls) if k % 2 else list(calls)[::-1]:
            times[name] += workers[name].ask("time", repetitions=1, calls=calls[name])["seconds"]
    found["us"] = {name: round(1e6 * median(ts), 2) for name, ts in times.items()}
    if memory:
        found["step_bytes"] = {name: workers[name].ask("memory").get("step_bytes") for name in calls}
    return found


def _check(cell: Cell, name: str, answer: Measured, first: Measured, exact: Measured) -> None:
    bound = tolerance(cell.dtype).value
    values = [(each["value"], *each["norms"]) for each in (answer, first, exact)]
    for got, of_first, wanted in zip(*values, strict=True):
        if not abs(got - wanted) <= max(bound * max(1, abs(wanted)), 2 * abs(of_first - wanted)):
            raise Disagreement(f"{name} differs at {cell}: {got} where NumPy by hand in float64 gives {wanted}")


def ratio(cell: Measured, name: str) -> float | None:
    """The time of ``name`` over ours: above 1, ours is faster."""
    us = cell["us"]
    return us[name] / us[OURS] if name in us and OURS in us else None
