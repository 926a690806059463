"""How each library is waited for, timed, and asked for its memory.

In:  a step, which may return before the device has finished.
Out: seconds, bytes.
Holds: the clock of the wall runs until the device has finished, whoever asked. What lies in the cache of
the device is replaced, where that is wanted, before the clock starts.

A clock refuses (`Missing`) where its library sees no GPU: none falls back to the CPU.
"""

import gc
import os
import time
from collections.abc import Callable
from typing import Any

from bench.peers.processes import Missing

Step = Callable[[], Any]


class Host:
    """On the CPU: steps return when they are done."""

    told: dict[str, Any] = {}  # noqa: RUF012 (never written to)

    def modes(self) -> dict[str, Any]:
        """How the library computes, and on what."""
        return {}

    def wait(self, result: Any = None) -> None:
        """Until ``result``, or all that was asked for, is there."""

    def flush(self, nbytes: int) -> None:
        """Write that much to the device's memory, so that its cache holds nothing else."""

    def held(self) -> int | None:
        """Bytes of the device that the library holds, once it gave back what it could."""

    def peak(self, step: Step) -> int | None:
        """The most that it holds during a step."""

    def seconds(self, step: Step, flush_bytes: int = 0) -> float:
        """Of one step, from the call until all is computed."""
        if flush_bytes:
            self.flush(flush_bytes)
            self.wait()
        start = time.perf_counter()
        self.wait(step())
        return time.perf_counter() - start

    def queued_seconds(self, step: Step, calls: int) -> float | None:
        """Of one step among many that are asked for without waiting."""
        return None

    def device_seconds(self, step: Step, flush_bytes: int = 0) -> float | None:
        """Between two events on the library's stream, around a step; None where there are none."""
        return None


class _Gpu(Host):
    def queued_seconds(self, step: Step, calls: int) -> float | None:
        start = time.perf_counter()
        for _ in range(calls - 1):
            step()  # nothing keeps the result: the next step may take its memory
        self.wait(step())
        return (time.perf_counter() - start) / calls


class Cupy(_Gpu):
    """CuPy, and xpgrad, which computes with its arrays and from its pool."""

    told = {"device": "gpu"}  # noqa: RUF012

    def __init__(self) -> None:
        import cupy

        try:
            cupy.cuda.Device().use()
        except RuntimeError as error:
            raise Missing(f"CuPy sees no GPU: {error}") from error
        self.cupy, self.scratch = cupy, None

    def modes(self) -> dict[str, Any]:
        properties = self.cupy.cuda.runtime.getDeviceProperties(self.cupy.cuda.Device().id)
        return {"device": text(properties["name"]), "CUPY_TF32": os.environ.get("CUPY_TF32", "0")}

    def wait(self, result: Any = None) -> None:
        self.cupy.cuda.Device().synchronize()  # all streams: a replayed graph may be on its own

    def flush(self, nbytes: int) -> None:
        if self.scratch is None:
            self.scratch = self.cupy.empty(nbytes, "uint8")
        self.scratch.fill(1)

    def held(self) -> int:
        gc.collect()
        pool = self.cupy.get_default_memory_pool()
        pool.free_all_blocks()
        return int(pool.total_bytes())

    def peak(self, step: Step) -> int:
        self.held()
        self.wait(step())
        return int(self.cupy.get_default_memory_pool().total_bytes())

    def device_seconds(self, step: Step, flush_bytes: int = 0) -> float:
        if flush_bytes:
            self.flush(flush_bytes)
        begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        begin.record()
        step()
        end.record()
        self.wait()
        return float(self.cupy.cuda.get_elapsed_time(begin, end)) / 1e3


class Torch(_Gpu):
    """PyTorch. Its pool is counted as it is reserved: in steps of 2 MB, of 20 MB for middling arrays."""

    told = {"device": "cuda"}  # noqa: RUF012

    def __init__(self) -> None:
        import torch

        if not torch.cuda.is_available():
            raise Missing(f"torch {torch.__version__} sees no GPU")
        torch.set_float32_matmul_precision("highest")
        self.torch, self.scratch = torch, None

    def modes(self) -> dict[str, Any]:
        return {
            "device": self.torch.cuda.get_device_name(),
            "float32_matmul_precision": self.torch.get_float32_matmul_precision(),
            "cuda": self.torch.version.cuda,
        }

    def wait(self, result: Any = None) -> None:
        self.torch.cuda.synchronize()

    def flush(self, nbytes: int) -> None:
        if self.scratch is None:
            self.scratch = self.torch.empty(nbytes, dtype=self.torch.uint8, device="cuda")
        self.scratch.fill_(1)

    def held(self) -> int:
        gc.collect()
        self.torch.cuda.empty_cache()
        return int(self.torch.cuda.memory_reserved())

    def peak(self, step: Step) -> int:
        self.held()
        self.torch.cuda.reset_peak_memory_stats()
        self.wait(step())
        return int(self.torch.cuda.max_memory_reserved())

    def device_seconds(self, step: Step, flush_bytes: int = 0) -> float:
        if flush_bytes:
            self.flush(flush_bytes)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        step()
        end.record()
        self.wait()
        return float(begin.elapsed_time(end)) / 1e3


class Jax(_Gpu):
    """JAX. Its streams are its own, so there are no events; its peak is that of its whole life, compilation
    and the trials of its autotuner included."""

    told = {"queued": True}  # noqa: RUF012

    def __init__(self) -> None:
        import jax

        try:
            self.device = jax.devices("gpu")[0]
        except RuntimeError as error:
            raise Missing(f"jax {jax.__version__} sees no GPU: {error}") from error
        jax.config.update("jax_default_matmul_precision", "highest")
        self.jax, self.scratch = jax, None

    def modes(self) -> dict[str, Any]:
        return {
            "device": self.device.device_kind,
            "jax_default_matmul_precision": self.jax.config.jax_default_matmul_precision,
            "preallocate": os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE"),
        }

    def wait(self, result: Any = None) -> None:
        self.jax.block_until_ready(self.scratch if result is None else result)

    def flush(self, nbytes: int) -> None:
        if self.scratch is None:
            self.scratch = self.jax.numpy.zeros(nbytes, "uint8")
            self._write = self.jax.jit(lambda x: x + 1, donate_argnums=0)
        self.scratch = self._write(self.scratch)

    def held(self) -> int | None:
        gc.collect()
        return self._statistic("bytes_in_use")

    def peak(self, step: Step) -> int | None:
        self.wait(step())
        return self._statistic("peak_bytes_in_use")

    def _statistic(self, name: str) -> int | None:
        found = (self.device.memory_stats() or {}).get(name)
        return None if found is None else int(found)


def text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


CLOCKS = {"host": Host, "cupy": Cupy, "torch": Torch, "jax": Jax}


def make(name: str, device: str) -> tuple[Host, dict[str, Any]]:
    """The clock of a library, and what its contenders are told about the device.

    With the device "cpu", for a dry run, all are timed on the CPU.
    """
    if device == "cpu":
        return Host(), {"device": "cpu"} if name in ("cupy", "torch") else {}
    try:
        clock = CLOCKS[name]()
    except ModuleNotFoundError as error:
        raise Missing(f"{error.name} is not installed") from error
    return clock, clock.told
