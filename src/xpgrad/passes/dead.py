"""Dead code: drop the nodes that no output needs.

    b = exp(a)                                    c = multiply(a, 2)
    c = multiply(a, 2)                 becomes    out  c
    out  c

The inputs stay, needed or not.
"""

from __future__ import annotations

from xpgrad.core import Graph, Value
from xpgrad.passes.rewriting import Note, silent


def dead(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    needed: set[Value] = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.operands)
    found = Graph()
    found.inputs, found.outputs = list(graph.inputs), list(graph.outputs)
    found.nodes = [node for node in graph.nodes if node in needed]
    fewer = len(graph.nodes) - len(found.nodes)
    if fewer:
        note(f"{fewer} of {len(graph.nodes)} nodes lead to no output")
    return found
