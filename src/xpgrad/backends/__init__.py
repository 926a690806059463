"""Who carries ops out: one table of rows for each array library."""

from xpgrad.backends.registry import backends, gpu_backend

__all__ = ["backends", "gpu_backend"]
