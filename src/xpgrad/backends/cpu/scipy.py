"""SciPy's implementations of what NumPy lacks; the first call imports SciPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, message
from xpgrad.backends.special import library_implementation
from xpgrad.core import Implementation


def scipy_implementation(name: str) -> Implementation:
    """The implementation of the op ``name``.

    Raises
    ------
    DependencyError
        SciPy is not installed.
    """
    try:
        special = _scipy_special()
    except ImportError as error:
        raise DependencyError(message(f"{name}: needs SciPy on the CPU: pip install scipy")) from error
    return library_implementation(name, special, np)


@cache
def _scipy_special() -> Any:
    import scipy.special

    return scipy.special


@cache
def _scipy_linalg() -> Any:
    import scipy.linalg

    return scipy.linalg


def banded_implementation(name: str) -> Implementation:
    """The implementation of `solve_banded`, by LAPACK: gtsv or gbsv, and substitution in a triangle.

    Raises
    ------
    DependencyError
        SciPy is not installed.
    """
    try:
        la = _scipy_linalg()
    except ImportError as error:
        raise DependencyError(message(f"{name}: needs SciPy on the CPU: pip install scipy")) from error

    def single(ab: Any, b: Any, lower: int, upper: int) -> Any:
        if lower and upper:
            return la.solve_banded((lower, upper), ab, b, check_finite=False)
        # No pivots in a triangle: the recurrence itself, as a filter has it.
        (tbtrs,) = la.get_lapack_funcs(("tbtrs",), (ab, b))
        x, info = tbtrs(ab, b, uplo="L" if lower or not upper else "U")
        if info > 0:
            raise np.linalg.LinAlgError("Singular matrix")
        return x

    def solve_banded(ab: Any, b: Any, *, lower: int, upper: int) -> Any:
        stack = np.broadcast_shapes(ab.shape[:-2], b.shape[:-2])
        out = np.empty((*stack, *b.shape[-2:]), np.result_type(ab.dtype, b.dtype))
        if not out.size:
            return out
        if all(k == 1 for k in ab.shape[:-2]):  # one matrix: all right-hand sides are columns
            n = b.shape[-2]
            columns = np.moveaxis(b, -2, 0).reshape(n, -1)
            x = single(ab.reshape(ab.shape[-2:]), columns, lower, upper)
            return np.moveaxis(x.reshape(n, *b.shape[:-2], b.shape[-1]), 0, -2).reshape(out.shape)
        ab, b = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (ab, b))
        for k in np.ndindex(*stack):
            out[k] = single(ab[k], b[k], lower, upper)
        return out

    return solve_banded
