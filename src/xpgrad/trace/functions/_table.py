"""The tables from NumPy's functions to ours, and helpers for the files that fill them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, TraceError, message
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.devices import device_of, to_device
from xpgrad.devices.door import SCALARS, admitted, is_data, is_numeric
from xpgrad.ops.elementwise import where as where_
from xpgrad.ops.shape import astype
from xpgrad.trace.traced import Traced, aval_under, strip

Function = Callable[..., Any]

TABLE: dict[Any, Function] = {}
METHODS: dict[str, Function] = {}
PROPERTIES: dict[str, Function] = {}


def implements(
    *functions: Any, method: str | None = None, prop: str | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function for NumPy's, and as a method or property of traced arrays."""

    def register(ours: Function) -> Function:
        for function in functions:
            if function is not None:  # a later NumPy's
                TABLE[function] = ours
        if method:
            METHODS[method] = ours
        if prop:
            PROPERTIES[prop] = ours
        return ours

    return register


def array(x: Any) -> Any:
    """``x`` as an operand: lists become arrays, as does what other libraries have for arrays."""
    kind = type(x)
    if kind is Traced or kind in SCALARS or (kind is np.ndarray and is_numeric(x.dtype)):
        return x
    if is_data(x):
        return admitted(x, str, "operand")
    if any(type(leaf) is Traced for leaf in _leaves(x)):
        return TABLE[np.stack](x)
    if not isinstance(x, (list, tuple, range)):
        raise DTypeError(message(f"an operand of type {type(x).__name__} is no array", {"operand": x}))
    return admitted(np.asarray(x), str, f"operand, a {type(x).__name__}")


def whole(x: Any) -> Any:
    """As `array`, with a number as an array without axes."""
    x = array(x)
    return x if hasattr(x, "shape") else np.asarray(x)


def spreads(shape: tuple[int, ...], over: tuple[int, ...]) -> bool:
    """Whether an array of ``shape`` is spread over one of the shape ``over``, and does not spread that."""
    try:
        return np.broadcast_shapes(shape, over) == over
    except ValueError:
        return False


def scalar_of(x: Any) -> Any:
    """``x``, which is a scalar where it has no axes, as most of NumPy's functions give it."""
    return x if shape(x) else x[()]


def promoting(x: Any) -> Any:
    """As `whole`, with a dtype that does not give way: NumPy makes an array of each operand first."""
    x = whole(x)
    return astype(x, dtype=x.dtype) if type(x) is Traced and aval_under(x).weak else x


def _leaves(x: Any) -> Any:
    for part in x if isinstance(x, (list, tuple)) else ():
        yield from _leaves(part) if isinstance(part, (list, tuple)) else (part,)


def ndim(x: Any) -> int:
    return len(getattr(x, "shape", ()))


def shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


def axis_of(name: str, x: Any, axis: Any) -> int:
    """``axis`` of ``x``, an integer of Python's or NumPy's, counted from the front."""
    n = ndim(x)
    k = index(axis)
    if not -n <= k < n:
        raise ShapeError(message(f"{name}: axis {k} does not fit an array of {n} axes", {"operand": x}))
    return k % n


def axes_each_once(name: str, x: Any, axis: Any) -> tuple[int, ...]:
    """One axis of ``x`` or several, in the order given, counted from the front."""
    axes = tuple(axis_of(name, x, k) for k in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ShapeError(message(f"{name}: an axis is given twice in {axis}", {"operand": x}))
    return axes


def plain(axis: Any) -> Any:
    """``axis`` of a reduction in Python's integers: None, one, or a tuple."""
    return (
        axis
        if axis is None or type(axis) is int
        else tuple(map(index, axis))
        if isinstance(axis, tuple)
        else index(axis)
    )


def shape_of(lengths: Any) -> tuple[int, ...]:
    """A shape, given as one length or as several, integers of Python's or NumPy's."""
    try:
        return (index(lengths),)
    except TypeError:
        return tuple(index(n) for n in lengths)


def refuse(name: str, **given: Any) -> None:
    """Raise for keywords whose effect a traced array cannot have."""
    for keyword, value in given.items():
        if value is not None and value is not np._NoValue:
            remedy = (
                "write y[...] = result, or out=np.zeros_like(x)" if keyword == "out" else f"leave {keyword} out"
            )
            raise TraceError(message(f"{name}: {keyword}= is not possible on a traced array", remedy=remedy))


def given(value: Any) -> bool:
    """Whether a keyword was given (NumPy marks one that was not with ``np._NoValue`` or None)."""
    return value is not None and value is not np._NoValue


def cast(x: Any, dtype: Any, casting: Any = None) -> Any:
    """``x`` with ``dtype``, if one was given; a TypeError where the rule ``casting`` forbids it."""
    if dtype is None or np.dtype(dtype) == aval_of(x).dtype:
        return x
    if casting is not None and not np.can_cast(aval_of(x).dtype, dtype, casting):
        rule = f"cast: the rule {casting!r} forbids a cast to {np.dtype(dtype)}"
        raise DTypeError(message(rule, {"operand": x}))
    return astype(x, dtype=np.dtype(dtype))


def masked(x: Any, where: Any, fill: Any) -> Any:
    """``x`` where the mask holds and ``fill`` elsewhere; no mask, no change."""
    return where_(where, x, fill) if given(where) and where is not True else x


def known(x: Any, what: str) -> Any:
    """The numbers of ``x``, for what only they can decide; an error when only shapes are traced."""
    plain = strip(x)
    if type(plain) is Traced:
        raise TraceError(message(f"{what}: decided by the data, {plain._trace.numbers}", {"operand": x}))
    return plain


def on_host(plain: Any) -> bool:
    """Whether the numbers can be looked at without waiting for a device."""
    return type(plain) is np.ndarray or isinstance(plain, SCALAR_TYPES)


def warn(condition: Any, text: str) -> None:
    """NumPy's warning where its condition holds; none while the numbers are not known, or are on a GPU."""
    plain = strip(condition)
    if on_host(plain) and bool(plain.any() if hasattr(plain, "any") else plain):
        warnings.warn(text, RuntimeWarning, stacklevel=5)


def beside(x: Any, plain: Any) -> Any:
    """The NumPy array ``plain``, on the device of ``x``."""
    return to_device(plain, device_of(x))
