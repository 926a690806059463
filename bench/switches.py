"""Each switch of the CUDA generator, off and on, on one card: which variants are worth having.

    python -m bench.switches --list                              the switches, and the workloads of each
    python -m bench.switches --out bench/results/switches.json   all of them: some minutes
    python -m bench.switches --out FILE --only vector_loads      some of them

A switch is a field of `xpgrad.backends.gpu.limits.Limits` that is off until a card has measured it. For each
switch and each workload that it can change, value and gradient are compiled twice: with the plain limits, and
with this switch on. Both arms run in this process, in turn, in rounds that begin with either arm by turns. A
time is that of a call by the wall clock, until the device has finished. A round's figure is the median of its
calls, and an arm's the median over the rounds. Data of less than four L2 caches is driven out of the cache
before each call.

Both arms must give the same value and gradient, within the tolerance of the dtype. The verdict of a switch is
*on* if one workload gains 5 % or more and none loses more than 2 %. It is *wrong* where the arms differ, and
*off* otherwise. ``changes_program`` is false where both arms ran the same kernels: such a workload decides
nothing.

The exit status is 1 if a verdict is *wrong*, and 2 where there is no GPU. Let nothing else run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bench.gpu import card as smi
from bench.gpu import clocks
from bench.gpu.ceilings import Ceilings
from bench.gpu.measure import ENVIRONMENT, flush_bytes
from bench.gpu.table import WORKLOADS
from bench.peers.contender import load
from bench.peers.measure import spread
from bench.peers.problems import Problem
from bench.peers.report import conditions
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import SWITCHES, Limits
from xpgrad.devices import gpu_status
from xpgrad.testing import tolerance

GAIN, LOSS = 1.05, 0.98  # speed-ups: at least the first on one workload, and no less than the second on any
WARMING = 8  # calls of each arm before the first round: a graph is captured in one of them
MOST = 50  # calls of an arm in a round


class Case(NamedTuple):
    """A workload of `bench.gpu`, with its full sizes or others."""

    workload: str
    sizes: dict[str, Any] | None = None

    def problem(self) -> Problem:
        w = WORKLOADS[self.workload]
        return w.problem(**(w.full if self.sizes is None else self.sizes))

    def in_words(self) -> str:
        sizes = ", ".join(f"{name}={n}" for name, n in (self.sizes or {}).items())
        return self.workload + (f" ({sizes})" if sizes else "")


CASES: dict[str, tuple[Case, ...]] = {
    "vector_loads": (Case("black-scholes"), Case("logistic-32", {"n_x": 8, "m": 40_000_000})),
    "matmul_by_thread": (Case("softmax"),),
    "matmul_by_warp": (Case("logistic-784"),),
    "full_waves": (Case("logistic-784"), Case("softmax"), Case("logistic-32"), Case("black-scholes")),
    "cuda_graphs": (Case("rosenbrock"), Case("logistic-32", {"n_x": 32, "m": 20_000}), Case("logistic-32")),
    "fused_regions": (Case("mlp"),),
}
"""The workloads that each switch can change."""


class Arm:
    """A workload compiled with some limits, on a device of its own."""

    def __init__(self, job: str, problem: Problem, device: Any, told: dict[str, Any]) -> None:
        contender = load("bench.peers.by_xpgrad", job, problem, {"compiled": True} | told)
        assert contender.explain is not None
        self.step = contender.build()
        with choose.use("cuda", None, device):  # the first call builds the program, and later ones keep it
            value, gradient = contender.unpack(self.step())
            self.program = contender.explain().partition("\nprogram\n")[2]
        self.result = [np.asarray(x, np.float64) for x in (value, *gradient)]
        self.rounds: list[float] = []

    def time(self, clock: clocks.Host, calls: int, flush: int) -> None:
        """One round."""
        self.rounds.append(1e3 * median(clock.seconds(self.step, flush) for _ in range(calls)))


def compare(
    switch: str,
    case: Case,
    device: Callable[[Limits], Any],
    clock: clocks.Host,
    told: dict[str, Any],
    card: dict[str, Any],
    rounds: int,
    round_s: float,
    warming: int = WARMING,
) -> dict[str, Any]:
    """The times of both arms of ``switch`` on one workload, and by how much their results differ.

    ``device(limits)`` makes a device, and ``told`` says where `bench.peers.by_xpgrad` puts its data.
    """
    w, problem = WORKLOADS[case.workload], case.problem()
    off, on = (Arm(w.job, problem, device(Limits(**{switch: chosen})), told) for chosen in (False, True))
    differences = [
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(a)), np.finfo(float).tiny))
        for a, b in zip(off.result, on.result, strict=True)
    ]
    found: dict[str, Any] = {
        "workload": case.in_words(),
        "changes_program": _without_origin(off.program) != _without_origin(on.program),
        "differences": differences,
        "agrees": max(differences) <= tolerance(w.dtype).value,
    }
    flush = flush_bytes(sum(x.nbytes for x in (*problem.params, *problem.data)), card)
    fastest = min(clock.seconds(arm.step) for arm in (off, on) * warming)
    calls = max(1, min(MOST, round(round_s / fastest)))
    for k in range(rounds):
        for arm in (off, on)[:: 1 if k % 2 else -1]:
            arm.time(clock, calls, flush)
    for name, arm in (("off", off), ("on", on)):
        found[name] = {"rounds_ms": arm.rounds} | spread(arm.rounds)
    return found | {"calls": calls, "speed_up": found["off"]["median_ms"] / found["on"]["median_ms"]}


def _without_origin(program: str) -> str:
    """What `explain` says of a program, whether its kernels were compiled or found in the cache."""
    return program.replace("(compiled; ", "(").replace("(found ready; ", "(")


def verdict(cases: Sequence[dict[str, Any]]) -> str:
    """``on``, ``off`` or ``wrong`` for a switch with these results."""
    if not all(case["agrees"] for case in cases):
        return "wrong"
    speed_ups = [case["speed_up"] for case in cases if case["changes_program"]]
    return "on" if speed_ups and max(speed_ups) >= GAIN and min(speed_ups) >= LOSS else "off"


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write; give the exit status."""
    args = _arguments(argv)
    if args.list:
        print("\n".join(_listed()))
        return 0
    status = gpu_status()
    if not status.available:
        print(
            f"python -m bench.switches: no GPU can be used: {status.reason}\n  {status.remedy}", file=sys.stderr
        )
        return 2
    os.environ.update(ENVIRONMENT["gpu"])
    from xpgrad.backends.gpu.cuda.device import CudaDevice

    clock, told = clocks.make("cupy", "gpu")
    card = Ceilings("gpu").card()
    report = conditions(("xpgrad", "cupy-cuda12x", "cupy-cuda13x"))
    report["commit"] = report["commit"] or args.commit
    report |= {"card": card, "nvidia_smi": {"before": smi.read(card.get("pci_bus_id"))}}
    report |= {"rounds": args.rounds, "round_s": args.round_s, "gain": GAIN, "loss": LOSS, "switches": {}}
    for switch in args.only:
        cases = []
        for case in CASES[switch]:
            sizes = (WORKLOADS[case.workload].quick or case.sizes) if args.quick else case.sizes
            cases.append(
                compare(
                    switch,
                    Case(case.workload, sizes),
                    lambda limits: CudaDevice(0, limits),
                    clock,
                    told,
                    card,
                    args.rounds,
                    args.round_s,
                )
            )
            print(_row(switch, cases[-1]), flush=True)
        report["switches"][switch] = {"verdict": verdict(cases), "cases": cases}
        print(f"{switch}: {verdict(cases)}", flush=True)
        report["nvidia_smi"]["after"] = smi.read(card.get("pci_bus_id"))
        _write(args.out, report)
    return int(any(found["verdict"] == "wrong" for found in report["switches"].values()))


