"""Implementations of ops for each array library, and generators that make programs of graphs."""

from xpgrad.backends.registry import Backend, backend_of_cupy, cpu_backend, gpu_backend

__all__ = ["Backend", "backend_of_cupy", "cpu_backend", "gpu_backend"]
