"""The CPU backend: NumPy's rows, and two ways to run a Plan: the interpreter, and kernels (`llvm`)."""
