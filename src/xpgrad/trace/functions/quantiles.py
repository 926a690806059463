"""Quantiles: entries of the sorted array, and interpolation between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import OutOfBoundsError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import reshape
from xpgrad.trace.functions._table import (
    axes_each_once,
    beside,
    cast,
    implements,
    known,
    ndim,
    refuse,
    scalar_of,
    shape,
    whole,
)
from xpgrad.trace.functions.ordering import sort
from xpgrad.trace.functions.reductions import mean
from xpgrad.trace.functions.shapes import moveaxis, transpose
from xpgrad.trace.views import as_array

# These methods take an entry, and interpolate nothing, which would make NaN of two infinities.
_ENTRIES = {"inverted_cdf", "closest_observation", "lower", "higher", "nearest"}


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """All methods of NumPy's; the two entries that a quantile lies between share its derivative."""
    return _quantile("quantile", np.quantile, a, q, axis, out, method, keepdims, weights)


@implements(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    return _quantile("percentile", np.percentile, a, q, axis, out, method, keepdims, weights)


def _quantile(
    name: str,
    numpys: Callable[..., Any],
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    method: str,
    keepdims: Any,
    weights: Any,
) -> Any:
    refuse(name, out=out, weights=weights)
    a, q = whole(a), known(q, name)
    axis = axis if axis is None else axes_each_once(name, a, axis)
    n = red.count(a, axis)
    dtype = numpys(np.ones(1, aval_of(a).dtype), q, method=method).dtype  # or what is wrong with the arguments
    if n == 0:
        raise OutOfBoundsError(message(f"{name}: no entries to take one of", {"operand": a}))
    # The quantile of the numbers 0, 1, ... is the index into the sorted array, with any method.
    at = np.asarray(numpys(np.arange(n, dtype=float), q, method=method))
    low = np.clip(np.floor(at), 0, n - 1).astype(np.intp)
    ordered = _last(name, a, axis)
    left, right = ordered[..., low], ordered[..., np.minimum(low + 1, n - 1)]
    part = beside(a, np.asarray(at - low, dtype)) if at.ndim else dtype.type(at - low)
    if method in _ENTRIES:
        result = _nan_where_any(cast(left, dtype), ordered, at.ndim)
    elif dtype.kind in "fc":
        step = right - left
        result = ew.where(part >= 0.5, right - step * (1 - part), left + step * part)
        result = _nan_where_any(result, ordered, at.ndim)
    else:
        result = cast(left, dtype)
    for _ in range(at.ndim):
        result = moveaxis(result, -1, 0)
    return _kept(cast(result, dtype), a, axis, keepdims, at.shape)


def _last(name: str, a: Any, axis: Any) -> Any:
    """The axes reduced over as the last one, and sorted along it."""
    axes = red.axes_of(name, a, axis)
    rest = [k for k in range(ndim(a)) if k not in axes]
    flat = reshape(transpose(a, (*rest, *axes)), shape=(*[shape(a)[k] for k in rest], red.count(a, axis)))
    return sort(flat, -1)


def _nan_where_any(result: Any, ordered: Any, extra: int) -> Any:
    """NaN, which is sorted last, where there is one among the entries."""
    if aval_of(ordered).dtype.kind not in "fc":
        return result
    last = ordered[..., -1]
    last = reshape(last, shape=(*shape(last), *(1,) * extra))
    return ew.where(ew.isnan(last), last, result)


def _kept(result: Any, a: Any, axis: Any, keepdims: Any, front: tuple[int, ...]) -> Any:
    if keepdims:
        axes = red.axes_of("quantile", a, axis)
        result = reshape(result, shape=(*front, *(1 if k in axes else m for k, m in enumerate(shape(a)))))
        return result if ndim(result) else as_array(result)
    return scalar_of(result)


@implements(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    """The middle entry, or the mean of the two in the middle."""
    refuse("median", out=out)
    a = whole(a)
    axis = axis if axis is None else axes_each_once("median", a, axis)
    n = red.count(a, axis)
    if n == 0:
        return mean(a, axis, keepdims=keepdims)  # NaN, with a warning, as NumPy's is
    dtype = np.median(np.ones(1, aval_of(a).dtype)).dtype
    ordered = _last("median", a, axis)
    result = cast(ordered[..., n // 2], dtype)
    if n % 2 == 0:
        result = (cast(ordered[..., n // 2 - 1], dtype) + result) / 2
    return _kept(_nan_where_any(result, ordered, 0), a, axis, keepdims, ())
