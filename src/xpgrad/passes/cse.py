"""Common subexpressions: compute once what is written twice.

b = exp(a)                                    b = exp(a)
c = exp(a)                         becomes    d = add(b, b)
d = add(b, c)
"""

from __future__ import annotations

from xpgrad.core import Graph
from xpgrad.passes.rewriting import Note, rewrite, silent


def cse(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    found = rewrite(graph, lambda _r, _node, _operands: None)
    fewer = len(graph.nodes) - len(found.nodes)
    if fewer:
        note(f"{fewer} of {len(graph.nodes)} nodes were there already")
    return found
