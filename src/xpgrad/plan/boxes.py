"""An array that is put together of parts, as the boxes that they fill.

In:  a node of `index_update`, `concatenate`, `pad` or `scatter_sum`.
Out: its Parts in the order in which they are written; a later one goes over an earlier one.
Holds: a box is a product of arithmetic progressions, one along each axis of the output.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.core import Node
from xpgrad.plan.nests import Declined
from xpgrad.plan.relations import basic_axes, index_ndim, kept_length

Box = list[tuple[int, int, int, int | None]]


class Part(NamedTuple):
    """One operand and the box of the output that it goes to.

    ``box`` has for each axis of the output ``(length, start, step, operand axis or None)``;
    operand None is a fill with zeros.
    """

    operand: int | None
    box: Box
    adds: bool = False


def parts_of(node: Node) -> list[Part]:
    """The parts of ``node``, in the order in which they are written."""
    whole: Box = [(n, 0, 1, a) for a, n in enumerate(node.shape)]
    nothing: Box = [(n, 0, 1, None) for n in node.shape]
    name = node.op.name
    if name == "concatenate":
        axis, start, found = node.params["axis"], 0, []
        for i, u in enumerate(node.operands):
            n = u.shape[axis]
            found.append(Part(i, [(n, start, 1, a) if a == axis else whole[a] for a in range(node.ndim)]))
            start += n
        return found
    if name == "pad":
        x = node.operands[0].shape
        box: Box = [(x[a], lo, 1, a) for a, (lo, _) in enumerate(node.params["widths"])]
        return [Part(None, nothing), Part(0, box)]
    if name == "scatter_sum":
        boxes = [
            Part(i, _box(node.shape, index, node.operands[i].ndim), adds=True)
            for i, index in enumerate(node.params["indices"])
        ]
        return [Part(None, nothing), *boxes]
    if len(node.operands) > 2:
        raise Declined(node, "writes at an array of indices")
    return [Part(0, whole), Part(1, _box(node.shape, node.params["index"], node.operands[1].ndim))]


def _box(shape: tuple[int, ...], index: object, ndim: int) -> Box:
    """The box of ``array[index] = v`` for a value of ``ndim`` axes."""
    axes = basic_axes(shape, index)
    out = index_ndim(shape, index)
    found: Box = []
    for (k, a, start, step), n in zip(axes, shape, strict=True):
        if k is None:
            found.append((1, start, 1, None))
            continue
        length = kept_length(shape, index, a) if n else 0
        mine = k - (out - ndim)
        found.append((length, start, step, mine if mine >= 0 else None))
    return found
