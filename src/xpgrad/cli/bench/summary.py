"""The terminal output of `xpgrad bench`.

In:  the record that ``--json`` writes.
Out: text, at most 112 columns wide.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from xpgrad.cli.bench import reading
from xpgrad.cli.bench.cells import HAND, OURS
from xpgrad.cli.summary import aligned, duration, ratio


def of(record: dict[str, Any]) -> str:
    """The ladder, the libraries beside ours, and where something else is faster."""
    ladder = record["ladder"]
    us = ladder["us"]
    rows = [("", "time per step", "over the loop", "over NumPy")]
    for name, time in us.items():
        rows.append(
            (reading.label(name), duration(1e-6 * time), ratio(us["loop"] / time), ratio(us[HAND] / time))
        )
    lines = [f"A step, value and gradient: {reading.where(ladder)} float32", "", *aligned(rows), ""]
    for name, why in record["absent"].items():
        lines.append(f"  {reading.label(name)}: not run, {why}")

    head = list(dict.fromkeys(name for cell in record["peers"] for name in cell["us"] if name != OURS))
    table = [("the time of … over compiled", *map(reading.label, head))]
    for cell in record["peers"]:
        times = cell["us"]
        table.append(
            (reading.where(cell), *(ratio(times[n] / times[OURS]) if n in times else "-" for n in head))
        )
    lines += ["", *aligned(table), ""]

    ratios = reading.by_hand_ratios(record)
    slower = sum(r < 1 for r in ratios)
    lines.append(
        f"  NumPy by hand over compiled, {len(ratios)} sizes: least {ratio(ratios[0])}, median "
        f"{ratio(median(ratios))}, compiled is slower in {slower}"
    )
    for loss in reading.losses(record)[:5]:
        lines.append(f"  slower than {loss.name}: {loss.place}, {ratio(loss.ratio)}")
    if reading.pace(record) > reading.BUSY:
        lines.append(
            f"  The machine was busy: one step by NumPy took up to {ratio(reading.pace(record))} as long"
        )
    return "\n".join(lines)
