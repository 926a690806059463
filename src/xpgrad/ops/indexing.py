"""Reading, writing and scattering at an index.

An index is a tuple whose arrays stand apart as operands, so that a graph can hold it: in
``index`` each is marked `ARRAY`, in order; the rest are ints, slices, None and Ellipsis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, ShapeError, TraceError, message
from xpgrad.core import Aval
from xpgrad.devices.door import admitted, is_data
from xpgrad.ops._batched_index import ARRAY as ARRAY
from xpgrad.ops._batched_index import (
    batch_getitem,
    batch_index_update,
    batch_last_writes,
    batch_scatter_add,
    batch_scatter_sum,
)
from xpgrad.ops._define import constant, linear
from xpgrad.ops.elementwise import where
from xpgrad.ops.shape import full_like


class ScatterAdd:
    """A cotangent that is zero but at an index: ``zeros[index] += g``, not yet carried out.

    The sweep adds it to a cotangent that is there already without filling an array of zeros.
    """

    __slots__ = ("arrays", "g", "index", "shape")

    def __init__(self, g: Any, arrays: Sequence[Any], index: Any, shape: tuple[int, ...]) -> None:
        self.g, self.arrays, self.index, self.shape = g, arrays, index, shape


def filled(index: Any, arrays: Sequence[Any]) -> Any:
    """Put the arrays back into the index."""
    if not arrays:
        return index
    rest = iter(arrays)
    return tuple(next(rest) if part is ARRAY else part for part in index)


def apart(index: Any) -> tuple[Any, list[Any]]:
    """Take the arrays out of an index; lists of ints or bools count as arrays."""
    if type(index) is slice or type(index) is int:
        return index, []
    parts = index if type(index) is tuple else (index,)
    arrays: list[Any] = []
    spec: list[Any] = []
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, slice):
            spec.append(part)
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            spec.append(int(part))
        else:
            spec.append(ARRAY)
            arrays.append(_as_index(part))
    return tuple(spec), arrays


def _as_index(part: Any) -> Any:
    if isinstance(part, str):
        raise DTypeError(
            message(
                f"index {part!r}: an array has no columns by name",
                remedy=f"give the columns themselves, in a dict: {{{part!r}: df[{part!r}].to_numpy()}}",
            )
        )
    if is_data(part):
        return admitted(part, str, "index")
    array = np.asarray(part)
    return array.astype(np.intp) if array.size == 0 else admitted(array, str, "index")


def basic_axes(shape: tuple[int, ...], index: Any) -> list[tuple[int | None, int, int, int]]:
    """For each axis of an array its ``(output axis or None, axis, start, step)`` under a basic index."""
    parts = list(index) if type(index) is tuple else [index]
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    where = next(k for k, p in enumerate(parts) if p is Ellipsis)
    taken = sum(1 for p in parts if p is not None and p is not Ellipsis)
    parts[where : where + 1] = [slice(None)] * (len(shape) - taken)
    found: list[tuple[int | None, int, int, int]] = []
    out = axis = 0
    for part in parts:
        if part is None:
            out += 1
        elif isinstance(part, slice):
            start, _, step = part.indices(shape[axis])
            found.append((out, axis, start, step))
            out, axis = out + 1, axis + 1
        else:
            found.append((None, axis, int(part) % (shape[axis] or 1), 1))
            axis += 1
    return found


def index_ndim(shape: tuple[int, ...], index: Any) -> int:
    """The number of axes of ``array[index]`` for a basic index."""
    parts = index if type(index) is tuple else (index,)
    fixed = sum(1 for p in parts if p is not None and p is not Ellipsis and not isinstance(p, slice))
    return len(shape) - fixed + sum(1 for p in parts if p is None)


def kept_length(shape: tuple[int, ...], index: Any, axis: int) -> int:
    """The number of entries of ``axis`` that a basic index keeps."""
    parts = [p for p in (index if type(index) is tuple else (index,)) if p is not None]
    if Ellipsis in parts:
        where = parts.index(Ellipsis)
        parts[where : where + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    part = parts[axis] if axis < len(parts) else slice(None)
    return len(range(*part.indices(shape[axis]))) if isinstance(part, slice) else 1


def without_masks(shape: Sequence[int], index: Any, arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Put the indices at which a mask is true in place of the mask, whose numbers are known."""
    if not any(a.dtype.kind == "b" for a in arrays):
        return index, list(arrays)
    widths = {id(a): a.ndim if a.dtype.kind == "b" else 1 for a in arrays}
    taken = sum(widths.values()) + sum(1 for p in index if isinstance(p, (int, slice)))
    spec: list[Any] = []
    flat: list[Any] = []
    rest = iter(arrays)
    axis = 0
    for part in index:
        if part is not ARRAY:
            spec.append(part)
            axis += 0 if part is None else len(shape) - taken if part is Ellipsis else 1
            continue
        array = next(rest)
        if array.dtype.kind == "b":
            _check_mask(shape[axis : axis + array.ndim], array, shape)
            indices = array.nonzero()
        else:
            indices = (array,)
        flat += indices
        spec += [ARRAY] * len(indices)
        axis += widths[id(array)]
    return tuple(spec), flat


def _check_mask(axes: Sequence[int], mask: Any, shape: Sequence[int]) -> None:
    if tuple(axes) != mask.shape:
        got = {"shape": str(tuple(shape)), "mask": mask}
        raise OutOfBoundsError(message("index: the mask does not fit the axes that it selects from", got))


