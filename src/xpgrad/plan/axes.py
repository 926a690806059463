"""Which axes of which values go along with one another.

In:  a Graph.
Out: Axes: a label for each axis of each computed value, and for each node where its labels stand.
Holds: no value has one label on two axes; what is read from memory (inputs, constants and views of
them) is bound to nothing, so that one array can be read in several roles.
"""

from __future__ import annotations

from collections.abc import Iterable

from xpgrad.core import Graph, Node, Operand, Value
from xpgrad.plan.relations import Relation, relation


def is_view(node: Node) -> bool:
    """Whether the op only looks at its operand in another way."""
    return "view" in node.op.traits and len(node.operands) == 1


class Axes:
    """The labels of a graph.

    Attributes
    ----------
    relations : dict of Value to Relation
    memory : set of Value
        What lies in memory before the graph runs: its inputs, and views of these.
    """

    def __init__(self, graph: Graph, memory: Iterable[Value]) -> None:
        self.memory = set(memory)
        self.relations: dict[Value, Relation] = {}
        self.extent: list[int] = []
        # While the axes are entered: sets of elements, one for each axis of each node. Then their labels.
        self._parent: list[int] = []
        self._holders: list[set[int]] = []
        self._elements: dict[Value, list[int | None]] = {}
        self._own: dict[Value, dict[tuple[int, int], int]] = {}
        self._reduced: dict[Value, tuple[int, ...]] = {}
        self._whole: dict[Value, tuple[int, ...]] = {}
        for node in graph.nodes:
            if node not in self.memory:
                self._enter(node)
        label = [self._find(e) for e in range(len(self._parent))]
        self._labels = {
            v: tuple(None if e is None else label[e] for e in elements)
            for v, elements in self._elements.items()
        }
        self._own = {v: {at: label[e] for at, e in own.items()} for v, own in self._own.items()}
        self._reduced = {v: tuple(label[e] for e in elements) for v, elements in self._reduced.items()}
        self._whole = {v: tuple(label[e] for e in elements) for v, elements in self._whole.items()}

    # ── reading ──────────────────────────────────────────────────────────────────────────────
    def labels(self, value: Value) -> tuple[int | None, ...]:
        """The label of each axis of a computed value; None on an axis of length 1."""
        return self._labels[value]

    def reduced(self, node: Node) -> tuple[int, ...]:
        """The labels that ``node`` contracts or reduces."""
        return self._reduced[node]

    def axis(self, value: Value, label: int) -> int | None:
        """The axis of ``value`` that has ``label``."""
        labels = self._labels.get(value, ())
        return labels.index(label) if label in labels else None

    def operand_labels(self, node: Node, i: int) -> tuple[int | None, ...]:
        """The labels of the axes of operand ``i`` as this node reads it; None where it needs them whole."""
        own = self._own[node]
        return tuple(own.get((i, a)) if n != 1 else None for a, n in enumerate(node.operands[i].shape))

    def made_whole(self, node: Node) -> tuple[int, ...]:
        """The labels of output axes that the node cannot make a part of."""
        return self._whole[node]

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
        for places in rel.reduced:
            n = node.operands[places[0][0]].shape[places[0][1]]
            if n == 1:
                continue
            element = self._fresh(n, node)
            reduced.append(element)
            for place in places:
                own[place] = element
        self._reduced[node] = tuple(reduced)
        for i, u in enumerate(node.operands):
            if u in self._elements:
                self._bind(node, i, u)

    def _bind(self, node: Node, i: int, u: Operand) -> None:
        """Let the axes of an operand go along with the node's, unless a value got one label twice."""
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
