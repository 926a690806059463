"""New arrays like a traced one, and copies; they are traced, so they can be written to."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import shape as sh
from xpgrad.ops._define import floating
from xpgrad.ops.requirements import demand
from xpgrad.trace.functions._table import array, beside, cast, implements, ndim, shape_of, whole
from xpgrad.trace.functions._table import shape as shape_of_array
from xpgrad.trace.functions.shapes import moveaxis
from xpgrad.trace.traced import aval_under
from xpgrad.trace.views import duplicate, fresh, is_scalar


def _shape(shape: Any) -> Any:
    return None if shape is None else shape_of(shape)


@implements(np.zeros_like)
def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    return sh.full_like(a, value=0, shape=_shape(shape), dtype=dtype)


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    return sh.full_like(a, value=1, shape=_shape(shape), dtype=dtype)


@implements(np.empty_like)
def empty_like(
    prototype: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Zeros: what is not written yet has a value that does not change from run to run."""
    return zeros_like(prototype, dtype, shape=shape)


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    base = sh.full_like(a, value=0, shape=_shape(shape), dtype=dtype)
    if isinstance(fill_value, (int, float, complex)):
        return sh.full_like(a, value=fill_value, shape=_shape(shape), dtype=dtype)
    wide = sh.broadcast_to(array(fill_value), shape=tuple(base.shape))
    return fresh(cast(wide, aval_of(base).dtype))


@implements(np.linspace)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """Linear in both ends, which may be arrays; the last entry is ``stop`` itself."""
    num = index(num)
    if num < 0:
        raise ValueError(f"linspace: the number of samples must not be negative, got {num}")
    common = floating(*map(aval_under, (array(start), array(stop))))
    start, stop = (cast(x, common) if hasattr(x, "shape") else x * 1.0 for x in map(array, (start, stop)))
    delta, parts = stop - start, num - 1 if endpoint else num
    k = np.arange(num).reshape((num,) + (1,) * ndim(delta))
    k = beside(delta, np.asarray(k, aval_of(delta).dtype))
    step: Any = np.nan
    if parts > 0:
        step = delta / parts
        # A step below the smallest number is none, though the ends differ.
        rise = ew.where(step == 0, k / parts * delta, k * step)
    else:
        rise = k * delta
    out = start + rise
    if endpoint and num > 1:
        last = sh.broadcast_to(cast(stop, aval_of(out).dtype), shape=(1, *shape_of_array(delta)))
        out = sh.concatenate(out[:-1], last, axis=0)
    if dtype is not None and np.issubdtype(dtype, np.integer):
        out = ew.floor(out)
    out = cast(moveaxis(out, 0, axis), dtype)
    return (out, step) if retstep else out


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    """Powers of ``base``, which may be an array too."""
    start, stop, base = array(start), array(stop), array(base)
    if ndim(base):
        lengths = np.broadcast_shapes(*map(shape_of_array, (start, stop, base)))
        start, stop, base = (sh.broadcast_to(x, shape=lengths) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    powers = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return cast(powers, dtype)


def _not_zero(x: Any, name: str) -> Any:
    return demand(x, ew.not_equal(x, 0), "geomspace: a geometric sequence has no zero", name)


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """The ends are ``start`` and ``stop`` themselves."""
    num = index(num)
    of = np.result_type(aval_of(whole(start)).dtype, aval_of(whole(stop)).dtype, np.float64, dtype or float)
    start, stop = (cast(_not_zero(whole(x), name), of) for x, name in ((start, "start"), (stop, "stop")))
    turn = np.sign(start)
    start, stop = start / turn, stop / turn
    shape = np.broadcast_shapes(shape_of_array(start), shape_of_array(stop))
    first, last = (sh.broadcast_to(x, shape=(1, *shape)) for x in (start, stop))
    if num == 1:
        out = first
    else:
        out = logspace(np.log10(start), np.log10(stop), num, endpoint)
        if num > 1:
            out = sh.concatenate(first, *([out[1:-1], last] if endpoint else [out[1:]]), axis=0)
    return cast(moveaxis(out * turn, 0, axis), dtype)


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return sh.copy(array(a), order=order)


@implements(method="copy")
def copy_method(a: Any, order: str = "C") -> Any:
    return duplicate(a, order)


@implements(method="view")
def view(a: Any, dtype: Any = None, type: Any = None) -> Any:
    """Another array on the same memory; as another type it cannot be read."""
    if (dtype is None or dtype is np.ndarray or np.dtype(dtype) == a.dtype) and type in (None, np.ndarray):
        return a.snapshot() if is_scalar(a) else a[...]
    raise TraceError(
        message("view: a traced array's memory cannot be read as another type", remedy="use astype")
    )


@implements(np.array_repr, np.array_str, np.array2string)
def array_repr(arr: Any, *args: Any, **kwargs: Any) -> str:
    return repr(arr)
