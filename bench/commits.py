"""One commit against another on the workloads of `bench.peers`: ``python -m bench.commits BEFORE [AFTER]``.

    python -m bench.commits v1.0                        the commit against what is checked out (HEAD)
    python -m bench.commits HEAD~20 HEAD --workload softmax --rounds 41
    python -m bench.commits fa66a7b --out bench/results/commits.json

Each commit is checked out into a folder of its own and runs from there, in a process of its own, with a cache
of kernels of its own; uncommitted changes take no part. One process computes at a time, in turn; a round's
figure is the median of its repetitions, and the two change places after each round. A ratio is the time of
AFTER over that of BEFORE in the same round, so what the machine does meanwhile falls on both: below 1, AFTER
is faster. The median over the rounds is given, with its quartiles. A control runs beside them: BEFORE once
more, against itself.
"""

import argparse
import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.measure import REPETITION_S, WARMING, spread
from bench.peers.processes import Process
from bench.peers.report import conditions
from bench.peers.table import WORKLOADS

ROOT = Path(__file__).resolve().parents[1]
CONTENDERS = ("before", "control", "after")


def main(argv: list[str] | None = None) -> None:
    """Measure each workload, print a line for it, and write all at the end."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.commits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", nargs="?", default="HEAD", help="a commit (default: HEAD)")
    parser.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--repetitions", type=int, default=5, help="timed in each round")
    parser.add_argument("--size", choices=("full", "tiny"), default="full", help="tiny: to see that it runs")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="JSON; workloads that it has and are not run stay"
    )
    args = parser.parse_args(argv)
    if min(args.rounds, args.repetitions) < 1:
        parser.error("--rounds and --repetitions are at least 1")
    try:
        commits = {name: _commit(getattr(args, name)) for name in ("before", "after")}
    except subprocess.CalledProcessError as error:
        parser.error(f"{error.cmd[-1]}: {error.stderr.strip()}")

    found: dict[str, Any] = {}
    with ExitStack() as stack:
        trees = {name: stack.enter_context(Checkout(commit)) for name, commit in commits.items()}
        trees["control"] = trees["before"]
        for workload in args.workload:
            found[workload] = times(workload, trees, args.size, args.rounds, args.repetitions)
            print(line(workload, found[workload]), flush=True)
    if args.out:
        settings = {"size": args.size, "rounds": args.rounds, "repetitions": args.repetitions}
        earlier = json.loads(args.out.read_text()) if args.out.exists() else {}
        if earlier.get("commits") == commits and earlier.get("size") == args.size:
            found = earlier["workloads"] | found
        report = conditions(["llvmlite"]) | settings | {"commits": commits, "workloads": found}
        args.out.write_text(json.dumps(report, indent=1) + "\n")


class Checkout(tempfile.TemporaryDirectory[str]):
    """The files of a commit in a folder that is removed at the end, and the environment to run them in."""

    def __init__(self, commit: str) -> None:
        super().__init__(prefix="xpgrad-commit-")
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", self.name], input=archive.stdout, check=True)

    def __enter__(self) -> dict[str, str]:  # type: ignore[override]
        return {
            "PYTHONPATH": f"{self.name}/src:{self.name}",
            "PYTHONSAFEPATH": "1",  # or the current folder would come first
            "XPGRAD_CACHE_DIR": f"{self.name}/kernels",
        }


def times(
    workload: str, trees: dict[str, dict[str, str]], size: str, rounds: int, repetitions: int
) -> dict[str, Any]:
    """Milliseconds a call, by contender and round, and the ratios to ``before`` of the same round."""
    by_round: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with ExitStack() as stack:
        ours = WORKLOADS[workload].ours
        waiting = {name: stack.enter_context(Process(workload, ours, size, trees[name])) for name in CONTENDERS}
        for process in waiting.values():
            if missing := process.ask("prepare"):
                raise SystemExit(f"{workload}: {missing}")
            process.ask("first_call")
        fastest = min(process.ask("warm", calls=WARMING)["fastest_s"] for process in waiting.values())
        calls = max(1, round(REPETITION_S / fastest))
        for k in range(rounds):
            for name in CONTENDERS[:: 1 if k % 2 else -1]:
                seconds = waiting[name].ask("time", repetitions=repetitions, calls=calls)["seconds"]
                by_round[name].append(1e3 * median(seconds))
    found: dict[str, Any] = {name: {"rounds_ms": ms} | spread(ms) for name, ms in by_round.items()}
    for name in CONTENDERS[1:]:
        ratios = sorted(a / b for a, b in zip(by_round[name], by_round["before"], strict=True))
        found[name] |= {
            "ratio": median(ratios),
            "ratio_quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
        }
    return found


def line(workload: str, found: dict[str, Any]) -> str:
    """One row for the terminal."""
    parts = [f"{workload:<16} before {found['before']['median_ms']:9.3f} ms"]
    for name in CONTENDERS[1:]:
        low, high = found[name]["ratio_quartiles"]
        parts.append(f"{name} {found[name]['ratio']:.3f} ({low:.3f} to {high:.3f})")
    return "  ".join(parts)


def _commit(name: str) -> str:
    """The full name of a commit."""
    git = ["git", "rev-parse", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
