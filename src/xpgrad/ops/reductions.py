"""Reductions and scans over axes; ``axis`` is None, an int or a tuple, as in NumPy."""

from __future__ import annotations

import builtins
from math import prod as product
from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Aval, Op, aval_of
from xpgrad.ops._batching import Mapped, Operands, along, along_last, lifted, over_axes, position, shape_of
from xpgrad.ops._define import constant, general, linear
from xpgrad.ops.elementwise import isnan, less, less_equal, where
from xpgrad.ops.indexing import flip
from xpgrad.ops.shape import astype, concatenate, full_like, inverse_axes, reshape, transpose

Axis = int | tuple[int, ...] | None


def axes_of(name: str, x: Any, axis: Axis, *, scalars: bool = False) -> tuple[int, ...]:
    """``axis`` as a sorted tuple of non-negative ints; with ``scalars``, 0 and -1 of no axes are none."""
    ndim = len(x.shape)
    if axis is None:
        return tuple(range(ndim))
    if scalars and ndim == 0 and not isinstance(axis, tuple) and axis in (0, -1):
        return ()
    given = tuple(map(index, axis)) if isinstance(axis, tuple) else (index(axis),)
    axes = sorted(a + ndim if a < 0 else a for a in given)
    if len(set(axes)) < len(axes) or builtins.any(not 0 <= a < ndim for a in axes):
        raise ShapeError(
            message(f"{name}: axis {axis} does not fit an array of {ndim} axes", {"operand": str(x)})
        )
    return tuple(axes)


def _kept(x: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if a in axes else n for a, n in enumerate(x.shape))


def reduced_shape(name: str, x: Any, axis: Axis, keepdims: bool) -> tuple[int, ...]:
    """The shape of a reduction of ``x``. On a scalar, NumPy's take axis 0 and -1; its mean does not."""
    axes = axes_of(name, x, axis, scalars=name != "mean")
    return _kept(x, axes) if keepdims else tuple(n for a, n in enumerate(x.shape) if a not in axes)


def _shape(name: str, dtype: Any = lambda x: x.dtype, empty: bool = True) -> Any:
    def shape(x: Aval, *, axis: Axis = None, keepdims: bool = False) -> Aval:
        out = reduced_shape(name, x, axis, keepdims)
        if not empty and x.size == 0 and product(out) > 0:
            raise ShapeError(message(f"{name}: no identity to reduce an empty axis to", {"operand": str(x)}))
        return Aval(out, dtype(x))

    return shape


