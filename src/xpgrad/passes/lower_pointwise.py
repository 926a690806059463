"""Lowering of pointwise ops to simpler ones, which define the values at infinities and ties.

b = log_expit(a)                   becomes    c = negative(a)
                                              d = softplus(c)
                                              b = negative(d)
"""

from __future__ import annotations

from collections.abc import Callable
from math import log as ln
from math import pi
from typing import Any

from xpgrad.core import Const, Input, Node, Op, Value
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import special as sp
from xpgrad.ops.shape import astype
from xpgrad.passes.matching import number
from xpgrad.passes.rewriting import Rewriting
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.traced import Traced

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def _float(r: Rewriting, x: Any, node: Node) -> Any:
    """``x`` in the dtype of the node; a scalar promotes as it did."""
    return x if isinstance(x, Const) or x.dtype == node.dtype else r.emit(astype, x, dtype=node.dtype)


def _scaled(factor: float) -> Rule:
    return lambda r, node, xs: r.emit(ew.multiply, _float(r, xs[0], node), factor)


def _log_expit(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x = _float(r, xs[0], node)
    return r.emit(ew.negative, r.emit(sp.softplus, r.emit(ew.negative, x)))


def _logaddexp(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """If both are the same infinity, their difference is NaN, and the sum is that infinity."""
    x, y = (_float(r, v, node) for v in xs)
    apart = r.emit(ew.negative, r.emit(cx.absolute, r.emit(ew.subtract, x, y)))
    far = r.emit(ew.add, r.emit(ew.maximum, x, y), r.emit(ew.log1p, r.emit(ew.exp, apart)))
    same = y if isinstance(x, Const) and x.weak else x  # of a Python number the sum has a dtype of its own
    return r.emit(ew.where, r.emit(ew.equal, x, y), r.emit(ew.add, same, ln(2)), far)


def _clip(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """A zero keeps its sign beside bounds of 0 without axes; beside arrays it is the bound, as NumPy has it."""
    z, lo, hi = xs
    keeps = not lo.shape and not hi.shape
    for bound, beyond, nearest in ((lo, ew.less, ew.maximum), (hi, ew.greater, ew.minimum)):
        known = number(bound) if isinstance(bound, Const) else None
        if known == 0:
            z = r.emit(ew.where, r.emit(beyond, z, bound), bound, z)
        elif known is not None or not keeps:
            z = r.emit(nearest, z, bound)
        else:
            z = r.emit(ew.where, r.emit(ew.equal, z, bound), z, r.emit(nearest, z, bound))
    return z


def _fabs(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    return r.emit(cx.absolute, _float(r, xs[0], node))


POINTWISE: dict[Op, Rule] = {
    ew.degrees: _scaled(180 / pi),
    ew.rad2deg: _scaled(180 / pi),
    ew.radians: _scaled(pi / 180),
    ew.deg2rad: _scaled(pi / 180),
    ew.fabs: _fabs,
    ew.clip: _clip,
    ew.logaddexp: _logaddexp,
    sp.log_expit: _log_expit,
}


def by_composition(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """An op by the ops that it is composed of: they are traced, and emitted in place of it."""
    assert node.op.composed is not None
    symbols, made, given = Symbols(), dict[Value, Any](), list[Any]()
    for x in xs:
        if isinstance(x, Const) and x.weak:
            given.append(x.data)
            continue
        brought = _float(r, x, node)
        value = Input(brought.aval)
        made[value] = brought
        given.append(Traced(symbols, value, None))
    out = node.op.composed(*given)
    for inner in symbols.close().nodes:
        made[inner] = r.emit(inner.op, *[made.get(u, u) for u in inner.operands], **inner.params)
    return made[out._node]
