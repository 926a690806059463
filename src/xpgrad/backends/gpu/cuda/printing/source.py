"""The text that every generated CUDA source begins with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PARTS = ("prelude.cuh", "special.cuh")


@cache
def prelude() -> str:
    """The device functions and reductions that kernels call, for NVRTC and for the tests' C++ compiler."""
    here = files(__package__)
    return "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in PARTS)
