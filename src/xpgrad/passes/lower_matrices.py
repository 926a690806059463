"""Lowering of linear algebra on small matrices to operations on their entries.

c = solve(a, b)                   becomes      d = getitem(a, index=(0, 0))
                                               e = getitem(b, index=(0, 0))
                                               f = not_equal(d, 0)
                                               g = checked(d, f, error="Singular matrix")
                                               h = divide(e, g)
                                               c = reshape(h, shape=(1, 1))

Kernels compute these. The matrices of a stack are done side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import Const, Input, Node, Op, Value
from xpgrad.ops import decompositions as dec
from xpgrad.ops import linalg as la
from xpgrad.ops import small_matrices as small
from xpgrad.ops.shape import astype
from xpgrad.passes.rewriting import Rewriting
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.tape import PICK
from xpgrad.trace.traced import Traced

Rule = Callable[[Rewriting, Node, list[Any]], Any]

LARGEST = 4
"""The most rows, and the most right-hand sides. A program grows with the cube of it: 250 nodes for 4 rows."""


def _by(program: Callable[..., Any], largest: int = LARGEST) -> Rule:
    """The rule that puts ``program`` in place of a node."""

    def rule(r: Rewriting, node: Node, xs: list[Any]) -> Any:
        if not _is_small(xs, largest) or node.dtype.kind != "f" or node.dtype.itemsize < 4:
            return None
        symbols, made, given = Symbols(), dict[Value, Any](), list[Any]()
        for x in xs:
            if isinstance(x, Const) and isinstance(x.data, np.ndarray):
                given.append(x.data.astype(node.dtype))
                continue
            value = Input(x.aval._replace(dtype=node.dtype))
            made[value] = x if x.dtype == node.dtype else r.emit(astype, x, dtype=node.dtype)
            given.append(Traced(symbols, value, None))
        if not made:
            return None
        try:
            with np.errstate(all="ignore"):
                out = program(*given)
        except np.linalg.LinAlgError:  # a constant is singular: the call says so
            return None
        for inner in symbols.close().nodes:
            made[inner] = r.emit(inner.op, *[made.get(u, u) for u in inner.operands], **inner.params)
        return made[out._node]

    return rule


def _is_small(xs: list[Any], largest: int) -> bool:
    return all(x.size and max(x.shape[-2:]) <= largest for x in xs)


def _picked(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """Sign or logarithm of a determinant."""
    (parent,) = xs
    if not isinstance(parent, Node) or parent.op is not la.slogdet:
        return None
    program = (small.sign_of_determinant, small.log_of_determinant)[node.params["index"]]
    return _by(program)(r, node, list(parent.operands))


MATRICES: dict[Op, Rule] = {
    la.inv: _by(small.inverse),
    la.inv_lower: _by(small.lower_inverse),
    la.solve: _by(small.solution),
    la.apply_inverse: _by(small.solution),
    la.det: _by(small.determinant),
    la.adjugate: _by(small.adjugate),
    la.adjugate_change: _by(small.adjugate_change, 3),
    dec.cholesky: _by(small.cholesky),
    PICK: _picked,
}
