"""Inputs that stay on the host, and the buffers through which their tiles are copied.

In:  a step, and the inputs that stay on the host.
Out: the axis along which each is cut, or NotTileable, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from xpgrad.backends.gpu.cuda.tiles.tile_region import seen_through
from xpgrad.core import Const, Node, Operand, Value
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.tiles import looked_into


class NotTileable(Exception):
    """An input cannot stay on the host, for this reason."""

    def __init__(self, value: Value, reason: str) -> None:
        super().__init__(reason)
        self.value, self.reason = value, reason


def cut_of(step: Region | Untiled, plan: Plan, hosts: Collection[Value]) -> dict[Value, int]:
    """The inputs among ``hosts`` that the step reads in tiles, and the axis along which each is cut.

    Raises
    ------
    NotTileable
        The step needs more than one tile of it at a time.
    """
    reads = [
        (node, i, u, looked_into(u))
        for node in step.nodes
        for i, u in enumerate(node.operands)
        if not isinstance(u, Const)
    ]
    first = next((root for _, _, _, root in reads if root in hosts), None)
    found: dict[Value, int] = {}
    if first is None:
        return found
    if not isinstance(step, Region):
        raise NotTileable(first, f"{_name(step.nodes)} is in no loop over the samples")
    if step.stores:
        raise NotTileable(first, f"{_name(step.stores)} makes an array of the samples' length")
    inside, viewed = set(step.nodes), set(plan.views)
    for node, i, u, root in reads:
        if u in inside or root not in hosts:
            continue
        loop_axes = plan.axes.operand_loop_axes(node, i)
        if step.loop_axis not in loop_axes:
            raise NotTileable(root, f"{_name([node])} needs all of it at once")
        if u is not root and u not in viewed:
            raise NotTileable(root, f"{_name([node])} reads a part of it")
        axis: int | None = loop_axes.index(step.loop_axis)
        view: Operand = u
        while isinstance(view, Node) and view is not root and axis is not None:
            axis = seen_through(view, axis)
            view = view.operands[0]
        if axis is None or found.setdefault(root, axis) != axis:
            raise NotTileable(root, f"{_name([node])} reads it in another shape")
    return found


def _name(nodes: Sequence[Node]) -> str:
    return ", ".join(n.op.name for n in nodes[:1])


class PlainBuffers:
    """Staging buffers of a device on which a copy is complete when the call returns."""

    def __init__(self, xp: Any, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        self._slots = [[xp.empty(shape, dtype) for shape, dtype in shapes] for _ in range(2)]
        self.arrays = self._slots[0]

    def load(self, k: int, pieces: Sequence[Any]) -> list[Any]:
        slot = self._slots[k % 2]
        for held, piece in zip(slot, pieces, strict=True):
            held[tuple(map(slice, piece.shape))] = piece
        return slot

    def used(self, k: int) -> None:
        """Every kernel that reads tile ``k`` has been launched."""
