"""Simplification of products with the identity matrix, or with a diagonal matrix made of it.

    b = full_like(a, value=1, shape=(3,))
    c = embed_diagonal(b)                         becomes    d = multiply(y, s)    s (3, 1)
    d = dot(multiply(c, s), y)

The identity matrix is the basis of `jacobian` and `hessian`. Its zeros are no numbers of the user's: a product
with them is left out, so that an infinity in one row does not make NaN of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import Const, Node, Op
from xpgrad.ops import contraction as con
from xpgrad.ops import elementwise as ew
from xpgrad.ops import linalg as la
from xpgrad.ops import shape as sh
from xpgrad.passes.matching import number, of
from xpgrad.passes.rewriting import Rewriting

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def is_identity(x: Any) -> bool:
    """Whether ``x`` is the identity matrix."""
    found = of(x, la.embed_diagonal)
    if found is None or x.params.get("offset", 0) != 0 or x.ndim != 2 or x.shape[0] != x.shape[1]:
        return False
    return bool(found[0].shape == x.shape[:1] and number(found[0]) == 1)


def _dot(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    if isinstance(x, Const) or isinstance(y, Const) or x.dtype != node.dtype or y.dtype != node.dtype:
        return None
    if _is_diagonal(x):
        return _scaled(r, x, y, 0)
    return _scaled(r, y, x, x.ndim - 1) if _is_diagonal(y) else None


def _is_diagonal(x: Any) -> bool:
    """Whether ``x`` is the identity matrix, its rows or columns multiplied or divided by numbers."""
    while not is_identity(x):
        if of(x, ew.negative, ew.multiply, ew.divide) is None:
            return False
        x = _factors(x)[0]
    return True


def _factors(x: Node) -> tuple[Any, Any]:
    """The operands of a product or quotient that may be a diagonal matrix: the matrix, and what scales it."""
    if x.op is ew.negative:
        return x.operands[0], None
    a, b = x.operands
    n = x.shape[0] if x.ndim else 1
    factors = ((), (1,), (n,), (1, 1), (1, n), (n, 1))
    if a.shape == x.shape and b.shape in factors:
        return a, b
    return (b, a) if x.op is ew.multiply and b.shape == x.shape and a.shape in factors else (None, None)


def _scaled(r: Rewriting, x: Any, y: Any, axis: int) -> Any:
    """``y`` scaled along ``axis`` by the entries of the diagonal matrix ``x``."""
    if is_identity(x):
        return y
    a, b = _factors(x)
    inner = _scaled(r, a, y, axis)
    if b is None:
        return r.emit(ew.negative, inner)
    if b.size > 1:
        b = r.emit(sh.reshape, b, shape=tuple(b.size if k == axis else 1 for k in range(y.ndim)))
    elif b.ndim:
        b = r.emit(sh.reshape, b, shape=())
    return r.emit(x.op, inner, b)


def of_reshaped_identity(r: Rewriting, node: Node, x: Any, axes: Any) -> Any:
    """A transposition of an identity matrix with axes of length 1 between, as a reshape: it is symmetric."""
    found = of(x, sh.reshape)
    if found is None or not is_identity(found[0]):
        return None
    long = [a for a in axes if x.shape[a] != 1]
    whole = len(long) <= 2 or long == sorted(long)
    return r.emit(sh.reshape, found[0], shape=node.shape) if whole else None


def _transpose(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    if is_identity(x):
        return x
    return of_reshaped_identity(r, node, x, node.params["axes"])


IDENTITY: dict[Op, Rule] = {con.dot: _dot, sh.transpose: _transpose}
