"""What an op means: its shape rule and its derivative, side by side. Knows no backend.

Every public name here is an `xpgrad.core.Op` (or a function of arrays written in ops). Arrays
are positional, parameters keyword-only.
"""

from xpgrad.ops import (
    bessel,
    complex,
    contraction,
    decompositions,
    elementwise,
    fft,
    indexing,
    linalg,
    reductions,
    shape,
    special,
)

__all__ = [
    "bessel",
    "complex",
    "contraction",
    "decompositions",
    "elementwise",
    "fft",
    "indexing",
    "linalg",
    "reductions",
    "shape",
    "special",
]
