"""The keys by which nodes and graphs are compared when loops are rolled.

In:  nodes of a graph.
Out: a symbol for each; which of them are views; a key for a whole graph.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Const, Graph, Node
from xpgrad.ops.indexing import getitem
from xpgrad.ops.shape import reshape
from xpgrad.passes.keys import key_of


def views(graph: Graph) -> set[Any]:
    """The slices and reshapes, but those of a long chain."""
    depth: dict[Any, int] = {}
    for node in graph.nodes:
        if (
            node.op in (getitem, reshape)
            and len(node.operands) == 1
            and not isinstance(node.operands[0], Const)
        ):
            deep = depth.get(node.operands[0], 0)
            if deep < 4 and not node.weak:
                depth[node] = deep + 1
    return set(depth)


def symbol(node: Node) -> Any:
    """A key that is equal for nodes with the same op, parameters and shapes, whatever their operands are."""
    params = key_of(node.op, (), node.params)[2] if node.params else ()  # type: ignore[index]
    operands = [(u.shape, id(u.dtype), u.weak, type(u) is Const and not u.shape) for u in node.operands]
    return node.op, params, node.shape, id(node.dtype), node.weak, tuple(operands)


def form(graph: Graph) -> Any:
    """A key that is equal for graphs that compute the same."""
    number: dict[Any, int] = {v: k for k, v in enumerate((*graph.inputs, *graph.nodes))}

    def ref(u: Any) -> Any:
        return key_of(None, (u,), {}) if isinstance(u, Const) else number[u]  # type: ignore[arg-type]

    nodes = [
        (key_of(n.op, (), n.params), tuple(map(ref, n.operands)), n.shape, n.dtype.str, n.weak)
        for n in graph.nodes
    ]
    inputs = [(v.shape, v.dtype.str, v.weak) for v in graph.inputs]
    return tuple(inputs), tuple(nodes), tuple(number[v] for v in graph.outputs)
