"""Predicates on operands that the rules of passes share."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import Const, Input, Node, Op, Operand
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import broadcast_to, full_like


def of(x: Any, *ops: Op) -> Any:
    """The operands of ``x`` if it is a node of one of ``ops``, else None."""
    return x.operands if isinstance(x, Node) and x.op in ops else None


def number(x: Any) -> Any:
    """The real number that every entry of ``x`` equals, if it is known; else None.

    It is known for a Python or NumPy scalar, broadcast or not. An array without axes can be written to.
    """
    while isinstance(x, Node) and x.op is broadcast_to:
        x = x.operands[0]
    if isinstance(x, Node):
        if x.op is not full_like:
            return None
        filled = x.params["value"]
        return None if number(filled) is None or x.dtype.kind not in "iuf" else x.dtype.type(filled).item()
    x = x.data if isinstance(x, Const) else x
    if type(x) in (int, float):
        return x
    return x.item() if isinstance(x, (np.integer, np.floating)) else None


def is_real(x: Any) -> bool:
    """Whether ``x`` is an input or a node, of floats."""
    return isinstance(x, (Input, Node)) and x.dtype.kind == "f"


def unchanged(x: Operand, node: Node) -> bool:
    """Whether ``x``, an input or a node, can stand for ``node`` as it is."""
    return not isinstance(x, Const) and x.aval == node.aval


def negated(x: Any) -> Any:
    """``y`` if ``x`` is ``-y``, else None."""
    found = of(x, ew.negative)
    if found is not None:
        return found[0]
    found = of(x, ew.multiply)
    if found is not None:
        for factor, y in (found, found[::-1]):
            if number(factor) == -1 and is_real(y) and y.aval == x.aval:
                return y
    return None


def flipped(x: Operand) -> Any:
    """``-x``, if ``x`` is a scalar with a negative: a float, or an integer other than 0; else None."""
    c = x.data if isinstance(x, Const) else None
    return -c if isinstance(c, (float, np.floating)) or (type(c) is int and c != 0) else None


def axes(x: Node) -> tuple[int, ...]:
    """The axes that a reduction or a softmax goes over, sorted."""
    return red.axes_of(x.op.name, x.operands[0], x.params.get("axis"), scalars=True)


def keeps(x: Node) -> bool:
    """Whether a reduction keeps its axes."""
    return bool(x.params.get("keepdims", False))


def takes_all(x: Operand, index: Any) -> bool:
    """Whether an index takes all entries in order: whole slices and new axes."""
    parts = index if type(index) is tuple else (index,)
    given = sum(part is not None and part is not Ellipsis for part in parts)
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - given
        elif part is not None:
            if type(part) is slice:
                if part.indices(x.shape[axis]) != (0, x.shape[axis], 1):
                    return False
            elif x.shape[axis] != 1:
                return False
            axis += 1
    return True
