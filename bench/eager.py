"""Eager xpgrad against its peers: ``python -m bench.eager [--json OUT]``.

Each contender runs in a process of its own, one at a time, in rounds that take turns; ratios are of
medians over the rounds. Import times are of fresh processes, taking turns too.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

from bench.workloads import WORKLOADS
from xpgrad.cli.info import collect

ROUNDS = 15
CALLS = {"rosenbrock": 1000, "logistic": 3}
# What must hold: xpgrad's time over the peer's, at most.
TARGETS = {("rosenbrock", "torch"): 1 / 1.2, ("rosenbrock", "autograd"): 1 / 2.4, ("logistic", "numpy"): 1.3}
IMPORT_TARGET_MS = 40.0  # beyond `import numpy`
IMPORTS = {"numpy": "import numpy", "xpgrad": "import numpy, xpgrad"}
AGREEMENT = {"rosenbrock": 1e-12, "logistic": 2e-5}


def run(workload, rounds):
    """Seconds a call of each contender, by round; raises where two disagree."""
    workers = {}
    for name in WORKLOADS[workload]:
        command = [sys.executable, "-m", "bench.worker", workload, name]
        workers[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        results = {name: np.array(json.loads(w.stdout.readline())) for name, w in workers.items()}
        for name, result in results.items():
            difference = np.max(np.abs(result - results["xpgrad"])) / np.max(np.abs(result))
            if not difference <= AGREEMENT[workload]:
                raise SystemExit(f"{workload}: {name} and xpgrad differ by {difference}")
        seconds = {name: [] for name in workers}
        for _ in range(rounds):
            for name, w in workers.items():
                print(CALLS[workload], file=w.stdin, flush=True)
                seconds[name].append(json.loads(w.stdout.readline()))
        return seconds
    finally:
        for w in workers.values():
            w.stdin.close()
            w.wait()


def import_times(rounds):
    """Milliseconds of each import statement in a fresh process, by round."""
    code = "import time; t = time.perf_counter(); {}; print(1e3 * (time.perf_counter() - t))"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = {name: [] for name in IMPORTS}
    for k in range(rounds + 1):
        for name, statement in IMPORTS.items():
            command = [sys.executable, "-c", code.format(statement)]
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
            if k:  # the first writes the byte code
                times[name].append(float(out))
    return times


def machine():
    """What the numbers were measured on."""
    facts = collect()
    packages = {}
    for name in ("xpgrad", "numpy", "torch", "autograd", "scipy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "cpu": facts.get("cpu"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": packages,
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args(argv)
    report = {"machine": machine(), "workloads": {}, "ratios": []}
    for workload in WORKLOADS:
        seconds = run(workload, args.rounds)
        report["workloads"][workload] = {
            name: {"median_s": median(t), "min_s": min(t), "max_s": max(t), "rounds": t}
            for name, t in seconds.items()
        }
        for name, t in seconds.items():
            print(f"{workload:12} {name:10} {1e6 * median(t):12.1f} us a call")
        for peer in set(seconds) - {"xpgrad"}:
            ratio = median(seconds["xpgrad"]) / median(seconds[peer])
            target = TARGETS.get((workload, peer))
            met = None if target is None else ratio <= target
            row = {"workload": workload, "peer": peer, "time_over_peer": ratio, "at_most": target, "met": met}
            report["ratios"].append(row)
            print(
                f"{workload:12} xpgrad / {peer}: {ratio:.2f}" + (f" (at most {target:.2f})" if target else "")
            )
    times = import_times(args.rounds)
    beyond = median(times["xpgrad"]) - median(times["numpy"])
    report["import"] = {
        "numpy_ms": median(times["numpy"]),
        "xpgrad_ms": median(times["xpgrad"]),
        "beyond_numpy_ms": beyond,
        "at_most": IMPORT_TARGET_MS,
        "met": beyond <= IMPORT_TARGET_MS,
    }
    print(f"import xpgrad: {beyond:.1f} ms beyond numpy's {median(times['numpy']):.1f} ms")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