def _listed() -> list[str]:
    lines = []
    for switch in SWITCHES:
        state = "on" if getattr(Limits(), switch) else "off"
        lines.append(f"{switch:<18}{state:<5}{'; '.join(case.in_words() for case in CASES[switch])}")
    return lines


def _row(switch: str, case: dict[str, Any]) -> str:
    times = ", ".join(f"{name} {case[name]['median_ms']:.3f} ms" for name in ("off", "on"))
    same = "" if case["changes_program"] else ", the same kernels"
    wrong = "" if case["agrees"] else ", and the results differ"
    return f"  {switch} on {case['workload']}: {times}, {case['speed_up']:.2f} x{same}{wrong}"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.switches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the switches and their workloads")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes")
    parser.add_argument("--only", nargs="+", choices=SWITCHES, default=list(SWITCHES), metavar="SWITCH")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    parser.add_argument("--round-s", type=float, default=0.05, metavar="S", help="default: 0.05 seconds")
    parser.add_argument("--commit", help="the commit, where it cannot be asked of git")
    args = parser.parse_args(argv)
    if not args.list and args.out is None:
        parser.error("--out FILE, or --list")
    if args.rounds < 1 or not args.round_s > 0:
        parser.error("--rounds is at least 1, and --round-s positive")
    return args


def _write(path: Path, report: dict[str, Any]) -> None:
    """In one step: a run that is ended while it writes leaves the file before."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
