"""Simplification of arithmetic: the same values with less work.

    b = power(a, 2)                               b = square(a)
    c = negative(b)                               d = subtract(e, b)
    d = add(e, c)                      becomes

Every rewriting gives NumPy's values, infinities and NaN included, to the last bit (`power` to an ulp). So
``x + 0`` stays, which takes -0.0 to 0.0, and so does ``0 * x``. Scalars stay operands: a scalar that comes
from a size may change with it.

The rules about arithmetic are here, those about moving entries in `moving`, those about identity matrices in
`identity`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import Const, Graph, Node, Op
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops.shape import broadcast_to
from xpgrad.passes.identity import IDENTITY
from xpgrad.passes.matching import flipped, is_real, number, of, unchanged
from xpgrad.passes.moving import MOVING, itself
from xpgrad.passes.rewriting import Note, Rewriting, rewrite, silent

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def simplify(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    return rewrite(graph, _simplified, note)


def _simplified(r: Rewriting, node: Node, operands: list[Any]) -> Any:
    op = node.op
    new = None
    for rules in (IDENTITY, _RULES, MOVING):
        if new is None and (rule := rules.get(op)) is not None:
            new = rule(r, node, operands)
    if new is not None or not op.is_elementwise or len(operands) == 1:
        r.note_form(node, operands, new)
        return new
    narrow = [_narrow(x, node, operands) for x in operands]
    if all(a is b for a, b in zip(narrow, operands, strict=True)):
        return None
    return r.copy(node, narrow)


def _narrow(x: Any, node: Node, operands: list[Any]) -> Any:
    """``x`` before a broadcast to a shape that another operand has anyway."""
    if not _spread(x) or x.weak or not any(y.shape == node.shape and not _spread(y) for y in operands):
        return x
    if x.op is broadcast_to:
        inner = x.operands[0]
        return inner if inner.weak == x.weak else x
    return Const(x.dtype.type(number(x)))


def _spread(x: Any) -> bool:
    return isinstance(x, Node) and (x.op is broadcast_to or number(x) is not None)


# ── arithmetic ───────────────────────────────────────────────────────────────────────────────
def _add(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    for a, b in ((x, y), (y, x)):
        minus = _minus(b)
        if minus is not None:
            return r.emit(ew.subtract, a, minus)
    return None


def _subtract(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    minus = _minus(y)
    if minus is not None:
        return r.emit(ew.add, x, minus)
    # -0.0 - 0 is -0.0: nothing is lost.
    return x if unchanged(x, node) and number(y) == 0 and not np.signbit(number(y)) else None


def _minus(x: Any) -> Any:
    """``y`` if ``x`` is ``-y`` of floats (the least integer has no negative)."""
    found = of(x, ew.negative)
    return found[0] if found is not None and x.dtype.kind in "fc" else None


def _multiply(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    for a, b in ((x, y), (y, x)):
        factor = number(a)
        if factor == 1 and unchanged(b, node):
            return b
        if factor == -1 and unchanged(b, node) and node.dtype.kind in "if":
            return r.emit(ew.negative, b)
    left, right = _minus(x), _minus(y)
    if left is not None and right is not None:
        return r.emit(ew.multiply, left, right)
    return _signed(r, ew.multiply, x, y, left, right)


def _signed(r: Rewriting, op: Op, x: Any, y: Any, left: Any, right: Any) -> Any:
    """A sign moves from one operand into a scalar, or out of the product."""
    if left is None and right is None:
        return None
    a, b = (x if left is None else left), (y if right is None else right)
    if (c := flipped(a)) is not None:
        return r.emit(op, c, b)
    if (c := flipped(b)) is not None:
        return r.emit(op, a, c)
    return r.emit(ew.negative, r.emit(op, a, b))


def _divide(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    divisor = number(y)
    if divisor == 1 and unchanged(x, node):
        return x
    if divisor == -1 and unchanged(x, node) and node.dtype.kind == "f":
        return r.emit(ew.negative, x)
    # A division by a power of two stays one: where the divisor is a size, the next is none, and a new kernel.
    left, right = _minus(x), _minus(y)
    if left is not None and right is not None:
        return r.emit(ew.divide, left, right)
    if number(x) == 1 and is_real(y) and y.aval == node.aval:
        return r.emit(ew.reciprocal, y)
    return _signed(r, ew.divide, x, y, left, right)


def _negative(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    found = of(x, ew.negative)
    if found is not None:
        return found[0]
    if not is_real(x):
        return None
    for op in (ew.multiply, ew.divide):
        found = of(x, op)
        if found is not None:
            a, b = found
            if (c := flipped(a)) is not None:
                return r.emit(op, c, b)
            if (c := flipped(b)) is not None:
                return r.emit(op, a, c)
    return None


def _even(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """|-x| and (-x)^2 are |x| and x^2; so is the square of |x| for real x."""
    (x,) = xs
    inner = _minus(x)
    if inner is None and is_real(x):
        found = of(x, cx.absolute)
        inner = found[0] if found is not None and found[0].dtype.kind == "f" else None
    return None if inner is None else r.emit(node.op, inner)


def _power(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    n = number(y)
    if not unchanged(x, node) or n is None or not isinstance(y, Const):
        return None
    if n == 1:
        return x
    if n == 2:
        return r.emit(ew.square, x)
    if n == 3 and x.dtype.kind in "if":
        return r.emit(ew.multiply, r.emit(ew.square, x), x)
    if n == -1 and x.dtype.kind == "f":
        return r.emit(ew.reciprocal, x)
    if n == 0.5 and x.dtype.kind == "f" and x.shape:
        return r.emit(ew.sqrt, x)  # as NumPy's own operator does of axes, -0.0 and -inf included
    return None


def _where(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    _, x, y = xs
    return x if x is y and unchanged(x, node) else None


def _of_real(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    return xs[0] if unchanged(xs[0], node) and node.dtype.kind != "c" else None


_RULES: dict[Op, Rule] = {
    ew.add: _add,
    ew.subtract: _subtract,
    ew.multiply: _multiply,
    ew.divide: _divide,
    ew.negative: _negative,
    ew.square: _even,
    cx.absolute: _even,
    ew.power: _power,
    ew.where: _where,
    ew.positive: itself,
    cx.conjugate: _of_real,
    cx.real: _of_real,
}
