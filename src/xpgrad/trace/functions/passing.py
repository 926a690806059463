"""Functions whose results have no derivative: they get the numbers of an array, or its shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, message
from xpgrad._trees import tree_map
from xpgrad.core import aval_of
from xpgrad.devices import asnumpy
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.trace.functions._table import TABLE, array, axis_of, implements, known, ndim, on_host, shape
from xpgrad.trace.functions.ordering import argsort, take_along_axis
from xpgrad.trace.functions.shapes import as_arrays, concatenate
from xpgrad.trace.traced import Traced, strip
from xpgrad.trace.views import as_array as traced_array


def _by_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which asks for shapes and dtypes alone."""

    def stand_in(x: Any) -> Any:
        return np.broadcast_to(np.zeros((), x.dtype), x.shape) if type(x) is Traced else x

    return lambda *args, **kwargs: function(*tree_map(stand_in, args), **tree_map(stand_in, kwargs))


_BY_SHAPE: tuple[Callable[..., Any], ...] = (
    np.result_type,
    np.can_cast,
    np.common_type,
    np.min_scalar_type,
    np.diag_indices_from,
    np.tril_indices_from,
    np.triu_indices_from,
    np.einsum_path,
)
TABLE.update({function: _by_shape(function) for function in _BY_SHAPE})


def _by_numbers(function: Callable[..., Any], writes: bool = False) -> Callable[..., Any]:
    """The function, which asks for numbers; on the host where it writes them."""
    name = function.__name__

    def of(x: Any) -> Any:
        if type(x) is not Traced:
            return x
        return asnumpy(known(x, name)) if writes else known(x, name)

    return lambda *args, **kwargs: function(*tree_map(of, args), **tree_map(of, kwargs))


_BY_NUMBERS: tuple[Callable[..., Any], ...] = (
    np.array_equiv,
    np.shares_memory,
    np.may_share_memory,
    np.spacing,
)
_WRITING: tuple[Callable[..., Any], ...] = (np.save, np.savez, np.savez_compressed, np.savetxt)
TABLE.update({function: _by_numbers(function) for function in _BY_NUMBERS})
TABLE.update({function: _by_numbers(function, writes=True) for function in _WRITING})


@implements(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    if kind not in (None, "sort", "table"):
        raise ValueError(f"isin: kind must be sort, table or None, not {kind!r}")
    element, among = array(element), np.reshape(array(test_elements), (-1,))
    found = red.any(ew.equal(np.reshape(element, (*shape(element), 1)), among), axis=-1)
    found = ~found if invert else found
    return traced_array(found) if type(found) is Traced else np.asarray(found) if on_host(found) else found


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """Stable sorts by one key after another; the last counts most."""
    rows = as_arrays(
        list(keys) if isinstance(keys, (list, tuple)) else [keys[i] for i in range(shape(keys)[0])]
    )
    k = axis_of("lexsort", rows[0], axis)
    order = argsort(rows[0], k, stable=True)
    for row in rows[1:]:
        order = take_along_axis(order, argsort(take_along_axis(row, order, k), k, stable=True), k)
    return order


@implements(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = np._NoValue) -> Any:
    return np.argmax(_without_nan("nanargmax", a, axis, -np.inf), axis, out, keepdims=keepdims)


@implements(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = np._NoValue) -> Any:
    return np.argmin(_without_nan("nanargmin", a, axis, np.inf), axis, out, keepdims=keepdims)


def _without_nan(name: str, a: Any, axis: Any, worst: float) -> Any:
    a = array(a)
    if aval_of(a).dtype.kind not in "fc":
        return a
    nan = ew.isnan(a)
    nothing = strip(red.all(nan, axis=axis))
    if on_host(nothing) and np.any(nothing):
        raise OutOfBoundsError(message(f"{name}: all entries of a slice are NaN", {"operand": a}))
    return ew.where(nan, worst, a)


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    return ew.equal(_ordered("isposinf", x), np.inf)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    return ew.equal(_ordered("isneginf", x), -np.inf)


def _ordered(name: str, x: Any) -> Any:
    x = array(x)
    if aval_of(x).dtype.kind == "c":
        raise DTypeError(message(f"{name}: complex numbers have no sign", {"operand": x}))
    return x


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return ew.not_equal(np.imag(x), 0)


# ── sets: the values keep their derivative ───────────────────────────────────────────────────
@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    return np.unique(concatenate(as_arrays([np.ravel(array(ar1)), np.ravel(array(ar2))])))


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    ar1 = np.ravel(array(ar1)) if assume_unique else np.unique(array(ar1))
    return ar1[known(isin(ar1, ar2, invert=True), "setdiff1d")]


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Zeros at the ends, which only the numbers show."""
    filt = array(filt)
    if ndim(filt) != 1:
        filt = np.ravel(filt) if ndim(filt) == 0 else filt
    places = np.flatnonzero(asnumpy(known(filt, "trim_zeros")))
    first = int(places[0]) if places.size and "f" in trim.lower() else 0
    last = int(places[-1]) + 1 if places.size and "b" in trim.lower() else shape(filt)[0]
    return filt[first:last] if places.size else filt[:0]
