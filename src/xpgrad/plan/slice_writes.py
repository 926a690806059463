"""Slice writes: nodes whose output is written slice by slice.

In:  a node of `index_update`, `concatenate`, `pad` or `scatter_sum`.
Out: its SliceWrites in order; a later one overwrites an earlier one.
Holds: the entries of a write are arithmetic progressions, one along each axis of the output.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.core import Node
from xpgrad.ops.indexing import basic_axes, index_ndim, kept_length
from xpgrad.plan.loop_nests import Declined

Slices = list[tuple[int, int, int, int | None]]
"""For each axis of the output ``(length, start, step, operand axis or None)``."""


class SliceWrite(NamedTuple):
    """One operand and the slices of the output that it is written to, or added to; operand None is zeros."""

    operand: int | None
    slices: Slices
    adds: bool = False


def slice_writes_of(node: Node) -> list[SliceWrite]:
    """The writes of ``node``, in order."""
    whole: Slices = [(n, 0, 1, a) for a, n in enumerate(node.shape)]
    nothing: Slices = [(n, 0, 1, None) for n in node.shape]
    name = node.op.name
    if name == "concatenate":
        axis, start, found = node.params["axis"], 0, []
        for i, u in enumerate(node.operands):
            n = u.shape[axis]
            found.append(SliceWrite(i, [(n, start, 1, a) if a == axis else whole[a] for a in range(node.ndim)]))
            start += n
        return found
    if name == "pad":
        x = node.operands[0].shape
        inner: Slices = [(x[a], lo, 1, a) for a, (lo, _) in enumerate(node.params["widths"])]
        return [SliceWrite(None, nothing), SliceWrite(0, inner)]
    if name == "scatter_sum":
        sums = [
            SliceWrite(i, _slices(node.shape, index, node.operands[i].ndim), adds=True)
            for i, index in enumerate(node.params["indices"])
        ]
        return [SliceWrite(None, nothing), *sums]
    if len(node.operands) > 2:
        raise Declined(node, "writes at an array of indices")
    written = _slices(node.shape, node.params["index"], node.operands[1].ndim)
    return [SliceWrite(0, whole), SliceWrite(1, written)]


def _slices(shape: tuple[int, ...], index: object, ndim: int) -> Slices:
    """The slices of ``array[index] = v`` for a value of ``ndim`` axes."""
    axes = basic_axes(shape, index)
    out = index_ndim(shape, index)
    found: Slices = []
    for (k, a, start, step), n in zip(axes, shape, strict=True):
        if k is None:
            found.append((1, start, 1, None))
            continue
        length = kept_length(shape, index, a) if n else 0
        mine = k - (out - ndim)
        found.append((length, start, step, mine if mine >= 0 else None))
    return found
