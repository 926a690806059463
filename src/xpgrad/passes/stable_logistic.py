"""Stable forms of the logistic function, `softplus` and `tanh`, written with `exp`.

`1 / (1 + exp(-z))` overflows for large negative z, with a derivative of 0 times infinity; `1 - A` and `2 A - 1`
lose their digits where A is close to 1 or 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import e as EULER
from typing import Any

from xpgrad.core import Const, Node, Op
from xpgrad.ops import elementwise as ew
from xpgrad.ops import special as sp
from xpgrad.passes.matching import flipped, is_real, negated, number, of
from xpgrad.passes.rewriting import Rewriting

Form = Callable[..., Any]


# ── what is recognised ───────────────────────────────────────────────────────────────────────
def exponent(x: Any) -> Any:
    """``w`` if ``x`` is ``exp(w)`` of floats, else None."""
    found = of(x, ew.exp)
    return found[0] if found is not None and is_real(found[0]) and found[0].dtype == x.dtype else None


def one_plus(x: Any) -> Any:
    """``y`` if ``x`` is ``1 + y``, else None."""
    found = of(x, ew.add)
    if found is None:
        return None
    for one, y in (found, found[::-1]):
        if number(one) == 1 and is_real(y) and y.dtype == x.dtype:
            return y
    return None


def one_minus(x: Any) -> Any:
    """``y`` if ``x`` is ``1 - y``, else None."""
    found = of(x, ew.subtract)
    if found is not None:
        one, y = found
        return y if number(one) == 1 and is_real(y) and y.dtype == x.dtype else None
    return negated(one_plus(x))


def times(x: Any, factor: float) -> Any:
    """``y`` if ``x`` is ``factor * y`` or ``y / (1 / factor)``, else None."""
    found = of(x, ew.multiply)
    if found is not None:
        for c, y in (found, found[::-1]):
            if number(c) == factor and is_real(y) and y.dtype == x.dtype:
                return y
    found = of(x, ew.divide)
    if found is not None and number(found[1]) == 1 / factor and is_real(found[0]):
        return found[0] if found[0].dtype == x.dtype else None
    return None


def opposite(u: Any, v: Any) -> bool:
    """Whether ``u`` is written as ``-v``."""
    a, b = _bare(u), _bare(v)
    return a[0] is b[0] and a[1] == -b[1]


def _bare(x: Any) -> tuple[Any, float]:
    sign = 1.0
    while (inner := negated(x)) is not None:
        x, sign = inner, -sign
    base, factor = _factored(x)
    return base, sign * factor


def _factored(x: Any) -> tuple[Any, float]:
    for op in (ew.multiply, ew.divide):
        found = of(x, op)
        if found is None:
            continue
        c = number(found[1])
        if c:
            return found[0], c if op is ew.multiply else 1 / c
        c = number(found[0]) if op is ew.multiply else None
        if c:
            return found[1], c
    return x, 1.0


def minus(r: Rewriting, x: Any) -> Any:
    """``-x``, without a second sign."""
    inner = negated(x)
    if inner is not None:
        return inner
    found = of(x, ew.multiply)
    if found is not None and (c := flipped(found[0])) is not None:
        return r.emit(ew.multiply, c, found[1])
    if found is not None and (c := flipped(found[1])) is not None:
        return r.emit(ew.multiply, found[0], c)
    return r.emit(ew.negative, x)


def scaled(r: Rewriting, x: Any, factor: float) -> Any:
    """``factor * x`` for 2 or 1/2, which are exact; the double of a half is the operand itself."""
    inner = times(x, 1 / factor)
    return r.emit(ew.multiply, factor, x) if inner is None else inner


def logistic(x: Any) -> Any:
    """``z`` if ``x`` is ``expit(z)``, else None."""
    found = of(x, sp.expit)
    return found[0] if found is not None and is_real(found[0]) and found[0].dtype == x.dtype else None


# ── quotients ────────────────────────────────────────────────────────────────────────────────
def _quotient(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    w = exponent(one_plus(y))
    if w is None:
        return _by_exp(r, x, y)
    if number(x) == 1:
        r.note("1 / (1 + exp(-z)) -> expit(z)")
        return r.emit(sp.expit, minus(r, w))
    if exponent(x) is w:
        r.note("exp(z) / (1 + exp(z)) -> expit(z)")
        return r.emit(sp.expit, w)
    for top, sign in ((x, 1), (negated(x), -1)):
        found = of(top, ew.expm1)
        if found is not None and found[0] is w:
            r.note("(exp(2 z) - 1) / (exp(2 z) + 1) -> tanh(z)")
            half = r.emit(ew.tanh, scaled(r, w, 0.5))
            return half if sign > 0 else r.emit(ew.negative, half)
    if x.dtype != node.dtype and not x.weak:
        return None
    r.note("a / (1 + exp(-z)) -> a * expit(z)")
    return r.emit(ew.multiply, x, r.emit(sp.expit, minus(r, w)))


def _by_exp(r: Rewriting, x: Any, y: Any) -> Any:
    w = exponent(y)
    if w is not None and number(x) == 1:
        r.note("1 / exp(z) -> exp(-z)")
        return r.emit(ew.exp, minus(r, w))
    odds, against = logistic(x), logistic(y)
    if odds is not None and against is not None and opposite(odds, against):
        r.note("expit(z) / expit(-z) -> exp(z)")
        return r.emit(ew.exp, odds)
    return _slope(r, x, y) or _tangent(r, x, y) or _half(r, x, y)


def _slope(r: Rewriting, x: Any, y: Any) -> Any:
    found = of(y, ew.square)
    if found is None:
        found = of(y, ew.power)
        if found is None or number(found[1]) != 2:
            return None
    w = exponent(one_plus(found[0]))
    if w is None or exponent(x) is not w:
        return None
    r.note("exp(z) / (1 + exp(z))**2 -> expit(z) * expit(-z)")
    return r.emit(ew.multiply, r.emit(sp.expit, w), r.emit(sp.expit, minus(r, w)))


def _tangent(r: Rewriting, x: Any, y: Any) -> Any:
    difference, total = of(x, ew.subtract), of(y, ew.add)
    if difference is None or total is None:
        return None
    u, v = (exponent(part) for part in difference)
    if u is None or v is None or not opposite(u, v) or {id(u), id(v)} != {id(exponent(p)) for p in total}:
        return None
    r.note("(exp(z) - exp(-z)) / (exp(z) + exp(-z)) -> tanh(z)")
    return r.emit(ew.tanh, u)


def _half(r: Rewriting, x: Any, y: Any) -> Any:
    return _risen(r, x) if number(y) == 2 else None


def _risen(r: Rewriting, x: Any) -> Any:
    """``(1 + tanh(w)) / 2``, given its numerator."""
    found = of(one_plus(x), ew.tanh)
    if found is None or not is_real(found[0]) or found[0].dtype != x.dtype:
        return None
    r.note("(1 + tanh(z / 2)) / 2 -> expit(z)")
    return r.emit(sp.expit, scaled(r, found[0], 2.0))


def _inverse(r: Rewriting, node: Node, x: Any) -> Any:
    return _quotient(r, node, Const(1.0), x)


def _power(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    if number(y) == -1 and is_real(x) and x.dtype == node.dtype:
        return _quotient(r, node, Const(1.0), x)
    if number(x) == EULER and isinstance(x, Const) and x.weak and is_real(y) and y.dtype == node.dtype:
        r.note("e**x -> exp(x)")
        return r.emit(ew.exp, y)
    return None


def _product(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    for a, b in ((x, y), (y, x)):
        if number(a) == 0.5 and is_real(b) and b.dtype == node.dtype:
            return _risen(r, b)
    return None


# ── differences ──────────────────────────────────────────────────────────────────────────────
def _difference(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    if number(x) == 1 and is_real(y) and y.dtype == node.dtype:
        return _from_one(r, y)
    if number(y) == 1 and is_real(x) and x.dtype == node.dtype:
        return _less_one(r, x)
    return None


def _sum(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    for a, b in ((x, y), (y, x)):
        if not is_real(b) or b.dtype != node.dtype:
            continue
        if number(a) == 1 and negated(b) is not None:
            return _from_one(r, negated(b))
        if number(a) == -1:
            return _less_one(r, b)
    return None


def _from_one(r: Rewriting, y: Any) -> Any:
    """``1 - y``."""
    z, w = logistic(y), exponent(y)
    if z is not None:
        r.note("1 - expit(z) -> expit(-z)")
        return r.emit(sp.expit, minus(r, z))
    if w is not None:
        r.note("1 - exp(x) -> -expm1(x)")
        return r.emit(ew.negative, r.emit(ew.expm1, w))
    return None


def _less_one(r: Rewriting, x: Any) -> Any:
    """``x - 1``."""
    z, w, twice = logistic(x), exponent(x), logistic(times(x, 2.0))
    if z is not None:
        r.note("expit(z) - 1 -> -expit(-z)")
        return r.emit(ew.negative, r.emit(sp.expit, minus(r, z)))
    if w is not None:
        r.note("exp(x) - 1 -> expm1(x)")
        return r.emit(ew.expm1, w)
    if twice is not None:
        r.note("2 * expit(2 z) - 1 -> tanh(z)")
        return r.emit(ew.tanh, scaled(r, twice, 0.5))
    return None


LOGISTIC: dict[Op, list[Form]] = {
    ew.divide: [_quotient],
    ew.reciprocal: [_inverse],
    ew.power: [_power],
    ew.multiply: [_product],
    ew.subtract: [_difference],
    ew.add: [_sum],
}
