"""Values that belong together, one for each iteration of a loop, as one stacked array.

In:  a graph that is being rolled, and values of the old graph of the same shape and dtype.
Out: a value of the new graph with one more axis in front; None where stacking them would cost much.

    x[4], x[3], x[2]               becomes    x[4:1:-1]
    the y of iterations 0, 1, 2    becomes    the loop's output
    2.0, 3.0, 4.0                  becomes    a constant array
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from xpgrad.core import SCALAR_TYPES, Const, Node, Op, Operand
from xpgrad.ops.indexing import getitem
from xpgrad.ops.shape import concatenate, reshape, transpose

SMALL = 1 << 12
"""The most entries of values that are copied into one array, where nothing holds them together already."""


COPIED = 1 << 26
"""The most bytes of constant arrays that are copied into one."""


class Rolling(Protocol):
    """The graph that is being made."""

    def now(self, u: Any) -> Any:
        """The new value of an old one."""

    def emit(self, op: Op, *operands: Any, **params: Any) -> Any:
        """A new node."""

    def iteration(self, u: Any) -> tuple[Any, int] | None:
        """The stacked output that has an old value, and its place in it."""

    def is_view(self, u: Any) -> bool:
        """Whether an old value is a slice or a reshape, which is made where it is read."""


def stacked(roll: Rolling, us: Sequence[Any], copies: bool = True) -> Any:
    """``us``, one after another along a new axis in front.

    ``copies``: small values that nothing holds together are copied into one array.
    """
    first = us[0]
    if any(u.aval != first.aval for u in us):
        return None
    if all(isinstance(u, Const) for u in us):
        return _of_constants(us)
    found = _of_loop(roll, us)
    if found is None and all(map(roll.is_view, us)):
        found = _of_views(roll, us, copies)
    alone = copies and all(roll.iteration(u) is None for u in us)
    if found is None and alone and len(us) * first.size <= SMALL:
        parts = [roll.emit(reshape, roll.now(u), shape=(1, *u.shape)) for u in us]
        found = roll.emit(concatenate, *parts, axis=0)
    return found


def _of_constants(us: Sequence[Const]) -> Const | None:
    if any(not isinstance(u.data, (np.ndarray, *SCALAR_TYPES)) for u in us):
        return None  # of another trace, or another device
    if len(us) * us[0].size * us[0].dtype.itemsize > COPIED:
        return None
    data = np.stack([np.asarray(u.data, u.dtype) for u in us])
    return Const(data)


def _of_loop(roll: Rolling, us: Sequence[Any]) -> Any:
    """Outputs of one loop, at iterations that go up or down by the same number."""
    at = [roll.iteration(u) for u in us]
    if any(a is None or a[0] is not at[0][0] for a in at):  # type: ignore[index]
        return None
    return _slice(roll, at[0][0], [a[1] for a in at], 0, ())  # type: ignore[index]


def _of_views(roll: Rolling, us: Sequence[Node], copies: bool) -> Any:
    """Slices of one array, or the same view of values that can be stacked."""
    first = us[0]
    if any(u.op is not first.op for u in us):
        return None
    sources = [u.operands[0] for u in us]
    if first.op is reshape:
        found = stacked(roll, sources, copies) if any(u is not sources[0] for u in sources) else None
        return None if found is None else roll.emit(reshape, found, shape=(len(us), *first.shape))
    indices = [parts_of_index(u.params["index"]) for u in us]
    if all(u is sources[0] for u in sources):
        return _of_one(roll, sources[0], indices, first)
    if any(i != indices[0] for i in indices):
        return None
    found = stacked(roll, sources, copies)
    return None if found is None else roll.emit(getitem, found, index=(slice(None), *indices[0]))


def _of_one(roll: Rolling, source: Operand, indices: list[tuple[Any, ...]], first: Node) -> Any:
    k = varying(indices)
    if k is None:
        return None
    numbers = [_number(index[k]) for index in indices]
    if any(n is None for n in numbers):
        return None
    found = _slice(roll, roll.now(source), numbers, k, indices[0])
    if found is None:
        return None
    axis = sum(isinstance(p, slice) or p is None for p in indices[0][:k])
    if axis:
        rest = [a for a in range(len(found.shape)) if a != axis]
        found = roll.emit(transpose, found, axes=(axis, *rest))
    shape = (len(indices), *first.shape)
    return found if found.shape == shape else roll.emit(reshape, found, shape=shape)


def varying(indices: Sequence[tuple[Any, ...]]) -> int | None:
    """The one place at which the indices differ, with no Ellipsis before it."""
    first = indices[0]
    if any(len(i) != len(first) for i in indices):
        return None
    places = {k for i in indices for k, (p, q) in enumerate(zip(i, first, strict=True)) if not _same(p, q)}
    if len(places) != 1:
        return None
    k = places.pop()
    return None if any(p is Ellipsis for p in first[:k]) else k


def _slice(roll: Rolling, source: Any, numbers: list[Any], k: int, index: tuple[Any, ...]) -> Any:
    """``source`` with a slice of ``numbers`` in place ``k`` of the index; None if they make none."""
    n = source.shape[sum(p is not None for p in index[:k])]
    numbers = [i % n for i in numbers]
    cut = slice_of(numbers)
    if cut is None:
        return None
    whole = (*index[:k], cut, *index[k + 1 :])
    if not index and cut == slice(0, n, 1):
        return source
    return roll.emit(getitem, source, index=whole)


def slice_of(numbers: Sequence[int]) -> slice | None:
    """The slice with these indices, which go up or down by the same number."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if step == 0 or any(b - a != step for a, b in pairwise(numbers)):
        return None
    stop = numbers[-1] + (1 if step > 0 else -1)
    return slice(numbers[0], stop if stop >= 0 else None, step)


def parts_of_index(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _same(p: Any, q: Any) -> bool:
    return type(p) is type(q) and bool(p == q)


def _number(part: Any) -> int | None:
    """The index of an int, or of a slice of length 1."""
    if type(part) is int:
        return part
    if type(part) is slice and type(part.start) is int and part.start >= 0:
        return part.start if part.stop == part.start + 1 and part.step in (None, 1) else None
    return None
