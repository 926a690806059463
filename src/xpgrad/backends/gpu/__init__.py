"""The GPU backend: CuPy on CUDA. Imported when the first CuPy array is met."""
