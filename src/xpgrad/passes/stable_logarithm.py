"""Stable forms of logarithms of exponentials.

`log(A)` is -inf where A has underflowed to 0, and has lost its digits where A has rounded to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log as ln
from typing import Any

from xpgrad.core import Node, Op
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import shape as sh
from xpgrad.ops import special as sp
from xpgrad.ops.indexing import getitem
from xpgrad.passes.matching import axes, is_real, keeps, negated, number, of, unchanged
from xpgrad.passes.rewriting import Rewriting
from xpgrad.passes.stable_logistic import exponent, logistic, minus, one_minus, one_plus

Form = Callable[..., Any]
_MOVING = (getitem, sh.reshape, sh.transpose, sh.broadcast_to)


def logarithm(r: Rewriting, x: Any) -> tuple[Any, str] | None:
    """The logarithm of ``x`` without ``x``, and the recognised form in words.

    If ``x`` is an array's entries, some or all, in another order, the result is the same of its logarithm.
    """
    moves: list[Node] = []
    while is_real(x):
        found = _of_whole(r, x)
        if found is not None:
            new, words = found
            for move in reversed(moves):
                new = r.emit(move.op, new, *move.operands[1:], **move.params)
            return new, words
        inner = of(x, *_MOVING)
        if inner is None:
            return None
        moves.append(x)
        x = inner[0]
    return None


def _of_whole(r: Rewriting, x: Any) -> tuple[Any, str] | None:
    w, z = exponent(x), logistic(x)
    if w is not None:
        return w, "log(exp(x)) -> x"
    if z is not None:
        return r.emit(ew.negative, r.emit(sp.softplus, minus(r, z))), "log(expit(z)) -> -softplus(-z)"
    if of(x, sp.softmax) is not None:
        return r.emit(sp.log_softmax, *x.operands, **x.params), "log(softmax(x)) -> log_softmax(x)"
    return _of_sum(r, x)


def _of_sum(r: Rewriting, x: Any) -> tuple[Any, str] | None:
    summed = _summed_exponent(x)
    if summed is not None:
        total = r.emit(sp.logsumexp, summed, axis=axes(x), keepdims=keeps(x))
        if x.op is red.sum:
            return total, "log(sum(exp(x))) -> logsumexp(x)"
        n = red.count(summed, axes(x))
        return r.emit(ew.subtract, total, ln(n)), "log(mean(exp(x))) -> logsumexp(x) - log(n)"
    y = one_plus(x)
    if y is not None:
        return _of_one_plus(r, y)
    found = of(x, ew.add)
    if found is not None:
        u, v = (exponent(part) for part in found)
        if u is not None and v is not None:
            return r.emit(ew.logaddexp, u, v), "log(exp(x) + exp(y)) -> logaddexp(x, y)"
    return None


def _summed_exponent(x: Any) -> Any:
    """``w`` if ``x`` is the sum or the mean of ``exp(w)``, else None."""
    found = of(x, red.sum, red.mean)
    w = None if found is None else exponent(found[0])
    return w if w is not None and w.size and w.dtype == x.dtype else None


def _of_one_plus(r: Rewriting, y: Any) -> tuple[Any, str] | None:
    """``log(1 + y)`` for ``y`` an exponential, or a sum of them."""
    w = exponent(y)
    if w is not None:
        return r.emit(sp.softplus, w), "log(1 + exp(x)) -> softplus(x)"
    if _summed_exponent(y) is None:
        return None
    found = logarithm(r, y)
    assert found is not None
    return r.emit(sp.softplus, found[0]), "log(1 + sum(exp(x))) -> softplus(logsumexp(x))"


def _log(r: Rewriting, node: Node, x: Any) -> Any:
    if not is_real(x) or x.dtype != node.dtype:
        return None
    found = logarithm(r, x)
    if found is not None:
        r.note(found[1])
        return found[0]
    squared = of(x, ew.square)
    if squared is None:
        power = of(x, ew.power)
        squared = power if power is not None and number(power[1]) == 2 else None
    if squared is not None and is_real(squared[0]) and squared[0].dtype == node.dtype:
        r.note("log(x**2) -> 2 log(abs(x))")
        return r.emit(ew.multiply, 2.0, r.emit(ew.log, r.emit(cx.absolute, squared[0])))
    y = one_plus(x)
    if y is not None:
        r.note("log(1 + x) -> log1p(x)")
        return r.emit(ew.log1p, y)
    y = one_minus(x)
    if y is not None:
        r.note("log(1 - x) -> log1p(-x)")
        return r.emit(ew.log1p, minus(r, y))
    return None


def _log_to_base(base: float) -> Form:
    def form(r: Rewriting, node: Node, x: Any) -> Any:
        found = logarithm(r, x)
        if found is None or x.dtype != node.dtype:
            return None
        r.note(found[1].replace("log(", f"log{base:g}(", 1) + f", over log({base:g})")
        return r.emit(ew.multiply, found[0], 1 / ln(base))

    return form


def _log1p(r: Rewriting, node: Node, x: Any) -> Any:
    if not is_real(x) or x.dtype != node.dtype:
        return None
    z = logistic(negated(x))
    if z is not None:
        r.note("log1p(-expit(z)) -> -softplus(z)")
        return r.emit(ew.negative, r.emit(sp.softplus, z))
    found = _of_one_plus(r, x)
    if found is None:
        return None
    r.note(found[1].replace("log(1 + exp(x))", "log1p(exp(x))").replace("log(1 + sum", "log1p(sum"))
    return found[0]


def _logaddexp(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    for zero, z in ((x, y), (y, x)):
        if number(zero) == 0 and is_real(z) and z.dtype == node.dtype:
            r.note("logaddexp(0, x) -> softplus(x)")
            return r.emit(sp.softplus, z)
    return None


def _exp(r: Rewriting, node: Node, x: Any) -> Any:
    if not is_real(x) or x.dtype != node.dtype:
        return None
    found = of(negated(x), sp.softplus)
    if found is not None and is_real(found[0]):
        r.note("exp(-softplus(-z)) -> expit(z)")
        return r.emit(sp.expit, minus(r, found[0]))
    if of(x, sp.log_softmax) is not None:
        r.note("exp(log_softmax(x)) -> softmax(x)")
        return r.emit(sp.softmax, *x.operands, **x.params)
    return None


def _divide(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    """The derivative of ``log(a / y)`` by a."""
    over, inverse = of(x, ew.divide), of(x, ew.reciprocal)
    quotient = of(over[1] if over is not None else inverse and inverse[0], ew.divide)
    if quotient is None or quotient[1] is not y:
        return None
    if not all(unchanged(p, node) for p in quotient):
        return None
    r.note("x / (a / y) / y -> x / a")
    return r.emit(ew.reciprocal, quotient[0]) if over is None else r.emit(ew.divide, over[0], quotient[0])


LOGARITHM: dict[Op, list[Form]] = {
    ew.divide: [_divide],
    ew.log: [_log],
    ew.log2: [_log_to_base(2.0)],
    ew.log10: [_log_to_base(10.0)],
    ew.log1p: [_log1p],
    ew.logaddexp: [_logaddexp],
    ew.exp: [_exp],
}
