"""The table of tolerances by dtype, for the whole test suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, message


@dataclass(frozen=True)
class Tolerance:
    """The tolerances for results of one dtype.

    Attributes
    ----------
    value : float
        Between two ways to compute the same value or derivative, relative to the larger of 1 and
        the largest entry, as `close` has it.
    difference : float
        Between a derivative and a central difference, relative to the derivative.
    step : float
        The step of the central difference: about the cube root of the dtype's epsilon.
    noise : float
        What a difference of equal values may be, relative to the values: 16 eps / step, for values
        that are right to some units in the last place.
    """

    value: float
    difference: float
    step: float
    noise: float


_TABLE = {
    np.dtype(np.float64): Tolerance(value=1e-11, difference=1e-6, step=5e-6, noise=7e-10),
    np.dtype(np.float32): Tolerance(value=2e-5, difference=2e-2, step=5e-3, noise=4e-4),
}


def tolerance(dtype: Any) -> Tolerance:
    """The row of ``dtype``; a complex dtype has that of its parts.

    Raises
    ------
    DTypeError
        The table has no such row: it has float32 and float64.
    """
    row = _TABLE.get(np.empty((), dtype).real.dtype)
    if row is None:
        raise DTypeError(message(f"tolerance: no tolerance for this dtype, {np.dtype(dtype)}"))
    return row


def close(actual: Any, expected: Any, bound: float) -> bool:
    """Whether all entries agree to ``bound``, relative to the larger of 1 and the largest entry.

    NaN equals NaN, and infinities equal themselves. For values: below 1 the bound is absolute, and
    what is small throughout passes. Derivatives are compared with differences by `check_grads`,
    whose bounds have no such floor.
    """
    a, b = np.asarray(actual), np.asarray(expected)
    if a.shape != b.shape:
        return False
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    scale = max(1.0, float(np.max(np.abs(b[finite]), initial=0.0)))
    return bool(np.all(np.abs(a[finite] - b[finite]) <= bound * scale))
