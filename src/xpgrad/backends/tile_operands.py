"""The parameters and operands of a node for one tile.

In:  a node, the axis of its output or operands that is cut, and the bounds of the tile.
Out: the arguments of the op's implementation with which it computes just that part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import Node
from xpgrad.ops.indexing import ARRAY, basic_axes
from xpgrad.plan.axes import Axes

Params = dict[str, Any]


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """``a + b``, and what its rounding has lost (Knuth)."""
    total = a + b
    z = total - a
    return total, (a - (total - z)) + (b - z)


def summed(parts: Any, lost: Any) -> Any:
    """The sums down the columns of ``parts``, two rows at a time, with what they have lost before.

    Where a sum is no finite number, that is the sum.
    """
    with np.errstate(all="ignore"):
        while len(parts) > 1:
            half = len(parts) // 2
            total, more = two_sum(parts[:half], parts[half : 2 * half])
            more = more + lost[:half] + lost[half : 2 * half]
            parts = np.concatenate((total, parts[2 * half :]))
            lost = np.concatenate((more, lost[2 * half :]))
        total, more = parts[0], lost[0]
        return np.where(np.isfinite(total) & ~np.isnan(more), total + more, total)


def tile_params(node: Node, axis: int | None) -> Callable[[int], Params]:
    """The parameters of ``node`` for a part of ``n`` entries along output axis ``axis``."""
    params = dict(node.params)
    name = node.op.name
    if axis is None:
        return lambda n: params
    if name in ("reshape", "broadcast_to", "full_like", "scatter_add"):
        shape = list(node.shape)

        def with_shape(n: int) -> Params:
            shape[axis] = n
            return params | {"shape": tuple(shape)}

        return with_shape
    if name in ("getitem", "index_update") and ARRAY not in _parts(params["index"]):
        params["index"] = _open(node, axis, updates=name == "index_update")
    return lambda n: params


def _parts(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _open(node: Node, axis: int, updates: bool) -> tuple[Any, ...]:
    """The index with ``slice(None)`` on the cut axis, whatever the bounds that it spelled out."""
    index = node.params["index"]
    shape = node.operands[0].shape
    cut = axis if updates else next(a for k, a, *_ in basic_axes(shape, index) if k == axis)
    parts: list[Any] = []
    a = 0
    given = list(_parts(index))
    taken = sum(1 for p in given if p is not None and p is not Ellipsis)
    if Ellipsis not in given:
        given.append(Ellipsis)
    for part in given:
        if part is None:
            parts.append(None)
        elif part is Ellipsis:
            missing = len(shape) - taken
            parts += [slice(None)] * missing
            a += missing
        else:
            parts.append(slice(None) if a == cut else part)
            a += 1
    return tuple(parts)


class TileOperand:
    """One operand of a node in a loop over tiles.

    Attributes
    ----------
    value : Input, Node or Const
    axis : int or None
        The axis that is cut; None: the operand is read whole.
    counts : bool
        The operand is ``arange`` along the axis, of which a tile takes as many from 0.
    """

    __slots__ = ("axis", "counts", "value")

    def __init__(self, node: Node, i: int, axes: Axes, loop_axis: int) -> None:
        self.value = node.operands[i]
        loop_axes = axes.operand_loop_axes(node, i)
        self.axis = loop_axes.index(loop_axis) if loop_axis in loop_axes else None
        self.counts = (
            self.axis is not None
            and node.op.name in ("getitem", "scatter_add")
            and i == 1
            and len(node.operands) == 3
        )

    def part(self, whole: Any, begin: int, end: int) -> Any:
        """The part of the whole array ``whole``."""
        if self.axis is None:
            return whole
        if self.counts:
            return np.arange(end - begin)
        return whole[(*(slice(None),) * self.axis, slice(begin, end))]
