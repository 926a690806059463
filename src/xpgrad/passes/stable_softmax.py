"""Stable forms of softmax and log-sum-exp, with or without the maximum subtracted first.

`exp(x) / sum(exp(x))` overflows for large x; if the user subtracts the maximum, the derivative runs through
the maximum, which the stable form avoids.

The divisor of ``e = exp(x)`` may be its sum over some axes with these kept, or the same numbers in a shape
that broadcasts in the same way: ``s[:, None]``, ``s.reshape(-1, 1)``, or ``s`` itself over leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import Const, Node, Op
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import shape as sh
from xpgrad.ops import special as sp
from xpgrad.ops.indexing import getitem
from xpgrad.passes.matching import axes, is_real, keeps, of, takes_all
from xpgrad.passes.rewriting import Rewriting
from xpgrad.passes.stable_logistic import exponent

Form = Callable[..., Any]


def _unshaped(x: Any) -> Any:
    """``x`` before axes of length 1 were added or removed, or it was broadcast."""
    while isinstance(x, Node) and x.op in (sh.reshape, getitem, sh.broadcast_to):
        inner, *indices = x.operands
        if isinstance(inner, Const) or indices:
            break
        if x.op is getitem and not takes_all(inner, x.params["index"]):
            break
        if x.op is sh.reshape and _long(inner.shape) != _long(x.shape):
            break
        x = inner
    return x


def _long(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def _lies_along(y: Any, x: Any, over: tuple[int, ...]) -> bool:
    """Whether ``y`` broadcasts against ``x`` as a reduction over ``over`` with its axes kept."""
    while (found := of(y, sh.broadcast_to)) is not None and not isinstance(found[0], Const):
        (y,) = found
    kept = tuple(1 if a in over else n for a, n in enumerate(x.shape))
    return (1,) * (x.ndim - y.ndim) + tuple(y.shape) == kept if y.ndim <= x.ndim else False


def _top(y: Any) -> Any:
    """The maximum node that ``y`` is, behind a `stop_gradient` or not."""
    base = _unshaped(y)
    stopped = of(base, sh.stop_gradient)
    base = base if stopped is None else _unshaped(stopped[0])
    return base if of(base, red.max) is not None else None


def unshifted(x: Any, over: tuple[int, ...]) -> Any:
    """``x`` before its own maximum over at least the axes ``over`` was subtracted; else ``x``."""
    found = of(x, ew.subtract)
    if found is None or not is_real(found[0]) or found[0].aval != x.aval:
        return x
    bare, top = found[0], _top(found[1])
    if top is None or top.operands[0] is not bare:
        return x
    return bare if set(over) <= set(axes(top)) and _lies_along(found[1], bare, axes(top)) else x


def _softmax(r: Rewriting, e: Any, s: Any) -> Any:
    moved = of(e, sh.transpose)
    if moved is not None:
        return _transposed(r, e, moved[0], s)
    x, base = exponent(e), _unshaped(s)
    found = of(base, red.sum)
    if x is None or found is None or found[0] is not e or not x.size:
        return None
    return _emitted(r, x, axes(base)) if _lies_along(s, e, axes(base)) else None


def _emitted(r: Rewriting, x: Any, over: tuple[int, ...]) -> Any:
    bare = unshifted(x, over)
    r.note("exp(x) / sum(exp(x)) -> softmax(x)" + (", its maximum is taken off there" if bare is not x else ""))
    return r.emit(sp.softmax, bare, axis=over)


def _transposed(r: Rewriting, moved: Any, e: Any, s: Any) -> Any:
    """``e.T / e.sum(axis=1)``."""
    x, base = exponent(e), _unshaped(s)
    found = of(base, red.sum)
    if x is None or found is None or found[0] is not e or not x.size:
        return None
    order = moved.params["axes"]
    over = axes(base)
    rest = [a for a in order if a not in over]
    at = tuple(k for k, a in enumerate(order) if a in over)
    if rest != sorted(rest) or not _lies_along(s, moved, at):
        return None
    return r.emit(sh.transpose, _emitted(r, x, over), axes=order)


def _quotient(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    return _softmax(r, x, y)


def _product(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    for e, inverse in ((x, y), (y, x)):
        found = of(inverse, ew.reciprocal)
        new = None if found is None else _softmax(r, e, found[0])
        if new is not None:
            return new
    return None


def _log_softmax(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    """``x - logsumexp(x)``."""
    if not is_real(x) or x.dtype != node.dtype or x.shape != node.shape:
        return None
    total = _unshaped(y)
    found = of(total, sp.logsumexp)
    if found is None or found[0] is not x or not _lies_along(y, x, axes(total)):
        return None
    r.note("x - logsumexp(x) -> log_softmax(x)")
    return r.emit(sp.log_softmax, unshifted(x, axes(total)), axis=axes(total))


def _logsumexp(r: Rewriting, node: Node, x: Any, y: Any) -> Any:
    """``logsumexp(x - max(x)) + max(x)``."""
    for total, top in ((x, y), (y, x)):
        found = of(total, sp.logsumexp)
        if found is None or isinstance(top, Const) or total.shape != top.shape or total.dtype != node.dtype:
            continue
        over = axes(total)
        bare = unshifted(found[0], over)
        if bare is found[0] or axes(_top(found[0].operands[1])) != over:
            continue
        if _unshaped(found[0].operands[1]) is not _unshaped(top):
            continue  # one of the two a constant to the derivative, the other not
        r.note("log(sum(exp(x - max(x)))) + max(x) -> logsumexp(x)")
        return r.emit(sp.logsumexp, bare, axis=over, keepdims=keeps(total))
    return None


SOFTMAX: dict[Op, list[Form]] = {
    ew.divide: [_quotient],
    ew.multiply: [_product],
    ew.subtract: [_log_softmax],
    ew.add: [_logsumexp],
}
