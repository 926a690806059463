"""Functions of the array API standard that NumPy has with other keywords or rules, or not at all.

Each gets the array module first, for what it makes of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, message
from xpgrad.core import aval_of
from xpgrad.ops.shape import copy as copied
from xpgrad.trace.functions._table import TABLE, array, axis_of, cast, whole
from xpgrad.trace.functions.ordering import argsort as argsort_
from xpgrad.trace.functions.ordering import take_along_axis
from xpgrad.trace.traced import Traced

OURS: dict[str, Callable[..., Any]] = {}


def _ours(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of the standard, which gets the array module first."""
    OURS[function.__name__.strip("_")] = function
    return function


@_ours
def asarray(xp: Any, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """A traced array as it is unless a copy is asked for; a list of traced parts is stacked."""
    x = obj if type(obj) is Traced else array(obj)
    if type(x) is not Traced:
        return xp.asarray(x, dtype=dtype, copy=copy)
    out = x if dtype is None else TABLE["astype"](x, dtype, copy=False)
    if out is x:
        return copied(out, order="K") if copy else out
    if copy is False:
        raise ValueError(f"asarray: a cast from {x.dtype} to {out.dtype} needs a copy")
    return out


@_ours
def array_(xp: Any, object: Any, dtype: Any = None, *, copy: Any = True) -> Any:
    """As `asarray`, and a copy."""
    return asarray(xp, object, dtype=dtype, copy=copy)


@_ours
def from_dlpack(xp: Any, x: Any, /, *, device: Any = None, copy: Any = None) -> Any:
    if type(x) is Traced:
        return asarray(xp, x, copy=copy)
    return xp.from_dlpack(x, **({} if copy is None else {"copy": copy}))


@_ours
def full(xp: Any, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    if type(fill_value) is Traced:
        return TABLE[np.full_like](fill_value, fill_value, dtype=dtype, shape=shape)
    return xp.full(shape, fill_value, dtype=dtype)


@_ours
def astype(xp: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    if type(x) is not Traced:
        return xp.asarray(x).astype(dtype, copy=copy)
    if x.dtype.kind == "c" and np.dtype(dtype).kind in "iuf":
        raise DTypeError(
            message(
                f"astype: the standard casts no complex numbers to {np.dtype(dtype)}",
                {"array": x},
                remedy="xp.real(x) first",
            )
        )
    return TABLE["astype"](x, dtype, copy=copy)


@_ours
def argsort(xp: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Stable, in either direction: what is alike stays in its order."""
    x = whole(x)
    if not descending:
        return argsort_(x, axis, stable=stable)
    k = axis_of("argsort", x, axis)
    places = argsort_(np.flip(x, k), k, stable=stable)
    return np.flip(x.shape[k] - 1 - places, k)


@_ours
def sort(xp: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    x = whole(x)
    return take_along_axis(x, argsort(xp, x, axis=axis, descending=descending, stable=stable), axis)


def _complex(x: Any) -> Any:
    dtype = aval_of(x).dtype
    return cast(x, np.complex64 if dtype == np.float32 else np.complex128) if dtype.kind != "c" else x


@_ours
def linalg_eig(xp: Any, x: Any, /) -> Any:
    """Complex, whatever the eigenvalues are."""
    found = np.linalg.eig(x)
    return type(found)(_complex(found[0]), _complex(found[1]))


@_ours
def linalg_eigvals(xp: Any, x: Any, /) -> Any:
    return _complex(np.linalg.eigvals(x))
