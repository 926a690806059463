"""A graph, one node at a time: the executable specification of what it means.

In:  a Graph and arrays for its inputs.
Out: arrays for its outputs.
Holds: nothing is reordered, fused or written in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpgrad.core import Graph, Value
from xpgrad.trace.tape import PICK


def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """Evaluate ``graph``; each op is carried out by the backend of its operands."""
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        assert node.op is not None
        assert node.saved is not None
        operands = [
            env[value] if value is not None else node.saved[i + 1] for i, value in enumerate(node.inputs)
        ]
        env[node] = operands[0][node.params["index"]] if node.op is PICK else node.op(*operands, **node.params)
    return [env[value] for value in graph.outputs]
