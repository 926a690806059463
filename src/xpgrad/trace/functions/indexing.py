"""Selecting and writing entries by number or mask."""

from __future__ import annotations

from operator import index
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops.complex import real
from xpgrad.ops.indexing import ARRAY, index_update, scatter_add
from xpgrad.ops.shape import broadcast_to, reshape
from xpgrad.trace.functions._table import array, axis_of, cast, implements, known, ndim, refuse, shape
from xpgrad.trace.functions.ordering import along, partition, sort
from xpgrad.trace.functions.shapes import as_arrays, concatenate, moveaxis
from xpgrad.trace.traced import Traced


@implements(np.take, method="take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    refuse("take", out=out)
    a = array(a)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    k = axis_of("take", a, axis)
    n = shape(a)[k]
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"take: mode must be raise, wrap or clip, not {mode!r}")
    at = np.asarray(indices) if isinstance(indices, (list, tuple)) else indices
    kind = at.dtype.kind if hasattr(at, "dtype") else ""
    if kind == "b" or (isinstance(indices, (list, tuple)) and not at.size):
        at = at.astype(np.intp)  # here True is the index 1; NumPy's dtype of an empty list is float64
    if mode != "raise" and not n and np.size(at):
        raise OutOfBoundsError(message("take: no entries to take from", {"operand": a}))
    if mode == "wrap":
        at = at % n
    elif mode == "clip" and n:
        at = np.clip(at, 0, n - 1)
    return a[(*(slice(None),) * k, at)]


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    refuse("compress", out=out)
    return take(a, np.flatnonzero(known(array(condition), "compress")), axis)


