"""Steps of 0.1 to 10 ms on one thread and on several: ``python -m bench.threads [--json OUT]``.

    one        one thread
    sleeping   as many threads as there are cores; a worker sleeps after each call, and is woken up for the next
    spinning   the same, as xpgrad does it: a worker waits actively for the next call for a while

Each contender has a process of its own, which is stopped while another computes (`bench.peers.processes`).
Calls follow one another, as in a loop of training steps. A ratio is the time on one thread over that of a
contender: above 1, threads help. Values are held against those of one thread, bit for bit.
"""

import argparse
import json
import math
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.processes import Answering, serve
from bench.peers.report import conditions
from xpgrad.cli.bench.steps import CONTENDERS as STEPS
from xpgrad.cli.bench.steps import Cell

CONTENDERS = ("one", "sleeping", "spinning")
CELLS = (
    *[Cell("linear", "columns", "float32", n, m) for n, m in ((784, 1_000), (784, 4_000), (32, 64_000))],
    *[Cell("linear", "rows", "float32", n, m) for n, m in ((8, 200_000), (185, 16_000))],
    *[Cell("logistic", "columns", "float32", n, m) for n, m in ((1, 30_000), (1, 400_000), (185, 262_144))],
    *[Cell("mlp", "columns", "float32", n, m) for n, m in ((32, 2_000), (32, 8_000))],
)
SMALL = (Cell("linear", "columns", "float32", 784, 1_000),)
ROUND_S = 0.02


class Worker:
    """Answers in the process of one contender."""

    def __init__(self, contender: str) -> None:
        if contender == "one":
            os.environ["XPGRAD_NUM_THREADS"] = "1"
        if contender == "sleeping":
            from xpgrad.backends.cpu.llvm import spinning

            spinning.SPIN_S = 0.0
        self._step: Any = None

    def prepare(self, cell: list[Any]) -> dict[str, Any]:
        import numpy as np

        self._step = STEPS["xpgrad.compile"](Cell(*cell))
        for _ in range(3):
            value, _ = self._step()
        begin = time.perf_counter()
        self._step()
        return {"value": float(np.asarray(value)), "warm_s": time.perf_counter() - begin}

    def time(self, calls: int) -> dict[str, Any]:
        self._step()  # not counted: the process was stopped before
        begin = time.perf_counter()
        for _ in range(calls):
            self._step()
        return {"seconds": (time.perf_counter() - begin) / calls}


def measured(cell: Cell, workers: dict[str, Answering], rounds: int) -> dict[str, Any]:
    """The median time of each contender, in us."""
    answers = {name: worker.ask("prepare", cell=list(cell)) for name, worker in workers.items()}
    if len({answer["value"] for answer in answers.values()}) > 1:
        sys.exit(f"the values at {cell} differ: {answers}")
    calls = {name: max(1, math.ceil(ROUND_S / answer["warm_s"])) for name, answer in answers.items()}
    times: dict[str, list[float]] = {name: [] for name in workers}
    for k in range(rounds):
        for name in list(workers) if k % 2 else list(workers)[::-1]:
            times[name].append(1e6 * workers[name].ask("time", calls=calls[name])["seconds"])
    us = {name: round(median(ts), 1) for name, ts in times.items()}
    return {**cell._asdict(), "us": us, "ratio": {name: round(us["one"] / t, 2) for name, t in us.items()}}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.threads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--small", action="store_true", help="one cell, to see that it runs")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        serve(Worker(args.worker))
        return
    report: dict[str, Any] = conditions(("numpy", "xpgrad", "llvmlite")) | {"rounds": args.rounds, "cells": []}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Answering("bench.threads", "--worker", name, name=name))
            for name in CONTENDERS
        }
        for cell in SMALL if args.small else CELLS:
            found = measured(cell, workers, args.rounds)
            report["cells"].append(found)
            where = f"{cell.job:8} {cell.layout:7} {cell.features:4} x {cell.samples:<7}"
            print(where, "  ".join(f"{name} {us:8.1f} us" for name, us in found["us"].items()), flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
