"""Hoist what depends on the data alone out of a program that runs on the same data again.

In:  an optimised Graph, and the number of its first inputs that change from call to call.
Out: `Hoisted`: a graph of the data alone, and the rest, which takes its outputs as further inputs; or None.
Holds: nothing is stored that a loop would have made on the way, except values of functions that take longer
than reading them; and nothing that is larger than what it is computed from.

    in  w, X                              in  X                  in  w, X, a
    a = sum(X)                            a = sum(X)             b = dot(w, X)
    b = dot(w, X)              becomes    out a           and    c = subtract(b, a)
    c = subtract(b, a)                                           out c
    out c
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.core import Const, Graph, Input, Node, Operand, Value
from xpgrad.passes.dead import dead

_SLOW = frozenset(
    "beta betainc betaincc betaln digamma gamma gammainc gammaincc gammaln polygamma rgamma zeta".split()
    + "log_betainc log_gammainc log_gammaincc stdtr stdtrit".split()
)
"""Pointwise functions that take longer for an entry than it takes to read one."""

_FUSED = frozenset(
    "getitem full_like index_update scatter_add concatenate pad tril triu diagonal embed_diagonal".split()
    + ["custom", "require"]
)
"""Ops that are never stored by themselves: loops read their entries in place, or they are not known here."""

_PICK = "pick"


class Hoisted(NamedTuple):
    """A program in two parts.

    Attributes
    ----------
    prior : Graph
        It has the inputs of the whole. Its outputs depend on those that do not change.
    rest : Graph
        Its inputs are those of the whole, and then the outputs of ``prior``.
    """

    prior: Graph
    rest: Graph


def hoisted(graph: Graph, fixed_from: int, below: int | None = None) -> Hoisted | None:
    """The two parts of ``graph``; None where nothing is worth a part of its own.

    ``below``: only values of fewer entries are stored, such as those that are none for each sample.

    An output of the whole that depends on the data alone stays in the rest, for each call gives it anew.
    """
    data = set(graph.inputs[fixed_from:])
    alone: dict[Value, frozenset[Value]] = {}  # of what depends on the data alone: the stored values behind it
    kept: set[Node] = set()
    several = {u for n in graph.nodes if n.op.name == _PICK for u in n.operands}
    for node in graph.nodes:
        operands = [u for u in node.operands if not isinstance(u, Const)]
        if not operands or not all(u in data or u in alone for u in operands):
            continue
        behind = frozenset[Value]().union(*(frozenset((u,)) if u in data else alone[u] for u in operands))
        large = below is not None and node.size >= below
        if large or node in several or node.weak or not _is_kept(node, behind, kept):
            alone[node] = behind
        else:
            kept.add(node)
            alone[node] = frozenset((node,))
    reads = {u for n in graph.nodes if n not in alone for u in n.operands}
    # What fused code of the data needs is stored too: it is computed again in each call.
    waiting = [n for n in reads if isinstance(n, Node) and n in alone]
    found: set[Node] = set()
    fused: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node in kept:
            found.add(node)
        elif node not in fused:
            fused.add(node)
            waiting += [u for u in node.operands if isinstance(u, Node)]
    outputs = [n for n in graph.nodes if n in found and n not in graph.outputs]
    return _parted(graph, outputs) if outputs else None


def _is_kept(node: Node, behind: frozenset[Value], kept: set[Node]) -> bool:
    """Whether ``node`` is stored, if the program reads it."""
    if node.op.name in _FUSED or _bytes(node) > sum(map(_bytes, behind)):
        return False
    if "view" in node.op.traits or ("pointwise" in node.op.traits and node.op.name not in _SLOW):
        return behind <= kept and "view" not in node.op.traits
    return True


def _bytes(value: Value) -> int:
    return value.size * value.dtype.itemsize


def _parted(graph: Graph, outputs: list[Node]) -> Hoisted:
    prior = Graph()
    prior.inputs, prior.nodes, prior.outputs = graph.inputs, graph.nodes, [*outputs]
    rest = Graph()
    entered: dict[Value, Operand] = {v: Input(v.aval) for v in (*graph.inputs, *outputs)}
    rest.inputs = [v for v in entered.values() if isinstance(v, Input)]
    for node in graph.nodes:
        if node not in entered:
            operands = [u if isinstance(u, Const) else entered[u] for u in node.operands]
            entered[node] = copy = Node(node.op, operands, node.params, node.aval, node.at)
            rest.nodes.append(copy)
    rest.outputs = [u for v in graph.outputs if not isinstance(u := entered[v], Const)]
    return Hoisted(dead(prior), dead(rest))
