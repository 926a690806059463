"""Sorting, partitioning, searching, and taking along an axis by their indices."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import OutOfBoundsError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import reductions as red
from xpgrad.ops.indexing import ARRAY, getitem
from xpgrad.ops.shape import reshape
from xpgrad.trace.functions._table import array, axis_of, cast, implements, ndim, refuse, shape


@implements(np.argsort, method="argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    refuse("argsort", order=order)
    if kind is not None and kind[:1].lower() not in ("q", "h", "s", "m"):
        raise ValueError(f"argsort: kind must be quicksort, heapsort, mergesort or stable, not {kind!r}")
    if kind is not None and stable is not None:
        raise ValueError("argsort: kind and stable cannot both be given")
    a = array(a)
    if axis is None or ndim(a) == 0:
        a, axis = reshape(a, shape=(-1,)), 0 if axis is None else axis
    return red.argsort(
        a, axis=axis_of("argsort", a, axis), stable=bool(stable) or kind in ("stable", "mergesort")
    )


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Gathers by the sorting permutation: the tangents are permuted likewise."""
    a = array(a)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    axis = axis_of("sort", a, axis)
    return take_along_axis(a, argsort(a, axis, kind, order, stable=stable), axis)


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    refuse("partition", order=order)
    a = array(a)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    axis = axis_of("partition", a, axis)
    return take_along_axis(a, argpartition(a, kth, axis, kind), axis)


@implements(np.argpartition, method="argpartition")
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    refuse("argpartition", order=order)
    if kind != "introselect":
        raise ValueError(f"argpartition: kind must be 'introselect', not {kind!r}")
    a = array(a)
    if axis is None or ndim(a) == 0:
        a, axis = reshape(a, shape=(-1,)), 0 if axis is None else axis
    kth = tuple(map(index, kth)) if np.ndim(kth) else index(kth)
    return red.argpartition(a, kth=kth, axis=axis_of("argpartition", a, axis))


@implements(np.searchsorted, method="searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', not {side!r}")
    a, v = array(a), array(v)
    if ndim(a) != 1:
        raise ShapeError(message("searchsorted: needs a vector to search in", {"operand": a}))
    return red.searchsorted(a if sorter is None else gathered(a, sorter), v, side=side)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr, indices = array(arr), array(indices)
    if axis is None:
        arr, axis = reshape(arr, shape=(-1,)), 0
    k = axis_of("take_along_axis", arr, axis)
    if aval_of(indices).dtype.kind not in "iu":
        raise OutOfBoundsError(message("take_along_axis: indices must be integers", {"indices": indices}))
    if ndim(indices) != ndim(arr):
        got = {"operand": arr, "indices": indices}
        raise ShapeError(message("take_along_axis: the indices need as many axes as the array", got))
    return getitem(arr, *along(indices, k, shape(arr)), index=_all_arrays(ndim(arr)))


def along(indices: Any, axis: int, size: tuple[int, ...]) -> list[Any]:
    """Index arrays that take ``indices`` on ``axis`` and, of ``size``, every place on every other axis."""
    places: list[Any] = []
    n = ndim(indices)
    for a in range(n):
        if a == axis:
            places.append(indices)
        else:
            line = np.arange(size[a]).reshape((1,) * a + (-1,) + (1,) * (n - a - 1))
            places.append(line)
    return places


def gathered(x: Any, at: Any) -> Any:
    """``x[at]``, where either may be traced."""
    return getitem(x, at, index=(ARRAY,))


def _all_arrays(n: int) -> tuple[Any, ...]:
    return (ARRAY,) * n


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Sorted by real parts, then by imaginary parts; always complex."""
    a = sort(a)
    dtype = aval_of(a).dtype
    return a if dtype.kind == "c" else cast(a, np.complex64 if dtype.char in "bhBH" else np.complex128)
