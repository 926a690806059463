"""Variance, medians, averages, covariance, histograms' relatives, and calculus on grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.contraction import dot
from xpgrad.ops.shape import broadcast_to, full_like, reshape
from xpgrad.trace.functions._table import array, axis_of, beside, cast, given, implements, ndim, refuse, shape
from xpgrad.trace.functions.reductions import mean, nanmean, sort, sum
from xpgrad.trace.functions.shapes import concatenate, moveaxis, transpose

_unset = np._NoValue


@implements(np.var, method="var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _unset,
    *, where: Any = _unset, mean: Any = _unset, correction: Any = _unset,
) -> Any:  # fmt: skip
    refuse("var", out=out, where=where)
    ddof = correction if given(correction) else ddof
    a = cast(array(a), dtype)
    centre = mean if given(mean) else red.mean(a, axis=axis, keepdims=True)
    d = a - centre
    squares = cx.real(d * cx.conjugate(d)) if aval_of(a).dtype.kind == "c" else d * d
    total = red.sum(squares, axis=axis, keepdims=bool(keepdims) if given(keepdims) else False)
    return total / _freedom(red.count(a, axis) - ddof, total)


def _freedom(n: float, like: Any) -> Any:
    """The divisor ``n``, not below zero; a zero is NumPy's, by which Python's scalars divide too."""
    return n if n > 0 else aval_of(like).dtype.type(0)


@implements(np.std, method="std")
def std(a: Any, *args: Any, **kwargs: Any) -> Any:
    return ew.sqrt(var(a, *args, **kwargs))


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = _unset
) -> Any:
    refuse("nanvar", out=out)
    ok = ~ew.isnan(a)
    d = ew.where(ok, cast(a, dtype) - nanmean(a, axis, keepdims=True), 0)
    n = sum(ew.where(ok, 1.0, 0.0), axis, keepdims=keepdims) - ddof
    n = ew.where(n > 0, n, np.nan)
    return sum(d * d, axis, keepdims=keepdims) / cast(n, aval_of(a).dtype)


@implements(np.nanstd)
def nanstd(a: Any, *args: Any, **kwargs: Any) -> Any:
    return ew.sqrt(nanvar(a, *args, **kwargs))


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = _unset
) -> Any:
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        return (out, np.full(shape(out), red.count(a, axis), float)) if returned else out
    w = array(weights)
    if shape(w) != shape(a):
        if axis is None or ndim(w) != 1:
            raise ShapeError(message("average: weights need an axis", {"operand": a, "weights": w}))
        w = reshape(w, shape=(-1,) + (1,) * (ndim(a) - 1 - axis_of("average", a, axis)))
    total = sum(w + 0 * cx.real(a), axis, keepdims=keepdims)
    out = sum(a * w, axis, keepdims=keepdims) / total
    return (out, total) if returned else out


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """By linear interpolation between the sorted entries (NumPy's default method)."""
    refuse("quantile", out=out)
    if method != "linear":
        refuse("quantile", method=method)
    a = array(a)
    axes = red.axes_of("quantile", a, axis)
    rest = [k for k in range(ndim(a)) if k not in axes]
    n = red.count(a, axis)
    if n == 0:
        raise ShapeError(message("quantile: no entries to take one of", {"operand": a}))
    flat = reshape(transpose(a, (*rest, *axes)), shape=(*[shape(a)[k] for k in rest], n))
    ordered = sort(flat, -1)
    at = np.asarray(q, dtype=float) * (n - 1)
    low = np.clip(np.floor(at).astype(np.intp), 0, max(n - 2, 0))
    part = at - low if at.ndim else float(at - low)
    part = beside(a, part) if at.ndim else part
    left, right = ordered[..., low], ordered[..., np.minimum(low + 1, n - 1)]
    result = left + (right - left) * part
    for _ in range(at.ndim):
        result = moveaxis(result, -1, 0)
    if keepdims:
        kept = [1 if k in axes else m for k, m in enumerate(shape(a))]
        result = reshape(result, shape=(*at.shape, *kept))
    return result if ndim(result) else result[()]  # NumPy gives a scalar, which is immutable


@implements(np.percentile)
def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Any:
    return quantile(a, np.asarray(q) / 100, *args, **kwargs)


@implements(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    a = array(a)
    if red.count(a, axis) == 0:
        return mean(a, axis, out=out, keepdims=keepdims)  # NaN, with a warning, as NumPy's is
    return quantile(a, 0.5, axis, out, keepdims=keepdims)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _unset, append: Any = _unset) -> Any:
    a = array(a)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"diff: n must not be negative, not {n}")
    k = axis_of("diff", a, axis)
    parts = (
        [_slab(p, a, k) for p in (prepend,) if given(p)] + [a] + [_slab(p, a, k) for p in (append,) if given(p)]
    )
    if len(parts) > 1:
        a = concatenate(parts, k)
    head = (slice(None),) * k
    for _ in range(n):
        a = a[(*head, slice(1, None))] - a[(*head, slice(None, -1))]
    return a


