"""The text that every generated CUDA source begins with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from xpgrad.backends.gpu.cuda.printing.functions import own_functions, stated_functions

_OWN = "// @own functions"


@cache
def prelude() -> str:
    """The device functions and reductions that kernels call, for NVRTC and for the tests' C++ compiler."""
    here = files(__package__)
    first, special = (
        here.joinpath(name).read_text(encoding="utf-8") for name in ("prelude.cuh", "special.cuh")
    )
    assert _OWN in first
    stated = f"namespace xg {{\n\n{stated_functions()}\n\n}}  // namespace xg\n"
    return "\n".join([first.replace(_OWN, own_functions()), stated, special])
