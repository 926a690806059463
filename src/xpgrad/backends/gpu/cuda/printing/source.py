"""The text that every generated CUDA source begins with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from xpgrad.backends.gpu.cuda.printing.functions import own_functions

_OWN = "// @own functions"


@cache
def prelude() -> str:
    """The types, functions and reductions that kernels call, for NVRTC and for the tests' C++ compiler."""
    text = files(__package__).joinpath("prelude.cuh").read_text(encoding="utf-8")
    assert _OWN in text
    return text.replace(_OWN, own_functions())
