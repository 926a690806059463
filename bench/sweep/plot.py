"""The heat map of a sweep: ``python -m bench.sweep.plot bench/results/sweep.json bench/results/sweep.png``.

A panel for each job and layout, with the dtypes side by side; a cell has the time of NumPy by hand over that of
``xpgrad.compile``, above 1 where compiled is faster. A frame is where a peer is faster than compiled.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from xpgrad.cli.bench.cells import HAND, PEERS, ratio

WIDEST = 8.0  # the ratio at which the colours end, and its reciprocal


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the cells of ``report`` into the file ``path``, whose suffix is the format."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cells = report["cells"]
    rows = list(dict.fromkeys((c["job"], c["layout"]) for c in cells))
    dtypes = list(dict.fromkeys(c["dtype"] for c in cells))
    figure, panels = plt.subplots(
        len(rows),
        len(dtypes),
        figsize=(5.2 * len(dtypes) + 1, 2.6 * len(rows) + 0.8),
        squeeze=False,
        layout="constrained",
    )
    image = None
    for line, (job, layout) in zip(panels, rows, strict=True):
        for ax, dtype in zip(line, dtypes, strict=True):
            chosen = [c for c in cells if (c["job"], c["layout"], c["dtype"]) == (job, layout, dtype)]
            image = _panel(ax, chosen) or image
            ax.set_title(f"{job}, samples in {layout}, {dtype}", fontsize=9)
    if image is not None:
        bar = figure.colorbar(image, ax=panels, shrink=0.4, label="NumPy by hand over compiled")
        ticks = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]
        bar.set_ticks(np.log2(ticks), labels=[f"{t:g}" for t in ticks])
    cpu = report["machine"]["cpu"]
    title = (
        f"{cpu['model']}, {cpu['usable']} cores. Above 1 (blue) compiled is faster; framed: a peer is fastest"
    )
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(ax: Any, cells: list[dict[str, Any]]) -> Any:
    features = sorted({c["features"] for c in cells})
    samples = sorted({c["samples"] for c in cells})
    ax.set_xticks(range(len(samples)), [f"{m:.0e}".replace("e+0", "e") for m in samples], fontsize=7)
    ax.set_yticks(range(len(features)), [str(n) for n in features], fontsize=7)
    ax.set_xlabel("samples", fontsize=8)
    ax.set_ylabel("features", fontsize=8)
    grid = np.full((len(features), len(samples)), np.nan)
    for c in cells:
        r = ratio(c, HAND)
        if r is None:
            continue
        i, j = features.index(c["features"]), samples.index(c["samples"])
        grid[i, j] = np.log2(r)
        dark = abs(grid[i, j]) > 0.6 * np.log2(WIDEST)
        ax.text(j, i, f"{r:.2g}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
        if any((other := ratio(c, name)) is not None and other < 1 for name in PEERS):
            ax.add_patch(matplotlib.patches.Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, lw=1.2))
    bound = np.log2(WIDEST)
    return ax.imshow(grid, cmap="RdBu", vmin=-bound, vmax=bound, origin="lower", aspect="auto")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.sweep.plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("report", type=Path, help="the JSON of a sweep")
    parser.add_argument("picture", type=Path, help="the file to write: PNG, SVG or PDF")
    args = parser.parse_args(argv)
    draw(json.loads(args.report.read_text()), args.picture)


if __name__ == "__main__":
    main()
