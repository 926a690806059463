"""Ufuncs along an axis: ``reduce``, ``accumulate`` and ``reduceat`` of those of two operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import OutOfBoundsError, ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.indexing import ARRAY, scatter_add
from xpgrad.ops.special import logsumexp
from xpgrad.trace.functions._table import array, axis_of, cast, given, ndim, shape
from xpgrad.trace.functions.rearranging import take_at
from xpgrad.trace.functions.reductions import sum as sum_
from xpgrad.trace.functions.shapes import concatenate, expand_dims, moveaxis

# Whose operands may be taken together in any order.
_ASSOCIATIVE = {
    np.add,
    np.multiply,
    np.maximum,
    np.minimum,
    np.fmax,
    np.fmin,
    np.logaddexp,
    np.logaddexp2,
    np.hypot,
    np.logical_and,
    np.logical_or,
    np.logical_xor,
}


def _logaddexp(a: Any, axis: Any = 0, keepdims: Any = False, **kwargs: Any) -> Any:
    """``log(sum(exp(a)))``, in one pass."""
    _bare("logaddexp.reduce", kwargs)
    a = array(a)
    a = a if aval_of(a).dtype.kind == "f" else cast(a, np.dtype(float))
    axes = axis if axis is None or isinstance(axis, tuple) else axis_of("logaddexp.reduce", a, axis)
    return logsumexp(a, axis=axes, keepdims=bool(keepdims))


def _bare(name: str, keywords: dict[str, Any]) -> None:
    for keyword, value in keywords.items():
        if given(value):
            raise TraceError(message(f"{name}: {keyword}= is not possible on a traced array"))


def reduce(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, **kwargs: Any) -> Any:
    """``ufunc`` between all entries along an axis, one after another, or of halves where the order is free."""
    name = f"{ufunc.__name__}.reduce"
    _bare(name, kwargs)
    a = cast(array(a), dtype)
    if axis is None and ndim(a) == 1:
        axis = 0
    if axis is None or isinstance(axis, tuple):
        raise TraceError(message(f"{name}: of traced arrays, along one axis at a time", {"operand": a}))
    k = axis_of(name, a, axis)
    n, head = shape(a)[k], (slice(None),) * k
    if n == 0:
        raise ShapeError(message(f"{name}: no entries along axis {k}", {"operand": a}))
    if ufunc in _ASSOCIATIVE:
        while n > 1:
            half = n // 2
            parts = [ufunc(a[(*head, slice(0, half))], a[(*head, slice(half, 2 * half))])]
            a = concatenate([*parts, a[(*head, slice(2 * half, n))]], k) if n % 2 else parts[0]
            n = half + n % 2
        total = take_at(a, 0, k)
    else:
        total = take_at(a, 0, k)
        for i in range(1, n):
            total = ufunc(total, take_at(a, i, k))
    return expand_dims(total, k) if keepdims else total


def accumulate(ufunc: Any, a: Any, axis: int = 0, dtype: Any = None) -> Any:
    """All partial results; where the order is free in as many steps as the length has binary digits."""
    a = cast(array(a), dtype)
    k = axis_of(f"{ufunc.__name__}.accumulate", a, axis)
    n, head = shape(a)[k], (slice(None),) * k
    if ufunc in _ASSOCIATIVE:
        d = 1
        while d < n:
            later = ufunc(a[(*head, slice(None, -d))], a[(*head, slice(d, None))])
            a = concatenate([a[(*head, slice(None, d))], later], k)
            d *= 2
        return a
    rows = [take_at(a, 0, k)] if n else []
    for i in range(1, n):
        rows.append(ufunc(rows[-1], take_at(a, i, k)))
    return concatenate([expand_dims(row, k) for row in rows], k) if rows else a


def reduceat(ufunc: Any, a: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Reductions from each of ``indices`` up to the next; of a single entry where the next is no larger."""
    name = f"{ufunc.__name__}.reduceat"
    a = cast(array(a), dtype)
    k = axis_of(name, a, axis)
    n = shape(a)[k]
    starts = np.asarray(indices)
    if starts.ndim != 1:
        raise ShapeError(message(f"{name}: the indices must be a vector", {"indices": starts}))
    if ((starts < 0) | (starts >= n)).any():
        raise OutOfBoundsError(message(f"{name}: an index outside an axis of length {n}", {"indices": starts}))
    ends = np.append(starts[1:], n)
    ends = np.where(ends > starts, ends, starts + 1)
    if ufunc is np.add:
        codes = np.repeat(np.arange(len(starts)), ends - starts)
        places = np.concatenate([np.arange(i, j) for i, j in zip(starts, ends, strict=True)] or [starts])
        rows = moveaxis(take_at(a, places, k), k, 0)
        sums = scatter_add(rows, codes, index=(ARRAY,), shape=(len(starts), *shape(rows)[1:]))
        return moveaxis(sums, 0, k)
    head = (slice(None),) * k
    parts = [
        expand_dims(ufunc.reduce(a[(*head, slice(int(i), int(j)))], axis=k), k)
        for i, j in zip(starts, ends, strict=True)
    ]
    return concatenate(parts, k) if parts else take_at(a, starts, k)


def _fmax(a: Any, axis: Any = 0, keepdims: Any = False, **kwargs: Any) -> Any:
    return _extreme("fmax.reduce", red.max, -np.inf, a, axis, keepdims, kwargs)


def _fmin(a: Any, axis: Any = 0, keepdims: Any = False, **kwargs: Any) -> Any:
    return _extreme("fmin.reduce", red.min, np.inf, a, axis, keepdims, kwargs)


def _extreme(name: str, of: Any, worst: float, a: Any, axis: Any, keepdims: Any, keywords: Any) -> Any:
    """NaN where all entries are."""
    _bare(name, keywords)
    a = array(a)
    axes = axis if axis is None or isinstance(axis, tuple) else axis_of(name, a, axis)
    options = {"axis": axes, "keepdims": bool(keepdims)}
    if aval_of(a).dtype.kind != "f":
        return of(a, **options)
    nan = ew.isnan(a)
    some = sum_(~nan, **options)
    return ew.where(some > 0, of(ew.where(nan, worst, a), **options), np.nan)


# By the name of the ufunc: what is more than a `reduce`.
REDUCE = {"logaddexp": _logaddexp, "fmax": _fmax, "fmin": _fmin}
