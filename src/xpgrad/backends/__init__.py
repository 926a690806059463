"""Who carries ops out: one table of rows for each array library."""

from xpgrad.backends.registry import Backend, backend_of_cupy, cpu_backend, gpu_backend

__all__ = ["Backend", "backend_of_cupy", "cpu_backend", "gpu_backend"]
