"""A pytest plugin: CuPy asks CUDA for each array, so that compute-sanitizer knows where each one ends."""

import cupy


def pytest_configure() -> None:
    cupy.cuda.set_allocator(None)
