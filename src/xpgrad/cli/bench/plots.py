"""The plots of the page of `xpgrad bench`.

In:  parts of the record that ``--json`` writes.
Out: ``<svg>`` elements (`xpgrad.cli.plots.Drawing`).
"""

from __future__ import annotations

from typing import Any

from xpgrad.cli import plots
from xpgrad.cli.bench.cells import HAND, OURS, Measured
from xpgrad.cli.bench.reading import label
from xpgrad.cli.plots import ACCENT, INK, MUTED, Drawing

# How the lines of contenders differ, besides the colour of ours.
DASHES = {HAND: (0, (5, 2)), "xpgrad": "solid", "jax.jit": (0, (1, 1.5)), "torch": (0, (5, 1.5, 1, 1.5))}
MARKERS = {HAND: "s", "xpgrad": "o", OURS: "o", "jax.jit": "^", "torch": "v"}


def ladder(us: dict[str, float], alt: str) -> str:
    """Time per step by contender, on a logarithmic axis."""
    steps = [{"key": name, "label": label(name), "seconds": 1e-6 * time} for name, time in us.items()]
    return plots.times({"steps": steps}, alt)


def scaling(cells: list[Measured], alt: str) -> str:
    """Time per step against samples; both axes are logarithmic, so a straight line of slope 1 is linear "
    "cost."""
    names = list(dict.fromkeys(name for cell in cells for name in cell["us"]))
    with Drawing("scaling", alt, width=8.0, height=4.4) as drawing:
        axes = drawing.axes
        for name in names:
            points = [(c["samples"], 1e-6 * c["us"][name]) for c in cells if name in c["us"]]
            axes.plot(
                *zip(*points, strict=True),
                color=ACCENT if name.startswith("xpgrad") else MUTED,
                linestyle=DASHES.get(name, "solid"),
                linewidth=2.6 if name == OURS else 1.4,
                marker=MARKERS.get(name, "D"),
                markersize=5,
                label=label(name),
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: plots.tick(value))
        axes.minorticks_off()
        axes.set_xlabel("samples (logarithmic)")
        axes.set_ylabel("time per step (logarithmic)")
        axes.legend(frameon=False, labelcolor=INK, loc="upper left")
    return drawing.svg


def roofline(roof: dict[str, Any], alt: str) -> str:
    """Operations a second against operations for each byte read, under what memory and products allow."""
    rates, rows = roof["rates"], roof["rows"]
    read, product = rates["read_bytes_s"], rates["gemm_float32"]
    intensity = [row["operations"] / row["bytes"] for row in rows]
    low, high = min(intensity) / 3, max(max(intensity), product / read) * 3
    with Drawing("roofline", alt, width=8.0, height=4.2) as drawing:
        axes = drawing.axes
        axes.plot([low, product / read, high], [low * read / 1e9, product / 1e9, product / 1e9], color=INK)
        for name, marker, colour in ((HAND, "s", MUTED), (OURS, "o", ACCENT)):
            reached = [
                (x, row["operations"] / row["least_s"] * row["share"][name] / 1e9)
                for x, row in zip(intensity, rows, strict=True)
                if name in row["share"]
            ]
            axes.plot(*zip(*reached, strict=True), marker, color=colour, markersize=7, label=label(name))
            if name == OURS:
                for (x, y), row in zip(reached, rows, strict=True):
                    axes.annotate(row["job"], (x, y), xytext=(8, -4), textcoords="offset points")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(low, high)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("operations for each byte of X")
        axes.set_ylabel("10⁹ operations a second")
        axes.legend(frameon=False, labelcolor=INK, loc="lower right")
    return drawing.svg
