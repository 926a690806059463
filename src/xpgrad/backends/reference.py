"""The reference: a graph runs one node at a time, as its executable specification.

In:  a Graph and arrays for its inputs.
Out: arrays for its outputs.
Holds: nothing is reordered, fused or written in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.core import Graph, Node, Value, operands_of
from xpgrad.trace.apply import apply_op
from xpgrad.trace.tape import PICK


def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """Evaluate ``graph``; the backend of its operands computes each op."""
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        with at_line(node.at):
            env[node] = run_node(node, env)
    return [env[value] for value in graph.outputs]


def run_node(node: Node, known: Mapping[Value, Any]) -> Any:
    """Evaluate one node, given its operands."""
    # A kernel makes an array of a Python scalar, whose dtype would not give way.
    xs = [
        x.item() if u.weak and isinstance(x, (np.ndarray, np.generic)) else x
        for u, x in zip(node.operands, operands_of(node, known), strict=True)
    ]
    return xs[0][node.params["index"]] if node.op is PICK else apply_op(node.op, xs, node.params)
