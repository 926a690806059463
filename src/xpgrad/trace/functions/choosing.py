"""Choosing by number, condition or place: windows, pieces, choices, and calls for each line."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as windows_of

from xpgrad._errors import DTypeError, OutOfBoundsError, ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import shape as sh
from xpgrad.ops.requirements import demand
from xpgrad.trace.functions._table import (
    array,
    axes_each_once,
    axis_of,
    cast,
    implements,
    known,
    ndim,
    refuse,
    scalar_of,
    shape,
    shape_of,
    whole,
)
from xpgrad.trace.functions.ordering import gathered
from xpgrad.trace.functions.rearranging import take_at
from xpgrad.trace.functions.shapes import as_arrays, moveaxis, stack
from xpgrad.trace.traced import Traced, strip


@implements(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    """The fraction, with the sign of ``x`` and its derivative, and the whole part, which is constant."""
    x = array(x)
    x = x if aval_of(x).dtype.kind == "f" else cast(whole(x), np.modf(np.ones((), aval_of(x).dtype))[0].dtype)
    with np.errstate(invalid="ignore"):
        fraction = ew.where(ew.isinf(x), ew.copysign(0.0, x), ew.fmod(x, 1.0))
    return scalar_of(fraction), scalar_of(ew.trunc(x))


@implements(windows_of)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """A copy: the windows overlap, and a write to one would show in the others."""
    if writeable:
        raise TraceError(
            message("sliding_window_view: overlapping windows of a traced array cannot be written")
        )
    x = array(x)
    window = shape_of(window_shape)
    axes = range(ndim(x)) if axis is None else [axis_of("sliding_window_view", x, k) for k in shape_of(axis)]
    if len(window) != len(axes):
        rule = f"sliding_window_view: a window of {len(window)} axes for {len(axes)} axes"
        raise ShapeError(message(rule, {"operand": x}))
    if any(w < 0 for w in window):
        raise ValueError(f"sliding_window_view: a window cannot be negative, got {window}")
    n = ndim(x)
    for k, w in zip(axes, window, strict=True):
        length = shape(x)[k] - w + 1
        if length < 1:
            raise ShapeError(
                message("sliding_window_view: the window is larger than the array", {"operand": x})
            )
        x = moveaxis(take_at(x, np.arange(length)[:, None] + np.arange(w), k), k + 1, -1)
    assert ndim(x) == n + len(window)
    return x


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function is called with the entries where its condition holds, as in NumPy.

    Where the conditions are not known, with all entries, of which those where it does not hold are replaced.
    The function must then treat each entry by itself.
    """
    x = whole(x)
    conditions = _conditions(x, condlist)
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        every = conditions[0]
        for condition in conditions[1:]:
            every = every | condition
        conditions.append(~every)
    if len(functions) != len(conditions):
        n = len(conditions)
        raise ValueError(f"piecewise: {n} conditions need {n} or {n + 1} functions, got {len(functions)}")
    out = sh.full_like(x, value=0)
    seen = all(type(strip(c)) is not Traced for c in conditions)
    for condition, function in zip(conditions, functions, strict=True):
        if seen and ndim(x):
            out = _piece(out, x, strip(condition), function, args, kw)
        else:
            out = _everywhere(out, x, condition, function, args, kw)
    return out


def _conditions(x: Any, condlist: Any) -> list[Any]:
    """Boolean arrays of the shape of ``x``."""
    if not isinstance(condlist, (list, tuple)) or (
        ndim(x) and all(isinstance(c, (bool, np.bool_)) for c in condlist)
    ):
        whole_list = array(condlist)
        single = ndim(whole_list) <= ndim(x) and (ndim(x) or ndim(whole_list) == 0)
        condlist = [whole_list] if single else [whole_list[i] for i in range(shape(whole_list)[0])]
    found = []
    for condition in condlist:
        condition = array(condition)
        condition = condition if aval_of(condition).dtype.kind == "b" else ew.not_equal(condition, 0)
        found.append(sh.broadcast_to(condition, shape=shape(x)))
    return found


def _piece(out: Any, x: Any, condition: Any, function: Any, args: Any, kw: Any) -> Any:
    at = np.flatnonzero(condition) if type(condition) is np.ndarray else condition.ravel().nonzero()[0]
    if not callable(function):
        return cast(ew.where(condition, array(function), out), aval_of(out).dtype)
    if not at.size:
        return out
    values = function(sh.reshape(x, shape=(-1,))[at], *args, **kw)
    if type(out) is not Traced:
        out = sh.full_like(x, value=0) + out
    out = sh.copy(out, order="K")
    out[condition] = values
    return out


