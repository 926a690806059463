"""The plots of the page of `xpgrad train` that `xpgrad race` does not have.

In:  parts of the record of a training.
Out: ``<svg>`` elements, as `xpgrad.cli.plots` draws them.
"""

from __future__ import annotations

from typing import Any

from xpgrad.cli.plots import ACCENT, GRID, INK, MUTED, Drawing

_STRONGEST = 0.5  # opacity of the fullest cell, on which text is still read in light and dark
_DASHED = (0, (4, 3))
_CELLS_WITH_NUMBERS = 16


def losses(values: list[float], what: str, alt: str) -> str:
    """The loss by iteration, on a logarithmic axis where it falls far."""
    with Drawing("losses", alt) as drawing:
        axes = drawing.axes
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=ACCENT,
            marker="o" if len(values) < 30 else None,
            markersize=4,
        )
        if min(values) > 0 and max(values) > 30 * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xlim(0.5, max(len(values), 2) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(what)
        axes.set_ylabel("loss of training")
    return drawing.svg


def confusion(matrix: list[list[int]], classes: list[str], alt: str) -> str:
    """How often each class was predicted for each: a cell is as full as its share of its row."""
    k = len(classes)
    size = min(3.7 + 0.28 * max(k - 4, 0), 9.0)
    with Drawing("confusion", alt, width=size, height=size * 0.95) as drawing:
        axes = drawing.axes
        for i, row in enumerate(matrix):
            total = sum(row) or 1
            for j, count in enumerate(row):
                if count:
                    axes.fill_between(
                        [j, j + 1], i, i + 1, color=ACCENT, alpha=_STRONGEST * count / total, linewidth=0
                    )
                if k <= _CELLS_WITH_NUMBERS and (count or k <= 4):
                    axes.annotate(f"{count:,}", (j + 0.5, i + 0.5), ha="center", va="center", color=INK)
        axes.set_xlim(0, k)
        axes.set_ylim(k, 0)
        shown = [name if len(name) <= 14 else name[:13] + "…" for name in classes]
        at = [i + 0.5 for i in range(k)]
        long = sum(map(len, shown)) > 26
        axes.set_xticks(at, shown, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_yticks(at, shown)
        axes.grid(False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for edge in range(k + 1):
            axes.axhline(edge, color=GRID, linewidth=0.8)
            axes.axvline(edge, color=GRID, linewidth=0.8)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
    return drawing.svg


def against(points: dict[str, list[float]], alt: str) -> str:
    """True against predicted values, over the dashed line where they are equal."""
    low, high = min(points["predicted"]), max(points["predicted"])
    with Drawing("against", alt) as drawing:
        axes = drawing.axes
        axes.plot([low, high], [low, high], color=MUTED, linestyle=_DASHED, linewidth=1.2)
        _scatter(axes, points["predicted"], points["truth"])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
    return drawing.svg


def residuals(points: dict[str, list[float]], alt: str) -> str:
    """What is left of the truth, against the prediction."""
    left = [t - p for t, p in zip(points["truth"], points["predicted"], strict=True)]
    with Drawing("residuals", alt) as drawing:
        axes = drawing.axes
        axes.axhline(0, color=MUTED, linestyle=_DASHED, linewidth=1.2)
        _scatter(axes, points["predicted"], left)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true less predicted")
    return drawing.svg


def effects(rows: list[dict[str, Any]], alt: str) -> str:
    """Coefficients per deviation of their column, with their intervals."""
    with Drawing("effects", alt, width=8.6, height=0.9 + 0.3 * len(rows)) as drawing:
        axes = drawing.axes
        axes.axvline(0, color=MUTED, linewidth=1.0)
        for place, row in enumerate(rows):
            at = row["per_deviation"][0]
            if "low" in row:
                unit = row["deviation"] or 1.0
                axes.plot(
                    [row["low"] * unit, row["high"] * unit],
                    [place, place],
                    color=ACCENT,
                    linewidth=1.6,
                    alpha=0.6,
                )
            axes.plot(at, place, "o", color=ACCENT, markersize=6)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        names = [row["name"] if len(row["name"]) <= 40 else row["name"][:39] + "…" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(
            "coefficient per standard deviation of the column; of a category, against its reference"
        )
    return drawing.svg


def _scatter(axes: Any, x: list[float], y: list[float]) -> None:
    many = len(x) > 300
    axes.plot(
        x, y, "o", color=ACCENT, markersize=2.2 if many else 3.5, alpha=0.45 if many else 0.6, markeredgewidth=0
    )
