"""How close is equal: one row for each dtype, for the whole test suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """Relative to the larger of 1 and the expected magnitude.

    Attributes
    ----------
    value : float
        Between two ways to compute the same value or derivative.
    difference : float
        Between a derivative and a central difference.
    step : float
        Of the central difference: about the cube root of the dtype's epsilon.
    """

    value: float
    difference: float
    step: float


_TABLE = {
    np.dtype(np.float64): Tolerance(value=1e-11, difference=1e-6, step=5e-6),
    np.dtype(np.float32): Tolerance(value=2e-5, difference=2e-2, step=5e-3),
}


def tolerance(dtype: Any) -> Tolerance:
    """The row of ``dtype``; a complex dtype has that of its parts."""
    return _TABLE[np.empty((), dtype).real.dtype]


def close(actual: Any, expected: Any, bound: float) -> bool:
    """Whether all entries agree to ``bound``, relative to the larger of 1 and the largest entry.

    NaN equals NaN, and infinities equal themselves.
    """
    a, b = np.asarray(actual), np.asarray(expected)
    if a.shape != b.shape:
        return False
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    scale = max(1.0, float(np.max(np.abs(b[finite]), initial=0.0)))
    return bool(np.all(np.abs(a[finite] - b[finite]) <= bound * scale))
