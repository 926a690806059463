"""The plots of the page of `xpgrad race`, as SVG for a page in light or dark.

In:  parts of the record that ``--json`` writes.
Out: ``<svg>`` elements that refer to nothing outside; text stays text; each colour is a variable of
the page's style sheet (``--ink --muted --grid --accent``), so that one drawing serves both schemes.
Other pages draw with `Drawing` as well.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

from xpgrad.cli.extras import require
from xpgrad.cli.summary import duration

# Matplotlib draws with these; no other colour occurs, and the page's variables take their place.
INK, MUTED, GRID, ACCENT = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", ACCENT: "--accent"}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xpgrad",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlecolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
}


def times(race: dict[str, Any], alt: str) -> str:
    """Time per step of each contender, on a logarithmic axis."""
    steps = race["steps"]
    with Drawing("times", alt, width=8.6, height=0.62 + 0.46 * len(steps)) as drawing:
        axes = drawing.axes
        seconds = [step["seconds"] for step in steps]
        low, high = min(seconds) / 2, max(seconds) * 6
        for row, step in enumerate(steps):
            colour = ACCENT if step["key"].startswith("xpgrad") else MUTED
            axes.plot([low, step["seconds"]], [row, row], color=colour, linewidth=1.2, alpha=0.55)
            axes.plot(step["seconds"], row, "o", color=colour, markersize=8)
            axes.annotate(
                duration(step["seconds"]),
                (step["seconds"], row),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(steps) - 0.5, -0.5)
        axes.set_yticks(range(len(steps)), [step["label"] for step in steps])
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: tick(value))
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xlabel("time per step (logarithmic scale)")
    return drawing.svg


def training(record: dict[str, Any], base: float, alt: str) -> str:
    """Training loss by iteration, above the dashed line of the base rate."""
    losses = record["loss"]
    with Drawing("training", alt) as drawing:
        axes = drawing.axes
        axes.plot(range(len(losses)), losses, color=ACCENT, marker="o" if len(losses) < 3 else None)
        axes.axhline(base, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            "base rate",
            (1, base),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 4),
            textcoords="offset points",
            ha="right",
        )
        axes.set_xlim(0, max(len(losses) - 1, 1))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("iteration")
        axes.set_ylabel("training log-loss (nats a row)")
    return drawing.svg


def roc(points: list[list[float]], alt: str) -> str:
    """True against false positive rate, over the dashed diagonal of a coin."""
    with Drawing("roc", alt) as drawing:
        axes = drawing.axes
        diagonal(axes)
        axes.plot([f for f, _ in points], [t for _, t in points], color=ACCENT)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
    return drawing.svg


def calibration(groups: list[dict[str, float]], alt: str) -> str:
    """Observed share against predicted probability, over the dashed diagonal of perfect calibration."""
    predicted = [group["predicted"] for group in groups]
    observed = [group["observed"] for group in groups]
    top = min(1.0, 1.12 * max(*predicted, *observed, 0.05))
    with Drawing("calibration", alt) as drawing:
        axes = drawing.axes
        diagonal(axes)
        axes.plot(predicted, observed, color=ACCENT, marker="o", markersize=5, clip_on=False, zorder=3)
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_xlabel("mean predicted probability")
        axes.set_ylabel("observed share")
    return drawing.svg


def diagonal(axes: Any) -> None:
    """The dashed line from (0, 0) to (1, 1)."""
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)


def tick(seconds: float) -> str:
    """A power of ten of seconds: ``10 ms``."""
    return duration(seconds).replace(".00", "").replace(".0", "")


class Drawing:
    """A figure with one pair of axes that becomes an ``<svg>`` when the block ends."""

    def __init__(self, name: str, alt: str, width: float = 3.7, height: float = 3.5) -> None:
        self._name, self._alt = name, alt
        matplotlib = require("matplotlib", "--html")
        self._context = matplotlib.rc_context(_STYLE)
        self._context.__enter__()
        self._figure = require("matplotlib.figure", "--html").Figure((width, height), layout="constrained")
        self._figure.patch.set_visible(False)
        self.axes = self._figure.add_subplot()
        self.axes.patch.set_visible(False)
        self.svg = ""

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                file = io.StringIO()
                self._figure.savefig(file, format="svg")
                self.svg = _for_page(file.getvalue(), self._name, self._alt)
        finally:
            self._context.__exit__(None, None, None)


def _for_page(svg: str, name: str, alt: str) -> str:
    """Cut out the ``<svg>`` element, name it for who cannot see it, make its ids and colours the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" {_XLINK}>', svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1).strip()


_XLINK = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
