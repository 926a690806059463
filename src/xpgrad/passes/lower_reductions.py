"""Lowering of `mean`, `logsumexp`, `softmax` and `log_softmax` to sums, maxima and exponentials.

    softmax(x, axis)     e / s                    top = max(x, axis, keepdims=True)
    logsumexp(x, axis)   log(s) + top             z = minimum(x - clipped(top), 0)
    log_softmax(x, axis) z - log(s)               e = exp(z);  s = sum(e, axis, keepdims=True)

``clipped(top)`` is the largest entry as a finite number: where all entries are -inf, ``z`` is -inf and
``s`` is 0; where one is +inf, its ``z`` is 0 and it takes all. Finite entries are not touched by either
bound. NaN is kept throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import Node, Op
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import special as sp
from xpgrad.ops.shape import astype, reshape
from xpgrad.passes.rewriting import Rewriting

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def _mean(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """The mean, in the dtype that NumPy adds up in: float64 for integers, float32 for float16."""
    (x,) = xs
    axes = red.axes_of("mean", x, node.params.get("axis"))
    wide = np.dtype(np.float32) if node.dtype == np.float16 else node.dtype
    if x.dtype != wide:
        x = r.emit(astype, x, dtype=wide)
    n = red.count(x, axes)
    total = r.emit(red.sum, x, axis=axes, keepdims=bool(node.params.get("keepdims", False)))
    return r.emit(ew.divide, total, float(n))  # rounded once, as NumPy does it


def _shifted(r: Rewriting, node: Node, xs: list[Any]) -> tuple[Any, Any, Any, Any]:
    """``top``, ``z``, ``e`` and ``s`` of the module's docstring."""
    (x,) = xs
    if x.dtype != node.dtype:
        x = r.emit(astype, x, dtype=node.dtype)
    axes = red.axes_of(node.op.name, x, node.params.get("axis"))
    top = r.emit(red.max, x, axis=axes, keepdims=True)
    largest = np.finfo(node.dtype).max
    clipped = r.emit(ew.minimum, r.emit(ew.maximum, top, -largest), largest)
    z = r.emit(ew.minimum, r.emit(ew.subtract, x, clipped), 0.0)
    e = r.emit(ew.exp, z)
    return top, z, e, r.emit(red.sum, e, axis=axes, keepdims=True)


def _softmax(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    _, _, e, s = _shifted(r, node, xs)
    return r.emit(ew.divide, e, s)


def _softmax_or_zero(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    _, _, e, s = _shifted(r, node, xs)
    return r.emit(ew.divide, e, r.emit(ew.where, r.emit(ew.equal, s, 0.0), 1.0, s))


def _logsumexp(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    top, _, _, s = _shifted(r, node, xs)
    found = r.emit(ew.add, r.emit(ew.log, s), top)
    return found if node.params.get("keepdims", False) else r.emit(reshape, found, shape=node.shape)


def _log_softmax(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    _, z, _, s = _shifted(r, node, xs)
    return r.emit(ew.subtract, z, r.emit(ew.log, s))


REDUCTIONS: dict[Op, Rule] = {
    red.mean: _mean,
    sp.softmax: _softmax,
    sp.softmax_or_zero: _softmax_or_zero,
    sp.logsumexp: _logsumexp,
    sp.log_softmax: _log_softmax,
}
