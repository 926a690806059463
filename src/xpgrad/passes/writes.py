"""Arrays that are written row by row, as one concatenation of their rows.

    b = index_update(a, x, index=0)               d = concatenate(x[None], y[None], a[2:], axis=0)
    c = index_update(b, y, index=1)    becomes

Rows that are read again are the values that were written. In the backward sweep ``index_update(g, 0, index=i)``
sets one row to zero after another, and what is read is another row: that of ``g``. So no iteration of a loop
that fills ``out[i]`` copies the array. The rows lie along one axis, at ints; other writes stay as they are.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Const, Graph, Node, Value
from xpgrad.ops.indexing import getitem, index_update
from xpgrad.ops.shape import concatenate, full_like, reshape
from xpgrad.passes.rewriting import Note, Rewriting, silent

LEAST = 8
"""The fewest writes that are gathered."""


class _Rows:
    """Writes to one array: of each row, the numbers of the writes and what they wrote."""

    def __init__(self, base: Any, axis: int) -> None:
        self.base, self.axis = base, axis
        self.count = 0
        self.made: dict[int, Any] = {0: base}
        self.rows: dict[int, list[tuple[int, Any]]] = {}

    def add(self, row: int, value: Any) -> int:
        self.count += 1
        self.rows.setdefault(row, []).append((self.count, value))
        return self.count

    def at(self, row: int, count: int) -> Any:
        """What was written to ``row`` last, in the first ``count`` writes; None if nothing was."""
        return next((v for k, v in reversed(self.rows.get(row, [])) if k <= count), None)


def writes(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    places = {node: place for node in graph.nodes if (place := _place(node)) is not None}
    if len(places) < LEAST:
        return graph
    r = Rewriting(graph, share=False)
    gathering = _Gathering(r, places, note)
    outputs = set(graph.outputs)
    for node in graph.nodes:
        r.at = node.at
        if node in places:
            gathering.write(node)
            continue
        read = gathering.read(node)
        for u in node.operands:
            if read is None:
                gathering.settle(u)
        r.take(node, r.copy(node, r.operands(node)) if read is None else read, output=node in outputs)
    for value in graph.outputs:
        gathering.settle(value)
    return r.finish(graph)


def _place(node: Node) -> tuple[int, int] | None:
    """The axis and the row that a node writes, if it writes one whole row."""
    if node.op is not index_update or len(node.operands) != 2:
        return None
    x, v = node.operands
    place = _row(node.params["index"], x.shape)
    if place is None or isinstance(x, Const):
        return None
    row = (*x.shape[: place[0]], *x.shape[place[0] + 1 :])
    zero = isinstance(v, Const) and v.shape == () and type(v.data) in (int, float)
    return place if zero or (v.shape == row and v.dtype == x.dtype and not v.weak) else None


def _row(index: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    parts = index if type(index) is tuple else (index,)
    numbers = [k for k, p in enumerate(parts) if type(p) is int]
    rest = [p for p in parts if type(p) is not int]
    if len(numbers) != 1 or len(parts) > len(shape) or any(p != slice(None) for p in rest):
        return None
    return numbers[0], parts[numbers[0]] % shape[numbers[0]]


class _Gathering:
    def __init__(self, r: Rewriting, places: dict[Node, tuple[int, int]], note: Note) -> None:
        self._r, self._places, self._note = r, places, note
        self._written: dict[Value, tuple[_Rows, int]] = {}
        self._settled: set[Value] = set()

    def write(self, node: Node) -> None:
        """Keep a write for later."""
        axis, row = self._places[node]
        x, v = node.operands
        self.settle(v)
        rows, count = self._written.get(x, (None, 0))
        if rows is None or rows.axis != axis or rows.count != count:
            self.settle(x)
            rows = _Rows(self._r.now(x), axis)
        value = v if isinstance(v, Const) else self._r.now(v)
        self._written[node] = rows, rows.add(row, value)

    def read(self, node: Node) -> Any:
        """The row that a node reads of an array that is being written; None if it reads something else."""
        if node.op is not getitem or len(node.operands) != 1:
            return None
        rows, count = self._written.get(node.operands[0], (None, 0))
        place = None if rows is None else _row(node.params["index"], node.operands[0].shape)
        if rows is None or place is None or place[0] != rows.axis:
            return None
        found = rows.at(place[1], count)
        if found is None:
            return self._r.emit(getitem, rows.base, index=node.params["index"])
        return None if isinstance(found, Const) else found

    def settle(self, value: Any) -> None:
        """Make the array, if ``value`` is one that is being written."""
        if value not in self._written or value in self._settled:
            return
        self._settled.add(value)
        rows, count = self._written[value]
        if count not in rows.made:
            latest = max(k for k in rows.made if k < count)
            many = count - latest >= LEAST and latest == 0
            rows.made[count] = self._whole(value, rows, count) if many else self._again(rows, latest, count)
        self._r.take(value, rows.made[count], output=True)

    def _again(self, rows: _Rows, latest: int, count: int) -> Any:
        """One write after another, from an array that is there."""
        late = [(k, row, v) for row, vs in rows.rows.items() for k, v in vs if latest < k <= count]
        whole = rows.made[latest]
        for _, row, v in sorted(late, key=lambda write: write[0]):
            whole = self._r.emit(index_update, whole, v, index=(*(slice(None),) * rows.axis, row))
        return whole

    def _whole(self, node: Node, rows: _Rows, count: int) -> Any:
        base, axis, n = rows.base, rows.axis, node.shape[rows.axis]
        parts: list[Any] = []
        start = 0
        for row in sorted(rows.rows):
            v = rows.at(row, count)
            if v is None:
                continue
            if row > start:
                parts.append(self._r.emit(getitem, base, index=(*(slice(None),) * axis, slice(start, row))))
            shape = (*node.shape[:axis], 1, *node.shape[axis + 1 :])
            if isinstance(v, Const):
                parts.append(self._r.emit(full_like, base, value=v.data, shape=shape, dtype=node.dtype))
            else:
                parts.append(self._r.emit(reshape, v, shape=shape))
            start = row + 1
        if start < n:
            parts.append(self._r.emit(getitem, base, index=(*(slice(None),) * axis, slice(start, n))))
        self._note(f"{count} writes of one row -> concatenate" + (f"  at {node.at}" if node.at else ""))
        return self._r.emit(concatenate, *parts, axis=axis)
