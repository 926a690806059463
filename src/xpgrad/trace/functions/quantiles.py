"""Quantiles: entries of the sorted array, and interpolation between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import OutOfBoundsError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.devices import asnumpy
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import reshape
from xpgrad.trace.functions._table import (
    axes_each_once,
    beside,
    cast,
    given,
    implements,
    known,
    ndim,
    refuse,
    scalar_of,
    shape,
    warn,
    whole,
)
from xpgrad.trace.functions.ordering import argsort, gathered, sort, take_along_axis
from xpgrad.trace.functions.reductions import mean
from xpgrad.trace.functions.shapes import moveaxis, transpose
from xpgrad.trace.functions.statistics import weights_over
from xpgrad.trace.traced import Traced, strip
from xpgrad.trace.views import as_array

# These methods take an entry, and interpolate nothing, which would make NaN of two infinities.
_ENTRIES = {"inverted_cdf", "closest_observation", "lower", "higher", "nearest"}
# The most entries of a slice for which a row is made for every number of them.
_MOST_COUNTS = 4_096
# The index is linear in q, ``(n + more) q + start``: a derivative in q.
_LINES: dict[str, tuple[float, float]] = {
    "interpolated_inverted_cdf": (0, -1),
    "hazen": (0, -0.5),
    "weibull": (1, -1),
    "linear": (-1, 0),
    "median_unbiased": (1 / 3, -2 / 3),
    "normal_unbiased": (1 / 4, -5 / 8),
}


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
    """All methods of NumPy's; the two entries that a quantile lies between share its derivative.

    In ``q`` it has one where it interpolates; ``q`` must be known.
    """
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
    refuse(name, out=out)
    a, probabilities = whole(a), q
    q = known(q, name)
    axis = axis if axis is None else axes_each_once(name, a, axis)
    n = red.count(a, axis)
    dtype = _dtype(numpys, a, q, method, weights)
    if n == 0:
        raise OutOfBoundsError(message(f"{name}: no entries to take one of", {"operand": a}))
    if weights is not None:
        return _weighted(name, a, q if name == "quantile" else np.true_divide(q, 100), axis, keepdims, weights)
    # The quantile of the numbers 0, 1, ... is the index into the sorted array, with any method.
    at = np.asarray(numpys(np.arange(n, dtype=float), q, method=method))
    low = np.clip(np.floor(at), 0, n - 1).astype(np.intp)
    ordered = _last(name, a, axis)
    left, right = ordered[..., low], ordered[..., np.minimum(low + 1, n - 1)]
    part: Any = beside(a, np.asarray(at - low, dtype)) if at.ndim else dtype.type(at - low)
    if type(probabilities) is Traced and method in _LINES:
        part = part + _rate(n, q, method, 1 if name == "quantile" else 100) * (probabilities - q)
    if method in _ENTRIES:
        result = _nan_where_any(cast(left, dtype), ordered, at.ndim)
    elif dtype.kind in "fc":
        result = _nan_where_any(_between(left, right, part), ordered, at.ndim)
    else:
        result = cast(left, dtype)
    return _kept(_to_front(cast(result, dtype), at.ndim), a, axis, keepdims, at.shape)


def _dtype(numpys: Callable[..., Any], a: Any, q: Any, method: str, weights: Any) -> np.dtype[Any]:
    """The dtype that NumPy's function gives, or its error for the other arguments."""
    options = {} if weights is None else {"weights": np.ones(1)}
    found: np.dtype[Any] = numpys(np.ones(1, aval_of(a).dtype), q, method=method, **options).dtype
    return found


def _rate(n: int, q: Any, method: str, scale: int) -> Any:
    """The derivative of the index in ``q``; none where the index is held at an end."""
    more, start = _LINES[method]
    rate = (n + more) / scale
    at = rate * np.asarray(q) + start
    return np.where((at >= 0) & (at <= n - 1), rate, 0.0)


def _between(left: Any, right: Any, part: Any) -> Any:
    step = right - left
    return ew.where(part >= 0.5, right - step * (1 - part), left + step * part)


def _to_front(result: Any, axes: int) -> Any:
    for _ in range(axes):
        result = moveaxis(result, -1, 0)
    return result


def _weighted(name: str, a: Any, q: Any, axis: Any, keepdims: Any, weights: Any) -> Any:
    """The first entry up to which the weights are a share ``q`` of all: constant in the weights but for jumps.

    For ``nan...`` an entry that is NaN has no weight.
    """
    w = weights_over(name, a, weights, axis)
    w = demand(w, w >= 0, f"{name}: weights must not be negative", "weights")
    flat, w = _flat(name, a, axis), cast(_flat(name, w, axis), np.dtype(np.float64))
    if name.startswith("nan"):
        w = ew.where(ew.isnan(flat), 0.0, w)
    order = argsort(flat, -1)
    ordered, w = take_along_axis(flat, order, -1), take_along_axis(w, order, -1)
    cdf = red.cumsum(w, axis=ndim(w) - 1)
    with np.errstate(invalid="ignore"):
        cdf = cdf / cdf[..., -1:]
    if not name.startswith("nan"):
        cdf = demand(cdf, ~ew.isnan(cdf), f"{name}: the weights are all zero, or not finite", "their share")
    q = np.asarray(q)
    levels = beside(a, q.reshape(-1)) if type(a) is Traced else q.reshape(-1)
    below = ew.where(cdf == 0, -1.0, cdf)[..., None] < levels
    at = ew.minimum(red.count_nonzero(below, axis=ndim(below) - 2), shape(ordered)[-1] - 1)
    result = reshape(take_along_axis(ordered, at, -1), shape=(*shape(flat)[:-1], *q.shape))
    if not name.startswith("nan"):
        result = _nan_where_any(result, ordered, q.ndim)
    return _kept(_to_front(result, q.ndim), a, axis, keepdims, q.shape)


