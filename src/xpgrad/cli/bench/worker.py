"""One contender in a process of its own: ``python -m xpgrad.cli.bench.worker CONTENDER``.

In:  commands on standard input, a line of JSON each (`xpgrad.cli.bench.processes.serve`).
Out: seconds.
"""

import gc
import sys
import time
from typing import Any

import numpy as np

from xpgrad.cli.bench.processes import Missing, serve
from xpgrad.cli.bench.steps import CONTENDERS, Cell


class Worker:
    """Prepares a cell, then times it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.step: Any = None

    def prepare(self, cell: list[Any]) -> dict[str, Any]:
        """Seconds of the first call and of a warm one, and the results as lists if they are few."""
        self.step = None
        gc.collect()
        try:
            start = time.perf_counter()
            self.step = CONTENDERS[self.name](Cell(*cell))
            result = self.step()
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        first = time.perf_counter() - start
        value, gradient = result
        norms = [float(np.linalg.norm(np.asarray(getattr(g, "detach", lambda g=g: g)()))) for g in gradient]
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


if __name__ == "__main__":
    serve(Worker(*sys.argv[1:]))
