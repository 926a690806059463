"""Plan: a graph cut into steps, each a loop over tiles or a run of whole arrays.

In:  an optimised Graph.
Out: what a backend runs, in order.
Holds: each step reads inputs, constants, and what an earlier step stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from xpgrad.core import Const, Graph, Node, Value
from xpgrad.plan.axes import Axes


@dataclass
class Untiled:
    """Nodes that run one after another on whole arrays, and the reason why there is no loop over tiles."""

    nodes: list[Node]
    reason: str


@dataclass
class Region:
    """Nodes that run in one loop over the tiles of an axis.

    Attributes
    ----------
    loop_axis : int
        The number of the axis in `Axes`.
    extent : int
        Its length.
    nodes : list of Node
        In order. A node may be in several regions: what is cheap is computed again.
    tiled : dict of Node to int
        The nodes that are computed tile by tile, each with the axis of its shape that is the loop axis.
    sums : list of Node
        The nodes that reduce the axis; the monoid is in their Relation.
    stores : list of Node
        Tiled nodes that later steps or the outputs read: they are written to memory.
    tile, chunk : int
        Entries of the axis in one tile, and in one chunk (a multiple of a tile). The sums of the chunks
        are combined in order.
    """

    loop_axis: int
    extent: int
    nodes: list[Node]
    tiled: dict[Node, int]
    sums: list[Node]
    stores: list[Node]
    tile: int = 0
    chunk: int = 0

    @property
    def chunks(self) -> int:
        return -(-self.extent // self.chunk) if self.extent else 0


Step = Untiled | Region


@dataclass
class Plan:
    """The steps of a graph.

    Attributes
    ----------
    graph : Graph
    axes : Axes
    views : list of Node
        Nodes that only look at inputs or constants in another way; they cost nothing.
    steps : list of Untiled or Region
    """

    graph: Graph
    axes: Axes
    views: list[Node]
    steps: list[Step] = field(default_factory=list)

    @cached_property
    def uses(self) -> Counter[Value]:
        """The number of uses of each value, by nodes and as an output."""
        found: Counter[Value] = Counter(u for n in self.graph.nodes for u in n.operands)
        found.update(self.graph.outputs)
        return found

    def last_uses(self) -> dict[Value, int]:
        """For each stored value the last step that reads it; outputs are not among them."""
        last: dict[Value, int] = {}
        kept = set(self.graph.outputs)
        for k, step in enumerate(self.steps):
            for node in step.nodes:
                for u in node.operands:
                    if not isinstance(u, Const) and u not in kept:
                        last[u] = k
        return last
