"""A graph as text, one line for each node: ``c = multiply(a, b)  float64[3]``."""

from __future__ import annotations

from itertools import count, product
from string import ascii_lowercase

from xpgrad._errors import describe
from xpgrad.core.graph import Const, Graph, Node, Operand, Value


def show(graph: Graph) -> str:
    """Print ``graph``.

    >>> show(graph_of(lambda x: np.sum(x * 2), x))
    in   a  float64[3]
    b = multiply(a, 2)  float64[3]
    c = sum(b, axis=None, keepdims=False)  float64[]
    out  c
    """
    names = names_of(graph)
    lines = [f"in   {names[value]}  {value.aval}" for value in graph.inputs]
    for node in graph.nodes:
        operands = [operand_text(names, u) for u in node.operands]
        lines.append(f"{names[node]} = {node.op.name}({', '.join(operands + params_text(node))})  {node.aval}")
    lines.append(f"out  {', '.join(names[v] for v in graph.outputs)}")
    return "\n".join(lines)


def names_of(graph: Graph) -> dict[Value, str]:
    """The name of each value: ``a``, ``b``, ..., ``aa``, in the order of the graph."""
    fresh = ("".join(letters) for n in count(1) for letters in product(ascii_lowercase, repeat=n))
    return dict(zip((*graph.inputs, *graph.nodes), fresh, strict=False))


def operand_text(names: dict[Value, str], u: Operand) -> str:
    """An operand: its name, or a description of the constant."""
    if not isinstance(u, Const):
        return names[u]
    return repr(u.data) if isinstance(u.data, (bool, int, float, complex)) else describe(u.data)


def params_text(node: Node) -> list[str]:
    """The parameters of ``node`` as keywords."""
    return [f"{k}={v}" for k, v in node.params.items()]
