"""Calculus on grids: differences, derivatives, integrals, interpolation."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import broadcast_to, full_like, reshape, stop_gradient
from xpgrad.trace.functions._table import (
    array,
    axes_each_once,
    axis_of,
    beside,
    cast,
    given,
    implements,
    ndim,
    on_host,
    scalar_of,
    shape,
    whole,
)
from xpgrad.trace.functions.ordering import gathered
from xpgrad.trace.functions.shapes import concatenate
from xpgrad.trace.traced import strip

_unset = np._NoValue


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _unset, append: Any = _unset) -> Any:
    n = index(n)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"diff: n must not be negative, not {n}")
    a = array(a)
    if not ndim(a):
        raise ShapeError(message("diff: needs an axis", {"operand": a}))
    k = axis_of("diff", a, axis)
    parts = (
        [_slab(p, a, k) for p in (prepend,) if given(p)] + [a] + [_slab(p, a, k) for p in (append,) if given(p)]
    )
    if len(parts) > 1:
        a = concatenate(parts, k)
    head = (slice(None),) * k
    for _ in range(n):
        after, before = a[(*head, slice(1, None))], a[(*head, slice(None, -1))]
        a = after != before if aval_of(a).dtype.kind == "b" else after - before
    return a


def _slab(p: Any, a: Any, axis: int) -> Any:
    p = array(p)
    if ndim(p):
        return p
    kept = list(shape(a))
    kept[axis] = 1
    if isinstance(p, SCALAR_TYPES):
        return full_like(a, value=p, shape=tuple(kept), dtype=np.asarray(p).dtype)
    return broadcast_to(p, shape=tuple(kept))


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Adds multiples of the period, which are constant: the derivative is that of the identity."""
    p = array(p)
    step = diff(stop_gradient(p), axis=axis)
    k = axis_of("unwrap", p, axis)
    head = (slice(None),) * k
    whole = aval_of(step).dtype.kind in "iu" and isinstance(period, (int, np.integer))
    half = period // 2 if whole else period / 2
    turned = ew.remainder(step + half, period) - half
    if not whole or period % 2 == 0:
        turned = ew.where((turned == -half) & (step > 0), half, turned)  # a rise by half a period stays one
    turns = ew.where(abs(step) < (half if discont is None else discont), 0, turned - step)
    turns = cast(turns, np.result_type(aval_of(step).dtype, period))
    turned = p[(*head, slice(1, None))] + cast(red.cumsum(turns, axis=k), aval_of(turns).dtype)
    return concatenate([cast(p[(*head, slice(None, 1))], aval_of(turned).dtype), turned], k)


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """The ends have the dtype of the array."""
    ary = array(ary)
    dtype = aval_of(ary).dtype
    ends = [None if p is None else array(p) for p in (to_begin, to_end)]
    for p in ends:
        if p is not None and not np.can_cast(
            np.asarray(p).dtype if isinstance(p, SCALAR_TYPES) else p.dtype, dtype, "same_kind"
        ):
            raise DTypeError(
                message("ediff1d: an end does not fit the dtype of the array", {"operand": ary, "end": p})
            )
    begin, end = (None if p is None else cast(_vector(p, ary), dtype) for p in ends)
    ary = reshape(ary, shape=(-1,))
    parts = [p for p in (begin, ary[1:] - ary[:-1], end) if p is not None]
    return concatenate(parts) if len(parts) > 1 else parts[0]


