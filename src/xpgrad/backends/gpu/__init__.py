"""The GPU backend: CuPy's implementations, and kernels (`cuda`)."""
