"""Who carries ops out: one table of rows for each array library."""

from xpgrad.backends.registry import backend_of_cupy, cpu_backend, gpu_backend

__all__ = ["backend_of_cupy", "cpu_backend", "gpu_backend"]
