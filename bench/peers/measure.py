"""Run the contenders of one workload: agreement, times, memory, first calls.

In:  a workload's name, contenders, how often.
Out: JSON-able dicts, by contender.
Holds: a contender that is timed has been checked; one process computes at a time.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.peers.agreement import check, read
from bench.peers.processes import Process
from bench.peers.table import WORKLOADS

WARMING = 3  # calls after the first
REPETITION_S = 0.02  # calls shorter than this are timed several at a time
FIRST_CALLS = 3  # fresh processes for each first call

Say = Callable[[str], None]


# The variable for the folder of cached kernels, and what else is set for a cold and for a warm start.
CACHES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "xpgrad.compile": ("XPGRAD_CACHE_DIR", {}, {}),
    "jax.jit": (
        "JAX_COMPILATION_CACHE_DIR",
        {"JAX_ENABLE_COMPILATION_CACHE": "false"},
        {
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
    ),
}


def times(
    workload: str, contenders: Sequence[str], size: str, rounds: int, repetitions: int, say: Say
) -> dict[str, Any]:
    """Each contender's times by round, with what it differs by and its threads; or why it is missing."""
    report: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        expected = _expected(workload, size, folder)
        waiting: dict[str, tuple[Process, int]] = {}
        for name in contenders:
            say(f"{workload}: {name} starts")
            process = stack.enter_context(Process(workload, name, size))
            missing = process.ask("prepare")
            if missing:
                report[name] = missing
                continue
            first = process.ask("first_call")
            dtypes = process.ask("save", path=str(folder / "got.npz"))["dtypes"]
            differences = check(
                f"{name} on {workload}", read(folder / "got.npz"), dtypes, expected, WORKLOADS[workload].dtype
            )
            fastest = process.ask("warm", calls=WARMING)["fastest_s"]
            calls = max(1, round(REPETITION_S / fastest))
            report[name] = {"calls": calls, "differences": differences, "prepared": first, "rounds_ms": []}
            waiting[name] = (process, calls)
        for k in range(rounds):
            say(f"{workload}: round {k + 1} of {rounds}")
            for name, (process, calls) in waiting.items():
                seconds = process.ask("time", repetitions=repetitions, calls=calls)["seconds"]
                report[name]["rounds_ms"].append(1e3 * median(seconds))
        for name, (process, _) in waiting.items():
            report[name] |= process.ask("threads") | spread(report[name]["rounds_ms"])
    return report


def spread(by_round: list[float]) -> dict[str, float]:
    """The median over the rounds, and how far they lie apart."""
    low, _, high = quantiles(by_round, n=4, method="inclusive") if len(by_round) > 1 else by_round * 3
    return {
        "median_ms": median(by_round),
        "min_ms": min(by_round),
        "max_ms": max(by_round),
        "quartile_1_ms": low,
        "quartile_3_ms": high,
    }


def _expected(workload: str, size: str, folder: Path) -> list[Any]:
    """Value and gradient by hand in float64."""
    with Process(workload, "float64", size) as process:
        for command in ("prepare", "first_call"):
            process.ask(command)
        process.ask("save", path=str(folder / "expected.npz"))
    return read(folder / "expected.npz")


def memory(workload: str, contenders: Sequence[str], size: str, say: Say) -> dict[str, Any]:
    """What one warm step needs beyond its inputs, each contender in a process that did nothing else."""
    report: dict[str, Any] = {}
    for name in contenders:
        say(f"{workload}: memory of {name}")
        with Process(workload, name, size) as process:
            report[name] = process.ask("memory")
    return report


def first_calls(workload: str, contenders: Sequence[str], size: str, say: Say) -> dict[str, Any]:
    """Seconds of the first call, with nothing cached on disk and with what an earlier process left there.

    jax.jit caches nothing on disk unless it is told to: "cold" is as it comes, "warm" with its
    compilation cache switched on, for every kernel however small.
    """
    report: dict[str, Any] = {}
    for name in contenders:
        if name not in CACHES:
            continue
        variable, cold, warm = CACHES[name]
        found: dict[str, list[Any]] = {"cold": [], "warm": []}
        for k in range(FIRST_CALLS):
            say(f"{workload}: first calls of {name}, {k + 1} of {FIRST_CALLS}")
            with tempfile.TemporaryDirectory() as cache:
                found["cold"].append(_first_call(workload, name, size, {variable: cache} | cold))
                if cold:  # it left nothing
                    _first_call(workload, name, size, {variable: cache} | warm)
                found["warm"].append(_first_call(workload, name, size, {variable: cache} | warm))
        missing = found["cold"][0].get("missing")
        report[name] = {"missing": missing} if missing else {state: _median(c) for state, c in found.items()}
    return report


def _first_call(workload: str, contender: str, size: str, environment: dict[str, str]) -> Any:
    with Process(workload, contender, size, environment) as process:
        return process.ask("prepare") or process.ask("first_call")


def _median(calls: list[Any]) -> dict[str, Any]:
    return {"median_s": median(c["first_s"] for c in calls), "calls": calls}
