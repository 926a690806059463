"""Inverses, determinants and least squares on stacks of matrices, which are the last two axes.

Each rule says how tangents go forward, with matrix products and one decomposition that is shared
by all tangents; products associate so that nothing larger than the operands is formed. ``H`` is
the conjugate transpose. Sources: Giles, *Collected matrix derivative results for forward and
reverse mode algorithmic differentiation* (2008), for real matrices; Golub and Pereyra,
*The differentiation of pseudo-inverses and nonlinear least squares problems* (1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import Aval, Op, aval_of
from xpgrad.ops._batching import Mapped, Operands, Params, moved, stacked, stacked_alike
from xpgrad.ops._define import elementwise, floating, general, linear
from xpgrad.ops.complex import conjugate, imag, real
from xpgrad.ops.elementwise import where
from xpgrad.ops.reductions import sum as sum_
from xpgrad.ops.shape import full_like, reshape, transpose


# ── shapes and dtypes ────────────────────────────────────────────────────────────────────────
def matrix_dtype(name: str, *xs: Aval) -> np.dtype[Any]:
    """The dtype of a decomposition; LAPACK has single and double precision."""
    dtype = floating(*xs)
    if dtype.char not in "fdFD":
        raise DTypeError(
            message(
                f"{name}: no linear algebra in {dtype}", _got(xs), remedy="convert it to float32 or float64"
            )
        )
    return dtype


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.empty((), dtype).real.dtype


def _got(xs: tuple[Aval, ...]) -> dict[str, Any]:
    return {"operand": str(xs[0])} if len(xs) == 1 else {"matrix": str(xs[0]), "right-hand side": str(xs[1])}


def matrices(name: str, *xs: Aval) -> None:
    """Raise unless each operand is a matrix or a stack of them."""
    for x in xs:
        if x.ndim < 2:
            raise ShapeError(message(f"{name}: needs a matrix, or a stack of them", _got(xs)))


def square(name: str, *xs: Aval) -> None:
    """Raise unless the operands are matrices and the first is square."""
    matrices(name, *xs)
    if xs[0].shape[-1] != xs[0].shape[-2]:
        raise ShapeError(message(f"{name}: the matrix is not square", _got(xs)))


# ── small linear maps that the rules are written in ──────────────────────────────────────────
def T(x: Any) -> Any:
    """The transpose of each matrix."""
    n = len(x.shape)
    return transpose(x, axes=(*range(n - 2), n - 1, n - 2))


def is_complex(x: Any) -> bool:
    return aval_of(x).dtype.kind == "c"


def H(x: Any) -> Any:
    """The conjugate transpose of each matrix."""
    return conjugate(T(x)) if is_complex(x) else T(x)


def real_part(x: Any) -> Any:
    return real(x) if is_complex(x) else x


def row(x: Any) -> Any:
    """Vectors as rows: an axis of length 1 before the last."""
    return reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def column(x: Any) -> Any:
    """Vectors as columns: an axis of length 1 at the end."""
    return reshape(x, shape=(*x.shape, 1))


def chain(a: Any, b: Any, c: Any) -> Any:
    """``a @ b @ c``, in the order that takes fewer multiplications."""
    (p, q), r, s = a.shape[-2:], b.shape[-1], c.shape[-1]
    return (a @ b) @ c if p * r * (q + s) <= q * s * (p + r) else a @ (b @ c)


def inner(x: Any, y: Any) -> Any:
    """The products of the columns: ``sum_k x[k, j] y[k, j]``, without conjugation."""
    return sum_(x * y, axis=-2)


def _triangle(name: str) -> Any:
    def shape(x: Aval, *, k: int = 0) -> Aval:
        matrices(name, x)
        return Aval(x.shape, x.dtype)

    return shape


tril: Op = linear("tril", _triangle("tril"), lambda g, _z, _x, *, k=0: tril(g, k=k), batching=stacked)
triu: Op = linear("triu", _triangle("triu"), lambda g, _z, _x, *, k=0: triu(g, k=k), batching=stacked)


def _diagonal(x: Aval, *, offset: int = 0) -> Aval:
    matrices("diagonal", x)
    rows, columns = x.shape[-2:]
    length = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
    return Aval((*x.shape[:-2], max(length, 0)), x.dtype)


def _embed_diagonal(x: Aval, *, offset: int = 0, size: tuple[int, int] | None = None) -> Aval:
    n = x.shape[-1] + abs(offset)
    return Aval((*x.shape[:-1], *(size or (n, n))), x.dtype)


# A diagonal of each matrix; and vectors on a diagonal, square if no size is given, of zeros elsewhere.
diagonal: Op = linear(
    "diagonal",
    _diagonal,
    lambda g, _z, _x, *, offset=0: embed_diagonal(g, offset=offset, size=tuple(_x.shape[-2:])),
    batching=stacked,
)
embed_diagonal: Op = linear(
    "embed_diagonal",
    _embed_diagonal,
    lambda g, _z, _x, *, offset=0, size=None: diagonal(g, offset=offset),
    batching=stacked,
)


def eye(x: Any) -> Any:
    """The identity matrix of the size, dtype and device of the square matrices ``x``."""
    return embed_diagonal(full_like(x, value=1, shape=x.shape[-1:]))


# The square root of what is not negative, with derivative 0 at 0: for norms, where it is a subgradient.
root = elementwise(
    "root",
    lambda t, z, _x: where(z == 0, 0, 0.5 * t) / where(z == 0, 1, z),
    dtype=floating,
    domain=(0.3, 3.0),
    holomorphic=False,
)


# ── inverse and linear systems ───────────────────────────────────────────────────────────────
def _inv(x: Aval) -> Aval:
    square("inv", x)
    return Aval(x.shape, matrix_dtype("inv", x))


inv = general("inv", _inv, lambda ts, z, _x: -(z @ ts[0] @ z), batching=stacked)


def _inv_lower(x: Aval) -> Aval:
    square("inv_lower", x)
    return Aval(x.shape, matrix_dtype("inv_lower", x))


# The inverse of a lower triangular matrix, by halves, so that most of the work is in matrix products. At
# 500 rows it takes a third of the time of `inv`, and is no less accurate.
inv_lower = general("inv_lower", _inv_lower, lambda ts, z, _x: -(z @ tril(ts[0]) @ z), batching=stacked)


def _solve(a: Aval, b: Aval) -> Aval:
    square("solve", a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            message(f"solve: {a.shape[-1]} equations, but {b.shape[-2]} right-hand rows", _got((a, b)))
        )
    try:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(message("solve: stacks do not broadcast", _got((a, b)))) from None
    return Aval((*stack, *b.shape[-2:]), matrix_dtype("solve", a, b))


def _push_solve(ts: Any, z: Any, a: Any, _b: Any) -> Any:
    ta, tb = ts
    if ta is None:
        return apply_inverse(a, tb)
    change = -(ta @ z)
    return apply_inverse(a, change if tb is None else tb + change)


# The same numbers twice. `solve` is what a user calls; its pullback solves one transposed system
# for both operands. That is `apply_inverse`, which states its transpose operand by operand.
solve = general("solve", _solve, _push_solve, batching=stacked)
apply_inverse: Op = linear(
    "apply_inverse",
    _solve,
    lambda g, z, a, _b: -(apply_inverse(T(a), g) @ T(z)),
    lambda g, _z, a, _b: apply_inverse(T(a), g),
    push=_push_solve,
    batching=stacked,
)


# ── determinants ─────────────────────────────────────────────────────────────────────────────
def _det(x: Aval) -> Aval:
    square("det", x)
    return Aval(x.shape[:-2], matrix_dtype("det", x))


def _slogdet(x: Aval) -> tuple[Aval, Aval]:
    square("slogdet", x)
    dtype = matrix_dtype("slogdet", x)
    return Aval(x.shape[:-2], dtype), Aval(x.shape[:-2], real_dtype(dtype))


def _push_slogdet(ts: Any, z: Any, x: Any) -> Any:
    """With w = tr(x^-1 t): d log|det| is its real part, d sign its imaginary part times i sign."""
    w = sum_(T(inv(x)) * ts[0], axis=(-2, -1))
    return ((1j * imag(w)) * z[0], real(w)) if is_complex(x) else (None, w)


def _adjugate(x: Aval) -> Aval:
    square("adjugate", x)
    return Aval(x.shape, matrix_dtype("adjugate", x))


def _adjugate_change(x: Aval, t: Aval) -> Aval:
    square("adjugate_change", x, t)
    return Aval(x.shape, matrix_dtype("adjugate_change", x, t))


def _second_change(x: Any, s: Any, t: Any) -> Any:
    """The second derivative of the adjugate along ``s`` and ``t``; NaN at a singular matrix.

    The derivative along t is ``w = (tr(z t) z - z t z) / det(x)``, z the adjugate. This is that of w along s.
    """
    wide = (*x.shape[:-2], 1, 1)

    def trace(a: Any, b: Any) -> Any:
        return reshape(sum_(T(a) * b, axis=(-2, -1)), shape=wide)

    d = reshape(det(x), shape=wide)
    z, zs, w = adjugate(x), adjugate_change(x, s), adjugate_change(x, t)
    moved = trace(zs, t) * z + trace(z, t) * zs - zs @ t @ z - z @ t @ zs
    return (moved - trace(z, s) * w) / where(d == 0, np.nan, d)


def _push_adjugate_change(ts: Any, _w: Any, x: Any, t: Any) -> Any:
    tx, tt = ts
    if tx is None:
        return adjugate_change(x, tt)
    moved = _second_change(x, tx, t)
    return moved if tt is None else moved + adjugate_change(x, tt)


# The gradient of det is the transposed adjugate, which a singular matrix has too, and so is the change of that.
det = general("det", _det, lambda ts, _z, x: sum_(T(adjugate(x)) * ts[0], axis=(-2, -1)), batching=stacked)
slogdet = general("slogdet", _slogdet, _push_slogdet, batching=stacked)
adjugate: Op = general("adjugate", _adjugate, lambda ts, _z, x: adjugate_change(x, ts[0]), batching=stacked)
# The derivative of the adjugate at x along t. With g it is a derivative of det along three matrices, which
# may change places: that says its transposes.
adjugate_change: Op = linear(
    "adjugate_change",
    _adjugate_change,
    lambda g, _w, x, t: T(_second_change(x, T(g), t)),
    lambda g, _w, x, _t: T(adjugate_change(x, T(g))),
    push=_push_adjugate_change,
    batching=stacked_alike,
)


# ── least squares ────────────────────────────────────────────────────────────────────────────
def _pinv(x: Aval, *, rcond: Any) -> Aval:
    matrices("pinv", x)
    return Aval((*x.shape[:-2], x.shape[-1], x.shape[-2]), matrix_dtype("pinv", x))


def _push_pinv(ts: Any, z: Any, x: Any, *, rcond: Any) -> Any:
    """-z t z + z H(z) H(t) (1 - x z) + (1 - z x) H(t) H(z) z, at constant rank."""
    t, th = ts[0], H(ts[0])
    left = th - chain(th, x, z)
    right = th - chain(z, x, th)
    return chain(z, H(z), left) + chain(right, H(z), z) - chain(z, t, z)


pinv = general("pinv", _pinv, _push_pinv, batching=stacked)


def _lstsq(a: Aval, b: Aval, *, rcond: float) -> Aval:
    matrices("lstsq", a, b)
    if a.ndim > 2 or b.ndim > 2 or a.shape[0] != b.shape[0]:
        raise ShapeError(message("lstsq: needs two matrices with as many rows", _got((a, b))))
    return Aval((a.shape[1], b.shape[1]), matrix_dtype("lstsq", a, b))


def _push_lstsq(ts: Any, z: Any, a: Any, b: Any, *, rcond: float) -> Any:
    """The derivative of ``pinv(a) @ b``, with the residual in place of ``b`` where it can be."""
    ta, tb = ts
    p = pinv(a, rcond=rcond)
    if ta is None:
        return p @ tb
    th = H(ta)
    shift = -(ta @ z) if tb is None else tb - ta @ z
    null = chain(th, H(p), z)
    return p @ shift + chain(p, H(p), th @ (b - a @ z)) + null - chain(p, a, null)


def _batch_lstsq(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """One matrix for all right-hand sides is decomposed once; those that differ go by their pseudo-inverses."""
    a, b = xs
    if mapped[0]:
        return pinv(a, **params) @ b
    m, n = b.shape[1:]
    found = op(a, reshape(moved(b, 0, 1), shape=(m, size * n)), **params)
    return moved(reshape(found, shape=(found.shape[0], size, n)), 1, 0)


# The solution of least squares, of the smallest norm where there are many.
lstsq = general("lstsq", _lstsq, _push_lstsq, batching=_batch_lstsq)
