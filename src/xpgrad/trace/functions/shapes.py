"""Functions that move entries: reshaping, joining, splitting, repeating, padding."""

from __future__ import annotations

import itertools
from math import prod
from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.ops import shape as sh
from xpgrad.ops.reductions import axes_of
from xpgrad.trace.functions._table import (
    PROPERTIES,
    array,
    axes_each_once,
    axis_of,
    beside,
    cast,
    implements,
    ndim,
    refuse,
    shape,
    whole,
)
from xpgrad.trace.functions._table import shape_of as lengths
from xpgrad.trace.traced import Traced, strip
from xpgrad.trace.views import as_array, duplicate, fresh, in_place

# The most parts that one node joins: the cost of its pull for each part grows with their number.
_PARTS = 64


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    return _reshape(a, shape, order, copy)


def _reshape(a: Any, new: Any, order: str = "C", copy: Any = None) -> Any:
    if copy:
        return duplicate(_reshape(a, new, order), order)
    if copy is not None:
        return in_place(a, _reshape(a, new, order))
    new = lengths(new)
    if order in ("A", "K"):
        order = _order_of_memory("reshape", a, order)
    if order == "F":
        return transpose(sh.reshape(transpose(a), shape=new[::-1]))
    if order != "C":
        raise ValueError(f"reshape: order must be C, F or A, not {order!r}")
    return sh.reshape(a, shape=new)


@implements(method="reshape")
def reshape_method(a: Any, *new: Any, order: str = "C", copy: Any = None) -> Any:
    return _reshape(a, new[0] if len(new) == 1 else new, order, copy)


@implements(np.ravel, method="ravel")
def ravel(a: Any, order: str = "C") -> Any:
    a = array(a)
    flags = _flags(a)
    if order not in ("C", "F"):
        order = _order_of_memory("ravel", a, order)
    flat = _reshape(a, -1, order)
    # A view, as in NumPy, only of memory that has the entries in this order.
    owns = flags is not None and not (flags.c_contiguous if order == "C" else flags.f_contiguous)
    return fresh(flat) if owns else flat


def _flags(a: Any) -> Any:
    """The flags of the memory layout of the array underneath; None if it is not known."""
    plain = strip(a)
    return None if type(plain) is Traced else getattr(plain, "flags", None)


def _order_of_memory(name: str, a: Any, order: str) -> str:
    """The order that A or K stands for, by the memory layout of the array underneath."""
    if order not in (("A", "K") if name == "ravel" else ("A",)):
        raise ValueError(f"{name}: order must be C, F or A, not {order!r}")
    flags = _flags(a)
    if ndim(a) < 2:
        return "C"
    if flags is not None and flags.c_contiguous:
        return "C"
    if flags is not None and flags.f_contiguous:
        return "F"
    if flags is None or order == "K":
        refuse(name, order=order)
    return "C"


@implements(method="flatten")
def flatten(a: Any, order: str = "C") -> Any:
    return fresh(ravel(a, order))


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    a = array(a)
    n = ndim(a)
    if axes is None:
        return sh.transpose(a, axes=tuple(range(n - 1, -1, -1))) if n > 1 else a
    axes = lengths(axes)
    if len(axes) != n:
        raise ShapeError(message(f"transpose: {axes} is no permutation of {n} axes", {"operand": a}))
    return sh.transpose(a, axes=tuple(axis_of("transpose", a, k) for k in axes))


@implements(method="transpose")
def transpose_method(a: Any, *axes: Any) -> Any:
    one = axes[0] if len(axes) == 1 else None
    return transpose(a, (one if isinstance(one, (tuple, list)) else axes) if axes != (None,) and axes else None)


PROPERTIES["T"] = transpose


@implements(np.matrix_transpose, np.linalg.matrix_transpose, prop="mT")
def matrix_transpose(x: Any) -> Any:
    return swapaxes(x, -1, -2)


