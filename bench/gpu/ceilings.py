"""What the card can do, measured in the same run: ``python -m bench.gpu.ceilings DEVICE``.

Copies count bytes read and bytes written; the best of some repetitions counts, for it is a ceiling.
Nothing here is zeros, which some cards move and multiply faster.
"""

import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from bench.gpu import clocks
from bench.peers.processes import serve

REPETITIONS = 10
# Bytes copied on the device, bytes to and from it, rows of a square matrix.
SIZES = {
    "full": (1 << 31, 1 << 30, 8192),
    "quick": (1 << 28, 1 << 26, 2048),
    "tiny": (1 << 20, 1 << 20, 64),
}
FLUSH_CACHES = 4  # a flush writes this many times the size of the L2 cache; 256 MB at least


class Ceilings:
    """Asked for the `card`, then for the `rates`."""

    def __init__(self, device: str) -> None:
        self.clock, _ = clocks.make("cupy", device)
        self.on_gpu = device != "cpu"
        self.xp: Any = self.clock.cupy if isinstance(self.clock, clocks.Cupy) else np

    def card(self) -> dict[str, Any]:
        """The card as CUDA describes it, and the versions of driver and runtime."""
        if not self.on_gpu:
            return {"name": "none: a dry run on the CPU", "l2_bytes": 0, "flush_bytes": 0}
        runtime, device = self.xp.cuda.runtime, self.xp.cuda.Device()
        p = runtime.getDeviceProperties(device.id)
        return {
            "name": clocks.text(p["name"]),
            "compute_capability": f"{p['major']}.{p['minor']}",
            "multiprocessors": p["multiProcessorCount"],
            "memory_bytes": p["totalGlobalMem"],
            "free_bytes": device.mem_info[0],
            "l2_bytes": p["l2CacheSize"],
            "flush_bytes": max(FLUSH_CACHES * p["l2CacheSize"], 1 << 28),
            "pci_bus_id": device.pci_bus_id,
            "cuda_of_driver": runtime.driverGetVersion(),
            "cuda_of_cupy": runtime.runtimeGetVersion(),
        }

    def rates(self, size: str) -> dict[str, Any]:
        """Bandwidths in bytes a second, and the rate of a float32 matrix product in operations a second."""
        on_device, across, rows = SIZES[size]
        if self.on_gpu:
            on_device = min(on_device, self.xp.cuda.Device().mem_info[0] // 8)
        found = self._on_device(on_device) | self._product(rows)
        if self.on_gpu:
            found |= self._across(across)
        sizes = {"bytes": on_device, "bytes_across": across, "rows": rows}
        return found | sizes | {"units": "bytes a second; sgemm: operations a second"}

    def _on_device(self, nbytes: int) -> dict[str, Any]:
        a = self._random(nbytes // 4)
        b = self.xp.empty_like(a)
        return {
            "copy": self._rate(2 * a.nbytes, lambda: self.xp.copyto(b, a)),
            "read": self._rate(a.nbytes, lambda: a.sum()),
        }

    def _product(self, rows: int) -> dict[str, Any]:
        a, b = (self._random(rows * rows).reshape(rows, rows) for _ in range(2))
        out = self.xp.empty_like(a)
        tf32 = os.environ.get("CUPY_TF32", "0") != "0"
        return {"sgemm": self._rate(2 * rows**3, lambda: self.xp.matmul(a, b, out=out)) | {"tf32": tf32}}

    def _across(self, nbytes: int) -> dict[str, Any]:
        from cupyx import empty_pinned

        device = self._random(nbytes // 4)
        pageable = self.xp.asnumpy(device)
        pinned = empty_pinned(device.shape, device.dtype)
        pinned[:] = pageable
        return {
            "to_device_pinned": self._rate(nbytes, lambda: device.set(pinned)),
            "to_device_pageable": self._rate(nbytes, lambda: device.set(pageable)),
            "to_host_pinned": self._rate(nbytes, lambda: device.get(out=pinned)),
        }

    def _random(self, n: int) -> Any:
        some = np.random.default_rng(0).standard_normal(min(n, 1 << 22), np.float32)
        return self.xp.resize(self.xp.asarray(some), n)

    def _rate(self, amount: int, f: Callable[[], Any]) -> dict[str, float]:
        """By the clock of the wall: what is timed takes far longer than a launch."""
        self.clock.wait(f())
        times = []
        for _ in range(REPETITIONS):
            start = time.perf_counter()
            self.clock.wait(f())
            times.append(time.perf_counter() - start)
        return {"best": amount / min(times), "median": amount / median(times)}


if __name__ == "__main__":
    serve(Ceilings(*sys.argv[1:]))
