"""xpgrad on a GPU against its peers on the same card, and against the CPU: ``python -m bench.gpu --out DIR``.

    python -m bench.gpu --out bench/results                all workloads: some minutes
    python -m bench.gpu --out /tmp/try --quick             small sizes: to see that it runs
    python -m bench.gpu --out DIR --only mlp softmax --contenders xpgrad.compile jax.jit
    python -m bench.gpu --out DIR --profile                with bytes over time, and what `explain` says

Writes ``gpu.json``, and with ``--only`` a file named after the workloads, such as ``gpu-softmax_mlp.json``:
a file has the conditions and the ceilings of one run, and is replaced by the next of the same
workloads, a quick one too. It is written after each workload anew, so that a run that is cut short leaves
what it had. The peers come with ``pip install -e ".[bench]"``, JAX for the GPU with ``jax[cuda12]`` or
``jax[cuda13]``. Let nothing else run on the machine. The card's settings are read, never changed.

**Who.** ``torch.compile``, ``jax.jit`` and CuPy by hand, each in the fastest of its variants on this card,
and xpgrad, compiled and eager, all on the first visible GPU; NumPy by hand and xpgrad on the CPU. A library
that is not here, or that sees no GPU, is a row that says so. float32 products are computed in float32
everywhere (no TF32), for ours is cupy.matmul, which does so.

**Times.** Data lies on the device before. Each contender has a process of its own, and one computes
at a time; the others are stopped. Each compiles and warms up, then takes its turn in rounds. Each round
begins with calls that are not counted, and is timed in three ways: a call by the clock of the wall, up to
when the device has finished, which is what ratios and targets are about; between two CUDA events (JAX
has none, its streams are its own); and a call among many that nobody waits for. Data of less than four
L2 caches is driven out of the cache before each call of the first two; what is smaller than a megabyte
stays. A round's figure is the median of its calls, a contender's the median over the rounds.

**Variants.** All of a contender's share the time for its first call. One that would not fit, by the longest
before it, is not tried, and named, as is one that fails.

**Agreement.** As in `bench.peers`: value and gradient against NumPy in float64. A contender that is
off is named, with what it differs by, and its time counts all the same. If it is ours, the exit status is
1. A peer's does not change it: the bound does not grow with the samples, and over 20,000,000 of them a
float32 product that keeps one running sum is off by rounding alone.

**Memory.** The most that a library's own pool held during a step, beyond the data: results and
temporaries; workspaces where the library takes them from its pool. Torch's and CuPy's are what is
reserved, in the steps of their pools; JAX's is the peak of its life, its autotuner's trials included.

**Switches.** xpgrad runs with the switches of `xpgrad.backends.gpu.limits.Limits` as they are by default.
``python -m bench.switches`` decides which of them are worth having on this card.

**Ceilings.** Copy and read on the device, to and from it, and a large float32 product, in the same run.

The whole run ends within ``--budget`` seconds, give or take a step: what does not fit is named as not
run, and the exit status is 1. It is 2 where there is no GPU.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.gpu import card as smi
from bench.gpu import measure
from bench.gpu.contenders import CONTENDERS
from bench.gpu.report import complaints, profile, render, render_profile, render_rates, verdict
from bench.gpu.table import WORKLOADS
from bench.peers.processes import Answering, Died
from bench.peers.report import conditions
from xpgrad.devices import gpu_status


def file_for(workloads: Collection[str]) -> str:
    """The name of the file for a run of these workloads, in whatever order."""
    if set(workloads) == set(WORKLOADS):
        return "gpu.json"
    return f"gpu-{'_'.join(name for name in WORKLOADS if name in workloads)}.json"


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; give the exit status."""
    args = _arguments(argv)
    status = gpu_status()
    if args.device == "gpu" and not status.available:
        print(f"python -m bench.gpu: no GPU can be used: {status.reason}\n  {status.remedy}", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / file_for(args.only)
    start = time.monotonic()
    budget = measure.Budget(args.budget)
    settings = measure.Settings(args.size, args.device, args.rounds, args.round_s, explain=args.profile)
    report = conditions(d for name in args.contenders for d in CONTENDERS[name].distributions)
    report["commit"] = report["commit"] or args.commit
    report |= {
        "dry_run": args.device == "cpu",
        "size": args.size,
        "rounds": args.rounds,
        "round_s": args.round_s,
    }
    report["environment"] = measure.ENVIRONMENT[args.device]
    try:
        report |= _ceilings(args)
    except Died as died:
        print(f"python -m bench.gpu: {died}", file=sys.stderr)
        return 1
    print(render_rates(report["card"], report["ceilings"]), flush=True)
    report["workloads"] = {}
    wrong = []
    for name in args.only:
        found = _workload(name, args, report, settings, budget)
        report["workloads"][name] = found
        report["seconds"] = time.monotonic() - start
        _write(path, report)
        print(render(name, found), flush=True)
        if args.profile and "profile" in found:
            print(render_profile(name, found["profile"]), flush=True)
        wrong += complaints(name, found)
    print(f"\n{report['seconds']:.0f} s; written to {path}")
    for complaint in wrong:
        print(f"python -m bench.gpu: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the JSON goes")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--profile", action="store_true", help="print bytes moved in principle over time")
    parser.add_argument("--rounds", type=int, help="default: 7, or 2 with --quick")
    parser.add_argument("--budget", type=float, default=480.0, metavar="S", help="default: 480 seconds")
    parser.add_argument("--commit", help="the commit, where it cannot be asked of git")
    # For tests and dry runs: the peers' CPU builds, NumPy for CuPy; and sizes that take no time.
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.size = "tiny" if args.tiny else "quick" if args.quick else "full"
    args.round_s = 0.05 if args.size == "full" else 0.02
    args.rounds = args.rounds if args.rounds is not None else 7 if args.size == "full" else 2
    if args.rounds < 1 or not args.budget > 0:
        parser.error("--rounds is at least 1, and --budget positive")
    return args


def _ceilings(args: argparse.Namespace) -> dict[str, Any]:
    """The card, what nvidia-smi says of it, and what it can do."""
    environment = measure.ENVIRONMENT[args.device]
    with Answering("bench.gpu.ceilings", args.device, name="ceilings", environment=environment) as process:
        card = process.ask("card", within_s=measure.AT_MOST_S)
        idle = smi.read(card.get("pci_bus_id"))
        rates = process.ask("rates", within_s=measure.AT_MOST_S, size=args.size)
        busy = smi.read(card.get("pci_bus_id"))
    return {"card": card, "nvidia_smi": {"before": idle, "after_ceilings": busy}, "ceilings": rates}


def _workload(
    name: str,
    args: argparse.Namespace,
    report: dict[str, Any],
    settings: measure.Settings,
    budget: measure.Budget,
) -> dict[str, Any]:
    """One workload with its verdict, or why it was not run."""
    w = WORKLOADS[name]
    found: dict[str, Any] = {"title": w.title, "sizes": getattr(w, args.size), "dtype": w.dtype}
    if not budget.left():
        return found | {"not_run": f"the budget of {args.budget:.0f} s was used up"}
    contenders = [who for who in w.contenders if who in args.contenders]
    found |= measure.workload(name, contenders, report["card"], settings, budget, _say)
    found["nvidia_smi"] = smi.read(report["card"].get("pci_bus_id"))
    rates = report["ceilings"]
    return found | {"verdict": verdict(name, found, rates), "profile": profile(found, rates)}


def _write(path: Path, report: dict[str, Any]) -> None:
    """In one step: a run that is ended while it writes leaves the file before."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, path)


def _say(what: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{what:<60}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
