"""Read slices where their entries come from.

    b = exp(a)                                       c = getitem(a, index=slice(1, None))
    c = getitem(b, index=slice(1, None))     becomes d = exp(c)
    d = add(c, 1)                                    e = add(d, 1)

A difference of neighbours reads a value at two places. If the value is cheap it is computed at both, in one
loop with its reader; else it is stored, and read from memory. What is read of an array after a write into it is
the value that was written, or the array before it, if the slices say so.

The pass goes backward, and finds for each value the slices that are read of it; then forward, and makes each.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Const, Graph, Node, Operand, Value
from xpgrad.ops import indexing as ix
from xpgrad.ops import shape as sh
from xpgrad.passes.matching import number
from xpgrad.passes.rewriting import Note, Rewriting, silent
from xpgrad.passes.slice_keys import (
    Key,
    Run,
    apart,
    composed,
    index_of,
    key_of,
    of_operand,
    shape_of,
    size_of,
    whole,
    within,
)

LARGE = 1 << 12
"""The least entries of a value whose slices are computed and not stored; smaller values stay in cache."""

OFTEN = 8
"""The most different slices of one value that are computed."""

BUDGET, BESIDE = 10.0, 3.0
"""The most additions for each entry that computing slices may cost instead of storing the value and reading it
back; and where the value is stored all the same."""

_ONE = frozenset(
    "add subtract multiply negative absolute maximum minimum where greater greater_equal less less_equal equal "
    "not_equal logical_and logical_or logical_not square astype copy stop_gradient sign".split()
)
_FOUR = frozenset("divide sqrt reciprocal floor ceil trunc".split())


def _cost(node: Node) -> float:
    """What one entry costs, in additions."""
    return 1.0 if node.op.name in _ONE else 4.0 if node.op.name in _FOUR else 20.0


def slices(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    if not any(n.op in (ix.getitem, ix.index_update) for n in graph.nodes):
        return graph
    return _Slices(graph, note).rewritten()


class _Slices:
    """The slices that are read of each value, and how each is made.

    Attributes
    ----------
    needed : set of Value
        What is needed as a whole.
    wanted : dict of Value to list of Key
        The slices that are made of a node, and not read from it.
    """

    def __init__(self, graph: Graph, note: Note) -> None:
        self.graph, self._note = graph, note
        self.needed: set[Value] = set(graph.outputs)
        self.wanted: dict[Value, dict[Key, None]] = {}
        self._spent: dict[Value, float] = {}
        self._users: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for u in node.operands:
                self._users.setdefault(u, []).append(node)
        for node in reversed(graph.nodes):
            self._visit(node)

    # ── backward: what is read ───────────────────────────────────────────────────────────────
    def _want(self, u: Operand, key: Key, spent: float = 0.0) -> None:
        if isinstance(u, Node):
            if key == whole(u.shape):
                self.needed.add(u)
            else:
                self.wanted.setdefault(u, {})[key] = None
                self._spent[u] = max(self._spent.get(u, 0.0), spent)

    def _visit(self, node: Node) -> None:
        keys = self.wanted.get(node, {})
        if not keys and node not in self.needed:
            return
        made = {k: None for k in keys if self._parts(node, k) is not None}
        if len(made) < len(keys):
            self.needed.add(node)
        cost = self._extra(node, made)
        if cost is None:
            self.needed.add(node)
            made, cost = {}, 0.0
        self.wanted[node] = made
        for key in made:
            for u, k in self._parts(node, key) or ():
                self._want(u, k, cost)
        if node in self.needed:
            at = _basic(node)
            for i, u in enumerate(node.operands):
                if at is not None and i == 0 and node.op is ix.getitem:
                    self._want(u, at, cost)
                else:
                    self.needed.update([u] if isinstance(u, Node) else [])

    def _parts(self, node: Node, key: Key) -> list[tuple[Operand, Key]] | None:
        """The slices of operands of which ``node[key]`` is made; None if it is read from the whole value."""
        at = _basic(node)
        if node.op is ix.getitem:
            return None if at is None else [(node.operands[0], composed(at, key))]
        if node.size < LARGE or 0 in node.shape:
            return None
        if node.op is ix.index_update and at is not None:
            return self._after_write(node, at, key)
        if node.op is sh.full_like:
            return [] if number(node) is not None else None
        if node.op.name == "concatenate":
            return _piece(node, key)
        if ("pointwise" in node.op.traits or node.op is sh.broadcast_to) and _in_rows(node, key):
            return [(u, of_operand(key, node.shape, u.shape)) for u in node.operands if u.ndim]
        return None

    def _after_write(self, node: Node, written: Key, key: Key) -> list[tuple[Operand, Key]] | None:
        x, v = node.operands
        inside = within(key, written)
        if inside is not None:
            shape = shape_of(written)
            if v.ndim > len(shape) or v.dtype.kind == "c" != node.dtype.kind:
                return None
            if any(isinstance(w, int) and not isinstance(p, int) for p, w in zip(key, written, strict=True)):
                return None
            return [(v, of_operand(inside, shape, v.shape))]
        return [(x, key)] if apart(key, written) else None

    def _extra(self, node: Node, keys: dict[Key, None]) -> float | None:
        """What computing the slices costs beyond the value itself, with what led to them; None: too much."""
        spent = self._spent.get(node, 0.0)
        if not keys or "pointwise" not in node.op.traits:
            return spent if len(keys) <= OFTEN else None
        share = sum(map(size_of, keys)) / node.size
        stored = node in self.needed
        spent += _cost(node) * max(share - (not stored), 0.0)
        if len(keys) > OFTEN or spent > (BESIDE if stored else BUDGET) or not self._rounds_alike(node):
            return None
        return spent

    def _rounds_alike(self, node: Node) -> bool:
        """Whether a slice is rounded as the whole is: a product with one reader is rounded with the sum."""
        users = self._users.get(node, [])
        if node.op.name not in ("multiply", "square") or len(users) < 2:
            return True
        if not any(u.op.name in ("add", "subtract") for u in users):
            return True
        first = self.wanted.get(users[0], {})
        return node not in self.needed and all(
            u not in self.needed and self.wanted.get(u, {}).keys() == first.keys() for u in users
        )

    # ── forward: each slice is made ──────────────────────────────────────────────────────────
    def rewritten(self) -> Graph:
        r = self.r = Rewriting(self.graph, self._note)
        self._made: dict[tuple[Value, Key], Any] = {}
        outputs = set(self.graph.outputs)
        for node in self.graph.nodes:
            r.at = node.at
            if node.op is not ix.getitem or _basic(node) is None or node not in self.needed:
                new: Any = r.copy(node, self._operands(node))
            else:
                (x,) = node.operands
                new = self._read(x, _key(node))
            r.take(node, new, output=node in outputs)
            for key in self.wanted.get(node, {}):
                self._made[node, key] = self._make(node, key)
        return r.finish(self.graph)

    def _operands(self, node: Node) -> list[Operand]:
        """The new operands; of an array that is written to, without writes that this one hides."""
        found = self.r.operands(node)
        at = _basic(node) if node.op is ix.index_update else None
        x = found[0] if found else None
        while at is not None and isinstance(x, Node) and x.op is ix.index_update:
            before = _basic(x)
            if before is None or within(before, at) is None or x.operands[0].aval != x.aval:
                break
            found[0] = x = x.operands[0]
        return found

    def _read(self, u: Operand, key: Key) -> Any:
        """``u[key]``: what was made of it, or read from the whole."""
        if isinstance(u, Node) and (u, key) in self._made:
            return self._made[u, key]
        new = u if isinstance(u, Const) else self.r.now(u)
        if not u.ndim or key == whole(u.shape):
            return new
        return self.r.emit(ix.getitem, new, index=index_of(key))

    def _make(self, node: Node, key: Key) -> Any:
        parts = self._parts(node, key)
        assert parts is not None
        r, op = self.r, node.op
        if op is sh.full_like:
            like = r.operands(node)[0]
            return r.emit(op, like, value=node.params["value"], shape=shape_of(key), dtype=node.dtype)
        if op is ix.getitem or op is ix.index_update or op.name == "concatenate":
            ((u, at),) = parts
            found = self._read(u, at)
            if found.dtype != node.dtype:
                found = r.emit(sh.astype, found, dtype=node.dtype)
            shape = shape_of(key)
            return found if found.shape == shape else r.emit(sh.broadcast_to, found, shape=shape)
        rest = iter(parts)
        read = [self._read(*next(rest)) if u.ndim else self._read(u, ()) for u in node.operands]
        if op is sh.broadcast_to:
            return read[0] if read[0].shape == shape_of(key) else r.emit(op, read[0], shape=shape_of(key))
        return r.emit(op, *read, **node.params)


def _basic(node: Node) -> Key | None:
    """The key of the index of a `getitem` or an `index_update`; None if it is not basic."""
    index = node.params.get("index")
    if node.op is ix.getitem and len(node.operands) == 1 and not isinstance(node.operands[0], Const):
        return key_of(node.operands[0].shape, index)
    if node.op is ix.index_update and len(node.operands) == 2:
        return key_of(node.shape, index)
    return None


def _key(node: Node) -> Key:
    found = _basic(node)
    assert found is not None
    return found


def _in_rows(node: Node, key: Key) -> bool:
    """Whether a slice of a computed value has long contiguous rows, as the value itself has."""
    last = key[-1]
    return isinstance(last, Run) and last.step == 1 and 2 * last.length >= node.shape[-1]


def _piece(node: Node, key: Key) -> list[tuple[Operand, Key]] | None:
    """The operand of a `concatenate` in which all of ``key`` lies."""
    axis, start = node.params["axis"], 0
    for u in node.operands:
        n = u.shape[axis]
        here: Key = tuple(Run(start, 1, n) if a == axis else p for a, p in enumerate(whole(node.shape)))
        found = within(key, here)
        if found is not None:
            return [(u, found)]
        start += n
    return None
