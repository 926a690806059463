"""Separate the demands on data from a graph, and leave a boolean output for each.

In:  a Graph as it was traced, and the number of its first inputs that change from call to call.
Out: `Separated`: the graph with one more output for each demand that every call must check; and, for the two
     kinds of demand, the graph that raises.
Holds: no node of the first graph demands anything.

    y' = require(y, y, y >= 0)                 ok = all(y >= 0)
    out  exp(z) - y' z             becomes     out  exp(z) - y z,  ok
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from xpgrad.core import Graph, Node, Value
from xpgrad.ops import reductions as red
from xpgrad.ops.requirements import require
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.rewriting import Rewriting


class Separated(NamedTuple):
    """A program, and its demands.

    Attributes
    ----------
    graph : Graph
        The program, with one more boolean output for each output of ``each_call``: whether it holds.
    each_call : Graph
        Its outputs are the demands, `require` nodes; when it runs, a demand that does not hold raises.
    settled : Graph
        The same for the demands on inputs that do not change, which the program does not check.
    """

    graph: Graph
    each_call: Graph
    settled: Graph


def separated(graph: Graph, fixed_from: int | None = None) -> Separated:
    """Take the demands out of ``graph``; the program does not check those on the fixed inputs alone."""
    if not any(node.op is require for node in graph.nodes):
        return Separated(graph, _demands(graph, []), _demands(graph, []))
    graph = cse(graph)  # a loss that is traced for its value and for its gradient demands the same twice
    varies: set[Value] = set(graph.inputs[:fixed_from])
    for node in graph.nodes:
        if any(value in varies for value in node.operands):
            varies.add(node)
    demands = [node for node in graph.nodes if node.op is require]
    each_call = [node for node in demands if fixed_from is None or node in varies]
    settled = [node for node in demands if not (fixed_from is None or node in varies)]
    return Separated(_asking(graph, each_call), _demands(graph, each_call), _demands(graph, settled))


def asked(demands: Graph) -> Graph:
    """The graph of booleans that say whether each demand holds; the outputs of ``demands`` are the demands."""
    graph = _asking(demands, demands.outputs)
    graph.outputs = graph.outputs[len(demands.outputs) :]
    return dead(graph)


def _demands(graph: Graph, nodes: Sequence[Node]) -> Graph:
    alone = Graph()
    alone.inputs, alone.nodes, alone.outputs = graph.inputs, graph.nodes, [*nodes]
    return dead(alone)


def _asking(graph: Graph, about: Collection[Value]) -> Graph:
    r = Rewriting(graph, share=False)
    outputs, about = set(graph.outputs), set(about)
    flags: list[Any] = []
    for node in graph.nodes:
        r.at = node.at
        operands = r.operands(node)
        if node.op is not require:
            r.take(node, r.copy(node, operands), output=node in outputs)
            continue
        x, _, ok = operands
        r.take(node, x, output=False)
        if node in about:
            flags.append(r.emit(red.all, ok))
    new = r.finish(graph)
    new.outputs += flags
    return new