def _vector(p: Any, like: Any) -> Any:
    if isinstance(p, SCALAR_TYPES):
        return full_like(like, value=p, shape=(1,), dtype=np.asarray(p).dtype)
    return reshape(p, shape=(-1,))


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order differences inside, ``edge_order`` at the edges; spacings as NumPy takes them."""
    f = array(f)
    axes = red.axes_of("gradient", f, axis) if axis is None else axes_each_once("gradient", f, axis)
    one = len(varargs) == 1 and not ndim(array(varargs[0]))
    if varargs and not one and len(varargs) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} spacings for {len(axes)} axes")
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if edge_order > 2:
        raise ValueError(f"gradient: edge_order must be 1 or 2, not {edge_order}")
    if aval_of(f).dtype.kind not in "fc":
        f = cast(f, float)
    hs = [beside(f, h) if type(h) is np.ndarray else h for h in map(array, spacings)]
    outs = [_gradient(f, h, k, edge_order) for k, h in zip(axes, hs, strict=True)]
    return outs[0] if len(axes) == 1 else tuple(outs)


def _gradient(f: Any, h: Any, k: int, edge_order: int) -> Any:
    head = (slice(None),) * k
    n = shape(f)[k]
    if n < edge_order + 1:
        raise ShapeError(message(f"gradient: needs {edge_order + 1} entries along axis {k}", {"operand": f}))
    if ndim(h) > 1 or (ndim(h) == 1 and shape(h)[0] != n):
        raise ShapeError(message(f"gradient: needs a number, or {n} places along axis {k}", {"spacing": h}))

    def at(a: int | None, b: int | None) -> Any:
        return f[(*head, slice(a, b))]

    if ndim(h) == 0:
        inner = (at(2, None) - at(None, -2)) / (2 * h)
        p = q = r = s = h
    else:
        steps = diff(cast(h, float) if aval_of(h).dtype.kind not in "fc" else h)
        column = (-1,) + (1,) * (ndim(f) - k - 1)
        a, b = reshape(steps[:-1], shape=column), reshape(steps[1:], shape=column)
        inner = (
            at(2, None) * (a / (b * (a + b)))
            + at(1, -1) * ((b - a) / (a * b))
            - at(None, -2) * (b / (a * (a + b)))
        )
        p, s = steps[0], steps[-1]
        q, r = (steps[1], steps[-2]) if n > 2 else (p, s)
    if edge_order == 1:
        first, last = (at(1, 2) - at(0, 1)) / p, (at(n - 1, None) - at(n - 2, n - 1)) / s
    else:
        first = (
            at(0, 1) * (-(2 * p + q) / (p * (p + q)))
            + at(1, 2) * ((p + q) / (p * q))
            - at(2, 3) * (p / (q * (p + q)))
        )
        last = (
            at(n - 3, n - 2) * (s / (r * (r + s)))
            - at(n - 2, n - 1) * ((s + r) / (r * s))
            + at(n - 1, None) * ((2 * s + r) / (s * (r + s)))
        )
    return cast(concatenate([first, inner, last], k), aval_of(f).dtype)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = array(y)
    k = axis_of("trapezoid", y, axis)
    head = (slice(None),) * k
    step = array(dx)
    if x is not None:
        x = array(x)
        step = diff(x, axis=-1 if ndim(x) == 1 else axis)
        if ndim(x) == 1:
            step = reshape(step, shape=(-1,) + (1,) * (ndim(y) - k - 1))
    return red.sum(step * (y[(*head, slice(1, None))] + y[(*head, slice(None, -1))]) / 2.0, axis=index(axis))


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear in ``x``, ``xp`` and ``fp``; at a knot the derivative in ``x`` is that on its right."""
    x, xp, fp = (_in_double(whole(v)) for v in (x, xp, fp))
    if ndim(xp) != 1 or ndim(fp) != 1 or shape(xp) != shape(fp) or not shape(xp)[0]:
        raise ShapeError(message("interp: needs knots and as many values", {"xp": xp, "fp": fp}))
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
        left = right = None
    below = fp[0] if left is None else array(left)
    above = fp[-1] if right is None else array(right)
    n = shape(xp)[0]
    if n == 1:
        y = _shaped(fp[0], x)
    else:
        inside = (x >= xp[0]) & (x <= xp[-1])
        k = red.searchsorted(xp, x, side="right") - 1
        y = _between(ew.where(inside, x, xp[0]), ew.clip(k, 0, n - 2), ew.clip(k, 0, n - 1), xp, fp)
        y = ew.where(ew.isnan(x), x, y)
    return scalar_of(ew.where(x < xp[0], below, ew.where(x > xp[-1], above, y)))


def _in_double(x: Any) -> Any:
    """NumPy interpolates in double precision."""
    return cast(x, np.complex128 if aval_of(x).dtype.kind == "c" else np.float64)


def _shaped(y: Any, x: Any) -> Any:
    return broadcast_to(y, shape=shape(x)) if ndim(x) else y


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    if period == 0:
        raise ValueError("interp: period must not be 0")
    period = abs(period)
    x, xp = x % period, xp % period
    order = red.argsort(xp, axis=0)
    xp, fp = gathered(xp, order), gathered(fp, order)
    xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, concatenate([fp[-1:], fp, fp[:1]])


def _between(x: Any, k: Any, knot: Any, xp: Any, fp: Any) -> Any:
    """On the segment from knot ``k`` on; at an infinite or repeated knot what NumPy says, with no slope."""
    x0, x1, y0, y1 = gathered(xp, k), gathered(xp, k + 1), gathered(fp, k), gathered(fp, k + 1)
    ok = ew.isfinite(xp) & ew.isfinite(fp)
    ok = ok[:-1] & ok[1:] & (xp[1:] > xp[:-1])
    plain = strip(ok)
    if on_host(plain) and bool(plain.all()):
        return y0 + (y1 - y0) * ((x - x0) / (x1 - x0))
    ok = gathered(ok, k)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slope = (y1 - y0) / (x1 - x0)
        edge = slope * (x - x0) + y0
        edge = ew.where(ew.isnan(edge), slope * (x - x1) + y1, edge)
    edge = ew.where(ew.isnan(edge) & (y0 == y1), y0, edge)
    edge = ew.where(x == gathered(xp, knot), gathered(fp, knot), edge)
    rise = ew.where(ok, y1 - y0, 0) * (ew.where(ok, x - x0, 0) / ew.where(ok, x1 - x0, 1))
    return ew.where(ok, y0 + rise, stop_gradient(edge))
