"""The ops: shape rule and derivative of each, side by side; nothing here knows a backend.

Every public name here is an `xpgrad.core.Op` (or a function of arrays written in ops). Arrays
are positional, parameters keyword-only.
"""

from xpgrad.ops import (
    banded,
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
    tails,
)

__all__ = [
    "banded",
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
    "tails",
]