@implements(np.swapaxes, method="swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    i, j = axis_of("swapaxes", a, axis1), axis_of("swapaxes", a, axis2)
    axes = list(range(ndim(a)))
    axes[i], axes[j] = axes[j], axes[i]
    return transpose(a, axes)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    src, dst = axes_each_once("moveaxis", a, source), axes_each_once("moveaxis", a, destination)
    if len(src) != len(dst):
        raise ShapeError(message(f"moveaxis: {source} and {destination} do not pair", {"operand": a}))
    order = [k for k in range(ndim(a)) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(a, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    n = ndim(a)
    k = axis_of("rollaxis", a, axis)
    if not -n <= start <= n:
        raise ShapeError(message(f"rollaxis: start {start} does not fit {n} axes", {"operand": a}))
    to = start + n if start < 0 else start
    return moveaxis(a, k, to - 1 if k < to else to)


@implements(np.squeeze, method="squeeze")
def squeeze(a: Any, axis: Any = None) -> Any:
    if axis is None:
        return sh.reshape(a, shape=tuple(n for n in shape(a) if n != 1))
    axes = axes_of("squeeze", a, axis, scalars=True)
    if any(shape(a)[k] != 1 for k in axes):
        raise ShapeError(message(f"squeeze: axis {axis} does not have length 1", {"operand": a}))
    return sh.reshape(a, shape=tuple(n for k, n in enumerate(shape(a)) if k not in axes))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    a = array(a)
    axes = lengths(axis)
    n = ndim(a) + len(axes)
    at = {k % n for k in axes if -n <= k < n}
    if len(at) != len(axes):
        raise ShapeError(message(f"expand_dims: axis {axis} does not fit {n} axes", {"operand": a}))
    rest = iter(shape(a))
    return sh.reshape(a, shape=tuple(1 if k in at else next(rest) for k in range(n)))


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return sh.broadcast_to(array, shape=lengths(shape))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    xs = [as_array(whole(a)) for a in args]
    common = np.broadcast_shapes(*map(shape, xs))
    return tuple(x if shape(x) == common else broadcast_to(x, common) for x in xs)


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    outs = tuple(sh.reshape(a, shape=(1,)) if ndim(a) == 0 else a for a in map(array, arys))
    return outs[0] if len(outs) == 1 else outs


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    outs = tuple(sh.reshape(a, shape=(1, *(shape(a) or (1,)))) if ndim(a) < 2 else a for a in map(array, arys))
    return outs[0] if len(outs) == 1 else outs


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    def one(a: Any) -> Any:
        s = shape(a)
        return a if len(s) > 2 else sh.reshape(a, shape={0: (1, 1, 1), 1: (1, *s, 1), 2: (*s, 1)}[len(s)])

    outs = tuple(one(array(a)) for a in arys)
    return outs[0] if len(outs) == 1 else outs


# ── joining and splitting ────────────────────────────────────────────────────────────────────
@implements(np.concatenate)
def concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    refuse("concatenate", out=out)
    xs = as_arrays(arrays)
    if dtype is None and casting in ("no", "equiv", "safe"):
        dtype = np.result_type(*[aval_of(x).dtype for x in xs])
    xs = [cast(x, dtype, casting) for x in xs]
    if axis is None:
        xs, axis = [sh.reshape(x, shape=(-1,)) for x in xs], 0
    if not xs:
        raise ShapeError(message("concatenate: no arrays given"))
    return _joined(xs, axis_of("concatenate", xs[0], axis))


def _joined(xs: list[Any], axis: int) -> Any:
    """``xs`` end to end; many of them in groups, so that all pulls together take linear time."""
    if len(xs) > _PARTS and len({aval_of(x).dtype for x in xs}) == 1:
        groups = [sh.concatenate(*xs[i : i + _PARTS], axis=axis) for i in range(0, len(xs), _PARTS)]
        return _joined(groups, axis)
    return sh.concatenate(*xs, axis=axis)


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = as_arrays(arrays)
    if not xs or len({shape(x) for x in xs}) != 1:
        got = {f"operand {i}": x for i, x in enumerate(xs)}
        raise ShapeError(message("stack: all arrays must have the same shape", got))
    k = axis_of("stack", np.empty((0,) * (ndim(xs[0]) + 1)), axis)
    return concatenate([expand_dims(x, k) for x in xs], k, out, dtype=dtype, casting=casting)


def as_arrays(parts: Any) -> list[Any]:
    """``parts`` as arrays; numbers and lists among them become arrays beside the traced ones."""
    parts = list(parts)
    xs = [array(part) for part in parts]
    like = next((x for x in xs if type(x) is Traced), None)
    if like is None:
        return [np.asarray(x) if isinstance(x, SCALAR_TYPES) else x for x in xs]
    return [x if _is_array(x, part) else _beside(like, x) for x, part in zip(xs, parts, strict=True)]


def _is_array(x: Any, part: Any) -> bool:
    """Whether the user gave an array, which stays where it is."""
    return hasattr(x, "shape") and x is part and not isinstance(x, np.generic)


def _beside(like: Any, x: Any) -> Any:
    if isinstance(x, SCALAR_TYPES):
        return sh.full_like(like, value=x, shape=(), dtype=aval_of(x).dtype)
    return beside(like, x)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return concatenate([atleast_2d(x) for x in as_arrays(tup)], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = [atleast_1d(x) for x in as_arrays(tup)]
    return concatenate(xs, 0 if xs and ndim(xs[0]) == 1 else 1, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([atleast_3d(x) for x in as_arrays(tup)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    xs = as_arrays(tup)
    return concatenate([sh.reshape(x, shape=(-1, 1)) if ndim(x) < 2 else x for x in xs], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return concatenate(as_arrays([arr, values]), axis)


@implements(np.block)
def block(arrays: Any) -> Any:
    def depth(x: Any) -> int:
        if not isinstance(x, list):
            return 0
        depths = {depth(part) for part in x}
        if len(depths) != 1:
            raise ShapeError(message("block: lists must be nested to one depth, and not be empty"))
        return 1 + depths.pop()

    def joined(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            return x
        return concatenate([joined(part, level - 1) for part in x], -level)

    def padded(x: Any, n: int) -> Any:
        if isinstance(x, list):
            return [padded(part, n) for part in x]
        x = array(x)
        return sh.reshape(x, shape=(1,) * (n - ndim(x)) + shape(x))

    def deepest(x: Any) -> int:
        return max(map(deepest, x)) if isinstance(x, list) else ndim(array(x))

    if not isinstance(arrays, list):
        return sh.copy(array(arrays), order="K")
    n = max(depth(arrays), deepest(arrays))
    return joined(padded(arrays, n), depth(arrays))


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    ary = array(ary)
    k = axis_of("array_split", ary, axis)
    n = shape(ary)[k]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError(f"array_split: the number of sections must be positive, not {sections}")
        each, extra = divmod(n, sections)
        sizes = [each + 1] * extra + [each] * (sections - extra)
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *[index(i) for i in indices_or_sections], n]
    head = (slice(None),) * k
    return [ary[(*head, slice(a, b))] for a, b in itertools.pairwise(cuts)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    ary = array(ary)
    parts = indices_or_sections
    if isinstance(parts, (int, np.integer)) and parts > 0 and shape(ary)[axis_of("split", ary, axis)] % parts:
        rule = f"split: axis {axis} does not divide into {parts} equal parts"
        raise ShapeError(message(rule, {"operand": ary}))
    return array_split(ary, parts, axis)


def _needs_axes(name: str, ary: Any, n: int) -> None:
    if ndim(ary) < n:
        raise ShapeError(message(f"{name}: needs an array of {n} axes or more", {"operand": ary}))


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    _needs_axes("vsplit", ary, 2)
    return split(ary, indices_or_sections, 0)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    _needs_axes("hsplit", ary, 1)
    return split(ary, indices_or_sections, 1 if ndim(ary) > 1 else 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    _needs_axes("dsplit", ary, 3)
    return split(ary, indices_or_sections, 2)


@implements(getattr(np, "unstack", None))
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if ndim(x) == 0:
        raise ShapeError(message("unstack: needs an axis", {"operand": x}))
    rows = moveaxis(x, axis, 0)
    return tuple(rows[i] for i in range(shape(rows)[0]))


@implements(np.shape)
def shape_of(a: Any) -> tuple[int, ...]:
    return shape(a)


@implements(np.ndim)
def ndim_of(a: Any) -> int:
    return ndim(a)


@implements(np.size)
def size_of(a: Any, axis: Any = None) -> int:
    if axis is None:
        return prod(shape(a))
    return prod(shape(a)[k] for k in axes_each_once("size", a, axis))
