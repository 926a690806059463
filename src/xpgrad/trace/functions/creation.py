"""Arrays made in the likeness of a traced one, and copies. They are traced, so they can be written to."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import shape as sh
from xpgrad.trace.functions._table import array, beside, cast, implements
from xpgrad.trace.functions.shapes import moveaxis
from xpgrad.trace.views import duplicate, fresh, is_scalar


def _shape(shape: Any) -> Any:
    return None if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)


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
    """Linear in both ends, which may be arrays."""
    start, stop = array(start), array(stop)
    step = (stop - start) / max(num - 1 if endpoint else num, 1)
    weights = (np.arange(num) / max(num - 1 if endpoint else num, 1)).astype(aval_of(step).dtype)
    end = np.broadcast_shapes(np.shape(start), np.shape(stop))
    w = beside(step, weights.reshape((num,) + (1,) * len(end)))
    out = cast(moveaxis(start + w * (stop - start), 0, axis), dtype)
    return (out, step) if retstep else out


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
