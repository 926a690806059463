"""Triangular systems, systems by a Cholesky factor, and Sylvester's equation."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.linalg._operands import floats, square
from xpgrad.ops import linalg as la
from xpgrad.ops.decompositions import cholesky

_TRANSPOSED = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """The solution of ``a x = b`` with a triangular matrix.

    Parameters
    ----------
    a : float or complex[..., n, n]
        Its other triangle is not read.
    b : float or complex[n] or [..., n, k]
    trans : {0, 1, 2, "N", "T", "C"}
        Solve with ``a``, its transpose, or its conjugate transpose.
    lower : bool
        Whether the lower triangle of ``a`` counts.
    unit_diagonal : bool
        Whether the diagonal is taken to be 1, and not read.

    Returns
    -------
    array[n] or [..., n, k]

    Raises
    ------
    ShapeError
        ``a`` is not square, or ``b`` does not fit.
    ValueError
        An unknown ``trans``.
    LinAlgError
        A zero on the diagonal, on the CPU.

    Notes
    -----
    Substitution: elimination changes nothing in an upper triangular matrix, though it takes time of order n^3
    to find that out. Golub, Van Loan, *Matrix Computations*, section 3.1.
    """
    a, b = square("solve_triangular", a), floats(b)
    if trans not in _TRANSPOSED:
        raise ValueError(message(f"solve_triangular: trans must be 0, 1, 2, 'N', 'T' or 'C', not {trans!r}"))
    if unit_diagonal:
        a = (la.tril(a, k=-1) if lower else la.triu(a, k=1)) + la.eye(a)
    else:
        a = la.tril(a) if lower else la.triu(a)
    if _TRANSPOSED[trans]:
        a, lower = (la.H(a) if _TRANSPOSED[trans] == 2 else la.T(a)), not lower
    if not lower:
        return np.linalg.solve(a, b)
    rows = -1 if len(b.shape) == 1 else -2
    return np.flip(np.linalg.solve(np.flip(a, (-2, -1)), np.flip(b, rows)), rows)


def cho_factor(a: Any, lower: bool = False) -> tuple[Any, bool]:
    """The Cholesky factor of a positive definite matrix, for `cho_solve`.

    Parameters
    ----------
    a : float or complex[..., n, n]
        Hermitian; one triangle is read, and a derivative is shared by both.
    lower : bool
        Whether that is the lower triangle, and the factor L of ``L L^H``; else the factor U of ``U^H U``.

    Returns
    -------
    c : array[..., n, n]
        The factor, with zeros in its other triangle, where SciPy leaves what was there.
    lower : bool

    Raises
    ------
    ShapeError
        ``a`` is not square.
    LinAlgError
        ``a`` is not positive definite, on the CPU.

    Notes
    -----
    Golub, Van Loan, *Matrix Computations*, section 4.2.
    """
    a = square("cho_factor", a)
    return (cholesky(a), True) if lower else (la.H(cholesky(la.H(a))), False)


def cho_solve(c_and_lower: tuple[Any, bool], b: Any) -> Any:
    """The solution of ``a x = b`` from the Cholesky factor of ``a``.

    Parameters
    ----------
    c_and_lower : tuple of array[..., n, n] and bool
        As `cho_factor` gives it.
    b : float or complex[n] or [..., n, k]

    Returns
    -------
    array[n] or [..., n, k]

    Raises
    ------
    ShapeError, LinAlgError
        As of `solve_triangular`.

    Notes
    -----
    Two triangular systems. Golub, Van Loan, *Matrix Computations*, section 4.2.
    """
    c, lower = c_and_lower
    first = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, first, trans=2 if lower else 0, lower=lower)


def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution X of ``a X + X b = q``.

    Parameters
    ----------
    a : float or complex[m, m]
    b : float or complex[n, n]
    q : float or complex[m, n]

    Returns
    -------
    array[m, n]

    Raises
    ------
    ShapeError
        ``a`` or ``b`` is not square, or ``q`` does not fit.
    LinAlgError
        ``a`` and ``-b`` have an eigenvalue in common, on the CPU.

    Notes
    -----
    One system of ``m n`` equations: time of order ``(m n)^3``, memory of ``(m n)^2``. It is for small matrices.
    Golub, Van Loan, *Matrix Computations*, section 7.6.3.
    """
    a, b, q = square("solve_sylvester", a), square("solve_sylvester", b), floats(q)
    m, n = a.shape[-1], b.shape[-1]
    if tuple(q.shape) != (m, n) or len(a.shape) != 2 or len(b.shape) != 2:
        raise ShapeError(
            message("solve_sylvester: q must have the rows of a and the columns of b", {"a": a, "b": b, "q": q})
        )
    system = np.kron(a, la.eye(b)) + np.kron(la.eye(a), la.T(b))
    return np.reshape(np.linalg.solve(system, np.reshape(q, -1)), (m, n))