@implements(method="compress")
def compress_method(a: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return compress(condition, a, axis, out)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return compress(np.ravel(condition), arr)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    if axis is None:
        arr, axis = reshape(arr, shape=(-1,)), 0
    return take(arr, np.delete(np.arange(shape(arr)[axis]), obj), axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """The entries before, the new ones and those after; several places gather from all."""
    if axis is None:
        arr, axis = reshape(array(arr), shape=(-1,)), 0
    k = axis_of("insert", arr, axis)
    n = shape(arr)[k]
    arr, values = as_arrays([arr, values])
    values = cast(values, aval_of(arr).dtype)
    places = np.arange(*obj.indices(n)) if isinstance(obj, slice) else np.asarray(known(obj, "insert"))
    if places.dtype.kind == "b":
        places = np.flatnonzero(places)
    if places.ndim > 1:
        raise ShapeError(message("insert: places must be a number or a vector", {"places": places}))
    if ((places < -n) | (places > n)).any():
        raise OutOfBoundsError(message(f"insert: a place outside an axis of length {n}", {"places": places}))
    places = np.where(places < 0, places + n, places).astype(np.intp)
    head = (slice(None),) * k
    if places.size == 1:
        if ndim(values) < ndim(arr):
            values = reshape(values, shape=(1,) * (ndim(arr) - ndim(values)) + shape(values))
        if places.ndim == 0:
            values = moveaxis(values, 0, k)
        values = broadcast_to(values, shape=(*shape(arr)[:k], shape(values)[k], *shape(arr)[k + 1 :]))
        i = int(places.reshape(-1)[0])
        return concatenate([arr[(*head, slice(None, i))], values, arr[(*head, slice(i, None))]], k)
    new = places.size
    values = broadcast_to(values, shape=(*shape(arr)[:k], new, *shape(arr)[k + 1 :]))
    places[places.argsort(kind="stable")] += np.arange(new)
    source = np.full(n + new, -1)
    source[places] = n + np.arange(new)
    source[source < 0] = np.arange(n)
    return take(concatenate([arr, values], k), source, k)


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """Sums of weights by code; the codes decide how many there are."""
    codes = known(x, "bincount")
    codes = np.asarray(codes) if isinstance(codes, (list, tuple)) else codes
    counts = np.bincount(codes, minlength=minlength)
    if weights is None:
        return counts
    weights = cast(array(weights), np.dtype(np.float64), "safe")
    if shape(weights) != codes.shape:
        raise ShapeError(
            message("bincount: needs a weight for each code", {"codes": codes, "weights": weights})
        )
    return scatter_add(weights, codes, index=(ARRAY,), shape=counts.shape)


@implements(np.nonzero, method="nonzero")
def nonzero(a: Any) -> Any:
    return np.nonzero(known(a, "nonzero"))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return np.flatnonzero(known(a, "flatnonzero"))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    return np.argwhere(known(a, "argwhere"))


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    if type(arr) is not Traced:
        remedy = "write to a traced array: np.zeros_like(x)"
        raise TraceError(message("put_along_axis: a plain array cannot hold a traced value", remedy=remedy))
    flat = reshape(arr, shape=(-1,)) if axis is None else arr
    k = axis_of("put_along_axis", flat, 0 if axis is None else axis)
    places = along(array(indices), k, shape(flat))
    new = index_update(flat, array(values), *places, index=(ARRAY,) * ndim(flat))
    arr.become(new if axis is not None else reshape(new, shape=shape(arr)))


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if ndim(a) < 2:
        raise ShapeError(message("fill_diagonal: needs two axes or more", {"array": a}))
    if ndim(a) == 2:
        rows, columns = shape(a)
        step, end = columns + 1, rows * columns if wrap else min(rows, columns) * columns
    else:
        if len(set(shape(a))) > 1:
            raise ShapeError(message("fill_diagonal: all axes need the same length", {"array": a}))
        step, end = 1 + sum(shape(a)[0] ** i for i in range(1, ndim(a))), shape(a)[0] ** ndim(a)
    places = np.unravel_index(np.arange(0, end, step), shape(a))
    val = array(val)
    if ndim(val):
        val = reshape(val, shape=(-1,))[np.arange(len(places[0])) % aval_of(val).size]
    a[places] = val


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    src = array(src)
    if not isinstance(src, (int, float, complex)) and not np.can_cast(aval_of(src).dtype, dst.dtype, casting):  # type: ignore[arg-type]
        rule = f"copyto: the rule {casting!r} forbids the cast"
        raise DTypeError(message(rule, {"array": dst, "value": src}))
    if aval_of(src).dtype.kind == "c" and dst.dtype.kind != "c":
        src = real(src)
    dst[...] = src if where is True else ew.where(where, src, dst)


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Values of another shape go by place in the flat array, and start again when they run out."""
    mask, values = array(mask), array(values)
    n, m = aval_of(a).size, aval_of(values).size
    if aval_of(mask).size != n:
        raise ShapeError(message("putmask: the mask does not fit the array", {"array": a, "mask": mask}))
    if m == 0:
        return
    if shape(mask) != shape(a):
        mask = reshape(mask, shape=shape(a))
    if ndim(values) and shape(values) != shape(a):
        values = reshape(values, shape=(-1,))[np.arange(n).reshape(shape(a)) % m]
    copyto(a, values, where=mask)


@implements(method="fill")
def fill(a: Any, value: Any) -> None:
    a[...] = value


@implements(method="sort")
def sort_in_place(a: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    a.become(sort(a, index(axis), kind, order, stable=stable))


@implements(method="partition")
def partition_in_place(a: Any, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    a.become(partition(a, kth, index(axis), kind, order))


@implements(np.unique)
def unique(ar: Any, *args: Any, **kwargs: Any) -> Any:
    """The values keep their derivative; a repeated one takes that of its first occurrence."""
    plain = known(ar, "unique")
    axis = args[3] if len(args) > 3 else kwargs.get("axis")
    _, first = np.unique(plain, return_index=True, axis=axis, equal_nan=kwargs.get("equal_nan", True))
    outs = np.unique(plain, *args, **kwargs)
    values = reshape(ar, shape=(-1,))[first] if axis is None else take(ar, first, axis)
    return (values, *outs[1:]) if isinstance(outs, tuple) else values


class UniqueAll(NamedTuple):
    """What the standard's ``unique_all`` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What the standard's ``unique_counts`` gives."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What the standard's ``unique_inverse`` gives."""

    values: Any
    inverse_indices: Any


@implements(getattr(np, "unique_all", None))
def unique_all(x: Any, /) -> UniqueAll:
    values, indices, inverse, counts = unique(x, True, True, True, equal_nan=False)
    return UniqueAll(values, indices, inverse.reshape(aval_of(x).shape), counts)


@implements(getattr(np, "unique_counts", None))
def unique_counts(x: Any, /) -> UniqueCounts:
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False))


@implements(getattr(np, "unique_inverse", None))
def unique_inverse(x: Any, /) -> UniqueInverse:
    values, inverse = unique(x, return_inverse=True, equal_nan=False)
    return UniqueInverse(values, inverse.reshape(aval_of(x).shape))


@implements(getattr(np, "unique_values", None))
def unique_values(x: Any, /) -> Any:
    """In the order that NumPy gives them, which need not be sorted."""
    places = np.argsort(np.argsort(np.unique_values(known(x, "unique")), kind="stable"))
    return unique(x, equal_nan=False)[places]
