"""Padding, in every mode of NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import shape as sh
from xpgrad.trace.functions._table import array as as_array
from xpgrad.trace.functions._table import axis_of, beside, cast, implements, ndim, shape
from xpgrad.trace.functions.creation import linspace
from xpgrad.trace.functions.quantiles import median
from xpgrad.trace.functions.rearranging import flip, take_at
from xpgrad.trace.functions.reductions import max as greatest
from xpgrad.trace.functions.reductions import mean
from xpgrad.trace.functions.reductions import min as least
from xpgrad.trace.functions.shapes import moveaxis
from xpgrad.trace.traced import Traced
from xpgrad.trace.views import fresh

Pair = tuple[int, int]
_REPEATING = ("edge", "wrap", "reflect", "symmetric")
_STATISTICS: dict[str, Callable[..., Any]] = {
    "maximum": greatest,
    "mean": mean,
    "median": median,
    "minimum": least,
}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """One axis after another: what a later one adds goes over the corners.

    With ``mode="empty"`` the entries added are zeros.
    """
    array = as_array(array)
    n = ndim(array)
    widths = _per_axis(pad_width, array)
    if widths.dtype.kind not in "iu":
        raise TypeError("pad: pad_width must be of integers")
    pairs = tuple((int(a), int(b)) for a, b in np.broadcast_to(widths, (n, 2)))
    if (widths < 0).any():
        raise ShapeError(message("pad: widths must not be negative", {"operand": array}))
    if callable(mode):
        return _by_function(array, pairs, mode, kwargs)
    _known_to_numpy(mode, n, kwargs)
    if not n:
        return sh.copy(array, order="K")
    if mode == "empty":
        return sh.pad(array, widths=pairs)
    if mode == "constant":
        values = kwargs.get("constant_values", 0)
        if not _is_traced(values):
            return _constant(array, values, pairs)
        ends = _pairs(array, values, "constant_values")
    elif mode == "linear_ramp":
        ends = _pairs(array, kwargs.get("end_values", 0), "end_values")
    lengths = kwargs.get("stat_length")
    lengths = np.broadcast_to(max(shape(array)) if lengths is None else lengths, (n, 2))
    padded = array
    for k, (lo, hi) in enumerate(pairs):
        if not (lo or hi):
            continue
        if mode in _REPEATING:
            padded = _repeated(padded, k, (lo, hi), mode, kwargs.get("reflect_type", "even"))
            continue
        if mode == "constant":
            sides = [sh.broadcast_to(ends[k][i], shape=_slab(padded, k, m)) for i, m in ((0, lo), (1, hi))]
        elif mode == "linear_ramp":
            sides = [_ramp(padded, k, ends[k][0], lo), flip(_ramp(flip(padded, k), k, ends[k][1], hi), k)]
        else:
            sides = _statistics(padded, k, (lo, hi), mode, lengths[k])
        dtype = aval_of(array).dtype
        padded = sh.concatenate(cast(sides[0], dtype), padded, cast(sides[1], dtype), axis=k)
    return sh.copy(array, order="K") if padded is array else fresh(padded)


def _is_traced(values: Any) -> bool:
    return type(values) is Traced or (isinstance(values, (tuple, list)) and any(map(_is_traced, values)))


def _pairs(array: Any, values: Any, name: str) -> list[tuple[Any, Any]]:
    """A value for each side of each axis."""
    values = as_array(values)
    if type(values) is not Traced:
        return [(x, y) for x, y in np.broadcast_to(values, (ndim(array), 2))]
    wide = sh.broadcast_to(values, shape=(ndim(array), 2))
    return [(wide[k, 0], wide[k, 1]) for k in range(ndim(array))]


def _slab(x: Any, axis: int, width: int) -> tuple[int, ...]:
    return (*shape(x)[:axis], width, *shape(x)[axis + 1 :])


def _constant(array: Any, values: Any, pairs: tuple[Pair, ...]) -> Any:
    out = sh.pad(array, widths=pairs)
    if not np.any(values):
        return out
    inside = beside(array, np.pad(np.ones(shape(array), bool), pairs))
    fill = beside(array, np.pad(np.zeros(shape(array), aval_of(array).dtype), pairs, constant_values=values))
    return cast(ew.where(inside, out, fill), aval_of(array).dtype)


def _repeated(x: Any, axis: int, pair: Pair, mode: Any, kind: str) -> Any:
    """Entries again, or their mirror images in the first and the last entry."""
    n = shape(x)[axis]
    places = np.pad(np.arange(n), pair, mode=mode)
    padded = take_at(x, places, axis)
    if kind == "even" or mode not in ("reflect", "symmetric"):
        return padded
    # Each entry is a x[0] + b x[-1] + s x[place]; for a constant a + b + s is 1.
    first, last = ([int(i == k) for i in range(n)] for k in (0, n - 1))
    a, b = (np.pad(v, pair, mode=mode, reflect_type="odd") for v in (first, last))
    b = b if n > 1 else 0 * b
    s = np.where((places == 0) | (places == n - 1), 0, 1 - a - b)
    total: Any = None
    for weight, part in ((a, take_at(x, 0 * places, axis)), (b, take_at(x, 0 * places - 1, axis)), (s, padded)):
        w = np.asarray(weight, aval_of(x).dtype).reshape((-1,) + (1,) * (ndim(x) - axis - 1))
        term = ew.where(beside(x, w == 0), 0, part) * beside(x, w)
        total = term if total is None else total + term
    return cast(total, aval_of(x).dtype)


def _ramp(x: Any, axis: int, end: Any, width: int) -> Any:
    """From ``end`` to the first entries, which are not part of it."""
    edge = take_at(x, 0, axis)
    end = end if type(end) is Traced else aval_of(x).dtype.type(end)
    return linspace(end, edge, width, endpoint=False, dtype=aval_of(x).dtype, axis=axis)


def _statistics(x: Any, axis: int, pair: Pair, mode: str, lengths: Any) -> list[Any]:
    """A statistic of the first entries, and one of the last."""
    n, head = shape(x)[axis], (slice(None),) * axis
    sides = []
    for i, (width, length) in enumerate(zip(pair, lengths, strict=True)):
        m = min(int(length), n)
        chunk = x[(*head, slice(None, m) if i == 0 else slice(n - m, None))]
        stat = _STATISTICS[mode](chunk, axis, keepdims=True)
        stat = ew.rint(stat) if aval_of(x).dtype.kind in "iu" and mode in ("mean", "median") else stat
        sides.append(sh.broadcast_to(stat, shape=_slab(x, axis, width)))
    return sides


def _by_function(array: Any, pairs: tuple[Pair, ...], function: Callable[..., Any], keywords: Any) -> Any:
    """The function writes to each line of the array, for each axis, as NumPy says."""
    padded = sh.pad(array, widths=pairs)
    for k, pair in enumerate(pairs):
        lines = moveaxis(padded, k, -1)
        for at in np.ndindex(shape(lines)[:-1]):
            function(lines[at], pair, k, keywords)
    return padded


def _known_to_numpy(mode: Any, axes: int, keywords: dict[str, Any]) -> None:
    """NumPy's own refusal of a mode, or of a keyword beside it."""
    asked = {k: v if k in ("reflect_type", "stat_length") else 0 for k, v in keywords.items()}
    np.pad(np.zeros((1,) * axes, int), 0, mode=mode, **asked)


def _per_axis(pad_width: Any, array: Any) -> Any:
    """For each axis the entries to add before and after it; a dictionary has them for some axes."""
    if not isinstance(pad_width, dict):
        return np.asarray(pad_width)
    widths = np.zeros((ndim(array), 2), int)
    for axis, width in pad_width.items():
        widths[axis_of("pad", array, axis)] = width
    return widths
