"""Functions of matrices: exponential, square root, logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.linalg._operands import square
from xpgrad.ops import elementwise as ew
from xpgrad.ops import linalg as la
from xpgrad.ops.shape import astype
from xpgrad.trace.traced import Traced
from xpgrad.transforms import scan, stop_gradient

# The 1-norm up to which the Padé approximant [13/13] of exp is exact to float64: Higham 2005, table 2.3.
_THETA = 5.371920351148152
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_SQUARINGS = 24  # where the numbers are not known: up to norms of 9e7
_SCALED, _STEPS = 12, 20  # of the iteration for a square root
_ROOTS, _NEAR = 6, 0.7  # square roots in a logarithm where the numbers are not known; distance of 1 to come to
_NODES = 16


def expm(a: Any) -> Any:
    """The exponential of a matrix.

    Parameters
    ----------
    a : float or complex[..., n, n]

    Returns
    -------
    array[..., n, n]

    Raises
    ------
    ShapeError
        ``a`` is not square.

    Notes
    -----
    The Padé approximant [13/13], scaled and squared. How often depends on the numbers: compiled and in `vmap`,
    24 squarings are computed and those that are needed are chosen; what needs more gives NaN. Al-Mohy, Higham,
    A new scaling and squaring algorithm for the matrix exponential, SIAM J. Matrix Anal. Appl. 31 (2009).
    """
    a = square("expm", a)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    s = _squarings(a, *map(stop_gradient, (a2, a4, a6)))
    most = _SQUARINGS if type(s) is Traced else int(np.max(s, initial=0.0))
    scale = astype(0.5**s, dtype=la.real_dtype(a.dtype))
    second = scale * scale
    x = _pade(a * scale, a2 * second, a4 * second**2, a6 * second**3)
    x, left = scan(_squared, (x, s), length=most)[0]
    return ew.where(left <= 0, x, np.nan)


def _squared(carry: tuple[Any, Any], _: Any) -> tuple[Any, None]:
    """The matrices that are to be squared once more, squared."""
    x, left = carry
    return (ew.where(left > 0, x @ x, x), left - 1.0), None


def _squarings(a: Any, a2: Any, a4: Any, a6: Any) -> Any:
    """How often to halve each matrix, float64[..., 1, 1], from norms of its powers."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = astype(abs(stop_gradient(a)), dtype=np.dtype(np.float64))
        d6, d8, d10 = _norm(a6) ** (1 / 6), _norm(a4 @ a4) ** (1 / 8), _norm(a4 @ a6) ** (1 / 10)
        eta = np.minimum(np.maximum(d6, d8), np.maximum(d8, d10))
        s = np.maximum(np.ceil(np.log2(np.maximum(eta, 1e-300) / _THETA)), 0.0)
        # The rounding that the powers of a matrix far from normal hide.
        small = size * 0.5**s
        power = small
        for _ in range(3):
            power = power @ power @ power
        alpha = np.log2(np.maximum(_norm(power), 1e-300)) - np.log2(np.maximum(_norm(small), 1e-300))
        more = np.ceil((alpha - 116.44699747) + 53) / 26
        s = s + np.maximum(np.ceil(more), 0.0)
        return np.where(np.isfinite(s), s, 0.0)


def _pade(a: Any, a2: Any, a4: Any, a6: Any) -> Any:
    c, one = _PADE, la.eye(a)
    odd = a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * one
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * one
    odd = a @ odd
    return np.linalg.solve(even - odd, even + odd)


def sqrtm(a: Any) -> Any:
    """The principal square root of a matrix: that whose eigenvalues have positive real parts.

    Parameters
    ----------
    a : float or complex[..., n, n]
        Without eigenvalues on the closed negative real axis, 0 included.

    Returns
    -------
    array[..., n, n]
        Real for a real matrix.

    Raises
    ------
    ShapeError
        ``a`` is not square.
    DataError
        The iteration does not converge: an eigenvalue is on that axis, or too near. Where the numbers are not
        known, compiled and in `vmap`, the result is NaN.

    Notes
    -----
    The product form of the iteration of Denman and Beavers, scaled by determinants; 20 steps. Its error is that
    of rounding times the condition of the root. Higham, *Functions of Matrices* (2008), eq. 6.29. SciPy's is by
    the Schur decomposition, and takes eigenvalues on that axis too.
    """
    return _root("sqrtm", square("sqrtm", a))


def _root(name: str, a: Any) -> Any:
    n, one = a.shape[-1], la.eye(a)
    x = m = a
    with np.errstate(all="ignore"):
        for k in range(_STEPS):
            if k < _SCALED:
                log = stop_gradient(np.linalg.slogdet(stop_gradient(m)))[1]
                mu = np.exp(log / -(2 * n))[..., None, None]
                x, m = x * mu, m * mu**2
            try:
                inverse = np.linalg.inv(m)
            except np.linalg.LinAlgError as error:
                raise _no_root(name, a) from error
            x, m = 0.5 * x @ (one + inverse), 0.5 * one + 0.25 * (m + inverse)
        rest = stop_gradient(x @ x - a)
        bound = float(np.finfo(la.real_dtype(a.dtype)).eps) ** 0.5
        good = _norm(rest) <= bound * np.maximum(_norm(stop_gradient(x)) ** 2, _norm(stop_gradient(a)))
    if type(good) is not Traced and not bool(good.all()):
        raise _no_root(name, a)
    return ew.where(good, x, np.nan)


def _no_root(name: str, a: Any) -> DataError:
    rule = "no principal square root: an eigenvalue is on the negative real axis, or near"
    return DataError(message(f"{name}: {rule}", {"matrix": a}))


def logm(a: Any) -> Any:
    """The principal logarithm of a matrix: that whose eigenvalues have imaginary parts in (-pi, pi).

    Parameters
    ----------
    a : float or complex[..., n, n]
        Without eigenvalues on the closed negative real axis, 0 included.

    Returns
    -------
    array[..., n, n]
        Real for a real matrix.

    Raises
    ------
    ShapeError
        ``a`` is not square.
    DataError
        As of `sqrtm`.

    Notes
    -----
    Square roots until the matrix is near 1, then the rule of Gauss and Legendre with 16 nodes for the integral
    of ``Y / (1 + t Y)``, a Padé approximant. Where the numbers are not known there are 6 roots, and NaN
    if that is not enough. Higham, *Functions of Matrices* (2008), algorithm 11.9 and eq. 11.18.
    """
    a = square("logm", a)
    one, roots = la.eye(a), 0
    while True:
        near = _norm(stop_gradient(a - one)) <= _NEAR
        known = type(near) is not Traced
        if (bool(near.all()) if known else roots == _ROOTS) or roots > 60:
            break
        a, roots = _root("logm", a), roots + 1
    y = a - one
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total: Any = 0.0
    for t, w in zip((nodes + 1) / 2, weights / 2, strict=True):
        total = total + float(w) * np.linalg.solve(one + float(t) * y, y)
    return ew.where(near, total * 2.0**roots, np.nan)


def _norm(x: Any) -> Any:
    """The 1-norm of each matrix, float64[..., 1, 1]."""
    return np.max(np.sum(astype(abs(x), dtype=np.dtype(np.float64)), -2, keepdims=True), -1, keepdims=True)
