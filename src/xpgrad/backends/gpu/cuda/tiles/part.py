"""A region cut down to some of its samples: the same nodes, as long as one tile.

In:  a Region, and the samples of a tile.
Out: Part: a region of its own, whose values have the tile's length, and what it reads in slices.
Holds: labels, links and the number of readers are those of the whole graph, so that each entry is computed as
it would be in one loop over all samples. What has no samples is the very same Value.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from xpgrad.backends.parts import Operand, part_params
from xpgrad.core import Graph, Value
from xpgrad.core.graph import operand_aval
from xpgrad.plan import Plan, Region
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.relations import relation


class PartAxes(Axes):
    """The labels of a region's nodes, for their parts."""

    def __init__(self, base: Axes, label: int, length: int) -> None:
        self._base = base
        self._nodes: dict[Value, Value] = {}
        self.memory, self.relations = base.memory, {}
        self.extent = list(base.extent)
        self.extent[label] = length

    def add(self, part: Value, node: Value) -> None:
        """``part`` is labelled as ``node`` is."""
        self._nodes[part] = node
        self.relations[part] = self._base.relations[node]

    def labels(self, value: Value) -> tuple[int | None, ...]:
        return self._base.labels(self._nodes[value])

    def reduced(self, node: Value) -> tuple[int, ...]:
        return self._base.reduced(self._nodes[node])

    def axis(self, value: Value, label: int) -> int | None:
        return self._base.axis(self._nodes.get(value, value), label)

    def operand_labels(self, node: Value, i: int) -> tuple[int | None, ...]:
        return self._base.operand_labels(self._nodes[node], i)

    def made_whole(self, node: Value) -> tuple[int, ...]:
        return self._base.made_whole(self._nodes[node])


class Part:
    """``length`` samples of a region.

    Attributes
    ----------
    region : Region
        Of the parts.
    plan : Plan
        Of the region alone, for a kernel.
    of : dict of Value to Value
        The part of each node.
    node : dict of Value to Value
        The node of each part.
    slices : dict of Value to (Value or constant, int)
        For each array that is read in slices what it is a slice of, and along which axis.
    views : dict of Value to (Value, int)
        The same for views of slices, in order.
    """

    def __init__(self, step: Region, plan: Plan, length: int) -> None:
        self.length, self._step, self._axes = length, step, plan.axes
        self._viewed = set(plan.views)
        self.of: dict[Value, Value] = {}
        self.slices: dict[Value, tuple[Any, int]] = {}
        self.views: dict[Value, tuple[Value, int]] = {}
        self._found: dict[tuple[Any, int], Value] = {}
        axes = PartAxes(plan.axes, step.label, length)
        for node in step.nodes:
            self.of[node] = self._part(node)
            axes.add(self.of[node], node)
        self.node = {p: n for n, p in self.of.items()}
        graph = Graph()
        graph.inputs = list(self.slices)
        graph.nodes = [*self.views, *self.of.values()]
        uses = Counter(u for n in plan.graph.nodes for u in n.inputs)
        uses.update(plan.graph.outputs)
        uses.subtract(u for n in step.nodes for u in n.inputs)
        graph.outputs = [p for n, p in self.of.items() if uses[n] > 0]  # somebody else reads it too
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
        """Whether the part has all samples."""
        return self.length == self._step.extent

    def _part(self, node: Value) -> Value:
        assert node.saved is not None
        inputs: list[Value | None] = []
        saved = list(node.saved)
        for i, u in enumerate(node.inputs):
            operand = Operand(node, i, self._axes, self._step.label)
            if u is not None and u in self.of:
                inputs.append(self.of[u])
            elif operand.axis is None:
                inputs.append(u)
            elif operand.counts:
                inputs.append(u)
                saved[i + 1] = np.arange(self.length)
            else:
                assert operand_aval(node, i).shape[operand.axis] == self._step.extent
                inputs.append(self._slice(u, saved[i + 1], operand.axis))
                saved[i + 1] = None
        return self._value(node, inputs, tuple(saved), self._step.tiled.get(node))

    def _value(self, node: Value, inputs: Any, saved: Any, axis: int | None) -> Value:
        shape = self._shape(node.shape, axis)
        params = part_params(node, axis)(self.length)
        return Value(node.op, inputs, params, shape, node.dtype, saved, node.at, node.weak)

    def _slice(self, u: Value | None, constant: Any, axis: int) -> Value:
        """What a node reads instead of ``u``."""
        key = (id(constant) if u is None else u, axis)
        if key in self._found:
            return self._found[key]
        if u is not None and u in self._viewed and (below := seen_through(u, axis)) is not None:
            found = self._value(u, [self._slice(u.inputs[0], None, below)], u.saved, axis)
            self.views[found] = u, axis
        else:
            source = constant if u is None else u
            found = Value(None, (), {}, self._shape(source.shape, axis), np.dtype(source.dtype))
            self.slices[found] = source, axis
        self._found[key] = found
        return found

    def _shape(self, shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
        return tuple(self.length if a == axis else n for a, n in enumerate(shape))


def seen_through(view: Value, axis: int) -> int | None:
    """The axis of what ``view`` looks at, of which ``axis`` is the same; None where there is none."""
    source = view.inputs[0] if is_view(view) else None
    if source is None:
        return None
    found = [a for k, i, a in relation(view).links if k == axis and i == 0]
    return next((a for a in found if source.shape[a] == view.shape[axis]), None)
