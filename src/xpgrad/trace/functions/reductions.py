"""Sums, products, extrema and scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import Op, aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import broadcast_to, concatenate, full_like, reshape
from xpgrad.trace.functions._table import (
    array,
    axis_of,
    cast,
    given,
    implements,
    masked,
    ndim,
    plain,
    refuse,
    scalar_of,
    shape,
    warn,
    whole,
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
    if dtype is not None and np.dtype(dtype) == bool:
        total = red.any(a, axis=plain(axis), keepdims=_keep(keepdims))
        return total if initial is _unset else total | started(initial, aval_of(total).dtype)
    total = red.sum(a, axis=plain(axis), keepdims=False if keepdims is _unset else bool(keepdims))
    total = cast(total, dtype)
    return total if initial is _unset else total + started(initial, aval_of(total).dtype)


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
    return sum(without_nan(a, 0), axis, dtype, out, keepdims, initial, where)


def without_nan(a: Any, fill: Any) -> Any:
    """``a`` with ``fill`` for NaN, of which integers have none."""
    a = array(a)
    return ew.where(ew.isnan(a), fill, a) if aval_of(a).dtype.kind in "fc" else a


def counted(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """The number of entries of ``a`` that a reduction adds up: those in the mask that are no NaN."""
    ok = ~ew.isnan(a) if aval_of(a).dtype.kind in "fc" else full_like(a, value=True, dtype=bool)
    return red.count_nonzero(masked(ok, where, False), axis=plain(axis), keepdims=_keep(keepdims))


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
    counting = dtype is not None and np.dtype(dtype).kind not in "fc"  # then the sum may overflow
    if counting or (given(where) and where is not True):
        n = _entries(a, axis, keepdims, where)
        of = dtype if counting else aval_of(a).dtype if aval_of(a).dtype.kind in "fc" else np.dtype(float)
        total = sum(a, axis, of, keepdims=keepdims, where=where)
        return cast(total / (n if counting else cast(n, of)), dtype)
    return cast(red.mean(a, axis=plain(axis), keepdims=_keep(keepdims)), dtype)


def _entries(a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """The number of entries of ``a`` that a reduction takes."""
    if not given(where) or where is True:
        return red.count(a, axis)
    kept = broadcast_to(array(where), shape=shape(a))
    return red.count_nonzero(kept, axis=plain(axis), keepdims=_keep(keepdims))


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
    a = array(a)
    if aval_of(a).dtype.kind not in "fc":
        return mean(a, axis, dtype, keepdims=keepdims, where=where)
    exact("nanmean", a, dtype)
    n = counted(a, axis, keepdims, where)
    total = sum(without_nan(a, 0), axis, dtype, keepdims=keepdims, where=where)
    warn(n == 0, "Mean of empty slice")
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / cast(n, aval_of(total).dtype)


def exact(name: str, a: Any, dtype: Any) -> None:
    """Raise where floats are to be averaged as integers."""
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        rule = f"{name}: floats cannot be averaged as {np.dtype(dtype)}"
        raise DTypeError(message(rule, {"operand": a}))


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
    a = masked(cast(array(a), dtype), where, 1)
    if dtype is not None and np.dtype(dtype) == bool:
        total = red.all(a, axis=plain(axis), keepdims=_keep(keepdims))
        return total & started(initial, aval_of(total).dtype) if given(initial) else total
    total = cast(red.prod(a, axis=plain(axis), keepdims=_keep(keepdims)), dtype)
    return total * started(initial, aval_of(total).dtype) if given(initial) else total


@implements(np.nanprod)
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    return prod(without_nan(a, 1), axis, dtype, out, keepdims, initial, where)


def _extremum(
    op: Op, both: Op, worst: float, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    a = array(a)
    dtype = aval_of(a).dtype
    if given(where) and where is not True:
        if not given(initial):
            raise ShapeError(
                message(f"{op.name}: a mask may leave nothing, and needs initial=", {"operand": a})
            )
        a = masked(a, where, _least(dtype, worst))
    if given(initial):
        initial = started(initial, dtype)
        if 0 in shape(a):
            of = red.reduced_shape(op.name, a, axis, _keep(keepdims))
            return full_like(a, value=0, shape=of) + initial
    total = op(a, axis=plain(axis), keepdims=_keep(keepdims))
    return both(total, initial) if given(initial) else total


def started(initial: Any, dtype: np.dtype[Any]) -> Any:
    """The initial value of a reduction in its dtype; an integer that does not fit is an OverflowError."""
    if isinstance(initial, (int, float)) and dtype.kind in "iu":
        initial = np.asarray(int(initial), dtype)
    start = cast(whole(initial), dtype)
    return start[()] if type(start) is np.ndarray and not start.ndim else start  # a scalar is on any device


def _least(dtype: np.dtype[Any], worst: float) -> Any:
    """The extreme number of ``dtype`` on the side of the infinity ``worst``."""
    if dtype.kind == "b":
        return worst > 0
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max if worst > 0 else np.iinfo(dtype).min)
    return worst


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
def nanmax(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    best = max(without_nan(a, -np.inf), axis, out, keepdims, initial, where)
    return _of_any(best, a, axis, keepdims, initial)


def _of_any(best: Any, a: Any, axis: Any, keepdims: Any, initial: Any) -> Any:
    """The extremum ``best``, NaN with a warning where all entries are."""
    if given(initial) or aval_of(best).dtype.kind not in "fc":
        return best
    nothing = counted(a, axis, keepdims, True) == 0
    warn(nothing, "All-NaN slice encountered")
    return scalar_of(ew.where(nothing, np.nan, best))


@implements(np.nanmin)
def nanmin(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = _unset,
    initial: Any = _unset,
    where: Any = _unset,
) -> Any:
    best = min(without_nan(a, np.inf), axis, out, keepdims, initial, where)
    return _of_any(best, a, axis, keepdims, initial)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset) -> Any:
    return max(a, axis, out, keepdims) - min(a, axis, out, keepdims)


def _scan(op: Op, a: Any, axis: Any, dtype: Any, out: Any) -> Any:
    refuse(op.name, out=out)
    a = cast(array(a), dtype)
    if axis is None or ndim(a) == 0:
        a, axis = reshape(a, shape=(-1,)), 0 if axis is None else axis
    return cast(op(a, axis=axis_of(op.name, a, axis)), dtype)


@implements(np.cumsum, np.add.accumulate, method="cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _scan(red.cumsum, a, axis, dtype, out)


@implements(np.cumprod, np.multiply.accumulate, method="cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _scan(red.cumprod, a, axis, dtype, out)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return cumsum(without_nan(a, 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return cumprod(without_nan(a, 1), axis, dtype, out)


def one_axis(name: str, a: Any, axis: tuple[Any, ...]) -> Any:
    """The axis in a tuple of one, which NumPy's scans take too."""
    if len(axis) != 1:
        raise ShapeError(message(f"{name}: needs one axis, not {axis}", {"operand": a}))
    return axis[0]


