"""The CPU backend: NumPy's implementations, an interpreter of Plans, and kernels (`llvm`)."""