def _slab(p: Any, a: Any, axis: int) -> Any:
    p = array(p)
    if ndim(p):
        return p
    kept = list(shape(a))
    kept[axis] = 1
    if isinstance(p, SCALAR_TYPES):
        return full_like(a, value=p, shape=tuple(kept), dtype=aval_of(p).dtype)
    return broadcast_to(p, shape=tuple(kept))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    parts = [np.ravel(p) for p in (to_begin,) if p is not None] + [diff(reshape(ary, shape=(-1,)))]
    parts += [np.ravel(p) for p in (to_end,) if p is not None]
    return concatenate(parts) if len(parts) > 1 else parts[0]


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, ``edge_order`` at the edges; spacings as NumPy takes them."""
    axes = red.axes_of("gradient", f, axis)
    if len(varargs) not in (0, 1, len(axes)):
        raise ShapeError(message(f"gradient: {len(varargs)} spacings for {len(axes)} axes", {"operand": f}))
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    outs = [_gradient(f, h, k, edge_order) for k, h in zip(axes, spacings, strict=True)]
    return outs[0] if len(outs) == 1 else tuple(outs)


def _gradient(f: Any, h: Any, k: int, edge_order: int) -> Any:
    head = (slice(None),) * k
    n = shape(f)[k]
    if n < edge_order + 1:
        raise ShapeError(message(f"gradient: needs {edge_order + 1} entries along axis {k}", {"operand": f}))

    def at(a: int | None, b: int | None) -> Any:
        return f[(*head, slice(a, b))]

    h = np.asarray(h, dtype=float)
    steps = np.diff(h) if h.ndim else np.full(n - 1, float(h))
    column = (-1,) + (1,) * (ndim(f) - k - 1)
    a, b = (beside(f, part.reshape(column)) for part in (steps[:-1], steps[1:]))
    inner = (at(2, None) * (a * a) - at(None, -2) * (b * b) + at(1, -1) * (b * b - a * a)) / (a * b * (a + b))
    if edge_order == 1:
        first = (at(1, 2) - at(0, 1)) / steps[0]
        last = (at(n - 1, None) - at(n - 2, n - 1)) / steps[-1]
    else:
        p, q = steps[0], steps[1]
        first = (
            at(0, 1) * (-(2 * p + q) / (p * (p + q)))
            + at(1, 2) * ((p + q) / (p * q))
            - at(2, 3) * (p / (q * (p + q)))
        )
        p, q = steps[-2], steps[-1]
        last = (
            at(n - 3, n - 2) * (q / (p * (p + q)))
            - at(n - 2, n - 1) * ((p + q) / (p * q))
            + at(n - 1, None) * ((2 * q + p) / (q * (p + q)))
        )
    return cast(concatenate([first, inner, last], k), aval_of(f).dtype)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    y = array(y)
    k = axis_of("trapezoid", y, axis)
    head = (slice(None),) * k
    step = dx
    if x is not None:
        step = diff(array(x), axis=-1 if ndim(array(x)) == 1 else axis)
        if ndim(step) == 1:
            step = reshape(step, shape=(-1,) + (1,) * (ndim(y) - k - 1))
    return red.sum(step * (y[(*head, slice(1, None))] + y[(*head, slice(None, -1))]) / 2, axis=k)


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    refuse("cov", fweights=fweights, aweights=aweights)

    def rows(a: Any) -> Any:
        a = array(a)
        a = cast(a, np.result_type(aval_of(a).dtype, np.float64) if dtype is None else dtype)
        a = reshape(a, shape=(1, -1)) if ndim(a) < 2 else a
        return a if rowvar or shape(a)[0] == 1 else transpose(a)

    x = rows(m) if y is None else concatenate([rows(m), rows(y)], 0)
    d = x - red.mean(x, axis=1, keepdims=True)
    out = dot(d, cx.conjugate(transpose(d)))
    out = out / _freedom(shape(x)[1] - (ddof if ddof is not None else 0 if bias else 1), out)
    return out[0, 0] if shape(out) == (1, 1) else out


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    c = cov(x, y, rowvar)
    if ndim(c) == 0:
        return c / c
    k = np.arange(shape(c)[0])
    s = ew.sqrt(cx.real(c[k, k]))
    return c / reshape(s, shape=(-1, 1)) / s


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear in ``x``, ``xp`` and ``fp``."""
    refuse("interp", period=period)
    x, xp, fp = array(x), array(xp), array(fp)
    k = red.searchsorted(xp, x, side="right") - 1
    k = np.clip(k, 0, shape(xp)[0] - 2)
    x0, x1 = xp[k], xp[k + 1]
    y = fp[k] + (fp[k + 1] - fp[k]) * ((x - x0) / (x1 - x0))
    y = ew.where(x < xp[0], fp[0] if left is None else left, y)
    return ew.where(x > xp[-1], fp[-1] if right is None else right, y)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    y: Any = 0 * x
    for k in range(shape(array(p))[0]):
        y = y * x + array(p)[k]
    return y
