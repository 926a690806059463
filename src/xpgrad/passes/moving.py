"""Simplification of ops that move entries and change none.

    b = transpose(a, axes=(1, 0))
    c = transpose(b, axes=(1, 0))      becomes    d = exp(a)
    d = exp(c)

An axis of a reduction is spelled out here, sorted and counted from the front, so that equal reductions
are equal nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.core import Const, Node, Op
from xpgrad.ops import contraction as con
from xpgrad.ops import elementwise as ew
from xpgrad.ops import indexing as ix
from xpgrad.ops import reductions as red
from xpgrad.ops import shape as sh
from xpgrad.ops import special as sp
from xpgrad.ops.indexing import basic_axes
from xpgrad.ops.small_matrices import assemble
from xpgrad.passes.matching import of, takes_all, unchanged
from xpgrad.passes.rewriting import Rewriting

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def _reshape(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    return _reshaped(r, node, xs[0])


def _reshaped(r: Rewriting, node: Node, x: Any) -> Any:
    """``x`` in the shape of ``node``, with its entries in the same order."""
    found = of(x, sh.reshape)
    if found is not None:
        x = found[0]
    return x if unchanged(x, node) else r.emit(sh.reshape, x, shape=node.shape)


def _transpose(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    axes = node.params["axes"]
    found = of(x, sh.transpose)
    if found is not None:
        inner = x.params["axes"]
        x, axes = found[0], tuple(inner[a] for a in axes)
        return x if _in_order(axes) and unchanged(x, node) else r.emit(sh.transpose, x, axes=axes)
    return x if _in_order(axes) and unchanged(x, node) else None


def _in_order(axes: Any) -> bool:
    return tuple(axes) == tuple(range(len(axes)))


def _broadcast_to(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    if unchanged(x, node):
        return x
    found = of(x, sh.broadcast_to)
    return None if found is None else r.emit(sh.broadcast_to, found[0], shape=node.shape)


def _astype(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    if unchanged(x, node):
        return x
    found = of(x, sh.astype)
    if found is not None and unchanged(found[0], node) and np.can_cast(node.dtype, x.dtype, "safe"):
        return found[0]  # there and back again
    return None


def _getitem(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """An index that takes all entries is a reshape, or nothing."""
    x = xs[0]
    if len(xs) > 1 or isinstance(x, Const):
        return None
    entries = of(x, assemble)
    if entries is not None and (found := _of_entries(r, node, x)) is not None:
        return found
    return _reshaped(r, node, x) if takes_all(x, node.params["index"]) else None


def _of_entries(r: Rewriting, node: Node, x: Node) -> Any:
    """Some entries of an array that is put together of them."""
    lead = x.ndim - len(x.params["shape"])
    ids = np.arange(len(x.operands)).reshape((1,) * lead + x.params["shape"])
    for k, _, start, step in basic_axes(x.shape, node.params["index"])[:lead]:
        if k is None or start or step != 1 or node.shape[k] != x.shape[k]:
            return None
    taken = ids[node.params["index"]]
    if taken.shape[:lead] != ids.shape[:lead]:
        return None
    if taken.ndim == lead:
        return x.operands[taken.item()]
    return r.emit(assemble, *[x.operands[i] for i in taken.ravel()], shape=taken.shape[lead:])


def _index_update(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """A write to all of an array is the value that is written."""
    x, v = xs[:2]
    index = node.params["index"]
    if len(xs) > 2 or isinstance(x, Const) or isinstance(v, Const) or not takes_all(x, index):
        return None
    parts = index if type(index) is tuple else (index,)
    if any(part is not Ellipsis and type(part) is not slice for part in parts) or v.ndim > x.ndim:
        return None
    if v.dtype.kind == "c" and x.dtype.kind != "c":
        return None
    v = v if v.dtype == node.dtype else r.emit(sh.astype, v, dtype=node.dtype)
    return v if v.shape == node.shape else r.emit(sh.broadcast_to, v, shape=node.shape)


def _reduction(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    axes = red.axes_of(node.op.name, x, node.params.get("axis"), scalars=True)
    if node.params.get("axis") == axes and "keepdims" in node.params:
        return None
    return r.emit(node.op, x, axis=axes, keepdims=bool(node.params.get("keepdims", False)))


def _along(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    (x,) = xs
    axes = red.axes_of(node.op.name, x, node.params.get("axis"))
    return None if node.params.get("axis") == axes else r.emit(node.op, x, axis=axes)


_POINTWISE = (ew.multiply, ew.divide, ew.add, ew.subtract, ew.negative)


def _dot(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """``(x.T * d) @ y`` is ``(x * d[:, None]).T @ y``: what is stored for BLAS lies as ``x`` does."""
    turned = [_turned(r, x) if of(x, *_POINTWISE) is not None and x.ndim == 2 else None for x in xs]
    if all(x is None for x in turned):
        return None
    both = [x if t is None else r.emit(sh.transpose, t, axes=(1, 0)) for x, t in zip(xs, turned, strict=True)]
    return r.emit(node.op, *both)


def _turned(r: Rewriting, x: Any, depth: int = 16) -> Any:
    """The transpose of ``x``, if it is made of transposed matrices, of rows, columns and numbers; else None."""
    found = of(x, sh.transpose)
    if found is not None:
        return found[0] if x.params["axes"] == (1, 0) else None
    found = of(x, *_POINTWISE)
    if found is None or not depth:
        return None
    parts = []
    for u in found:
        if u.ndim < 2 or 1 in u.shape:
            turned = (*u.shape[::-1], 1) if u.ndim == 1 else u.shape[::-1]
            parts.append(r.emit(sh.reshape, u, shape=turned) if u.ndim else u)
        elif (part := _turned(r, u, depth - 1)) is not None:
            parts.append(part)
        else:
            return None
    return r.emit(x.op, *parts)


def itself(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    """The operand of a node that does not change it."""
    return xs[0] if unchanged(xs[0], node) else None


MOVING: dict[Op, Rule] = {
    sh.reshape: _reshape,
    sh.transpose: _transpose,
    sh.broadcast_to: _broadcast_to,
    sh.astype: _astype,
    sh.copy: itself,
    sh.stop_gradient: itself,
    con.dot: _dot,
    ix.getitem: _getitem,
    ix.index_update: _index_update,
    **dict.fromkeys((red.sum, red.mean, red.prod, red.max, red.min, sp.logsumexp), _reduction),
    **dict.fromkeys((sp.softmax, sp.softmax_or_zero, sp.log_softmax), _along),
}
