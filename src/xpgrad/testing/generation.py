"""Random programs from random choices: inputs that share a samples axis, lines, a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from xpgrad.testing.lines import LINES
from xpgrad.testing.program import LAYOUTS, Input, Program
from xpgrad.testing.writing import Choices, Writer, mentions, needed

T = TypeVar("T")

SMALL = (3, 7, 2, 16, 33, 1, 100)
LARGE = (1000, 2049, 5000)
_FLOATS = ("X", "W", "v", "s", "x0", "w", "Z", "Y", "t")
_FURTHER = ("W", "w", "s", "k", "v", "Z", "mask", "Y", "x0", "n", "t")


class Seeded:
    """Choices made by a generator of random numbers: programs without hypothesis, and without shrinking."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high, endpoint=True))

    def pick(self, xs: Sequence[T]) -> T:
        return xs[self.integer(0, len(xs) - 1)]


def random_program(
    choices: Choices | int,
    *,
    scalar: bool = False,
    samples: str | None = None,
    dtype: str | None = None,
    max_steps: int = 9,
) -> Program:
    """One program; options are those of `xpgrad.testing.programs`. An int seeds the choices."""
    if isinstance(choices, int):
        choices = Seeded(choices)
    inputs = _inputs(choices, samples, dtype)
    w = Writer(choices, inputs)
    wanted = choices.integer(3, max_steps)
    for _ in range(4 * wanted):
        if len(w.steps) >= wanted:
            break
        choices.pick(LINES)(w)
    result = _scalar(w) if scalar else _result(w)
    return Program(tuple(inputs), needed(w.steps, result), result)


def _inputs(choices: Choices, samples: str | None, dtype: str | None) -> list[Input]:
    """One to four inputs: ``X`` with the samples axis, and others that go with it."""
    rows = choices.pick(["rows", "columns"] if samples is None else [samples]) == "rows"
    dtype = choices.pick(["float64", "float32", "mixed"]) if dtype is None else dtype
    rare = choices.integer(0, 23)
    m = choices.pick(LARGE) if rare > 21 else 0 if rare == 21 else choices.pick(SMALL)
    d, k = choices.integer(1, 12), choices.integer(1, 12)
    shapes: dict[str, tuple[int, ...]] = {
        "X": (m, d),
        "Z": (m, d),
        "Y": (m, k),
        "W": (d, k),
        "x0": (m, 1),
        "mask": (m, 1) if choices.integer(0, 1) else (m,),
    }
    shapes = {name: s if rows else s[::-1] for name, s in shapes.items()}
    shapes |= {"w": (d,), "v": (m,), "k": (m,), "n": (m,), "s": (), "t": ()}
    names = ["X"]
    for _ in range(choices.integer(0, 3)):
        name = choices.pick(_FURTHER)
        if name not in names:
            names.append(name)
    found = []
    for name in names:
        kind = {"k": "int64", "n": "int64", "mask": "bool", "t": "python"}.get(name, dtype)
        if kind == "mixed":
            kind = choices.pick(["float32", "float64"])
        layout = choices.pick(LAYOUTS) if choices.integer(0, 1) else "C"
        below = {"k": min(d, k), "n": 4}.get(name, 2)
        found.append(Input(name, shapes.get(name, ()), kind, layout, below, choices.integer(0, 1000)))
    return found


def _result(w: Writer) -> str:
    """One to three of the values, first those that no line reads, in a tree of some form."""
    names = _ends(w) or w.names()
    first, second, third = (names[k % len(names)] for k in range(3))
    forms = [f"{first}, {second}, {third}", first, f"{{'first': {first}, 'more': ({second}, {third})}}"]
    return w.choices.pick([*forms, f"[{first}, np.sum({second}), {third}]"])


def _ends(w: Writer) -> list[str]:
    """What lines made, newest first: before the rest those that no line reads."""
    made = [step.target for step in w.steps if step.kind != "write"][::-1]
    read = {n for step in w.steps for n in made if n != step.target and mentions(step.text, n)}
    return [n for n in made if n not in read] + [n for n in made if n in read]


def _scalar(w: Writer) -> str:
    """A number made from one to three of the values."""
    candidates = [n for n in _ends(w) if np.asarray(w.env[n]).dtype.kind == "f"] or w.names()
    terms = []
    for k in range(w.choices.integer(1, 4)):
        n = candidates[k % len(candidates)]
        size = max(int(np.size(w.env[n])), 1)
        forms = [f"np.sum({n}) / {size}", f"np.sum({n}**2) / {size}", f"np.sum(np.tanh({n})) / {size}"]
        terms.append(w.choices.pick([*forms, f"np.mean({n})"] if np.size(w.env[n]) else forms))
    return " + ".join(terms)
