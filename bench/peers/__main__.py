"""xpgrad on the CPU against its peers: ``python -m bench.peers``.

    python -m bench.peers                                   all workloads, contenders and parts
    python -m bench.peers --workload logistic-32 softmax    some workloads
    python -m bench.peers --contenders torch jax.jit xpgrad --parts times
    python -m bench.peers --out bench/results/peers_cpu.json

The peers come with ``pip install -e ".[bench]"``; torch.compile needs a C++ compiler. Let nothing
else run on the machine. A contender whose library is not installed is listed as missing.

**Times.** Each contender prepares the same numbers, once, in arrays of its own and in the layout it
likes best, in a process of its own with its default threads (all cores). It is called, checked and
warmed, then stopped (SIGSTOP). Then rounds: each contender in turn is woken, makes one call that is
not counted (the caches were someone else's), is timed a few times, and is stopped again. So what the
machine does meanwhile falls on all alike, and no idle thread pool spins beside a running one. A
round's figure is the median of its repetitions; a contender's is the median over the rounds. A call
is value and gradient, computed to the end.

**Agreement.** Value and gradient of each are held against NumPy in float64, within the tolerance of
the test suite for the dtype, relative to the largest entry; gradients must have the dtype of the
problem. If one is off the run ends there, and nothing is written.

**Memory.** Each contender in a fresh process: ``step`` is the peak of resident memory during one warm
step, beyond what lay there before (data, library, compiled code, kept buffers), results included;
``kept`` is what the steps before left behind: buffers (those of a BLAS among them) and compiled code.
Linux only.

**First calls.** Each in a fresh process, from before ``xg.compile`` (``jax.jit``) to the end of the
first call, everything imported on the way included; NumPy, the library itself and the data are
there. "cold" has an empty kernel cache, "warm" what another process left in it.

Ratios are within one run: the median of the best peer over that of xpgrad. Targets are those of
``bench/peers/table.py``; the memory target counts ``step`` and ``kept``.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.peers import measure
from bench.peers.agreement import Disagreement
from bench.peers.contender import CONTENDERS
from bench.peers.report import conditions, render, verdict
from bench.peers.table import WORKLOADS

PARTS = ("times", "memory", "first_calls")


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and write if all agree."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repetitions", type=int, default=5, help="timed in each round")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", choices=("full", "tiny"), default="full", help="tiny: to see that it runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON")
    args = parser.parse_args(argv)
    if min(args.rounds, args.repetitions) < 1:
        parser.error("--rounds and --repetitions are at least 1")

    settings = {"size": args.size, "rounds": args.rounds, "repetitions": args.repetitions}
    distributions = (d for name in args.contenders for d in CONTENDERS[name][2])
    report = conditions(distributions) | settings | {"workloads": {}}
    for name in args.workload:
        try:
            found = run(name, args)
        except Disagreement as error:
            raise SystemExit(f"{error}\nnothing is written") from error
        report["workloads"][name] = found
        print(render(name, found), flush=True)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n")


def run(workload: str, args: argparse.Namespace) -> dict[str, Any]:
    """All parts that were asked for, of one workload."""
    w = WORKLOADS[workload]
    contenders = [name for name in w.contenders if name in args.contenders]
    found: dict[str, Any] = {"title": w.title, "sizes": getattr(w, args.size)}
    if "times" in args.parts:
        found["times"] = measure.times(workload, contenders, args.size, args.rounds, args.repetitions, _say)
    if "memory" in args.parts:
        found["memory"] = measure.memory(workload, contenders, args.size, _say)
    if "first_calls" in args.parts:
        found["first_calls"] = measure.first_calls(workload, contenders, args.size, _say)
    return found | {"verdict": verdict(workload, found)}


def _say(what: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{what:<60}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
