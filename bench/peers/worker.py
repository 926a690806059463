"""One contender in a process of its own: ``python -m bench.peers.worker WORKLOAD CONTENDER SIZE``.

In:  commands on standard input, a line of JSON each: ``{"do": NAME, ...}``.
Out: one line of JSON for each, on what was standard output when it started; ``{"missing": WHY}`` if the
     contender's library is not there.
Holds: nothing but NumPy and the contender's library is imported before the first call is timed.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.contender import make
from bench.peers.processes import peak_of, serve, settled_bytes
from bench.peers.table import WORKLOADS


class Worker:
    """Does what it is told; ``prepare`` comes first."""

    def __init__(self, workload: str, contender: str, size: str) -> None:
        self.workload, self.name, self.size = WORKLOADS[workload], contender, size
        self.step: Any = None

    def _made(self, size: str) -> Any:
        problem = self.workload.make(size)
        if self.name == "float64":
            return make("numpy", self.workload.job, problem.in_float64())
        return make(self.name, self.workload.job, problem)

    def prepare(self) -> dict[str, Any]:
        """Make data and library ready; nothing is called yet."""
        self.contender = self._made(self.size)
        return {}

    def first_call(self) -> dict[str, float]:
        """Seconds of the first call, with what the user's line before the loop does, and of the second."""
        start = time.perf_counter()
        self.step = self.contender.build()
        self.step()
        first = time.perf_counter() - start
        return {"first_s": first, "second_s": self._seconds(1)}

    def _seconds(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            self.step()
        return (time.perf_counter() - start) / calls

    def warm(self, calls: int) -> dict[str, float]:
        """Call some more times, and say how long the fastest took."""
        return {"fastest_s": min(self._seconds(1) for _ in range(calls))}

    def time(self, repetitions: int, calls: int) -> dict[str, Any]:
        """Seconds a call, by repetition. One call goes before: the caches were someone else's."""
        self.step()
        return {"seconds": [self._seconds(calls) for _ in range(repetitions)]}

    def save(self, path: str) -> dict[str, Any]:
        """Write value and gradient; answer the gradient's dtypes as they were."""
        return save(path, *self.contender.unpack(self.step()))

    def threads(self) -> dict[str, Any]:
        """The thread pools in this process, by library."""
        from threadpoolctl import threadpool_info

        found = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
        if "torch" in sys.modules:
            found["torch"] = sys.modules["torch"].get_num_threads()
        return {"threads": found}

    def memory(self) -> dict[str, Any]:
        """Bytes that one step needs at most beyond what lay there before it, and bytes kept between steps.

        The libraries are woken by a tiny problem. Then data, three steps, and one step that is
        watched. ``kept`` holds whatever those steps left behind: buffers, and compiled code.
        """
        if not Path("/proc/self/clear_refs").exists():
            return {"unknown": "this system has no /proc/self/clear_refs"}
        tiny = self._made("tiny")
        step = tiny.build()
        for _ in range(3):
            step()
        contender = self._made(self.size)
        before = settled_bytes()
        step = contender.build()
        for _ in range(3):
            step()
        kept = max(settled_bytes() - before, 0)
        return peak_of(step) | {"kept_bytes": kept}


def save(path: str, value: Any, gradient: Iterable[Any]) -> dict[str, Any]:
    """Write them for `agreement.read`; answer the gradient's dtypes as they were."""
    arrays = [np.asarray(g) for g in gradient]
    np.savez(path, np.float64(value), *arrays)
    return {"dtypes": [str(a.dtype) for a in arrays]}


if __name__ == "__main__":
    serve(Worker(*sys.argv[1:]))
