"""Array code in several dimensions on one core: ``python -m bench.arrays [--json OUT] [--numba PATH]``.

Two routines, a tracer in an ocean and shallow water, in plain NumPy: compiled, beside NumPy and beside the same
by hand in Numba, which is looked for in PATH. The gradient of a scalar of each, compiled, is beside the eager
one, for nobody writes it by hand; NumPy's time for the routine itself is there as a yardstick.

Each contender has a process of its own, and is asked in rounds that take turns. What counts is the processor
time of the fastest call: all of them run on one thread, and others may use the machine meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench.array_routines import (
    shallow_arguments,
    shallow_loss,
    shallow_step,
    tracer_arguments,
    tracer_loss,
    tracer_step,
)
from bench.arrays_by_hand import shallow_by_hand, tracer_by_hand

ROUNDS, CALLS = 7, 5
ROUTINES = {
    "tracer": (tracer_step, tracer_loss, tracer_by_hand, tracer_arguments, (0, 3, 6)),
    "shallow": (shallow_step, shallow_loss, shallow_by_hand, shallow_arguments, (0, 1, 2)),
}
CONTENDERS = ("numpy", "xpgrad", "numba", "gradient, eager", "gradient, xpgrad")


def contender(routine, name):
    """The function of a contender, and what a compiled one is cut into (None for the others)."""
    step, loss, by_hand, _, argnums = ROUTINES[routine]
    if name == "numpy":
        return step, None
    if name == "numba":
        import numba

        return numba.njit(by_hand, error_model="numpy"), None  # a division by zero as in NumPy, not an error
    import xpgrad as xg

    f = xg.value_and_grad(loss, argnums=argnums) if name.startswith("gradient") else step
    if name.endswith("eager"):
        return f, None
    compiled = xg.compile(f, threads=1)
    return compiled, lambda *args: steps_of(compiled.explain(*args))


def steps_of(text):
    """How many loops over tiles, runs without one, and calls of NumPy ``explain`` names."""
    found = Counter()
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("step "):
            found["loops over tiles" if ": one loop over" in words else "runs without tiles"] += 1
        elif words.startswith("done by NumPy") and "only looks" not in words:
            found["calls of NumPy"] += 1
    return dict(found)


def flat(result):
    """The arrays of a result, in order, as one vector."""
    if isinstance(result, (tuple, list)):
        return np.concatenate([flat(x) for x in result])
    return np.ravel(np.asarray(result, np.float64))


def serve(routine, name):
    """Call when told to, and say how long it took. The first answer has a sample of the result."""
    f, steps = contender(routine, name)
    args = ROUTINES[routine][3]()
    start = time.perf_counter()
    result = flat(f(*args))
    first = time.perf_counter() - start
    answer = {"first_call_s": first, "sample": result[:: max(len(result) // 2000, 1)].tolist()}
    print(json.dumps(answer | {"steps": steps(*args) if steps else None}), flush=True)
    for _ in sys.stdin:
        found = []
        for _ in range(CALLS):
            start, wall = time.process_time(), time.perf_counter()
            f(*args)
            found.append((time.process_time() - start, time.perf_counter() - wall))
        print(json.dumps([1e3 * min(x) for x in zip(*found, strict=True)]), flush=True)


class Asked:
    """A contender in a process of its own; ``with`` ends it."""

    def __init__(self, routine, name, numba):
        path = [numba] if name == "numba" else []
        path = [*path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.arrays", "--serve", routine, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | one | {"PYTHONPATH": os.pathsep.join(path)},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def time(self):
        self.process.stdin.write("time\n")
        self.process.stdin.flush()
        return self.answer()


def measure(routine, numba, rounds):
    """What each contender took, by name; one that is not there is left out."""
    found, samples = {}, {}
    with ExitStack() as stack:
        asked = {name: stack.enter_context(Asked(routine, name, numba)) for name in CONTENDERS}
        for name, process in list(asked.items()):
            first = process.answer()
            if first is None:
                del asked[name]
                continue
            samples[name] = first.pop("sample")
            found[name] = {k: v for k, v in first.items() if v is not None} | {"cpu_ms": [], "wall_ms": []}
        for name in samples:
            other = "gradient, eager" if name.startswith("gradient") else "numpy"
            np.testing.assert_allclose(samples[name], samples[other], rtol=1e-9, atol=1e-9, err_msg=name)
        for _ in range(rounds):
            for name, process in asked.items():
                cpu, wall = process.time()
                found[name]["cpu_ms"].append(cpu)
                found[name]["wall_ms"].append(wall)
    for times in found.values():
        times["fastest_cpu_ms"] = min(times["cpu_ms"])
    return found


def ratios(found):
    """The processor time of each peer over ours; above 1 we are faster."""
    ms = {name: times["fastest_cpu_ms"] for name, times in found.items()}
    pairs = [("numpy", "xpgrad"), ("numba", "xpgrad")]
    pairs += [("gradient, eager", "gradient, xpgrad"), ("numpy", "gradient, xpgrad")]
    return {f"{a} over {b}": ms[a] / ms[b] for a, b in pairs if a in ms and b in ms}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--numba", default="", help="a folder with Numba, for its process alone")
    parser.add_argument("--before", type=Path, help="an earlier JSON, to be kept beside the new figures")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(*given.serve)
        return
    from bench.peers.report import conditions

    report = {}
    for routine in ROUTINES:
        found = measure(routine, given.numba, given.rounds)
        report[routine] = {"contenders": found, "ratios": ratios(found)}
        for name, times in found.items():
            print(f"{routine:<8} {name:<17} {times['fastest_cpu_ms']:8.2f} ms  {times.get('steps', '')}")
        print(f"{routine:<8} " + ", ".join(f"{k} {x:.2f}" for k, x in report[routine]["ratios"].items()))
    if given.json:
        record = {"conditions": conditions(["numpy", "xpgrad.compile", "numba"]), "routines": report}
        if given.before:
            before = json.loads(given.before.read_text())
            record["before"] = {"commit": before["conditions"]["commit"], "routines": before["routines"]}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
