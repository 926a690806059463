"""Systems whose matrix is given by its diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.linalg._operands import floats
from xpgrad.linalg._structured import toeplitz
from xpgrad.ops import banded
from xpgrad.ops import linalg as la
from xpgrad.ops.shape import concatenate


def solve_banded(l_and_u: tuple[int, int], ab: Any, b: Any) -> Any:
    """The solution of ``a x = b`` with a banded matrix, in time of order n.

    Parameters
    ----------
    l_and_u : tuple of two ints
        How many diagonals there are below the main one, l, and above, u.
    ab : float or complex[..., l + u + 1, n]
        ``ab[u + i - j, j]`` is entry (i, j) of the matrix; what lies outside it is not read.
    b : float or complex[n] or [..., n, k]

    Returns
    -------
    array[n] or [..., n, k]

    Raises
    ------
    ShapeError
        ``ab`` has not l + u + 1 rows, or ``b`` does not fit.
    LinAlgError
        The matrix is singular, on the CPU.
    DependencyError
        SciPy is not installed, on the CPU.

    Notes
    -----
    Elimination with pivots, by LAPACK; substitution alone where l or u is 0. Derivatives are solutions with the
    same band. On a GPU the whole matrix is made, in time of order n^3. Golub, Van Loan, *Matrix Computations*,
    section 4.3.
    """
    lower, upper = (int(k) for k in l_and_u)
    return _solved(floats(ab), floats(b), lower, upper)


def solveh_banded(ab: Any, b: Any, lower: bool = False) -> Any:
    """The solution of ``a x = b`` with a banded Hermitian matrix, of which one half is given.

    Parameters
    ----------
    ab : float or complex[..., u + 1, n]
        ``ab[u + i - j, j]`` is entry (i, j) with i <= j; with ``lower``, ``ab[i - j, j]`` is that with i >= j.
    b : float or complex[n] or [..., n, k]
    lower : bool
        Which half is given.

    Returns
    -------
    array[n] or [..., n, k]

    Raises
    ------
    ShapeError, LinAlgError, DependencyError
        As of `solve_banded`.

    Notes
    -----
    By `solve_banded`: the matrix need not be positive definite, which SciPy asks for.
    """
    ab, b = floats(ab), floats(b)
    if len(ab.shape) < 2:
        raise ShapeError(message("solveh_banded: needs diagonals, as rows of a matrix", {"diagonals": ab}))
    u = ab.shape[-2] - 1
    below, above = ({"lower": u, "upper": 0}, {"lower": 0, "upper": u})
    other = banded.transposed(ab, **(below if lower else above))
    other = np.conjugate(other) if la.is_complex(other) else other
    whole = (other[..., :-1, :], ab) if lower else (ab, other[..., 1:, :])
    return _solved(concatenate(*whole, axis=len(ab.shape) - 2), b, u, u)


def solve_toeplitz(c_or_cr: Any, b: Any) -> Any:
    """The solution of ``a x = b`` with a matrix that is constant along its diagonals.

    Parameters
    ----------
    c_or_cr : array[n] or tuple of two
        The first column and the first row, as `toeplitz` takes them.
    b : float or complex[n] or [n, k]

    Returns
    -------
    array[n] or [n, k]

    Raises
    ------
    LinAlgError
        The matrix is singular, on the CPU.

    Notes
    -----
    By elimination in the whole matrix, in time of order n^3, where SciPy's recursion of Levinson takes n^2 and
    is less exact. Golub, Van Loan, *Matrix Computations*, section 4.7.
    """
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return np.linalg.solve(toeplitz(floats(c), None if r is None else floats(r)), floats(b))


def _solved(ab: Any, b: Any, lower: int, upper: int) -> Any:
    band = {"lower": lower, "upper": upper}
    column = len(b.shape) == 1
    b = la.column(b) if column else b
    banded.check(aval_of(ab), aval_of(b), **band)
    x = banded.solve_banded(ab, b, **band)
    return x[..., 0] if column else x
