"""NumPy's functions, written in ops.

`TABLE` maps each function (or ufunc) of NumPy to ours; ours has NumPy's signature and works on
traced and plain arrays of either device. Keywords that only make sense for memory (``out`` of a
reduction, ``order``) are refused by name where they would change the result.
"""

from xpgrad.trace.functions import (  # noqa: F401 - each fills TABLE
    binning,
    choosing,
    contractions,
    creation,
    elementwise,
    fft,
    folding,
    grids,
    indexing,
    linalg,
    norms,
    ordering,
    padding,
    passing,
    polynomials,
    quantiles,
    rearranging,
    reductions,
    shapes,
    statistics,
)
from xpgrad.trace.functions._table import METHODS, PROPERTIES, TABLE

__all__ = ["METHODS", "PROPERTIES", "TABLE"]
