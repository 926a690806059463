"""Plans on a CUDA device.

`printing` writes a step as CUDA C++, `nvrtc` compiles it, and `device` loads and launches the kernels.
`program` runs a plan, `tiles` runs a region tile by tile from the host, and `graphs` makes CUDA graphs of
repeated calls. Only `nvrtc` and `device` import CuPy, when they are used.
"""