def _everywhere(out: Any, x: Any, condition: Any, function: Any, args: Any, kw: Any) -> Any:
    values = array(function) if not callable(function) else None
    if values is None:
        flat = sh.reshape(x, shape=(-1,))
        inside = flat[np.argmax(sh.reshape(condition, shape=(-1,)))] if shape(flat)[0] else 0.0
        values = function(ew.where(condition, x, sh.stop_gradient(inside)), *args, **kw)
        if shape(values) not in ((), shape(x)):
            rule = "piecewise: where the conditions are not known, a function must treat each entry by itself"
            raise ShapeError(message(rule, {"operand": x, "result": values}))
    return cast(ew.where(condition, values, out), aval_of(out).dtype)


@implements(np.choose, method="choose")
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    refuse("choose", out=out)
    a = array(a)
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"choose: mode must be raise, wrap or clip, not {mode!r}")
    if aval_of(a).dtype.kind not in "biu":
        raise DTypeError(message("choose: needs integers to choose by", {"operand": a}))
    listed = choices if isinstance(choices, (list, tuple)) else [choices[i] for i in range(shape(choices)[0])]
    parts = as_arrays(listed)
    n = len(parts)
    if mode == "raise":
        a = demand(a, (a >= 0) & (a < n), f"choose: the index must be one of {n} choices", "index")
    if mode == "wrap":
        a = a % n
    dtype = np.result_type(*[aval_of(p).dtype for p in parts])
    chosen = cast(parts[-1], dtype)
    for k in reversed(range(n - 1)):
        at = a <= k if mode == "clip" else ew.equal(a, k)
        chosen = ew.where(at, cast(parts[k], dtype), chosen)
    lengths = np.broadcast_shapes(shape(a), *map(shape, parts))
    return sh.broadcast_to(chosen, shape=lengths)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """The entries over and over, as many as there is room for."""
    flat, lengths = sh.reshape(array(a), shape=(-1,)), shape_of(new_shape)
    if any(n < 0 for n in lengths):
        raise ValueError(f"resize: the lengths must not be negative, got {lengths}")
    size, n = int(np.prod(lengths)), shape(flat)[0]
    if not n:
        return sh.full_like(flat, value=0, shape=lengths)
    return sh.reshape(flat[np.arange(size) % n], shape=lengths)


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """The values go in turn to the places of the mask, and start again when they run out."""
    mask, vals = sh.reshape(array(mask), shape=(-1,)), sh.reshape(whole(vals), shape=(-1,))
    if aval_of(mask).size != aval_of(arr).size:
        raise ShapeError(message("place: the mask does not fit the array", {"array": arr, "mask": mask}))
    mask = mask if aval_of(mask).dtype.kind == "b" else ew.not_equal(mask, 0)
    if not shape(vals)[0]:
        if bool(np.any(known(mask, "place"))):
            raise ValueError("place: there are no values to put in place")
        return
    turn = np.maximum(np.cumsum(mask) - 1, 0) % shape(vals)[0]
    new = ew.where(mask, cast(gathered(vals, turn), aval_of(arr).dtype), sh.reshape(arr, shape=(-1,)))
    arr[...] = sh.reshape(new, shape=shape(arr))


@implements(np.put, method="put")
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Writes to places in the flat array, with the values over and over."""
    if type(a) is not Traced:
        remedy = "write to a traced array: np.zeros_like(x)"
        raise TraceError(message("put: a plain array cannot hold a traced value", remedy=remedy))
    target: Any = a
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"put: mode must be raise, wrap or clip, not {mode!r}")
    at, n = np.asarray(known(ind, "put")).reshape(-1), aval_of(a).size
    if mode == "wrap":
        at = at % n
    elif mode == "clip":
        at = np.clip(at, 0, n - 1)
    if at.size and bool(np.any((at < -n) | (at >= n))):
        raise OutOfBoundsError(message(f"put: an index outside an array of {n} entries", {"array": a}))
    v = sh.reshape(whole(v), shape=(-1,))
    if at.size and shape(v)[0]:
        target[np.unravel_index(at % n, shape(a))] = v[np.arange(at.size) % shape(v)[0]]


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """One call for each line along the axis."""
    arr = array(arr)
    k = axis_of("apply_along_axis", arr, axis)
    lines = moveaxis(arr, k, -1)
    rest = shape(lines)[:-1]
    if not all(rest):
        raise ValueError("apply_along_axis: there is no line to apply the function to")
    results = [whole(func1d(lines[at], *args, **kwargs)) for at in np.ndindex(rest)]
    each = shape(results[0])
    out = sh.reshape(stack(results, 0), shape=(*rest, *each))
    source = tuple(range(len(rest), len(rest) + len(each)))
    return moveaxis(out, source, tuple(range(k, k + len(each)))) if each else out


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """The function for one axis after another, each of which stays with the length 1."""
    a = array(a)
    for k in axes_each_once("apply_over_axes", a, tuple(np.atleast_1d(axes).tolist())):
        result = func(a, index(k))
        a = result if ndim(result) == ndim(a) else np.expand_dims(result, k)
        if ndim(a) != ndim(result) and ndim(result) != ndim(a) - 1:
            raise ValueError("apply_over_axes: the function must keep the axis, or remove it")
    return a
