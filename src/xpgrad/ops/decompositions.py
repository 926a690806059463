"""Decompositions of stacks of matrices: Cholesky, eigenvalues, singular values, QR.

*Hermitian operands.* NumPy reads one triangle; the derivative is that on Hermitian matrices: a
tangent counts by its Hermitian part, and a gradient is Hermitian, so that a step along it stays
among the Hermitian matrices (as in PyTorch and JAX).

*Freedom of choice.* Vectors are determined up to a factor of modulus 1. Where the factor is a
sign nothing is lost; where it is a phase the derivative is that with ``v^H dv = 0``, and right
for whatever does not depend on the phase. `eig` follows LAPACK's choice (the largest component
is real). Vectors of equal eigenvalues have no derivative: NaN, which only reaches those who use
the vectors; the eigenvalues' own derivative stays right.

Sources: Giles (2008), for real matrices; Murray, *Differentiation of the Cholesky decomposition*
(2016); Boeddeker, Hanebrink, Drude, Heymann and Haeb-Umbach, *On the computation of
complex-valued gradients with application to statistically optimum beamforming* (2017); Wan and
Zhang, *Automatic differentiation for complex valued SVD* (2019); Walter and Lehmann,
*Algorithmic differentiation of linear algebra functions with application in optimum experimental
design* (2010), for QR.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Aval
from xpgrad.ops._batching import stacked
from xpgrad.ops._define import general
from xpgrad.ops.complex import conjugate, imag
from xpgrad.ops.elementwise import maximum, where
from xpgrad.ops.linalg import (
    H,
    T,
    column,
    diagonal,
    embed_diagonal,
    eye,
    inner,
    inv,
    inv_lower,
    is_complex,
    matrices,
    matrix_dtype,
    real_dtype,
    real_part,
    row,
    square,
    tril,
)
from xpgrad.ops.reductions import max as max_
from xpgrad.ops.reductions import sum as sum_
from xpgrad.ops.shape import astype, concatenate, full_like


def _twice_hermitian(t: Any) -> Any:
    return t + H(t)


def _inverse_gaps(w: Any, sums: Any = 1) -> Any:
    """``1 / ((w[j] - w[i]) sums[i, j])``, 0 on the diagonal; NaN where two are equal."""
    gaps = row(w) - column(w)
    one = eye(gaps)
    gaps = gaps * sums + one
    equal = gaps == 0
    return where(equal, np.nan, 1 / where(equal, 1, gaps)) - one


# ── Cholesky ─────────────────────────────────────────────────────────────────────────────────
def _cholesky(x: Aval) -> Aval:
    square("cholesky", x)
    return Aval(x.shape, matrix_dtype("cholesky", x))


def _push_cholesky(ts: Any, z: Any, x: Any) -> Any:
    """z phi(z^-1 t z^-H), phi the lower triangle with half the diagonal."""
    w = inv_lower(z)
    half_phi = tril(full_like(z, value=0.5, shape=z.shape[-2:])) - 0.25 * eye(z)
    return z @ (half_phi * (w @ _twice_hermitian(ts[0]) @ H(w)))


# z H(z) = x, z lower triangular.
cholesky = general("cholesky", _cholesky, _push_cholesky, batching=stacked)


# ── eigenvalues ──────────────────────────────────────────────────────────────────────────────
def _eigh(x: Aval, *, UPLO: str = "L") -> tuple[Aval, Aval]:
    square("eigh", x)
    dtype = matrix_dtype("eigh", x)
    return Aval(x.shape[:-1], real_dtype(dtype)), Aval(x.shape, dtype)


def _push_eigh(ts: Any, z: Any, x: Any, *, UPLO: str = "L") -> Any:
    w, v = z
    tv = _twice_hermitian(ts[0]) @ (0.5 * v)
    dw = real_part(inner(conjugate(v), tv))
    return dw, v @ (_inverse_gaps(w) * (H(v) @ tv))


# Eigenvalues in ascending order, and orthonormal eigenvectors in columns.
eigh = general("eigh", _eigh, _push_eigh, batching=stacked)


def _eig(x: Aval) -> tuple[Aval, Aval]:
    square("eig", x)
    dtype = np.result_type(matrix_dtype("eig", x), np.complex64)
    return Aval(x.shape[:-1], dtype), Aval(x.shape, dtype)


def _push_eig(ts: Any, z: Any, x: Any) -> Any:
    w, v = z
    u = inv(v)
    tv = ts[0] @ v
    dv = v @ (_inverse_gaps(w) * (u @ tv))
    dv = dv - v * row(inner(conjugate(v), dv))
    return inner(T(u), tv), dv - 1j * v * row(_turn(v, dv))


def _turn(v: Any, dv: Any) -> Any:
    """The change of phase that ``dv`` would give the largest component, which LAPACK keeps real.

    0 where the library has left no component exactly real.
    """
    if 0 in v.shape:
        return imag(sum_(dv, axis=-2))
    size = where(imag(v) == 0, abs(v), 0)
    kept = (size == max_(size, axis=-2, keepdims=True)) & (size > 0)
    ties = maximum(sum_(astype(kept, dtype=size.dtype), axis=-2), 1)
    return imag(inner(where(kept, 1 / where(kept, v, 1), 0), dv)) / ties


# Complex whatever the operand is; eigenvectors in columns, each of norm 1.
eig = general("eig", _eig, _push_eig, batching=stacked)


# ── singular values ──────────────────────────────────────────────────────────────────────────
def _svd(x: Aval, *, full_matrices: bool = False) -> tuple[Aval, Aval, Aval]:
    matrices("svd", x)
    dtype = matrix_dtype("svd", x)
    *stack, m, n = x.shape
    k = min(m, n)
    p, q = (m, n) if full_matrices else (k, k)
    return (
        Aval((*stack, m, p), dtype),
        Aval((*stack, k), real_dtype(dtype)),
        Aval((*stack, q, n), dtype),
    )


def _push_svd(ts: Any, z: Any, x: Any, *, full_matrices: bool = False) -> Any:
    """Rotations of the first k vectors among themselves, and into the rest of the space.

    The further vectors of full matrices turn just so far that they stay orthogonal to the first
    k: right for whatever depends on no choice of basis of that null space.
    """
    u, s, vh = z
    k = s.shape[-1]
    m, n = x.shape[-2:]
    u1, v1 = u[..., :, :k], H(vh[..., :k, :])
    tv = ts[0] @ v1
    p = H(u1) @ tv
    ds = real_part(inner(conjugate(u1), tv))
    inverse = 1 / where(s == 0, np.nan, s)
    gaps = _inverse_gaps(s, row(s) + column(s))
    ps, sp = p * row(s), column(s) * p
    turn = gaps * (ps + H(ps))
    if is_complex(x):
        turn = turn + embed_diagonal(1j * imag(diagonal(p)) * inverse)
    du = u1 @ turn
    dv = v1 @ (gaps * (sp + H(sp)))
    if m > k:
        out = (tv - u1 @ p) * row(inverse)
        du = _completed(u, k, du + out, out) if full_matrices else du + out
    if n > k:
        out = (H(ts[0]) @ u1 - v1 @ H(p)) * row(inverse)
        dv = _completed(H(vh), k, dv + out, out) if full_matrices else dv + out
    return du, ds, H(dv)


def _completed(u: Any, k: int, du: Any, out: Any) -> Any:
    """``du`` and the tangents of the further columns of ``u``; ``out`` is the part of ``du`` among them."""
    u1, u2 = u[..., :, :k], u[..., :, k:]
    return concatenate(du, -(u1 @ (H(out) @ u2)), axis=len(u.shape) - 1)


svd = general("svd", _svd, _push_svd, batching=stacked)


# ── QR ───────────────────────────────────────────────────────────────────────────────────────
def _qr(x: Aval) -> tuple[Aval, Aval]:
    matrices("qr", x)
    m, n = x.shape[-2:]
    if m < n:
        raise ShapeError(message("qr: needs at least as many rows as columns", {"operand": str(x)}))
    dtype = matrix_dtype("qr", x)
    return Aval(x.shape, dtype), Aval((*x.shape[:-2], n, n), dtype)


def _push_qr(ts: Any, z: Any, x: Any) -> Any:
    """H(q) dq is skew-Hermitian with a diagonal that keeps that of r real."""
    q, r = z
    c = ts[0] @ T(inv_lower(T(r)))
    qc = H(q) @ c
    low = tril(qc, k=-1)
    skew = low - H(low)
    if is_complex(x):
        skew = skew + embed_diagonal(1j * imag(diagonal(qc)))
    return q @ (skew - qc) + c, (qc - skew) @ r


# The reduced form; the diagonal of r is real.
qr = general("qr", _qr, _push_qr, batching=stacked)
