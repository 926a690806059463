"""Graph and its values in static single assignment: Input, Node and Const.

Holds (and `verify` checks): inputs come before what uses them, an op's output has the shape and
dtype that its rule says, and a graph's outputs are its own values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad.core.aval import Aval, Shape, aval_of
from xpgrad.core.op import Op


class Value:
    """Something with a shape and a dtype. ``weak`` marks a Python scalar, whose dtype gives way."""

    __slots__ = ("dtype", "shape", "weak")

    shape: Shape
    dtype: np.dtype[Any]
    weak: bool

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype, self.weak)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)


class Input(Value):
    """An argument of the traced function."""

    __slots__ = ("aval",)

    aval: Aval

    def __init__(self, aval: Aval) -> None:
        self.aval = aval
        self.shape, self.dtype, self.weak = aval

    def __repr__(self) -> str:
        return f"Input({self.aval})"


class Const(Value):
    """A constant operand: ``data`` is an array or scalar that the function closed over or wrote.

    ``aval`` is the tracer's knowledge of it, if that is more than ``data`` says itself.
    """

    __slots__ = ("aval", "data")

    aval: Aval

    def __init__(self, data: Any, aval: Aval | None = None) -> None:
        self.data = data
        self.aval = aval_of(data) if aval is None else aval
        self.shape, self.dtype, self.weak = self.aval

    def __repr__(self) -> str:
        return f"Const({self.aval})"


class Node(Value):
    """The output of one op.

    Attributes
    ----------
    op : Op
    operands : tuple of Input, Node or Const
    params : mapping
        The keyword arguments of the op.
    at : str or None
        The user's line.
    """

    __slots__ = ("at", "aval", "op", "operands", "params")

    aval: Aval

    def __init__(
        self,
        op: Op,
        operands: Sequence[Operand],
        params: Mapping[str, Any],
        aval: Aval,
        at: str | None = None,
    ) -> None:
        self.op = op
        self.operands = tuple(operands)
        self.params = params
        self.aval = aval
        self.shape, self.dtype, self.weak = aval
        self.at = at

    def __repr__(self) -> str:
        return f"Node({self.op.name}, {self.aval})"


Operand = Input | Node | Const


class Graph:
    """A traced function: ``inputs``, ``nodes`` in order, ``outputs``.

    A node whose op gives several outputs is read by nodes named ``pick``, which take them apart.
    """

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.outputs: list[Input | Node] = []


def operands_of(node: Node, known: Mapping[Value, Any]) -> list[Any]:
    """The data of a node's operands: what ``known`` has for them, constants as they are."""
    return [u.data if isinstance(u, Const) else known[u] for u in node.operands]


def verify(graph: Graph) -> None:
    """Assert what holds of every graph; the message names the node."""
    known: set[Value] = set(graph.inputs)
    for k, node in enumerate(graph.nodes):
        for i, u in enumerate(node.operands):
            assert isinstance(u, Const) or u in known, f"node {k} ({node.op.name}): operand {i} comes later"
        known.add(node)
        ruled = node.op.shape(*[u.aval for u in node.operands], **node.params)
        if isinstance(ruled, Aval):
            assert (ruled.shape, ruled.dtype) == (node.shape, node.dtype), (
                f"node {k} ({node.op.name}): rule says {ruled}, node says {Aval(node.shape, node.dtype)}"
            )
    for out in graph.outputs:
        assert out in known, f"output {out} is not computed"
