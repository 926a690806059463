"""The relation of the axes of a node's output to those of its operands.

In:  a node of a Graph.
Out: its Relation: which axes are linked, which are contracted or reduced, which must be whole.
Holds: along every linked axis the op can be applied to a part at a time, and along every reduced axis
the results of the parts combine by the monoid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from xpgrad.core import Aval, Node
from xpgrad.ops.indexing import basic_axes, index_ndim, kept_length
from xpgrad.plan.codes import added_shape, code_axis, has_large_table, takes_labels

AxisRef = tuple[int, int]
"""An axis of an operand: (operand, axis)."""


class Relation(NamedTuple):
    """The axes of one node.

    Attributes
    ----------
    links : tuple of (int, int, int)
        ``(output axis, operand, operand axis)``: the same index on both sides.
    reduced : tuple of tuples of (int, int)
        Each is an index that the output lacks: the axes ``(operand, axis)`` that it runs along.
    monoid : str
        The operation that combines entries along reduced axes: ``sum max min prod any all``.
    free : tuple of int
        Output axes that no operand has, along which any part can be computed (`broadcast_to`).

    An operand axis that is in none of these must be whole; so must an output axis.
    """

    links: tuple[tuple[int, int, int], ...] = ()
    reduced: tuple[tuple[AxisRef, ...], ...] = ()
    monoid: str = "sum"
    free: tuple[int, ...] = ()


def relation(node: Node) -> Relation:
    """The Relation of ``node``; it has no links where nothing is known of the op."""
    op = node.op
    avals = [u.aval for u in node.operands]
    if is_pointwise(node):
        return _pointwise(node, avals)
    if op.monoid is not None:
        return _reduction(node, avals, op.monoid)
    rule = _RULES.get(op.name)
    return Relation() if rule is None else rule(node, avals)


def is_pointwise(node: Node) -> bool:
    """Whether each entry of the output depends on one entry of each operand, by broadcasting."""
    return not node.op.traits.isdisjoint(("pointwise", "raises"))


BLAS_LENGTH, BLAS_PRODUCTS = 32, 1 << 20
"""A matrix product is BLAS-sized if its three lengths each exceed the first and their product the second."""


def is_blas_sized(node: Node) -> bool:
    """True if ``node`` is a matrix product that the library computes faster than a loop over tiles would."""
    if node.op.name not in ("dot", "matmul", "einsum"):
        return False
    rel = relation(node)
    if len(rel.reduced) != 1 or node.ndim < 2:
        return False
    i, a = rel.reduced[0][0]
    lengths = (*node.shape[-2:], node.operands[i].shape[a])
    return min(lengths) > BLAS_LENGTH and lengths[0] * lengths[1] * lengths[2] > BLAS_PRODUCTS


def stays_whole(node: Node) -> bool:
    """True if a loop over tiles would be slower: a BLAS-sized product, or additions to a large table."""
    return is_blas_sized(node) or has_large_table(node)


def _pointwise(node: Node, avals: list[Aval]) -> Relation:
    links = []
    for i, aval in enumerate(avals):
        lead = node.ndim - aval.ndim
        links += [(lead + a, i, a) for a, n in enumerate(aval.shape) if n == node.shape[lead + a] != 1]
    return Relation(tuple(links), free=tuple(range(node.ndim)))


def _broadcast_to(node: Node, avals: list[Aval]) -> Relation:
    return _pointwise(node, avals)


def _full_like(node: Node, avals: list[Aval]) -> Relation:
    return Relation(free=tuple(range(node.ndim)))


def axes_in(ndim: int, axis: Any) -> tuple[int, ...]:
    """``axis`` (None, an int, a tuple) as non-negative ints; the op has checked it."""
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(int(a) % ndim for a in given)) if ndim else ()


def _kept(ndim: int, gone: tuple[int, ...], keepdims: bool) -> list[tuple[int, int]]:
    """(output axis, operand axis) of the axes that a reduction keeps."""
    kept = [a for a in range(ndim) if a not in gone]
    return [(a if keepdims else k, a) for k, a in enumerate(kept)]


def _reduction(node: Node, avals: list[Aval], monoid: str) -> Relation:
    ndim = avals[0].ndim
    gone = axes_in(ndim, node.params.get("axis"))
    links = tuple((k, 0, a) for k, a in _kept(ndim, gone, node.params.get("keepdims", False)))
    return Relation(links, tuple(((0, a),) for a in gone), monoid)


def _along_whole_axes(node: Node, avals: list[Aval]) -> Relation:
    """Ops that need ``axis`` whole and take the others entry by entry: argmax, cumsum, argsort."""
    ndim = avals[0].ndim
    whole = axes_in(ndim, node.params.get("axis"))
    if node.ndim == ndim:
        return Relation(tuple((a, 0, a) for a in range(ndim) if a not in whole))
    return Relation(tuple((k, 0, a) for k, a in _kept(ndim, whole, False)))


def _transpose(node: Node, avals: list[Aval]) -> Relation:
    return Relation(tuple((k, 0, a) for k, a in enumerate(node.params["axes"])))


def _reshape(node: Node, avals: list[Aval]) -> Relation:
    """Link the axes before and after which everything is merely regrouped."""
    old, new = avals[0].shape, node.shape
    links = []
    i = j = 0
    before_old = before_new = 1
    while i < len(old) and j < len(new):
        if before_old == before_new and old[i] == new[j]:
            links.append((j, 0, i))
            before_old, before_new, i, j = before_old * old[i], before_new * new[j], i + 1, j + 1
        elif old[i] == 1:
            i += 1
        elif new[j] == 1 or before_new < before_old:
            before_new, j = before_new * new[j], j + 1
        else:
            before_old, i = before_old * old[i], i + 1
    return Relation(tuple(links))


def _dot(node: Node, avals: list[Aval]) -> Relation:
    x, y = avals
    links = [(0, 0, 0)] if x.ndim == 2 else []
    if y.ndim == 2:
        links.append((x.ndim - 1, 1, 1))
    return Relation(tuple(links), (((0, x.ndim - 1), (1, 0)),))


def _matmul(node: Node, avals: list[Aval]) -> Relation:
    x, y = avals
    stack = node.ndim - (x.ndim > 1) - (y.ndim > 1)
    links = []
    for i, aval in enumerate(avals):
        lead = stack - (aval.ndim - 2)
        links += [
            (lead + a, i, a) for a in range(max(aval.ndim - 2, 0)) if aval.shape[a] == node.shape[lead + a] != 1
        ]
    if x.ndim > 1:
        links.append((stack, 0, x.ndim - 2))
    if y.ndim > 1:
        links.append((node.ndim - 1, 1, y.ndim - 1))
    return Relation(tuple(links), (((0, x.ndim - 1), (1, max(y.ndim - 2, 0))),))


def _einsum(node: Node, avals: list[Aval]) -> Relation:
    left, out = node.params["subscripts"].split("->")
    terms = left.split(",")
    refs: dict[str, list[AxisRef]] = {}
    for i, term in enumerate(terms):
        for a, letter in enumerate(term):
            refs.setdefault(letter, []).append((i, a))
    sound = {  # a repeated letter reads a diagonal; an axis of length 1 broadcasts
        letter: where
        for letter, where in refs.items()
        if len({i for i, _ in where}) == len(where) and len({avals[i].shape[a] for i, a in where}) == 1
    }
    links = tuple((k, i, a) for k, c in enumerate(out) if c in sound for i, a in sound[c])
    reduced = tuple(tuple(where) for letter, where in sound.items() if letter not in out)
    return Relation(links, reduced)


def _getitem(node: Node, avals: list[Aval]) -> Relation:
    if len(avals) > 1:
        return _take(node, avals)
    links = []
    for k, a, start, step in basic_axes(avals[0].shape, node.params["index"]):
        if k is not None and start == 0 and step == 1 and node.shape[k] == avals[0].shape[a]:
            links.append((k, 0, a))
    return Relation(tuple(links))


def _take(node: Node, avals: list[Aval]) -> Relation:
    if takes_labels(node):
        return Relation(((0, 0, 0), (0, 1, 0), (0, 2, 0)))
    k = code_axis(node)
    if k is None:
        return Relation()
    more = avals[1].ndim - 1
    before = [(a, 0, a) for a in range(k)]
    codes = [(k + a, 1, a) for a in range(avals[1].ndim)]
    after = [(a + more, 0, a) for a in range(k + 1, avals[0].ndim)]
    return Relation((*before, *codes, *after))


def _scatter_add(node: Node, avals: list[Aval]) -> Relation:
    if takes_labels(node):
        links = ((0, 1, 0), (0, 2, 0))
        return Relation(((0, 0, 0), *links) if avals[0].shape == node.shape[:1] else links)
    k = code_axis(node)
    if k is None:
        return Relation()
    at, more = added_shape(node), avals[1].ndim - 1
    lead = len(at) - avals[0].ndim
    added = {lead + a: (0, a) for a, n in enumerate(avals[0].shape) if n == at[lead + a]}
    kept = [(a, a if a < k else a + more) for a in range(node.ndim) if a != k]
    links_ = tuple((a, *added[b]) for a, b in kept if b in added)
    codes = [((1, a), *([added[k + a]] if k + a in added else [])) for a in range(avals[1].ndim)]
    return Relation(links_, tuple(codes), free=tuple(a for a, _ in kept))


def _index_update(node: Node, avals: list[Aval]) -> Relation:
    if len(avals) > 2:
        return Relation()
    x, v = avals
    links = []
    axes = basic_axes(x.shape, node.params["index"])
    ndim = index_ndim(x.shape, node.params["index"])
    for k, a, start, step in axes:
        if k is None or start or step != 1:
            continue
        mine = k - (ndim - v.ndim)
        full = kept_length(x.shape, node.params["index"], a) == x.shape[a]
        if full:
            links.append((a, 0, a))
            if mine >= 0 and v.shape[mine] == x.shape[a]:
                links.append((a, 1, mine))
    return Relation(tuple(links))


def _concatenate(node: Node, avals: list[Aval]) -> Relation:
    axis = node.params["axis"]
    return Relation(tuple((a, i, a) for i in range(len(avals)) for a in range(node.ndim) if a != axis))


def _assemble(node: Node, avals: list[Aval]) -> Relation:
    return Relation(tuple((a, i, a) for i, x in enumerate(avals) for a in range(x.ndim)))


def _pad(node: Node, avals: list[Aval]) -> Relation:
    return Relation(tuple((a, 0, a) for a, w in enumerate(node.params["widths"]) if tuple(w) == (0, 0)))


_RULES: dict[str, Callable[[Node, list[Aval]], Relation]] = {
    "broadcast_to": _broadcast_to,
    "full_like": _full_like,
    "mean": _along_whole_axes,
    "count_nonzero": partial(_reduction, monoid="sum"),
    **dict.fromkeys(("argmax", "argmin", "cumsum", "cumprod", "argsort", "argpartition"), _along_whole_axes),
    **dict.fromkeys(("softmax", "softmax_or_zero", "log_softmax"), _along_whole_axes),
    "transpose": _transpose,
    "reshape": _reshape,
    "dot": _dot,
    "matmul": _matmul,
    "einsum": _einsum,
    "getitem": _getitem,
    "scatter_add": _scatter_add,
    "index_update": _index_update,
    "concatenate": _concatenate,
    "assemble": _assemble,
    "pad": _pad,
}
