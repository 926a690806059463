"""Plans on a CUDA device.

`printing` writes a step as CUDA C++, `nvrtc` makes machine code of it, `device` loads and starts that,
`program` runs a plan, with `tiles` where a region is done tile by tile and `replay` where calls repeat.
CuPy is imported by `nvrtc` and `device` alone, when they are used.
"""
