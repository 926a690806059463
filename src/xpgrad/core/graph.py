"""Value and Graph: one assignment each, in the order in which they were made.

Holds (and `verify` checks): inputs come before what uses them, an op's output has the shape and
dtype that its rule says, and a graph's outputs are its own values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad.core.aval import Aval, Shape, aval_of
from xpgrad.core.op import Op

_NO_PARAMS: Mapping[str, Any] = {}


class Value:
    """The output of one op, or an input of the graph (``op`` is None).

    ``inputs`` has a Value for each operand, or None where the operand is a constant of the
    trace. ``saved`` has what the derivative rules read: output and operands, each as its data
    or, where a rule needs its shape alone, as its Value. ``weak`` marks a Python scalar.
    """

    __slots__ = ("at", "dtype", "inputs", "op", "params", "saved", "shape", "weak")

    def __init__(
        self,
        op: Op | None,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        shape: Shape,
        dtype: np.dtype[Any],
        saved: tuple[Any, ...] | None = None,
        at: str | None = None,
        weak: bool = False,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.saved = saved
        self.at = at
        self.weak = weak

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype, self.weak)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    def __repr__(self) -> str:
        return f"Value({self.op.name if self.op else 'input'}, {self.aval})"


def input_value(x: Any) -> Value:
    """A Value that no op produces: an argument of the traced function."""
    aval = aval_of(x)
    return Value(None, (), _NO_PARAMS, aval.shape, aval.dtype, weak=aval.weak)


class Graph:
    """A traced function: ``inputs``, ``nodes`` in order, ``outputs``.

    A constant operand stands in its node's ``saved``, at the operand's place (after the output).
    A node whose op gives several outputs has their Avals in ``params["avals"]``; ops named
    ``pick`` take them apart.
    """

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.nodes: list[Value] = []
        self.outputs: list[Value] = []


def operand_aval(node: Value, i: int) -> Aval:
    """The Aval of operand ``i``, be it a Value or a constant."""
    value = node.inputs[i]
    if value is not None:
        return value.aval
    assert node.saved is not None
    return aval_of(node.saved[i + 1])


def operands_of(node: Value, known: Mapping[Value, Any]) -> list[Any]:
    """The operands of a node of a graph: what ``known`` has for its Values, constants as they are."""
    assert node.saved is not None
    return [x if u is None else known[u] for u, x in zip(node.inputs, node.saved[1:], strict=True)]


def verify(graph: Graph) -> None:
    """Assert what holds of every graph; the message names the node."""
    known = set(map(id, graph.inputs))
    for k, node in enumerate(graph.nodes):
        assert node.op is not None, f"node {k} has no op"
        for i, value in enumerate(node.inputs):
            assert value is None or id(value) in known, f"node {k} ({node.op.name}): operand {i} comes later"
        known.add(id(node))
        avals = [operand_aval(node, i) for i in range(len(node.inputs))]
        ruled = node.op.shape(*avals, **node.params)
        if isinstance(ruled, Aval):
            assert (ruled.shape, ruled.dtype) == (node.shape, node.dtype), (
                f"node {k} ({node.op.name}): rule says {ruled}, node says {node.aval}"
            )
    for out in graph.outputs:
        assert id(out) in known, f"output {out} is not computed"
