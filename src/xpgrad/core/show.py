"""A graph as text, one line for each node: ``c = multiply(a, b)  float64[3]``."""

from __future__ import annotations

from itertools import count, product
from string import ascii_lowercase
from typing import Any

from xpgrad._errors import describe
from xpgrad.core.graph import Graph, Value


def show(graph: Graph) -> str:
    """Print ``graph``.

    >>> show(graph_of(lambda x: np.sum(x * 2), x))
    in   a  float64[3]
    b = multiply(a, 2)  float64[3]
    c = sum(b, axis=None, keepdims=False)  float64[]
    out  c
    """
    names: dict[int, str] = {}
    fresh = ("".join(letters) for n in count(1) for letters in product(ascii_lowercase, repeat=n))
    lines = []
    for value in graph.inputs:
        names[id(value)] = next(fresh)
        lines.append(f"in   {names[id(value)]}  {value.aval}")
    for node in graph.nodes:
        operands = [_operand(names, node, i) for i in range(len(node.inputs))]
        params = [f"{k}={v}" for k, v in node.params.items()]
        names[id(node)] = next(fresh)
        assert node.op is not None
        lines.append(f"{names[id(node)]} = {node.op.name}({', '.join(operands + params)})  {node.aval}")
    lines.append(f"out  {', '.join(names[id(v)] for v in graph.outputs)}")
    return "\n".join(lines)


def _operand(names: dict[int, str], node: Value, i: int) -> str:
    value = node.inputs[i]
    if value is not None:
        return names[id(value)]
    assert node.saved is not None
    constant: Any = node.saved[i + 1]
    return repr(constant) if isinstance(constant, (bool, int, float, complex)) else describe(constant)
