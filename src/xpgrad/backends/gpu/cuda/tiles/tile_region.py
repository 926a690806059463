"""A region cut to the length of one tile: the same nodes, with fewer samples.

In:  a Region, and the number of samples per tile.
Out: TileRegion: a region of its own, whose values have the tile's length, and the slices that it reads.
Holds: loop axes, links and the number of readers are those of the whole graph, so that each entry is computed
as in one loop over all samples. A value without samples is the same object as in the region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xpgrad.backends.tile_operands import TileOperand, tile_params
from xpgrad.core import Aval, Const, Graph, Input, Node, Operand, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.relations import relation


class TileAxes(Axes):
    """The loop axes of a region's nodes, for the nodes of a tile."""

    def __init__(self, base: Axes, loop_axis: int, length: int) -> None:
        self._base = base
        self._nodes: dict[Value, Node] = {}
        self.memory, self.relations = base.memory, {}
        self.extent = list(base.extent)
        self.extent[loop_axis] = length

    def add(self, tile: Node, node: Node) -> None:
        """Give ``tile`` the loop axes of ``node``."""
        self._nodes[tile] = node
        self.relations[tile] = self._base.relations[node]

    def loop_axes(self, value: Value) -> tuple[int | None, ...]:
        return self._base.loop_axes(self._nodes[value])

    def reduced(self, node: Node) -> tuple[int, ...]:
        return self._base.reduced(self._nodes[node])

    def axis(self, value: Value, loop_axis: int) -> int | None:
        return self._base.axis(self._nodes.get(value, value), loop_axis)

    def operand_loop_axes(self, node: Node, i: int) -> tuple[int | None, ...]:
        return self._base.operand_loop_axes(self._nodes[node], i)

    def made_whole(self, node: Node) -> tuple[int, ...]:
        return self._base.made_whole(self._nodes[node])


class TileRegion:
    """``length`` samples of a region.

    Attributes
    ----------
    region : Region
        The region of the tile's nodes.
    plan : Plan
        The plan of this region alone, for a kernel.
    of : dict of Node to Node
        The tile's node for each node of the whole region.
    node : dict of Node to Node
        The whole region's node for each node of the tile.
    slices : dict of Input to (Input, Node or Const, int)
        The array of which each sliced input is a slice, and the axis.
    views : dict of Node to (Node, int)
        The same for views of slices, in order.
    """

    def __init__(self, step: Region, plan: Plan, length: int) -> None:
        self.length, self._step, self._axes = length, step, plan.axes
        self._viewed: set[Value] = set(plan.views)
        self.of: dict[Node, Node] = {}
        self.slices: dict[Input, tuple[Operand, int]] = {}
        self.views: dict[Node, tuple[Node, int]] = {}
        self._found: dict[tuple[Operand, int], Input | Node] = {}
        axes = TileAxes(plan.axes, step.loop_axis, length)
        for node in step.nodes:
            self.of[node] = self._tile(node)
            axes.add(self.of[node], node)
        self.node = {p: n for n, p in self.of.items()}
        graph = Graph()
        graph.inputs = list(self.slices)
        graph.nodes = [*self.views, *self.of.values()]
        uses: Counter[Value] = Counter(u for n in plan.graph.nodes for u in n.operands)
        uses.update(plan.graph.outputs)
        uses.subtract(u for n in step.nodes for u in n.operands)
        graph.outputs = [p for n, p in self.of.items() if uses[n] > 0]  # something outside reads it, too
        self.plan = Plan(graph, axes, list(self.views))
        self.region = replace(
            step,
            extent=length,
            nodes=list(self.of.values()),
            tiled={self.of[n]: a for n, a in step.tiled.items()},
            sums=[self.of[n] for n in step.sums],
            stores=[self.of[n] for n in step.stores],
        )

    @property
    def is_whole(self) -> bool:
        """True if the tile has all samples."""
        return self.length == self._step.extent

    def _tile(self, node: Node) -> Node:
        operands: list[Operand] = []
        for i, u in enumerate(node.operands):
            operand = TileOperand(node, i, self._axes, self._step.loop_axis)
            if isinstance(u, Node) and u in self.of:
                operands.append(self.of[u])
            elif operand.axis is None:
                operands.append(u)
            elif operand.counts:
                operands.append(Const(np.arange(self.length)))
            else:
                assert u.shape[operand.axis] == self._step.extent
                operands.append(self._slice(u, operand.axis))
        return self._cut(node, operands, self._step.tiled.get(node))

    def _cut(self, node: Node, operands: Sequence[Operand], axis: int | None) -> Node:
        aval = Aval(self._shape(node.shape, axis), node.dtype, node.weak)
        return Node(node.op, operands, tile_params(node, axis)(self.length), aval, node.at)

    def _slice(self, u: Operand, axis: int) -> Input | Node:
        """The slice that a node reads instead of ``u``."""
        if (u, axis) not in self._found:
            self._found[u, axis] = self._sliced(u, axis)
        return self._found[u, axis]

    def _sliced(self, u: Operand, axis: int) -> Input | Node:
        below = seen_through(u, axis) if u in self._viewed else None
        if isinstance(u, Node) and below is not None:
            view = self._cut(u, [self._slice(u.operands[0], below)], axis)
            self.views[view] = u, axis
            return view
        found = Input(Aval(self._shape(u.shape, axis), u.dtype))
        self.slices[found] = u, axis
        return found

    def _shape(self, shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
        return tuple(self.length if a == axis else n for a, n in enumerate(shape))


def seen_through(view: Operand, axis: int) -> int | None:
    """The axis of the viewed array that is ``axis`` of ``view``; None where there is none."""
    if not isinstance(view, Node) or not is_view(view):
        return None
    (source,) = view.operands
    if isinstance(source, Const):
        return None
    found = [a for k, i, a in relation(view).links if k == axis and i == 0]
    return next((a for a in found if source.shape[a] == view.shape[axis]), None)
