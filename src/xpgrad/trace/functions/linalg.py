"""NumPy's linear algebra: systems, determinants, decompositions, pseudo-inverses, powers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import NotDifferentiableError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import contraction as con
from xpgrad.ops import decompositions as dec
from xpgrad.ops import elementwise as ew
from xpgrad.ops import linalg as la
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import concatenate, full_like, reshape, stop_gradient, transpose
from xpgrad.trace.functions._table import array, axis_of, cast, implements, ndim, refuse, shape
from xpgrad.trace.functions.contractions import dot
from xpgrad.trace.functions.norms import norm, squares
from xpgrad.trace.functions.ordering import argsort, sort, take_along_axis
from xpgrad.trace.functions.rearranging import tril
from xpgrad.trace.traced import Traced, strip


@cache
def _result(function: Any) -> Any:
    """The named tuple that a function of NumPy's gives; NumPy has no public name for it."""
    return type(function(np.eye(1)))


def operand(x: Any) -> Any:
    x = array(x)
    return x if hasattr(x, "shape") else np.asarray(x)


# ── systems ──────────────────────────────────────────────────────────────────────────────────
@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return la.inv(operand(a))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """``b`` is a vector only if it has one axis, as in NumPy 2."""
    a, b = operand(a), operand(b)
    return la.solve(a, la.column(b))[..., 0] if ndim(b) == 1 else la.solve(a, b)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    a = operand(a)
    rows, columns = shape(a)[:ind], shape(a)[ind:]
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, not {ind}")
    size = int(np.prod(rows, dtype=np.intp))
    if size != int(np.prod(columns, dtype=np.intp)):
        raise ShapeError(message(f"tensorinv: axes {rows} and {columns} do not make a square", {"operand": a}))
    return reshape(la.inv(reshape(a, shape=(size, size))), shape=(*columns, *rows))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = operand(a), operand(b)
    if axes is not None:
        last = [axis_of("tensorsolve", a, k) for k in axes]
        a = transpose(a, axes=(*[k for k in range(ndim(a)) if k not in last], *last))
    out = shape(a)[ndim(b) :]
    size = int(np.prod(shape(b), dtype=np.intp))
    if shape(a)[: ndim(b)] != shape(b) or int(np.prod(out, dtype=np.intp)) != size:
        raise ShapeError(message("tensorsolve: the axes do not make a square system", {"left": a, "right": b}))
    x = la.solve(reshape(a, shape=(size, size)), reshape(b, shape=(size, 1)))
    return reshape(x, shape=out)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """The solution, residuals, rank and singular values; where only shapes are traced, of full rank."""
    a, b = operand(a), operand(b)
    rhs = la.column(b) if ndim(b) == 1 else b
    la.matrices("lstsq", aval_of(a), aval_of(rhs))
    m, n = shape(a)[-2:]
    dtype = la.matrix_dtype("lstsq", aval_of(a), aval_of(b))
    a, rhs = cast(a, dtype), cast(rhs, dtype)
    eps = float(np.finfo(dtype).eps)
    rcond = eps * max(m, n) if rcond is None else eps if rcond <= 0 or rcond >= 1 else float(rcond)
    x = la.lstsq(a, rhs, rcond=rcond)
    s = svdvals(a)
    rank = red.count_nonzero(s > rcond * red.max(s)) if min(m, n) else 0
    plain = strip(rank)
    full = m > n and (isinstance(plain, Traced) or int(plain) == n)
    residual = squares(rhs - a @ x, axis=0)
    rank = cast(rank, np.int32) if isinstance(rank, Traced) else np.int32(int(rank))
    return (x[:, 0] if ndim(b) == 1 else x), (residual if full else residual[:0]), rank, s


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """A Hermitian matrix has the same inverse by either way; of another its lower triangle counts."""
    a = operand(a)
    la.matrices("pinv", aval_of(a))
    if hermitian and aval_of(a).size:
        a = _from_lower("pinv", a)
    if rcond is not None and rtol is not np._NoValue:
        raise ValueError("pinv: rtol and rcond cannot both be given")
    if rcond is None:
        default = max(shape(a)[-2:]) * float(np.finfo(aval_of(a).dtype).eps)
        rcond = 1e-15 if rtol is np._NoValue else default if rtol is None else rtol
    return la.pinv(a, rcond=rcond)


# ── determinants ─────────────────────────────────────────────────────────────────────────────
@implements(np.linalg.det)
def det(a: Any) -> Any:
    return la.det(operand(a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return _result(np.linalg.slogdet)(*la.slogdet(operand(a)))


# ── decompositions ───────────────────────────────────────────────────────────────────────────
@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = operand(a)
    if not upper:
        return dec.cholesky(a)
    la.square("cholesky", aval_of(a))
    return la.H(dec.cholesky(la.H(a)))


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f"eigh: UPLO must be 'L' or 'U', not {UPLO!r}")
    return _result(np.linalg.eigh)(*dec.eigh(operand(a), UPLO=UPLO.upper()))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO)[0]


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """The result is real if all eigenvalues are, as in NumPy; it is complex if only shapes are traced."""
    a = operand(a)
    w, v = dec.eig(a)
    plain = strip(w)
    if aval_of(a).dtype.kind != "c" and isinstance(plain, (np.ndarray, np.generic)) and not plain.imag.any():
        w, v = cx.real(w), cx.real(v)
    return _result(np.linalg.eig)(w, v)


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return eig(a)[0]


