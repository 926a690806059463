"""Compiled steps over features and samples: ``python -m bench.sweep``.

    python -m bench.sweep --out bench/results/sweep.json
    python -m bench.sweep --jobs logistic --dtypes float32 --contenders numpy xpgrad.compile

Each contender has a process of its own, which is stopped while another computes (`bench.peers.processes`). In
each round every contender in turn makes one call that is not counted, and is then timed; a figure is the median
over the rounds. A ratio is a contender's median over that of ``xpgrad.compile``: above 1, compiled is faster.
Values and the norms of gradients are held against the first contender in float64: within the tolerance of the
test suite, or twice the first one's own error where that is larger (a sum of 10^7 entries in float32).
"""

import argparse
import json
import math
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.processes import Answering
from bench.peers.report import conditions
from xpgrad.cli.bench.cells import HAND, OURS, PEERS, Disagreement, measured, ratio
from xpgrad.cli.bench.steps import CONTENDERS, JOBS, LAYOUTS, Cell

FEATURES = (1, 2, 4, 8, 16, 32, 64, 185, 400, 784, 2000)
SAMPLES = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def main(argv: list[str] | None = None) -> None:
    """Measure the cells, print each, and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), default=["float32", "float64"])
    parser.add_argument("--features", nargs="+", type=int, default=list(FEATURES))
    parser.add_argument("--samples", nargs="+", type=int, default=list(SAMPLES))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=[HAND, OURS, *PEERS])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most", type=float, default=1.3, metavar="GB", help="of X in a cell (default: 1.3)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON")
    args = parser.parse_args(argv)
    cells = [
        Cell(job, layout, dtype, n, m)
        for job in args.jobs
        for layout in args.layouts
        for dtype in args.dtypes
        for n in args.features
        for m in args.samples
    ]
    cells = [c for c in cells if c.bytes <= args.most * 1e9]
    report: dict[str, Any] = conditions(("numpy", "xpgrad", "llvmlite", "jax", "jaxlib", "torch"))
    report |= {"rounds": args.rounds, "cells": []}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Answering("xpgrad.cli.bench.worker", name, name=name))
            for name in args.contenders
        }
        for cell in cells:
            try:
                report["cells"].append(measured(cell, workers, args.rounds))
            except Disagreement as error:
                raise SystemExit(str(error)) from error
            print(line(report["cells"][-1]), flush=True)
            if args.out:
                args.out.write_text(json.dumps(report, indent=1) + "\n")
    print(summary(report["cells"]))


def line(cell: dict[str, Any]) -> str:
    where = f"{cell['job']:8} {cell['layout']:7} {cell['dtype']} {cell['features']:5} x {cell['samples']:<9}"
    others = [f"{name} {us / cell['us'][OURS]:5.2f}" for name, us in cell["us"].items() if name != OURS]
    return f"{where} {cell['us'].get(OURS, math.nan):11.1f} us   {'  '.join(others)}"


def summary(cells: list[dict[str, Any]]) -> str:
    """The least and the median ratio to NumPy by hand, and the share of cells where the best peer is slower."""
    by_hand = sorted(r for c in cells if (r := ratio(c, HAND)) is not None)
    lines = []
    if by_hand:
        lines.append(
            f"{len(by_hand)} cells against NumPy by hand: least {by_hand[0]:.2f}, "
            f"median {median(by_hand):.2f}, below 1.0: {sum(r < 1 for r in by_hand)}"
        )
    best = [min(rs) for c in cells if (rs := [r for n in PEERS if (r := ratio(c, n)) is not None])]
    if best:
        share = sum(r >= 1 for r in best) / len(best)
        lines.append(f"at least the best peer in {share:.0%} of {len(best)} cells")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
