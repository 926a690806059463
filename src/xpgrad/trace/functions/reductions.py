"""Sums, products, extrema, scans and sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Op, aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.indexing import ARRAY, getitem
from xpgrad.ops.shape import broadcast_to, concatenate, full_like, reshape
from xpgrad.trace.functions._table import (
    array,
    axis_of,
    cast,
    given,
    implements,
    masked,
    ndim,
    refuse,
    shape,
)

_unset = np._NoValue


def _keep(keepdims: Any) -> bool:
    return bool(keepdims) if given(keepdims) else False


@implements(np.sum, np.add.reduce, method="sum")
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    if out is not None:
        refuse("sum", out=out)
    if dtype is not None or where is not _unset:
        a = masked(cast(array(a), dtype), where, 0)
    total = red.sum(a, axis=axis, keepdims=False if keepdims is _unset else bool(keepdims))
    return total if initial is _unset else total + initial


@implements(np.nansum)
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    return sum(ew.where(ew.isnan(a), 0, a), axis, dtype, out, keepdims, initial, where)


@implements(np.mean, method="mean")
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    *,
    where: Any = _unset,
) -> Any:
    if out is not None:
        refuse("mean", out=out)
    a = cast(array(a), dtype)
    if given(where) and where is not True:
        kept = broadcast_to(array(where), shape=shape(a))
        n = red.count_nonzero(kept, axis=axis, keepdims=_keep(keepdims))
        return sum(a, axis, keepdims=keepdims, where=where) / cast(n, aval_of(a).dtype)
    return red.mean(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.nanmean)
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    *,
    where: Any = _unset,
) -> Any:
    refuse("nanmean", out=out)
    bad = ew.isnan(a)
    n = red.sum(ew.where(bad, 0.0, 1.0), axis=axis, keepdims=_keep(keepdims))
    return sum(ew.where(bad, 0, cast(a, dtype)), axis, keepdims=keepdims, where=where) / cast(
        n, aval_of(a).dtype
    )


@implements(np.prod, np.multiply.reduce, method="prod")
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    refuse("prod", out=out)
    total = red.prod(masked(cast(array(a), dtype), where, 1), axis=axis, keepdims=_keep(keepdims))
    return total * initial if given(initial) else total


@implements(np.nanprod)
def nanprod(a: Any, axis: Any = None, **kwargs: Any) -> Any:
    return prod(ew.where(ew.isnan(a), 1, a), axis, **kwargs)


def _extremum(
    op: Op, both: Op, worst: float, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    a = masked(array(a), where, worst)
    if given(initial) and 0 in shape(a):
        of = red.reduced_shape(op.name, a, axis, _keep(keepdims))
        return cast(full_like(a, value=0, shape=of) + initial, aval_of(a).dtype)
    total = op(a, axis=axis, keepdims=_keep(keepdims))
    return both(total, initial) if given(initial) else total


@implements(np.max, np.amax, np.maximum.reduce, method="max")
def max(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    refuse("max", out=out)
    return _extremum(red.max, ew.maximum, -np.inf, a, axis, keepdims, initial, where)


@implements(np.min, np.amin, np.minimum.reduce, method="min")
def min(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    refuse("min", out=out)
    return _extremum(red.min, ew.minimum, np.inf, a, axis, keepdims, initial, where)


@implements(np.nanmax)
def nanmax(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, **kwargs: Any) -> Any:
    return max(ew.where(ew.isnan(a), -np.inf, a), axis, out, keepdims, **kwargs)


@implements(np.nanmin)
def nanmin(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, **kwargs: Any) -> Any:
    return min(ew.where(ew.isnan(a), np.inf, a), axis, out, keepdims, **kwargs)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset) -> Any:
    return max(a, axis, out, keepdims) - min(a, axis, out, keepdims)


def _scan(op: Op, a: Any, axis: Any, dtype: Any, out: Any) -> Any:
    refuse(op.name, out=out)
    a = cast(array(a), dtype)
    if axis is None or ndim(a) == 0:
        a, axis = reshape(a, shape=(-1,)), 0 if axis is None else axis
    return op(a, axis=axis_of(op.name, a, axis))


@implements(np.cumsum, np.add.accumulate, method="cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _scan(red.cumsum, a, axis, dtype, out)


@implements(np.cumprod, np.multiply.accumulate, method="cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _scan(red.cumprod, a, axis, dtype, out)


def _cumulative(scan: Any, x: Any, axis: Any, dtype: Any, out: Any, include_initial: bool, first: int) -> Any:
    if axis is None and ndim(x) != 1:
        raise ShapeError(message("cumulative: axis is needed unless there is just one", {"operand": x}))
    k = axis_of("cumulative", x, -1 if axis is None else axis)
    total = scan(x, k, dtype, out)
    if not include_initial:
        return total
    edge = full_like(total, value=first, shape=(*shape(x)[:k], 1, *shape(x)[k + 1 :]))
    return concatenate(edge, total, axis=k)


@implements(getattr(np, "cumulative_sum", None))
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    return _cumulative(cumsum, x, axis, dtype, out, include_initial, 0)


@implements(getattr(np, "cumulative_prod", None))
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    return _cumulative(cumprod, x, axis, dtype, out, include_initial, 1)


@implements(np.argmax, method="argmax")
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _unset) -> Any:
    return red.argmax(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.argmin, method="argmin")
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _unset) -> Any:
    return red.argmin(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.any, method="any")
def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, *, where: Any = _unset) -> Any:
    if given(where):
        a = masked(ew.not_equal(a, 0), where, False)
    return red.any(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.all, method="all")
def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, *, where: Any = _unset) -> Any:
    if given(where):
        a = masked(ew.not_equal(a, 0), where, True)
    return red.all(a, axis=axis, keepdims=_keep(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return red.count_nonzero(a, axis=axis, keepdims=keepdims)


@implements(np.argsort, method="argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    refuse("argsort", order=order)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    return red.argsort(
        a, axis=axis_of("argsort", a, axis), stable=bool(stable) or kind in ("stable", "mergesort")
    )


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Gathers by the sorting permutation: the tangents are permuted likewise."""
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    return take_along_axis(a, argsort(a, axis, kind, order, stable=stable), axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    refuse("partition", order=order)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    return take_along_axis(a, red.argpartition(a, kth=kth, axis=axis_of("partition", a, axis)), axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    return red.argpartition(a, kth=kth, axis=axis_of("argpartition", a, axis))


@implements(np.searchsorted, method="searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    refuse("searchsorted", sorter=sorter)
    return red.searchsorted(array(a), array(v), side=side)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        arr, axis = reshape(arr, shape=(-1,)), 0
    k = axis_of("take_along_axis", arr, axis)
    index = along(indices, k)
    return getitem(arr, *index, index=_all_arrays(ndim(arr)))


def along(indices: Any, axis: int) -> list[Any]:
    """Index arrays that take ``indices`` on ``axis`` and their own place on every other axis."""
    places: list[Any] = []
    n = ndim(indices)
    for a in range(n):
        if a == axis:
            places.append(indices)
        else:
            line = np.arange(shape(indices)[a]).reshape((1,) * a + (-1,) + (1,) * (n - a - 1))
            places.append(line)
    return places


def _all_arrays(n: int) -> tuple[Any, ...]:
    return (ARRAY,) * n


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    return sort(a)