def _indexed(name: str, x: Aval, index: Any, arrays: Sequence[Aval]) -> tuple[int, ...]:
    """The shape of ``x[index]``, asked of NumPy with arrays that take no memory of their own."""
    if any(a.dtype.kind == "b" and a.ndim for a in arrays):
        raise TraceError(
            message(
                f"{name}: the shape of a selection by a traced mask depends on the data",
                {"operand": str(x), "mask": str(next(a for a in arrays if a.dtype.kind == "b"))},
                remedy="keep the shape: np.where(mask, x, 0); to change the entries in place, "
                "x *= np.where(mask, 0.5, 1) for x[mask] *= 0.5",
            )
        )
    dummy = np.broadcast_to(np.empty((), np.int8), x.shape)
    probes = [np.broadcast_to(np.zeros((), np.intp), a.shape) for a in arrays]
    try:
        return tuple(dummy[filled(index, probes)].shape)
    except (IndexError, ValueError) as error:
        raised = OutOfBoundsError if isinstance(error, IndexError) else ShapeError
        raise raised(message(f"{name}: {error}", {"operand": str(x), "index": str(index)})) from None


# Of (z, x, *arrays) a pull reads the index arrays; of the rest the shape is enough.
_ARRAYS_ALONE = [(False, False, True)]


def _getitem(x: Aval, *arrays: Aval, index: Any) -> Aval:
    return Aval(_indexed("getitem", x, index, arrays), x.dtype)


def _pull_getitem(i: int, g: Any, _z: Any, *xs: Any, index: Any) -> Any:
    return ScatterAdd(g, xs[1:], index, xs[0].shape)


getitem = linear(
    "getitem",
    _getitem,
    variadic=_pull_getitem,
    operands=1,
    reads=_ARRAYS_ALONE,
    traits="view",
    batching=batch_getitem,
)
getitem.makes_view = True
getitem.host_indices = True


def _scatter_add(g: Aval, *arrays: Aval, index: Any, shape: tuple[int, ...]) -> Aval:
    return Aval(tuple(shape), g.dtype)


def _pull_scatter_add(i: int, g: Any, _z: Any, *xs: Any, index: Any, shape: tuple[int, ...]) -> Any:
    return getitem(g, *xs[1:], index=index)


# zeros(shape)[index] += g, repeated indices adding up.
scatter_add = linear(
    "scatter_add",
    _scatter_add,
    variadic=_pull_scatter_add,
    operands=1,
    reads=_ARRAYS_ALONE,
    batching=batch_scatter_add,
)


def _scatter_sum(*gs: Aval, indices: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Aval:
    return Aval(tuple(shape), np.dtype(dtype))


def _pull_scatter_sum(
    i: int, g: Any, _z: Any, *_xs: Any, indices: Sequence[Any], shape: tuple[int, ...], dtype: Any
) -> Any:
    return getitem(g, index=indices[i])


# zeros(shape), and at each index (without arrays) one operand added: many slices in a single array.
scatter_sum = linear(
    "scatter_sum",
    _scatter_sum,
    variadic=_pull_scatter_sum,
    jointly=True,
    traits="slices",
    batching=batch_scatter_sum,
)


def _index_update(x: Aval, v: Aval, *arrays: Aval, index: Any) -> Aval:
    at = _indexed("setitem", x, index, arrays)
    extra = max(v.ndim - len(at), 0)  # axes in front, of length 1, are no matter
    try:
        fits = np.broadcast_shapes(v.shape[extra:], at) == at and set(v.shape[:extra]) <= {1}
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            message(f"setitem: the value does not broadcast to {at}", {"array": str(x), "value": str(v)})
        )
    return Aval(x.shape, x.dtype)


def _push_index_update(ts: Any, z: Any, x: Any, v: Any, *arrays: Any, index: Any) -> Any:
    """Both tangents, written as their values were."""
    t, u = ts[:2]
    if t is None:
        t = full_like(z, value=0)
    return index_update(t, 0 if u is None else u, *arrays, index=index)


def _pull_index_update(i: int, g: Any, z: Any, *xs: Any, index: Any) -> Any:
    _, _v, *arrays = xs
    if i == 0:
        return index_update(g, 0, *arrays, index=index)
    at = getitem(g, *arrays, index=index)
    if all(a.dtype.kind == "b" for a in arrays):
        return at
    return where(last_writes(g, *arrays, index=index), at, 0)


def _last_writes(x: Aval, *arrays: Aval, index: Any) -> Aval:
    return Aval(_indexed("setitem", x, index, arrays), np.dtype(bool))


# Whether each entry written to x[index] lasts: no later write to the same place hides it.
last_writes = constant("last_writes", _last_writes, batching=batch_last_writes)

# x, with v written at the index; the last of repeated indices wins, as in NumPy.
index_update = linear(
    "index_update",
    _index_update,
    variadic=_pull_index_update,
    push=_push_index_update,
    operands=2,
    reads=[(False, False, False, True)],
    traits="slices",
    batching=batch_index_update,
)


for _op in (scatter_add, index_update, last_writes):
    _op.host_indices = True


def flip(x: Any, axis: int) -> Any:
    """``x`` in reverse order along ``axis``."""
    return x[(*(slice(None),) * (axis % len(x.shape)), slice(None, None, -1))]
