"""One contender in a process of its own: ``python -m xpgrad.cli.bench.worker CONTENDER``.

In:  commands on standard input, a line of JSON each (`xpgrad.cli.bench.processes.serve`).
Out: seconds.
"""

import gc
import sys
import time
from typing import Any

import numpy as np

from xpgrad.cli.bench.floors import floors
from xpgrad.cli.bench.processes import Missing, peak_of, serve
from xpgrad.cli.bench.solvers import solve
from xpgrad.cli.bench.steps import Cell, step_of


class Worker:
    """Prepares a cell, then times it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.step: Any = None

    def prepare(self, cell: list[Any]) -> dict[str, Any]:
        """Seconds of the first call and of a warm one, the value, and the norm of each gradient."""
        self.step = None
        gc.collect()
        try:
            start = time.perf_counter()
            self.step = step_of(self.name, Cell(*cell))
            result = self.step()
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        first = time.perf_counter() - start
        value, gradient = result
        norms = [float(np.linalg.norm(_on_host(g))) for g in gradient]
        return {"first_s": first, "warm_s": self._seconds(1), "value": float(value), "norms": norms}

    def _seconds(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            self.step()
        return (time.perf_counter() - start) / calls

    def time(self, repetitions: int, calls: int) -> dict[str, Any]:
        """Seconds of a call, by repetition, after one call that is not counted."""
        self.step()
        return {"seconds": [self._seconds(calls) for _ in range(repetitions)]}

    def memory(self) -> dict[str, Any]:
        """Bytes that a warm step needs at most beyond what lay there before it."""
        return peak_of(self.step)

    def floors(self) -> dict[str, float]:
        """The rates that no step exceeds on this machine."""
        return floors()

    def solve(self, solver: str, samples: int, features: int) -> dict[str, Any]:
        """Fit the model of `xpgrad.cli.bench.solvers`."""
        return solve(solver, samples, features)


def _on_host(x: Any) -> Any:
    x = x.detach() if hasattr(x, "detach") else x
    return x.get() if hasattr(x, "get") else np.asarray(x)


if __name__ == "__main__":
    serve(Worker(*sys.argv[1:]))
