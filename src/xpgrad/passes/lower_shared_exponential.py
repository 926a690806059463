"""Lowering of several of `expit` and `softplus` of z and -z to one shared exponential.

    expit(z)      where(z >= 0, p, q)              e = exp(-|z|)
    expit(-z)     where(z >= 0, q, p)              p = 1 / (1 + e)
    softplus(z)   maximum(z, 0) + log1p(e)         q = e * p
    softplus(-z)  maximum(-z, 0) + log1p(e)

A loss has `softplus` of both signs and its derivative `expit` of both: one exponential and one logarithm in
place of four and two. Each keeps its relative accuracy in both tails. A single one stays an op.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import Graph, Node, Value
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import special as sp
from xpgrad.passes.matching import is_real, negated
from xpgrad.passes.rewriting import Rewriting

SHARING = (sp.expit, sp.softplus, sp.log_expit)
Rule = Callable[[Rewriting, Node, list[Any]], Any]


def shared_exponentials(graph: Graph) -> set[Value]:
    """The values z for which more than one op of `SHARING` takes z or -z."""
    seen: dict[Value, set[Any]] = {}
    for node in graph.nodes:
        if node.op in SHARING:
            base, sign = _base(node)
            if base is not None:
                seen.setdefault(base, set()).add((node.op, sign))
    return {base for base, found in seen.items() if len(found) > 1}


def _base(node: Node) -> tuple[Any, int]:
    (x,) = node.operands
    if not is_real(x) or x.dtype != node.dtype:
        return None, 1
    inner = negated(x)
    return (x, 1) if inner is None else (inner, -1)


def shared_exponential_rule(shared: set[Value]) -> Rule:
    """The rule for nodes of `SHARING`; ``shared`` is what `shared_exponentials` found."""

    def rule(r: Rewriting, node: Node, xs: list[Any]) -> Any:
        base, sign = _base(node)
        if base is None or base not in shared:
            return None
        z = r.now(base)
        if node.op is sp.log_expit:
            return r.emit(ew.negative, _softplus(r, z, -sign))
        return _softplus(r, z, sign) if node.op is sp.softplus else _expit(r, z, sign)

    return rule


def _small(r: Rewriting, z: Any) -> Any:
    return r.emit(ew.exp, r.emit(ew.negative, r.emit(cx.absolute, z)))


def _softplus(r: Rewriting, z: Any, sign: int) -> Any:
    x = z if sign > 0 else r.emit(ew.negative, z)
    return r.emit(ew.add, r.emit(ew.maximum, x, 0.0), r.emit(ew.log1p, _small(r, z)))


def _expit(r: Rewriting, z: Any, sign: int) -> Any:
    e = _small(r, z)
    p = r.emit(ew.reciprocal, r.emit(ew.add, 1.0, e))
    q = r.emit(ew.multiply, e, p)
    first, second = (p, q) if sign > 0 else (q, p)
    return r.emit(ew.where, r.emit(ew.greater_equal, z, 0.0), first, second)
