"""What rules ask of an operand."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import SCALAR_TYPES, Op, Value
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import broadcast_to, full_like


def of(x: Any, *ops: Op) -> Any:
    """The operands of ``x`` if it is a node of one of ``ops``, else None."""
    if type(x) is not Value or x.op not in ops:
        return None
    assert x.saved is not None
    return x.saved[1:]


def number(x: Any) -> Any:
    """The real number that every entry of ``x`` is, where it is known; else None.

    A Python or NumPy scalar, or such a one spread over a shape. Not a 0-d array: it can be written to.
    """
    while type(x) is Value and x.op is broadcast_to:
        assert x.saved is not None
        x = x.saved[1]
    if type(x) is Value:
        if x.op is not full_like:
            return None
        filled = x.params["value"]
        return None if number(filled) is None or x.dtype.kind not in "iuf" else x.dtype.type(filled).item()
    if type(x) in (int, float):
        return x
    return x.item() if isinstance(x, (np.integer, np.floating)) else None


def is_scalar(x: Any) -> bool:
    """Whether ``x`` is a constant number, known here and now."""
    return isinstance(x, SCALAR_TYPES)


def is_real(x: Any) -> bool:
    """Whether ``x`` is a Value of floats."""
    return type(x) is Value and x.dtype.kind == "f"


def unchanged(x: Any, node: Value) -> bool:
    """Whether ``x`` can stand for ``node`` as it is."""
    return type(x) is Value and x.aval == node.aval


def negated(x: Any) -> Any:
    """``y`` where ``x`` is ``-y``, else None."""
    found = of(x, ew.negative)
    if found is not None:
        return found[0]
    found = of(x, ew.multiply)
    if found is not None:
        for factor, y in (found, found[::-1]):
            if number(factor) == -1 and is_real(y) and y.aval == x.aval:
                return y
    return None


def signed(x: Any) -> bool:
    """Whether ``x`` is a scalar that is as good as its negative: a float, or an integer but 0."""
    return isinstance(x, (float, np.floating)) or (type(x) is int and x != 0)


def axes(x: Value) -> tuple[int, ...]:
    """The axes that a reduction or a softmax goes over, sorted."""
    assert x.op is not None
    assert x.saved is not None
    return red.axes_of(x.op.name, x.saved[1], x.params.get("axis"), scalars=True)


def keeps(x: Value) -> bool:
    """Whether a reduction keeps its axes."""
    return bool(x.params.get("keepdims", False))


def takes_all(x: Value, index: Any) -> bool:
    """Whether an index leaves nothing out and nothing turned round: whole slices and new axes."""
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
