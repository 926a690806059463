"""One contender in a process of its own: ``python -m bench.gpu.worker WORKLOAD CONTENDER SIZE DEVICE FOLDER``.

In:  commands as in `bench.peers.worker`; the problem in FOLDER, as `put` wrote it.
Out: their answers.
Holds: a variant that fails, or is not tried for want of time, is named with its reason; the contender fails
when all of its variants do.
"""

import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.gpu import clocks
from bench.gpu.contenders import CONTENDERS, REFERENCE, make
from bench.gpu.table import WORKLOADS
from bench.peers import by_numpy
from bench.peers.problems import Problem
from bench.peers.processes import Missing, serve
from bench.peers.worker import save

WARMING_S, WARMING = 0.2, 10  # a variant is tried for this long, or this many calls
MOST = 50  # repetitions in a round


def put(problem: Problem, folder: Path) -> None:
    """Write a problem where workers find it."""
    for name, group in (("params", problem.params), ("data", problem.data)):
        for k, array in enumerate(group):
            np.save(folder / f"{name}-{k}.npy", array)


def fetch(folder: Path, *, mapped: bool) -> Problem:
    """Read it: into memory, or ``mapped``, for those who copy it to a device anyway."""

    def group(name: str) -> tuple[Any, ...]:
        paths = [folder / f"{name}-{k}.npy" for k in range(len(list(folder.glob(f"{name}-*.npy"))))]
        return tuple(np.load(path, mmap_mode="r" if mapped else None)[()] for path in paths)

    return Problem(group("params"), group("data"))


class Worker:
    """Does what it is told; ``start`` comes first."""

    def __init__(self, workload: str, contender: str, size: str, device: str, folder: str) -> None:
        self.workload, self.name, self.device = WORKLOADS[workload], contender, device
        self.folder = Path(folder)

    def start(self) -> dict[str, Any]:
        """Import the library, wake the device, and read the problem."""
        row = CONTENDERS[self.name]
        self.clock, self.where = clocks.make(row.clock, self.device)
        on_device = row.clock != "host" and self.device != "cpu"
        self.problem = fetch(self.folder, mapped=on_device)
        return {"modes": self.clock.modes()}

    def first_call(self, seconds: float = float("inf")) -> dict[str, Any]:
        """Build, call and try each variant, and keep the fastest.

        In ``seconds`` the process may be ended, with all that it found: another variant is begun only if
        the longest so far would fit into what is left.
        """
        tried: dict[str, Any] = {}
        fastest, longest, begun = float("inf"), 0.0, time.perf_counter()
        for name in CONTENDERS[self.name].variants:
            start = time.perf_counter()
            if longest > (left := seconds - (start - begun)):
                tried[name] = {"not_tried": f"{left:.0f} s were left; another variant took {longest:.0f} s"}
                continue
            try:
                contender, step, tried[name] = self._try(name)
            except Missing:
                raise
            except Exception as error:
                tried[name] = {"failed": _brief(error)}
                last = error
                continue
            finally:
                longest = max(longest, time.perf_counter() - start)
            if tried[name]["tried_s"] < fastest:
                fastest = tried[name]["tried_s"]
                self.contender, self.step, self.variant = contender, step, name
        if fastest == float("inf"):
            raise last
        self.fastest = fastest
        return {"variant": self.variant, "variants": tried, "memory": tried[self.variant].pop("memory")}

    def _try(self, variant: str) -> tuple[Any, Any, dict[str, Any]]:
        empty = self.clock.held()
        contender = make(self.name, variant, self.workload.job, self.problem, self.where)
        self.clock.wait()
        data = self.clock.held()
        start = time.perf_counter()
        step = contender.build()
        self.clock.wait(step())
        first = time.perf_counter() - start
        times = []
        while len(times) < WARMING and (len(times) < 3 or sum(times) < WARMING_S):
            times.append(self.clock.seconds(step))
        peak = self.clock.peak(step)
        memory = None
        if empty is not None and data is not None and peak is not None:
            memory = {"data_bytes": data - empty, "beyond_data_bytes": max(peak - data, 0)}
        return contender, step, {"first_s": first, "tried_s": median(times), "memory": memory}

    def save(self, path: str) -> dict[str, Any]:
        """Write value and gradient; answer the gradient's dtypes as they were."""
        return save(path, *self.contender.unpack(self.step()))

    def time(self, seconds: float, flush_bytes: int) -> dict[str, Any]:
        """Times of steps, each way for about that long; those that come first are not counted."""
        self._warm(min(seconds, 0.02))
        calls = range(max(1, min(MOST, round(seconds / self.fastest))))
        wall = [self.clock.seconds(self.step, flush_bytes) for _ in calls]
        device = [self.clock.device_seconds(self.step, flush_bytes) for _ in calls]
        return {
            "wall_s": wall,
            "device_s": None if None in device else device,
            "queued_s": self.clock.queued_seconds(self.step, len(calls)),
        }

    def _warm(self, seconds: float) -> None:
        """Other contenders had the caches, and the clocks of a device that waits go down."""
        end = time.perf_counter() + seconds
        self.clock.wait(self.step())
        while time.perf_counter() < end:
            self.clock.wait(self.step())

    def explain(self) -> dict[str, str]:
        """What its compiler says about the step; nothing for those who say nothing."""
        if self.contender.explain is None:
            return {}
        try:
            return {"explain": self.contender.explain()}
        except Exception as error:
            return {"explain": _brief(error)}


class Reference(Worker):
    """Value and gradient by hand in float64, on the CPU."""

    def start(self) -> dict[str, Any]:
        self.problem = fetch(self.folder, mapped=False).in_float64()
        return {}

    def first_call(self, seconds: float = float("inf")) -> dict[str, Any]:
        self.contender = getattr(by_numpy, self.workload.job)(self.problem)
        self.step = self.contender.build()
        return {}


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:2000]


if __name__ == "__main__":
    serve((Reference if sys.argv[2] == REFERENCE else Worker)(*sys.argv[1:]))
