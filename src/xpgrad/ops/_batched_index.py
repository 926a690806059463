"""Batching rules of reading, writing and scattering at an index.

An index with arrays has its own order of axes: those of the arrays stand where the arrays stood, if nothing
lies between these, and in front otherwise. Two forms put the batch axis in front:

    x[:, *index]                 where all samples share the index
    x[arange(size), *index]      where the samples differ in it: the arrays of the index are batches too

and the entries at the index are moved from the order of the form to that of a sample behind the batch axis,
or the other way for what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.core import OPS, Op
from xpgrad.core.aval import Shape
from xpgrad.ops._batching import Mapped, Operands, Params, Shared, batch, lifted, moved, shape_of, spread


class _Array:
    """The place of an array in an index."""

    def __repr__(self) -> str:
        return "ARRAY"

    def __reduce__(self) -> str:
        return "ARRAY"  # pickled by its name: it is told by identity


ARRAY = _Array()


class _Form(NamedTuple):
    """An index of a batch.

    Attributes
    ----------
    spec : tuple
        The index, its arrays apart.
    arrays : list of arrays
    before : int
        The number of axes of a sample's entries in front of those of the arrays.
    axes : int
        The number of axes of the arrays.
    place : int
        The batch axis among the entries at the index.
    """

    spec: tuple[Any, ...]
    arrays: list[Any]
    before: int
    axes: int
    place: int

    def of_samples(self, entries: Any) -> Any:
        """The entries at the index, each sample's in its own order, the batch axis in front."""
        return self._arrays_moved(moved(entries, self.place, 0), 1, 1 + self.before)

    def at_index(self, entries: Any) -> Any:
        """The other way: entries of samples in the order of the index."""
        return moved(self._arrays_moved(entries, 1 + self.before, 1), 0, self.place)

    def _arrays_moved(self, entries: Any, source: int, target: int) -> Any:
        if self.place or not self.axes or source == target:
            return entries  # the form has the order of a sample already
        n = len(entries.shape)
        axes = [a for a in range(n) if not source <= a < source + self.axes]
        axes[target:target] = range(source, source + self.axes)
        return OPS["transpose"](entries, axes=tuple(axes))


def _parts(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _front(index: tuple[Any, ...], ndim: int) -> tuple[int, bool]:
    """The number of axes that a sample's entries have in front of those of arrays; whether arrays are apart."""
    advanced = [k for k, part in enumerate(index) if part is ARRAY or type(part) is int]
    first, last = advanced[0], advanced[-1]
    apart = last - first + 1 > len(advanced)
    if apart:
        return 0, True
    taken = sum(1 for part in index if part is not None and part is not Ellipsis)
    widths = [ndim - taken if part is Ellipsis else 1 for part in index[:first]]
    return sum(widths), False


def _form(index: Any, shape: Shape, arrays: Sequence[Any], mapped: Mapped, size: int) -> _Form:
    """The index of a batch of arrays of ``shape``."""
    parts = _parts(index)
    if not arrays:
        return _Form((slice(None), *parts), [], 0, 0, 0)
    axes = max(len(shape_of(a, m)) for a, m in zip(arrays, mapped, strict=True))
    before, apart = _front(parts, len(shape))
    if not any(mapped):
        # The arrays stay where they are, behind the batch axis; apart from each other they come before it.
        return _Form((slice(None), *parts), list(arrays), before, 0, axes if apart else 0)
    samples = np.arange(size).reshape(size, *(1,) * axes)
    whole = [lifted(a, m, axes) for a, m in zip(arrays, mapped, strict=True)]
    # With the batch's own array in front, all of them come first.
    return _Form((ARRAY, *parts), [samples, *whole], before, axes, 0)


def _at(shape: Shape, index: Any, arrays: Sequence[Any], mapped: Mapped) -> Shape:
    """The shape of a sample's entries at the index."""
    probe = OPS["getitem"].shape
    avals = [_Probe(shape_of(a, m), a.dtype) for a, m in zip(arrays, mapped, strict=True)]
    found: Shape = probe(_Probe(shape, np.dtype(bool)), *avals, index=index).shape
    return found


class _Probe(NamedTuple):
    shape: Shape
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)


def batch_getitem(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """Read at one index for all samples, at an index for each, or many times from the array that they share."""
    x, *arrays = xs
    index = params["index"]
    if mapped[0]:
        form = _form(index, shape_of(x, True), arrays, mapped[1:], size)
        return form.of_samples(op(x, *form.arrays, index=form.spec))
    axes = max(len(shape_of(a, m)) for a, m in zip(arrays, mapped[1:], strict=True))
    whole = [lifted(a, m, axes) for a, m in zip(arrays, mapped[1:], strict=True)]
    before, _ = _front(_parts(index), len(x.shape))
    return moved(op(x, *whole, index=index), before, 0)


def batch_scatter_add(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """Scatter each sample into an array of its own."""
    g, *arrays = xs
    index, shape = params["index"], params["shape"]
    form = _form(index, shape, arrays, mapped[1:], size)
    whole = spread(g, mapped[0], size, _at(shape, index, arrays, mapped[1:]))
    return op(form.at_index(whole), *form.arrays, index=form.spec, shape=(size, *shape))


def batch_scatter_sum(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    shape, indices = params["shape"], params["indices"]
    whole = [
        spread(g, m, size, _at(shape, index, (), ())) for g, m, index in zip(xs, mapped, indices, strict=True)
    ]
    behind = tuple((slice(None), *_parts(index)) for index in indices)
    return op(*whole, indices=behind, shape=(size, *shape), dtype=params["dtype"])


def batch_index_update(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """Write to a copy of the array for each sample."""
    x, v, *arrays = xs
    index = params["index"]
    shape = shape_of(x, mapped[0])
    at = _at(shape, index, arrays, mapped[2:])
    form = _form(index, shape, arrays, mapped[2:], size)
    own = shape_of(v, mapped[1])
    if len(own) > len(at):  # axes of length 1 in front
        v = OPS["reshape"](v, shape=(*v.shape[: int(mapped[1])], *own[len(own) - len(at) :]))
    if hasattr(v, "shape"):
        v = form.at_index(spread(v, mapped[1], size, at))
    return op(batch(x, mapped[0], size), v, *form.arrays, index=form.spec)


def batch_last_writes(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """The numbers of the array are not read: where samples share the index, they share the result."""
    x, *arrays = xs
    index = params["index"]
    shape = shape_of(x, mapped[0])
    like = OPS["full_like"]
    if not any(mapped[1:]):
        return Shared(op(like(x, value=0, shape=shape), *arrays, index=index))
    form = _form(index, shape, arrays, mapped[1:], size)
    return form.of_samples(op(like(x, value=0, shape=(size, *shape)), *form.arrays, index=form.spec))
