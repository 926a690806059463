"""Loop axes: the sets of axes of values that run together.

In:  a Graph.
Out: Axes: a loop axis for each axis of each computed value, and for each axis of a node's operands.
Holds: no value has one loop axis twice. Values that are read from memory (inputs, constants and views of
them) have none of their own, so that one array can be read in several roles.
"""

from __future__ import annotations

from collections.abc import Iterable

from xpgrad.core import Graph, Node, Operand, Value
from xpgrad.plan.relations import Relation, relation, stays_whole


def is_view(node: Node) -> bool:
    """Whether the op only shows the entries of its operand at other indices."""
    return "view" in node.op.traits and len(node.operands) == 1


class Axes:
    """The loop axes of a graph: a number for each, from 0.

    Attributes
    ----------
    relations : dict of Value to Relation
    memory : set of Value
        What lies in memory before the graph runs: its inputs, and views of these.
    extent : list of int
        The length of each loop axis.
    by_library : set of Node
        Products that the library computes faster, because of where their factors lie in memory.
    """

    def __init__(self, graph: Graph, memory: Iterable[Value]) -> None:
        self.memory = set(memory)
        self.by_library: set[Node] = set()
        self.relations: dict[Value, Relation] = {}
        self.extent: list[int] = []
        # Elements, one for each axis of each node, in union-find sets; each set is then one loop axis.
        self._parent: list[int] = []
        self._holders: list[set[int]] = []
        self._elements: dict[Value, list[int | None]] = {}
        self._own: dict[Value, dict[tuple[int, int], int]] = {}
        self._reduced: dict[Value, tuple[int, ...]] = {}
        self._whole: dict[Value, tuple[int, ...]] = {}
        for node in graph.nodes:
            if node not in self.memory:
                self._enter(node)
        found = [self._find(e) for e in range(len(self._parent))]
        self._loop_axes = {
            v: tuple(None if e is None else found[e] for e in elements)
            for v, elements in self._elements.items()
        }
        self._own = {v: {at: found[e] for at, e in own.items()} for v, own in self._own.items()}
        self._reduced = {v: tuple(found[e] for e in elements) for v, elements in self._reduced.items()}
        self._whole = {v: tuple(found[e] for e in elements) for v, elements in self._whole.items()}

    # ── reading ──────────────────────────────────────────────────────────────────────────────
    def loop_axes(self, value: Value) -> tuple[int | None, ...]:
        """The loop axis of each axis of a computed value; None for an axis of length 1."""
        return self._loop_axes[value]

    def reduced(self, node: Node) -> tuple[int, ...]:
        """The loop axes that ``node`` contracts or reduces."""
        return self._reduced[node]

    def all_of(self, node: Node) -> tuple[int, ...]:
        """The loop axes along which ``node`` is computed, and those that it contracts or reduces."""
        return (*(e for e in self._loop_axes[node] if e is not None), *self._reduced[node])

    def axis(self, value: Value, loop_axis: int) -> int | None:
        """The axis of ``value`` that is ``loop_axis``."""
        loop_axes = self._loop_axes.get(value, ())
        return loop_axes.index(loop_axis) if loop_axis in loop_axes else None

    def operand_loop_axes(self, node: Node, i: int) -> tuple[int | None, ...]:
        """The loop axes of operand ``i`` as this node reads it; None for an axis that it needs whole."""
        own = self._own[node]
        return tuple(own.get((i, a)) if n != 1 else None for a, n in enumerate(node.operands[i].shape))

    def made_whole(self, node: Node) -> tuple[int, ...]:
        """The loop axes of the output along which the node cannot compute a part."""
        return self._whole[node]

    def stays_whole(self, node: Node) -> bool:
        """True if a loop over tiles would be slower than the library."""
        return node in self.by_library or stays_whole(node)

    # ── building ─────────────────────────────────────────────────────────────────────────────
    def _enter(self, node: Node) -> None:
        rel = self.relations[node] = relation(node)
        mine: list[int | None] = [None if n == 1 else self._fresh(n, node) for n in node.shape]
        self._elements[node] = mine
        own = self._own[node] = {}
        linked = set(rel.free)
        for k, i, a in rel.links:
            element = mine[k]
            if element is not None:
                own[i, a] = element
                linked.add(k)
        self._whole[node] = tuple(e for k, e in enumerate(mine) if e is not None and k not in linked)
        reduced = []
        for refs in rel.reduced:
            n = node.operands[refs[0][0]].shape[refs[0][1]]
            if n == 1:
                continue
            element = self._fresh(n, node)
            reduced.append(element)
            for ref in refs:
                own[ref] = element
        self._reduced[node] = tuple(reduced)
        for i, u in enumerate(node.operands):
            if u in self._elements:
                self._bind(node, i, u)

    def _bind(self, node: Node, i: int, u: Operand) -> None:
        """Unite the axes of an operand with the node's, unless a value would have one loop axis twice."""
        own = self._own[node]
        for a, theirs in enumerate(self._elements[u]):
            if theirs is not None and (i, a) in own:
                self._unite(own[i, a], theirs)

    def _fresh(self, extent: int, node: Node) -> int:
        self._parent.append(len(self._parent))
        self._holders.append({id(node)})
        self.extent.append(extent)
        return len(self._parent) - 1

    def _find(self, e: int) -> int:
        while self._parent[e] != e:
            self._parent[e] = self._parent[self._parent[e]]
            e = self._parent[e]
        return e

    def _unite(self, a: int, b: int) -> None:
        a, b = self._find(a), self._find(b)
        fewer, more = sorted((self._holders[a], self._holders[b]), key=len)
        if a != b and more.isdisjoint(fewer):
            self._parent[b] = a
            more |= fewer  # the smaller into the larger: a chain of n nodes costs n steps, and not n squared
            self._holders[a] = more