def _from_lower(name: str, a: Any) -> Any:
    """The Hermitian matrix with the lower triangle of ``a``; its derivative is shared by both, as `eigh`'s."""
    la.square(name, aval_of(a))
    mean = (a + la.H(a)) / 2
    low, plain = tril(a), stop_gradient(a)
    return mean + stop_gradient(low + la.H(tril(plain, -1)) - mean)


def _hermitian_svd(a: Any, compute_uv: bool) -> Any:
    """From the eigenvalues, whose signs go to the right singular vectors."""
    if not compute_uv:
        return sort(abs(eigvalsh(a)), -1)[..., ::-1]
    w, u = eigh(a)
    order = argsort(abs(w), -1)[..., ::-1]
    w, u = take_along_axis(w, order, -1), take_along_axis(u, order[..., None, :], -1)
    return _result(np.linalg.svd)(u, abs(w), la.H(u * ew.sign(w)[..., None, :]))


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = operand(a)
    if hermitian:
        return _hermitian_svd(a, compute_uv)
    if not compute_uv:
        return svdvals(a)
    wide = bool(full_matrices) and ndim(a) > 1 and shape(a)[-1] != shape(a)[-2]
    return _result(np.linalg.svd)(*dec.svd(a, full_matrices=wide))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return dec.svd(operand(x), full_matrices=False)[1]


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    a = operand(a)
    la.matrices("qr", aval_of(a))
    m, n = shape(a)[-2:]
    mode = "reduced" if mode in ("f", "full") else mode  # NumPy's old names
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: mode must be reduced, complete, r or raw, not {mode!r}")
    if mode == "raw" or (mode == "complete" and m > n):
        raise NotDifferentiableError(
            message(
                f"qr: no derivative is known for mode {mode!r}", {"operand": a}, remedy='take mode="reduced"'
            )
        )
    if m >= n:
        q, r = dec.qr(a)
    else:
        q, r = dec.qr(a[..., :m])
        r = concatenate(r, la.H(q) @ a[..., m:], axis=ndim(a) - 1)
    return r if mode == "r" else _result(np.linalg.qr)(q, r)


# ── rank, condition, powers ──────────────────────────────────────────────────────────────────
@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    A = operand(A)
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: tol and rtol cannot both be given")
    if ndim(A) < 2:
        return red.any(A != 0) * 1
    s = svd(A, compute_uv=False, hermitian=hermitian)
    if tol is None:
        part = max(shape(A)[-2:]) * float(np.finfo(aval_of(s).dtype).eps) if rtol is None else rtol
        tol = red.max(s, axis=-1) * part if shape(s)[-1] else 0
    return red.count_nonzero(s > (la.column(tol) if ndim(tol) else tol), axis=-1)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Infinite, with no finite derivative, for a singular matrix; for other ``p`` than 2 that raises."""
    x = operand(x)
    if not aval_of(x).size:
        raise np.linalg.LinAlgError(message("cond: is not defined on empty arrays", {"operand": x}))
    if p is None or p in (2, -2):
        s = svdvals(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, axis=(-2, -1)) * norm(la.inv(x), p, axis=(-2, -1))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Powers by squaring: about ``log2(n)`` to ``2 log2(n)`` products."""
    a = operand(a)
    la.square("matrix_power", aval_of(a))
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: the exponent must be an integer, not {n!r}")
    if n == 0:
        return la.embed_diagonal(full_like(a, value=1, shape=shape(a)[:-1]))
    if n < 0:
        a, n = la.inv(a), -n
    result = None
    while True:
        if n & 1:
            result = a if result is None else result @ a
        n >>= 1
        if not n:
            return result
        a = a @ a


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The products are associated so that the fewest multiplications are needed."""
    refuse("multi_dot", out=out)
    xs = [operand(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError("multi_dot: expects at least two arrays")
    if len(xs) == 2:
        return dot(*xs)
    first, last = ndim(xs[0]) == 1, ndim(xs[-1]) == 1
    if first:
        xs[0] = reshape(xs[0], shape=(1, -1))
    if last:
        xs[-1] = reshape(xs[-1], shape=(-1, 1))
    if any(ndim(x) != 2 for x in xs):
        raise ShapeError(message("multi_dot: needs matrices", {f"operand {i}": x for i, x in enumerate(xs)}))
    product = _associated(xs)
    return product[0 if first else slice(None), 0 if last else slice(None)] if first or last else product


def _associated(xs: list[Any]) -> Any:
    """Cormen, Leiserson, Rivest and Stein, *Introduction to Algorithms*, section 15.2."""
    n = len(xs)
    sizes = [shape(x)[0] for x in xs] + [shape(xs[-1])[1]]
    cost = {(i, i): 0 for i in range(n)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        return xs[i] if i == j else con.dot(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return la.diagonal(operand(x), offset=offset)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return red.sum(cast(diagonal(x, offset=offset), dtype), axis=-1)