def _flat(name: str, a: Any, axis: Any) -> Any:
    """The axes reduced over as the last one."""
    axes = red.axes_of(name, a, axis)
    rest = [k for k in range(ndim(a)) if k not in axes]
    return reshape(transpose(a, (*rest, *axes)), shape=(*[shape(a)[k] for k in rest], red.count(a, axis)))


def _last(name: str, a: Any, axis: Any) -> Any:
    """The axes reduced over as the last one, and sorted along it."""
    return sort(_flat(name, a, axis), -1)


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


# ── without NaN ──────────────────────────────────────────────────────────────────────────────
@implements(np.nanquantile)
def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = np._NoValue,
    *,
    weights: Any = None,
) -> Any:
    return _nanquantile("nanquantile", np.nanquantile, a, q, axis, out, method, keepdims, weights)


@implements(np.nanpercentile)
def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = np._NoValue,
    *,
    weights: Any = None,
) -> Any:
    return _nanquantile("nanpercentile", np.nanpercentile, a, q, axis, out, method, keepdims, weights)


def _nanquantile(
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
    """Each slice has its own number of entries, and with it its own index."""
    refuse(name, out=out)
    a, keepdims = whole(a), bool(keepdims) if given(keepdims) else False
    if aval_of(a).dtype.kind not in "fc":
        plain, of = (quantile, np.quantile) if name == "nanquantile" else (percentile, np.percentile)
        return _quantile(plain.__name__, of, a, q, axis, out, method, keepdims, weights)
    if type(q) is Traced:
        raise TraceError(message(f"{name}: q cannot be traced", {"q": q}, remedy="xg.stop_gradient(q)"))
    dtype = _dtype(numpys, a, q, method, weights)
    axis = axis if axis is None else axes_each_once(name, a, axis)
    n = red.count(a, axis)
    if n == 0:
        return mean(a, axis, keepdims=keepdims)  # NaN, with a warning, as NumPy's is
    if weights is not None:
        share = q if name == "nanquantile" else np.true_divide(q, 100)
        return _weighted(name, a, share, axis, keepdims, weights)
    ordered, m = _sorted_and_counted(name, a, axis)
    q = np.asarray(q)
    at = gathered(beside(a, _indices(name, numpys, m, n, q, method)), m)
    low = cast(ew.floor(at), np.dtype(np.intp))
    last = ew.maximum(m - 1, 0)
    last = reshape(last, shape=(*shape(last), *(1,) * q.ndim))
    flat = (*shape(ordered)[:-1], q.size)
    left, right = (
        reshape(take_along_axis(ordered, reshape(k, shape=flat), -1), shape=(*flat[:-1], *q.shape))
        for k in (low, ew.minimum(low + 1, last))
    )
    result = left if method in _ENTRIES else _between(left, right, cast(at - low, dtype))
    return _kept(_to_front(cast(result, dtype), q.ndim), a, axis, keepdims, q.shape)


def _sorted_and_counted(name: str, a: Any, axis: Any) -> tuple[Any, Any]:
    """The entries sorted along the last axis, NaN at the end, and the number of those that are none."""
    ordered = _last(name, a, axis)
    m = red.count_nonzero(~ew.isnan(ordered), axis=ndim(ordered) - 1)
    warn(m == 0, "All-NaN slice encountered")
    return ordered, m


def _indices(name: str, numpys: Callable[..., Any], counts: Any, n: int, q: Any, method: str) -> Any:
    """In row ``m`` the index among ``m`` sorted entries, of those numbers that occur among ``counts``."""
    plain = strip(counts)
    asked = range(n + 1) if type(plain) is Traced else np.unique(asnumpy(plain)).tolist()
    if len(asked) > _MOST_COUNTS:
        raise TraceError(
            message(
                f"{name}: more than {_MOST_COUNTS:,} entries, whose NaN are not known while tracing",
                remedy="leave this function out of what is compiled",
            )
        )
    table = np.zeros((n + 1, *q.shape))
    for m in asked:
        if m:
            table[m] = numpys(np.arange(m, dtype=float), q, method=method)
    return table


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = np._NoValue
) -> Any:
    refuse("nanmedian", out=out)
    a, keepdims = whole(a), bool(keepdims) if given(keepdims) else False
    axis = axis if axis is None else axes_each_once("nanmedian", a, axis)
    if aval_of(a).dtype.kind not in "fc" or red.count(a, axis) == 0:
        return median(a, axis, keepdims=keepdims)
    ordered, m = _sorted_and_counted("nanmedian", a, axis)
    left, right = (
        take_along_axis(ordered, k[..., None], -1)[..., 0] for k in (ew.maximum(m - 1, 0) // 2, m // 2)
    )
    return _kept(ew.where(m % 2 == 1, left, (left + right) / 2), a, axis, keepdims, ())