def expand(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Put back the axes that a reduction of ``x`` removed, each with length 1."""
    if keepdims or len(aval_of(g).shape) == 0:
        return g
    return reshape(g, shape=_kept(x, axes_of("expand", x, axis)))


def count(x: Any, axis: Axis) -> int:
    """The number of entries that each output of a reduction over ``axis`` stands for."""
    return product(x.shape[a] for a in axes_of("count", x, axis))


def _sum_dtype(x: Aval) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.sum(np.empty(0, x.dtype)).dtype
    return dtype


sum = linear(
    "sum",
    _shape("sum", _sum_dtype),
    lambda g, _z, _x, *, axis=None, keepdims=False: expand(g, _x, axis, keepdims),
    takes_scalar=True,
    monoid="sum",
    batching=over_axes,
)
mean = linear(
    "mean",
    _shape("mean", lambda x: x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)),
    lambda g, _z, _x, *, axis=None, keepdims=False: expand(g, _x, axis, keepdims) / (count(_x, axis) or 1),
    takes_scalar=True,
    batching=over_axes,
)


def _push_extremum(ts: Any, z: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """The tangent of the entries that attain the extremum, shared equally among ties; NaN attains it."""
    hit = (x == expand(z, x, axis, keepdims)) | (x != x)
    ties = sum(astype(hit, dtype=aval_of(x).dtype), axis=axis, keepdims=keepdims)
    return sum(where(hit, ts[0], 0), axis=axis, keepdims=keepdims) / ties


max = general("max", _shape("max", empty=False), _push_extremum, monoid="max", batching=over_axes)
min = general("min", _shape("min", empty=False), _push_extremum, monoid="min", batching=over_axes)


def _scan(x: Aval, *, axis: int) -> Aval:
    axes_of("scan", x, axis)
    return Aval(x.shape, _sum_dtype(x))


cumsum = linear(
    "cumsum",
    _scan,
    lambda g, _z, _x, *, axis: flip(cumsum(flip(g, axis), axis=axis), axis),
    batching=along,
)


def _shifted(x: Any, by: int, axis: int, fill: Any) -> Any:
    """``x`` moved ``by`` places along ``axis``, ``fill`` coming in (an array of the same shape)."""
    head = (slice(None),) * axis
    return concatenate(fill[(*head, slice(0, by))], x[(*head, slice(0, x.shape[axis] - by))], axis=axis)


def _push_cumprod(ts: Any, z: Any, x: Any, *, axis: int) -> Any:
    """Solve dz[k] = dz[k-1] x[k] + z[k-1] t[k] by doubling: no division, so zeros are safe."""
    (axis,) = axes_of("cumprod", x, axis)
    n = x.shape[axis]
    if n == 0:
        return ts[0]
    ones, zeros = full_like(x, value=1), full_like(x, value=0)
    a, b = x, _shifted(z, 1, axis, ones) * ts[0]
    step = 1
    while step < n:
        b = b + a * _shifted(b, step, axis, zeros)
        a = a * _shifted(a, step, axis, ones)
        step *= 2
    return b


cumprod = general("cumprod", _scan, _push_cumprod, batching=along)


def _push_prod(ts: Any, _z: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Sum over i of t[i] times the product of the others, without dividing by x[i]."""
    if not getattr(x, "shape", ()):
        return ts[0]
    axes = axes_of("prod", x, axis, scalars=True)
    rest = tuple(a for a in range(len(x.shape)) if a not in axes)
    others = _others(x, axes, rest)
    return sum(ts[0] * others, axis=axis, keepdims=keepdims)


def _others(x: Any, axes: tuple[int, ...], rest: tuple[int, ...]) -> Any:
    order = (*rest, *axes)
    moved = transpose(x, axes=order)
    flat = reshape(moved, shape=(*(x.shape[a] for a in rest), product(x.shape[a] for a in axes)))
    last = len(rest)
    if flat.shape[last] == 0:
        return x
    ones = full_like(flat, value=1)
    before = _shifted(cumprod(flat, axis=last), 1, last, ones)
    after = flip(_shifted(cumprod(flip(flat, last), axis=last), 1, last, ones), last)
    back = reshape(before * after, shape=tuple(x.shape[a] for a in order))
    return transpose(back, axes=inverse_axes(order))


prod = general("prod", _shape("prod", _sum_dtype), _push_prod, monoid="prod", batching=over_axes)

# ── no derivative ────────────────────────────────────────────────────────────────────────────
_index = np.dtype(np.intp)
_bool = np.dtype(bool)
argmax = constant("argmax", _shape("argmax", lambda _x: _index, empty=False), batching=position)
argmin = constant("argmin", _shape("argmin", lambda _x: _index, empty=False), batching=position)
any = constant("any", _shape("any", lambda _x: _bool), monoid="any", batching=over_axes)
all = constant("all", _shape("all", lambda _x: _bool), monoid="all", batching=over_axes)
count_nonzero = constant("count_nonzero", _shape("count_nonzero", lambda _x: _index), batching=over_axes)
argsort = constant("argsort", lambda x, *, axis=-1, stable=False: Aval(x.shape, _index), batching=along_last)
argpartition = constant("argpartition", lambda x, *, kth, axis=-1: Aval(x.shape, _index), batching=along_last)


def _batch_searchsorted(op: Op, size: int, xs: Operands, mapped: Mapped, params: Any) -> Any:
    """All values are looked up in one table at once; in tables that differ, the entries before are counted."""
    x, v = xs
    if not mapped[0]:
        return op(x, v, **params)
    n = len(shape_of(v, mapped[1]))
    table = reshape(x, shape=(size, *(1,) * n, x.shape[1]))
    v = lifted(v, mapped[1], n)
    v = reshape(v, shape=(*v.shape, 1)) if hasattr(v, "shape") else v
    if params.get("side", "left") == "left":  # NaN is the greatest number
        before = less(table, v) | (isnan(v) & ~isnan(table))
    else:
        before = less_equal(table, v) | isnan(v)
    return count_nonzero(before, axis=n + 1)


searchsorted = constant(
    "searchsorted", lambda x, v, *, side="left": Aval(v.shape, _index), batching=_batch_searchsorted
)
