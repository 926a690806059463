"""The text with which every generated CUDA source begins."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from xpgrad.backends.gpu.cuda.printing.functions import TYPES, literal, prelude_functions
from xpgrad.codegen.kernel_ir import identity
from xpgrad.codegen.scalar.ops import dtype_of


@cache
def prelude() -> str:
    """The types, functions and reductions that kernels call, for NVRTC and for the tests' C++ compiler."""
    text = files(__package__).joinpath("prelude.cuh").read_text(encoding="utf-8")
    for place, printed in (("// @ranges", _ranges()), ("// @functions", prelude_functions())):
        assert place in text
        text = text.replace(place, printed)
    return text


def _ranges() -> str:
    """The ends of each type's range, which are the identities of minimum and maximum."""
    ends = {
        name: [literal(kind, identity(monoid, dtype_of(kind))) for monoid in ("max", "min")]
        for kind, name in TYPES.items()
    }
    return "\n".join(f"XG_RANGE({name}, {low}, {high})" for name, (low, high) in ends.items())
