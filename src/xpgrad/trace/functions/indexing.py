"""Selecting and writing entries by number or mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops.indexing import ARRAY, index_update
from xpgrad.ops.shape import broadcast_to, reshape
from xpgrad.trace.functions._table import array, axis_of, cast, implements, known, ndim, refuse, shape
from xpgrad.trace.functions.reductions import along, partition, sort
from xpgrad.trace.functions.shapes import as_arrays, concatenate


@implements(np.take, method="take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    refuse("take", out=out)
    a = array(a)
    if axis is None:
        a, axis = reshape(a, shape=(-1,)), 0
    k = axis_of("take", a, axis)
    n = shape(a)[k]
    index = np.asarray(indices) if isinstance(indices, (list, tuple)) else indices
    if mode == "wrap":
        index = index % n
    elif mode == "clip":
        index = np.clip(index, 0, n - 1)
    return a[(*(slice(None),) * k, index)]


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    refuse("compress", out=out)
    return take(a, np.flatnonzero(condition), axis)


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
    """Finds where each entry comes from by inserting numbers, then gathers."""
    if axis is None:
        arr, axis = reshape(array(arr), shape=(-1,)), 0
    k = axis_of("insert", arr, axis)
    n = shape(arr)[k]
    places = np.insert(np.arange(n), obj, np.full(np.size(obj), -1) if np.ndim(obj) else -1)
    new = int((places < 0).sum())
    values = cast(as_arrays([arr, values])[1], aval_of(arr).dtype)
    if np.ndim(obj) == 0 and ndim(values) > 1 and ndim(values) == ndim(arr):
        new = shape(values)[k]
        places = np.concatenate([np.arange(n)[:obj], np.full(new, -1), np.arange(n)[obj:]])
    places[places < 0] = n + np.arange(new)
    wide = [*shape(arr)[:k], new, *shape(arr)[k + 1 :]]
    return take(concatenate([arr, broadcast_to(values, shape=tuple(wide))], k), places, k)


@implements(np.nonzero, method="nonzero")
def nonzero(a: Any) -> Any:
    return known(a, "nonzero").nonzero()


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    return np.flatnonzero(known(a, "flatnonzero"))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    return np.argwhere(known(a, "argwhere"))


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    k = axis_of("put_along_axis", arr, axis)
    new = index_update(arr, array(values), *along(indices, k), index=(ARRAY,) * ndim(arr))
    arr.become(new)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if wrap:
        refuse("fill_diagonal", wrap=wrap)
    k = np.arange(min(shape(a)))
    a[(k,) * ndim(a)] = val


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    src = array(src)
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
    a.become(sort(a, axis, kind, order, stable=stable))


@implements(method="partition")
def partition_in_place(a: Any, kth: Any, axis: int = -1) -> None:
    a.become(partition(a, kth, axis))


@implements(np.unique)
def unique(ar: Any, *args: Any, **kwargs: Any) -> Any:
    """The values keep their derivative; a repeated one takes that of its first occurrence."""
    plain = known(ar, "unique")
    if kwargs.get("axis") is not None or len(args) > 3:
        refuse("unique", axis=kwargs.get("axis", True))
    _, first = np.unique(plain, return_index=True)
    outs = np.unique(plain, *args, **kwargs)
    values = reshape(ar, shape=(-1,))[first]
    return (values, *outs[1:]) if isinstance(outs, tuple) else values
