"""Products of small matrices, and what is done with them, entry by entry.

    c = dot(a, b)                     becomes      d = getitem(a, index=(0, 0))
                                                   e = getitem(b, index=(0,))
                                                   f = multiply(d, e)
                                                   ...
                                                   c = assemble(j, k, shape=(2,))

Loops over two or three entries take longer to compile, and to run, than the operations in them. A graph with no
product of small matrices keeps its arrays: their elementwise loops are vector instructions.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from xpgrad.core import Const, Graph, Node, Operand, Value
from xpgrad.ops import contraction as con
from xpgrad.ops import elementwise as ew
from xpgrad.ops import indexing as ix
from xpgrad.ops import reductions as red
from xpgrad.ops import shape as sh
from xpgrad.ops.indexing import basic_axes
from xpgrad.ops.small_matrices import assemble
from xpgrad.passes.rewriting import Note, Rewriting, silent

SMALL = 16
"""The most entries of an array that is taken apart."""

MOST = 4096
"""The most operations on entries that a graph is written in."""

_MOVES = (sh.reshape, sh.transpose, sh.broadcast_to, sh.concatenate, sh.pad, sh.copy)


def entries(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    apart = {node for node in graph.nodes if _is_taken_apart(node)}
    if not any(_is_product(node) for node in apart) or sum(map(_cost, apart)) > MOST:
        return graph
    note(f"{len(apart)} nodes on small arrays -> operations on their entries")
    return _Entries(graph, apart).rewritten()


def _is_product(node: Node) -> bool:
    return node.op is con.dot and any(u.size > 1 for u in node.operands)


def _is_taken_apart(node: Node) -> bool:
    if node.weak or not 0 < node.size <= SMALL or node.dtype.kind not in "fb":
        return False
    operands, op = node.operands, node.op
    if op is ix.getitem:
        return len(operands) == 1
    if op is assemble:
        return len(operands) == node.size
    if any(not 0 < u.size <= SMALL or u.dtype.kind not in "fb" for u in operands):
        return False
    if op is red.sum or op is con.dot:
        return node.dtype.kind == "f" and all(u.dtype == node.dtype for u in operands)
    if op is ix.index_update:
        return len(operands) == 2
    return not op.traits.isdisjoint(("pointwise", "raises")) or op in (*_MOVES, sh.full_like, ix.scatter_sum)


def _cost(node: Node) -> int:
    """The operations on entries that stand for ``node``."""
    if node.op is con.dot:
        return 2 * node.size * node.operands[0].shape[-1]
    return max(u.size for u in node.operands) if node.op is red.sum else node.size


class _Entries:
    def __init__(self, graph: Graph, apart: set[Node]) -> None:
        self.graph, self._apart = graph, apart
        self._r = Rewriting(graph)
        self._parts: dict[Value, Any] = {}
        self._whole: set[Value] = set(graph.inputs)

    def rewritten(self) -> Graph:
        r, outputs = self._r, set(self.graph.outputs)
        for node in self.graph.nodes:
            r.at = node.at
            if node in self._apart:
                self._parts[node] = self._done(node)
                continue
            for u in node.operands:
                self._make_whole(u)
            r.take(node, r.copy(node, r.operands(node)), output=node in outputs)
            self._whole.add(node)
        for v in self.graph.outputs:
            self._make_whole(v)
        return r.finish(self.graph)

    def _make_whole(self, u: Operand) -> None:
        if u in self._whole or not isinstance(u, Node):
            return
        parts = [self._as_value(x, u) for x in self._parts[u].ravel()]
        new = parts[0] if not u.ndim else self._r.emit(assemble, *parts, shape=u.shape)
        self._r.take(u, new, output=False)
        self._whole.add(u)

    def _as_value(self, x: Any, u: Node) -> Any:
        """An entry as a value; a number as an array without axes."""
        if not isinstance(x, Const):
            return x
        like = self._r.graph.inputs[0] if self._r.graph.inputs else x
        return self._r.emit(sh.full_like, like, value=x.data, shape=(), dtype=u.dtype)

    def _of(self, u: Operand) -> Any:
        """The entries of an operand, as an array of operands."""
        found = self._parts.get(u)
        if found is None:
            found = np.empty(u.shape, object)
            if isinstance(u, Const) and not isinstance(u.data, np.ndarray):
                found[()] = u
            elif isinstance(u, Const):
                for at in np.ndindex(u.shape):
                    found[at] = Const(u.data[at])
            else:
                source = self._r.now(u)
                for at in np.ndindex(u.shape):
                    found[at] = self._r.emit(ix.getitem, source, index=at) if at else source
            self._parts[u] = found
        return found

    def _done(self, node: Node) -> Any:
        op, r = node.op, self._r
        if op is ix.getitem:
            return self._read(node)
        xs = [self._of(u) for u in node.operands]
        if op is con.dot:
            return self._product(xs[0], xs[1], node)
        if op is red.sum:
            return self._sum(xs[0], node)
        if op is ix.scatter_sum:
            return self._scattered(node, xs)
        if op is assemble:
            return _filled(node.shape, [x.item() for x in xs])
        if op is sh.full_like:
            value = node.dtype.type(node.params["value"])
            return _filled(node.shape, [Const(value)] * node.size)
        if op in _MOVES or op is ix.index_update:
            return _moved(node, xs)
        given = np.broadcast_arrays(*[x if x.ndim else x.reshape((1,) * node.ndim) for x in xs])
        return _filled(
            node.shape,
            [self._fit(r.emit(op, *at, **node.params), node) for at in zip(*map(np.ravel, given), strict=True)],
        )

    def _fit(self, x: Any, node: Node) -> Any:
        return x if x.dtype == node.dtype and not x.weak else self._r.emit(sh.astype, x, dtype=node.dtype)

    def _read(self, node: Node) -> Any:
        (u,) = node.operands
        if u in self._parts or u.size <= SMALL:
            return _filled(node.shape, np.ravel(self._of(u)[node.params["index"]]).tolist())
        self._make_whole(u)
        source = u if isinstance(u, Const) else self._r.now(u)
        axes = basic_axes(u.shape, node.params["index"])
        made = []
        for at in np.ndindex(node.shape):
            index = tuple(start + (0 if k is None else step * at[k]) for k, _, start, step in axes)
            made.append(self._r.emit(ix.getitem, source, index=index))
        return _filled(node.shape, made)

    def _product(self, x: Any, y: Any, node: Node) -> Any:
        rows, columns = x.reshape(-1, x.shape[-1]), y.reshape(y.shape[0], -1)
        return _filled(node.shape, [self._inner(a, b, node) for a in rows for b in columns.T])

    def _inner(self, a: Any, b: Any, node: Node) -> Any:
        total = None
        for x, y in zip(a, b, strict=True):
            if (isinstance(x, Const) and x.data == 0 and _is_finite(y)) or (
                isinstance(y, Const) and y.data == 0 and _is_finite(x)
            ):
                continue
            term = self._r.emit(ew.multiply, x, y)
            total = term if total is None else self._r.emit(ew.add, total, term)
        return Const(node.dtype.type(0)) if total is None else total

    def _sum(self, x: Any, node: Node) -> Any:
        axes = red.axes_of("sum", node.operands[0], node.params.get("axis"), scalars=True)
        kept = [a for a in range(x.ndim) if a not in axes]
        terms = np.transpose(x, (*kept, *axes)).reshape(prod(x.shape[a] for a in kept), -1)
        made = []
        for row in terms:
            total = row[0]
            for term in row[1:]:
                total = self._r.emit(ew.add, total, term)
            made.append(total)
        return _filled(node.shape, made)

    def _scattered(self, node: Node, xs: list[Any]) -> Any:
        found = _filled(node.shape, [None] * node.size)
        ids = np.arange(node.size).reshape(node.shape)
        for x, index in zip(xs, node.params["indices"], strict=True):
            to = ids[index]
            for k, term in zip(np.ravel(to), np.ravel(np.broadcast_to(x, np.shape(to))), strict=True):
                at = np.unravel_index(k, node.shape)
                held = found[at]
                found[at] = term if held is None else self._r.emit(ew.add, held, term)
        zero = Const(node.dtype.type(0))
        return _filled(node.shape, [zero if x is None else x for x in found.ravel()])


def _is_finite(x: Any) -> bool:
    return isinstance(x, Const) and bool(np.isfinite(x.data))


def _filled(shape: tuple[int, ...], values: list[Any]) -> Any:
    found = np.empty(shape, object)
    for at, x in zip(np.ndindex(shape), values, strict=True):
        found[at] = x
    return found


def _moved(node: Node, xs: list[Any]) -> Any:
    """The entries of an op that only moves them: it is done with their numbers, in which 0 is a zero."""
    flat = [Const(node.dtype.type(0)), *[entry for x in xs for entry in x.ravel()]]
    numbers, first = [], 1
    for x in xs:
        numbers.append(np.arange(first, first + x.size).reshape(x.shape))
        first += x.size
    return _filled(node.shape, [flat[k] for k in np.ravel(node.op(*numbers, **node.params))])