def _cumulative(scan: Any, x: Any, axis: Any, dtype: Any, out: Any, include_initial: bool, first: int) -> Any:
    x = array(x)
    if ndim(x) == 0:
        x = reshape(x, shape=(1,))
    if axis is None and ndim(x) != 1:
        raise ShapeError(message("cumulative: axis is needed unless there is just one", {"operand": x}))
    if isinstance(axis, tuple) and not include_initial:
        axis = one_axis("cumulative", x, axis)
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
    refuse("argmax", out=out)
    return red.argmax(a, axis=plain(axis), keepdims=_keep(keepdims))


@implements(np.argmin, method="argmin")
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = _unset) -> Any:
    refuse("argmin", out=out)
    return red.argmin(a, axis=plain(axis), keepdims=_keep(keepdims))


@implements(np.any, method="any")
def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, *, where: Any = _unset) -> Any:
    refuse("any", out=out)
    if given(where):
        a = masked(ew.not_equal(a, 0), where, False)
    return red.any(a, axis=plain(axis), keepdims=_keep(keepdims))


@implements(np.all, method="all")
def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = _unset, *, where: Any = _unset) -> Any:
    refuse("all", out=out)
    if given(where):
        a = masked(ew.not_equal(a, 0), where, True)
    return red.all(a, axis=plain(axis), keepdims=_keep(keepdims))


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return red.count_nonzero(a, axis=plain(axis), keepdims=keepdims)
