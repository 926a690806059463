"""Loops of the user, which the trace has unrolled, rolled back.

    b = sin(a)                                    b, c = loop(a, body=..., length=100)
    c = multiply(b, 0.9)
    d = sin(c)                         becomes        b = sin(a)
    e = multiply(d, 0.9)                              c = multiply(b, 0.9)
    ...

Nodes with the same ops, parameters and shapes, that come again many times in a row, become one `loop`. What an
iteration reads of the one before it is carried; ``x[i]`` is a slice of ``x``; what a later loop reads of the
iterations (the backward sweep, of the forward one) is stacked. An iteration at either end that differs stays
as it is. Slices and reshapes take no part: they are made where they are read.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any

from xpgrad.core import Aval, Const, Graph, Node, Op, Operand, Value
from xpgrad.ops.indexing import getitem, scatter_sum
from xpgrad.ops.loops import LOOP
from xpgrad.ops.shape import concatenate, reshape, transpose
from xpgrad.passes.loop_body import Body, NotRolled
from xpgrad.passes.loop_symbols import form, symbol, views
from xpgrad.passes.periods import Repeat, repeats
from xpgrad.passes.rewriting import Note, Rewriting, silent
from xpgrad.passes.rows import parts_of_index, slice_of, stacked, varying
from xpgrad.trace.tape import PICK

LEAST = 8
"""The fewest iterations that are rolled."""

LONG = 128
"""The fewest nodes of all iterations together that are rolled: fewer compile fast, into one kernel."""

SHORT = 48
"""The same in a graph of many nodes, where the loop may be a part of a longer one."""

KEPT_LONG = 1024, 1 << 16
"""So many nodes on so many entries stay one pass over the samples, in which nothing is stacked."""

_DEPTH = 4
_TRIES = 6


def roll(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    bodies: dict[Any, Graph] = {}
    if len(graph.nodes) < LONG or _one_pass(graph):
        return graph
    long = LONG if len(graph.nodes) < 2 * LONG else SHORT
    for _ in range(_DEPTH):  # the innermost loops first
        rolling = _Rolling(graph, note, bodies, long)
        graph, long = rolling.run(), 2 * LEAST
        if not rolling.loops:
            break
    return graph


def _one_pass(graph: Graph) -> bool:
    nodes, entries = KEPT_LONG
    return len(graph.nodes) <= nodes and max(n.size for n in graph.nodes) >= entries


class _Loop:
    """A loop of the new graph."""

    def __init__(self, body: Body, start: int, period: int, count: int) -> None:
        self.body, self.start, self.period, self.count = body, start, period, count
        self.outputs: list[Node] = []


class _Rolling:
    def __init__(self, graph: Graph, note: Note, bodies: dict[Any, Graph], long: int) -> None:
        self.graph, self.note, self._bodies, self._long = graph, note, bodies, long
        self.loops: list[_Loop] = []
        self._r = Rewriting(graph)
        self._made: dict[Value, Operand] = {v: self._r.now(v) for v in graph.inputs}
        self._views = views(graph)
        self.nodes = [n for n in graph.nodes if n not in self._views]
        self.place: dict[Value, int] = {n: k for k, n in enumerate(self.nodes)}
        self._in_loop: dict[Value, tuple[_Loop, int, int]] = {}
        self._read_until, self._readers = self._uses()
        self._kept = 0  # the nodes before this place are made

    def _uses(self) -> tuple[list[int], list[tuple[int, int]]]:
        """For each node, the place of its last reader; and all pairs of node and reader, views seen through."""
        n = len(self.nodes)
        until = [-1] * n
        readers: list[tuple[int, int]] = []
        for k, node in enumerate(self.nodes):
            for u in node.operands:
                j = self._root(u)
                if j is not None:
                    readers.append((j, k))
                    until[j] = k
        for u in self.graph.outputs:
            j = self._root(u)
            if j is not None:
                readers.append((j, n))
                until[j] = n
        return until, readers

    def _root(self, u: Any) -> int | None:
        while u in self._views:
            u = u.operands[0]
        return self.place.get(u)

    # ── the graph that is made ───────────────────────────────────────────────────────────────
    def run(self) -> Graph:
        symbols = [symbol(n) for n in self.nodes]
        starts: dict[int, list[Repeat]] = {}
        for found in repeats(symbols, LEAST):
            if found.stop - found.start >= self._long:
                starts.setdefault(found.start, []).append(found)
        waiting = sorted((r for rs in starts.values() for r in rs), key=lambda r: (r.period, r.start))
        taken = self._chosen(waiting)
        k = 0
        while k < len(self.nodes):
            self._kept = k
            repeat = taken.get(k)
            loop = None if repeat is None else self._try(repeat)
            if loop is not None:
                while k < loop.start:
                    self._keep(k)
                    k += 1
                self._emit_loop(loop)
                k = loop.start + loop.period * loop.count
                continue
            self._keep(k)
            k += 1
        new = self._r.graph
        new.outputs = [self.now(u) for u in self.graph.outputs]
        return new

    def _chosen(self, found: list[Repeat]) -> dict[int, Repeat]:
        """Repeats that do not overlap, by their start; of two that do, the one with the shorter period."""
        free = [True] * len(self.nodes)
        chosen: dict[int, Repeat] = {}
        for repeat in found:
            start, stop, period = repeat
            while start < stop and not free[start]:
                start += 1
            end = start
            while end < stop and free[end]:
                end += 1
            if end - start >= max(LEAST * period, self._long):
                chosen[start] = Repeat(start, end, period)
                free[start:end] = [False] * (end - start)
        return chosen

    def _keep(self, k: int) -> None:
        node = self.nodes[k]
        if node in self._made:
            return
        self._r.at = node.at
        new = self._fewer(node) if len(node.operands) >= LEAST else None
        if new is None:
            new = self._r.copy(node, [self.now(u) for u in node.operands])
        self._made[node] = new

    def now(self, u: Any) -> Any:
        """The new value of an old one."""
        if isinstance(u, Const):
            return u
        found = self._made.get(u)
        if found is not None:
            return found
        if u in self._views:
            found = self._r.copy(u, [self.now(u.operands[0])])
        elif u not in self._in_loop:  # a node before the loop that is tried, of which it stacks several
            for k in range(self._kept, self.place[u] + 1):
                self._keep(k)
            return self._made[u]
        else:
            loop, r, t = self._in_loop[u]
            body = loop.body
            if r in body.last:
                found = loop.outputs[body.last[r]]
            else:
                found = self.emit(getitem, loop.outputs[len(body.inits) + body.kept[r]], index=(t,))
        self._made[u] = found
        return found

    def emit(self, op: Op, *operands: Any, **params: Any) -> Any:
        """A new node."""
        return self._r.emit(op, *operands, **params)

    def iteration(self, u: Any) -> tuple[Any, int] | None:
        """The stacked output that has an old value, and its place in it."""
        found = self._in_loop.get(u)
        if found is None:
            return None
        loop, r, t = found
        k = loop.body.kept.get(r)
        return None if k is None else (loop.outputs[len(loop.body.inits) + k], t)

    def is_view(self, u: Any) -> bool:
        """Whether an old value is a slice or a reshape, which is made where it is read."""
        return u in self._views

    # ── one loop ─────────────────────────────────────────────────────────────────────────────
    def _try(self, repeat: Repeat) -> _Loop | None:
        start, stop, period = repeat
        start += self._offset(start, stop, period)
        count = (stop - start) // period
        for _ in range(_TRIES):
            if count < LEAST or count * period < self._long:
                return None
            try:
                body = Body(
                    self.nodes,
                    self.place,
                    start,
                    period,
                    count,
                    self.is_view,
                    partial(stacked, self),
                    self.iteration,
                )
                whole, last = self._read_after(start, period, count)
                body.finish(whole, last)
            except NotRolled as error:
                t = error.iteration
                if t is None or t * 2 <= count:
                    skipped = max(t or 1, 1)
                    start, count = start + skipped * period, count - skipped
                else:
                    count = t
                continue
            return _Loop(body, start, period, count)
        return None

    def _offset(self, start: int, stop: int, period: int) -> int:
        """Where an iteration should begin, so that the fewest bytes are carried into the next."""
        middle = start + (stop - start) // (2 * period) * period
        change = [0] * (2 * period + 2)
        low = middle - period
        for k in range(max(low, start), min(middle + period, stop)):
            until = self._read_within(k, stop)
            if until <= k:
                continue
            node = self.nodes[k]
            cost = 64 + node.size * node.dtype.itemsize
            change[k + 1 - low] += cost
            if until + 1 - low < len(change):
                change[until + 1 - low] -= cost
        live, best = 0, (float("inf"), 0)
        for j in range(2 * period):
            live += change[j]
            if j >= period:
                best = min(best, (live, j - period))
        return best[1]

    def _read_within(self, k: int, stop: int) -> int:
        until = self._read_until[k]
        return until if until < stop else -1

    def _read_after(self, start: int, period: int, count: int) -> tuple[list[int], list[int]]:
        """The places whose nodes are read after the loop: of many iterations, and of the last alone."""
        end = start + period * count
        whole: set[int] = set()
        last: set[int] = set()
        for j, k in self._readers:
            if start <= j < end <= k:
                t, r = divmod(j - start, period)
                (last if t == count - 1 else whole).add(r)
        return sorted(whole), sorted(last - whole)

    def _emit_loop(self, loop: _Loop) -> None:
        body, count = loop.body, loop.count
        graph = self._bodies.setdefault(form(body.graph), body.graph)
        given = [self.now(u) for u in (*body.invariants, *body.inits)]
        operands = [u if isinstance(u, (Node, Const, Value)) else Const(u) for u in (*given, *body.slices)]
        params = {
            "body": graph,
            "length": count,
            "invariants": len(body.invariants),
            "carries": len(body.inits),
        }
        ruled = LOOP.shape(*[u.aval for u in operands], **params)
        at = next((n.at for n in self.nodes[loop.start : loop.start + loop.period] if n.at), None)
        node = Node(LOOP, operands, params, ruled[0], at)  # type: ignore[arg-type]
        self._r.graph.nodes.append(node)
        for k, aval in enumerate(ruled):
            pick = Node(PICK, (node,), {"index": k}, Aval(aval.shape, aval.dtype), at)
            self._r.graph.nodes.append(pick)
            loop.outputs.append(pick)
        for j in range(count * loop.period):
            t, r = divmod(j, loop.period)
            if r in body.kept or (r in body.last and t == count - 1):
                self._in_loop[self.nodes[loop.start + j]] = loop, r, t
        self.loops.append(loop)
        where = f"  at {at}" if at else ""
        self.note(f"{count} times {loop.period} nodes -> a loop with {len(body.inits)} carried{where}")

    # ── ops with an operand for each iteration ───────────────────────────────────────────────
    def _fewer(self, node: Node) -> Any:
        """A concatenation or sum of slices with those operands stacked that loops have made."""
        if node.op is concatenate:
            return self._concatenated(node)
        return self._scattered(node) if node.op is scatter_sum else None

    def _kind(self, node: Any, i: int, views: bool = False) -> Any:
        """Equal for operands that may be the same node of one loop, or with ``views`` slices of one array."""
        u, depth = node, 0
        while u in self._views:
            u, depth = u.operands[0], depth + 1
        at = self._in_loop.get(u)
        if at is not None:
            return "loop", id(at[0]), at[1], depth, node.shape
        return ("views", u, depth, node.shape) if depth and views else ("alone", i)

    def _concatenated(self, node: Node) -> Any:
        axis, parts, fewer = node.params["axis"], list[Any](), False
        kinds = [self._kind(u, i, views=True) for i, u in enumerate(node.operands)]
        for kind, numbers in groupby(range(len(kinds)), kinds.__getitem__):
            us = [node.operands[i] for i in numbers]
            found = stacked(self, us, copies=kind[0] == "loop") if len(us) > 1 else None
            if found is None:
                parts += map(self.now, us)
                continue
            fewer = True
            shape = list(us[0].shape)
            if axis:
                axes = [*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1)]
                found = self.emit(transpose, found, axes=tuple(axes))
            shape[axis] *= len(us)
            parts.append(self.emit(reshape, found, shape=tuple(shape)))
        if not fewer:
            return None
        if len(parts) == 1 and parts[0].aval == node.aval:
            return parts[0]
        return self._r.copy(node, parts)

    def _scattered(self, node: Node) -> Any:
        indices, parts, places = node.params["indices"], list[Any](), list[Any]()
        for run in self._alike(node):
            us = [node.operands[i] for i in run]
            given = [parts_of_index(indices[i]) for i in run]
            k = varying(given) if len(us) > 1 else None
            cut = None
            if k is not None and type(given[0][k]) is int:
                n = node.shape[sum(p is not None for p in given[0][:k])]
                cut = slice_of([g[k] % n for g in given])
            found = None if cut is None else stacked(self, us)
            if found is None:
                parts += map(self.now, us)
                places += [indices[i] for i in run]
                continue
            assert k is not None
            axis = sum(isinstance(p, slice) or p is None for p in given[0][:k])
            if axis:
                axes = [*range(1, axis + 1), 0, *range(axis + 1, len(found.shape))]
                found = self.emit(transpose, found, axes=tuple(axes))
            parts.append(found)
            places.append((*given[0][:k], cut, *given[0][k + 1 :]))
        if len(parts) == len(node.operands):
            return None
        params = {**node.params, "indices": tuple(places)}
        return self._r.copy(Node(node.op, parts, params, node.aval, node.at), parts)

    def _alike(self, node: Node) -> list[list[int]]:
        """The numbers of the operands, by loop, place in it, and the parts of the index that stay the same."""
        groups: dict[Any, list[int]] = {}
        for i, index in enumerate(node.params["indices"]):
            index = parts_of_index(index)
            groups.setdefault((self._kind(node.operands[i], i), len(index)), []).append(i)
        found = []
        for run in groups.values():
            given = [parts_of_index(node.params["indices"][i]) for i in run]
            numbers = [k for k, p in enumerate(given[0]) if type(p) is int]
            if len(run) > 1 and varying(given) is None and len(numbers) > 1:
                parted: list[list[list[int]]] = [_split(run, given, k) for k in numbers]
                fewest: list[list[int]] = min(parted, key=len)
                found += fewest
            else:
                found.append(run)
        return found


def _split(run: list[int], given: list[Any], k: int) -> list[list[int]]:
    """``run`` by all parts of the index but part ``k``."""
    groups: dict[Any, list[int]] = {}
    for i, index in zip(run, given, strict=True):
        groups.setdefault(repr((*index[:k], *index[k + 1 :])), []).append(i)
    return list(groups.values())
