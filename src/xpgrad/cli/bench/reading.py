"""What a measurement of `xpgrad bench` says: the figures that its page and its summary both give.

In:  the record that ``--json`` writes.
Out: names for people, ratios, the places where something else is faster.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from xpgrad.cli.bench.cells import HAND, OURS, Measured
from xpgrad.cli.bench.steps import THREADS

LABELS = {
    "loop": "Python loop over the samples",
    HAND: "NumPy by hand",
    "xpgrad": "xpgrad, eager",
    OURS: "xpgrad, compiled",
    "xpgrad, GPU": "xpgrad, eager, GPU",
    "xpgrad.compile, GPU": "xpgrad, compiled, GPU",
}
BUSY = 1.25  # the control's slowest time over its fastest, beyond which figures are not to be trusted


def label(name: str) -> str:
    """A contender's name for people."""
    _, _, threads = name.partition(THREADS)
    return (
        f"{LABELS[OURS]}, {threads} thread{'' if threads == '1' else 's'}"
        if threads
        else LABELS.get(name, name)
    )


def where(cell: Measured) -> str:
    """A cell in words: the job, the features, the samples."""
    return f"{cell['job']}, {cell['features']:,} x {cell['samples']:,}"


class Loss(NamedTuple):
    """A place where something else takes less time: ``ratio`` is its time over ours, below 1."""

    place: str
    name: str
    ratio: float
    seconds: float


def losses(record: dict[str, Any]) -> list[Loss]:
    """Every comparison in which compiled is not the fastest on the CPU, the worst first."""
    found = []
    for cell in [*record["peers"], *record["grid"], *record["scaling"]]:
        ours = cell["us"].get(OURS)
        for name, us in cell["us"].items():
            if ours and not name.endswith("GPU") and us < ours:
                found.append(Loss(where(cell), label(name), us / ours, 1e-6 * ours))
    fits = [row for row in record["fits"] if "seconds" in row]
    ours = min((row["seconds"] for row in fits if row["solver"].startswith("xpgrad")), default=None)
    for row in fits:
        if ours and not row["solver"].startswith("xpgrad") and row["seconds"] < ours:
            place = f"a fit, {row['samples']:,} x {row['features']:,}"
            found.append(Loss(place, row["solver"], row["seconds"] / ours, ours))
    return sorted(set(found), key=lambda loss: loss.ratio)


def by_hand_ratios(record: dict[str, Any]) -> list[float]:
    """The time of NumPy by hand over compiled, for each cell of the heat map, in order of size."""
    return sorted(c["us"][HAND] / c["us"][OURS] for c in record["grid"])


def pace(record: dict[str, Any]) -> float:
    """How much slower the control was at its slowest than at its fastest."""
    return float(max(record["control_us"]) / min(record["control_us"]))
