"""A loop as an op: a body that runs once for each iteration, and values carried between them.

    b, c = loop(w, x, xs, body=..., length=n, invariants=1, carries=1)

runs ``body(w, x, xs[t]) -> (x, y)`` for ``t`` in ``range(n)``: ``b`` is the last ``x``, ``c`` has every ``y``.
A pass makes it of the nodes that a loop of the user left in a graph (`xpgrad.passes.roll`), and `scan` of its
function. Its derivative is a loop too (`xpgrad.passes.loop_derivative`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xpgrad.core import Aval, Graph, Node, Op, Value


class Parts(NamedTuple):
    """The inputs of a body by their part, or the operands of a loop."""

    invariants: Sequence[Value]
    carries: Sequence[Value]
    slices: Sequence[Value]


def _shape(*avals: Aval, body: Graph, length: int, invariants: int, carries: int) -> tuple[Aval, ...]:
    """The final carries, then an array with a first axis of ``length`` for each further output of the body."""
    finals = [Aval(v.shape, v.dtype) for v in body.outputs[:carries]]
    return (*finals, *[Aval((length, *v.shape), v.dtype) for v in body.outputs[carries:]])


LOOP = Op("loop", _shape, "loop")
"""Operands: the invariants, the first carries, and the arrays whose slices along axis 0 the iterations read."""


def parts_of(node: Node) -> Parts:
    """The operands of a loop."""
    n, c = node.params["invariants"], node.params["carries"]
    us = list(node.operands)
    return Parts(us[:n], us[n : n + c], us[n + c :])
