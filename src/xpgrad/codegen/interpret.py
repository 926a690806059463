"""An interpreter of the kernel IR in NumPy: the definition of each statement.

In:  a `Kernel`, the length of its tiles, and the arrays that lie in memory before it.
Out: the arrays that it fills, and its sums.
Holds: a nest runs for all indices of a tile at once, statement by statement; a multiply-add is computed in a
wider dtype, and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.kernel_ir import COMBINE, identity, reduced_axes
from xpgrad.core import Const, Input, Node, Value

_WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def interpret(kernel: ir.Kernel, arrays: Mapping[Value, Any], tile: int) -> dict[Node, Any]:
    """The outputs and sums of ``kernel``.

    Parameters
    ----------
    arrays : dict of Value to array
        The arrays in memory, views included.
    tile : int
        Entries of the tile axis in one tile.

    Raises
    ------
    IndexError
        A choice is outside its axis.
    """
    return _Run(kernel, arrays, tile).run()


class _Run:
    def __init__(self, kernel: ir.Kernel, arrays: Mapping[Value, Any], tile: int) -> None:
        self.kernel, self.arrays, self.tile = kernel, arrays, tile
        self.held: dict[ir.Buffer, Any] = {}
        self.begun: set[ir.Buffer] = set()
        self.begin = self.end = 0

    def run(self) -> dict[Node, Any]:
        for node, buffer in self.kernel.buffers.items():
            shape = node.shape
            if buffer.space == "partial" and not prod_of_extent(self.kernel):
                self.held[buffer] = np.full(
                    shape, identity(_monoid(self.kernel, buffer), node.dtype), buffer.dtype
                )
            else:
                self.held[buffer] = np.empty(shape, buffer.dtype)
        with np.errstate(all="ignore"):
            for begin, end in self._tiles():
                self.begin, self.end = begin, end
                for nest in self.kernel.nests:
                    self._nest(nest)
        wanted = [*self.kernel.made("output"), *self.kernel.made("partial")]
        return {node: self.held[self.kernel.buffers[node]].astype(node.dtype) for node in wanted}

    def _tiles(self) -> list[tuple[int, int]]:
        axis = self.kernel.tile_axis
        if axis is None:
            return [(0, 0)]
        return [(b, min(b + self.tile, axis.extent)) for b in range(0, axis.extent, self.tile)]

    def _length(self, axis: ir.Axis) -> int:
        return self.end - self.begin if axis.is_tile else axis.extent

    def _nest(self, nest: ir.LoopNest) -> None:
        self.nest = nest
        self.shape = tuple(map(self._length, nest.axes))
        self.values: dict[Node, Any] = {}
        for s in nest.body:
            if isinstance(s, ir.Store):
                self._store(s)
            elif isinstance(s, ir.Reduce):
                self._reduce(s)
            else:
                self.values[s.node] = np.asarray(self._assigned(s)).astype(s.node.dtype)

    # ── indices ──────────────────────────────────────────────────────────────────────────────
    def _grid(self, axis: ir.Axis) -> Any:
        """The indices of one loop axis, in the shape that broadcasts over the nest."""
        k = self.nest.axes.index(axis)
        first = self.begin if axis.is_tile else 0
        shape = [n if a == k else 1 for a, n in enumerate(self.shape)]
        return np.arange(first, first + self.shape[k]).reshape(shape)

    def _at(self, buffer: ir.Buffer, index: ir.Index) -> tuple[Any, ...]:
        """Arrays of indices, which broadcast over the nest.

        A workspace has the length of the whole axis here, so its indices are those of all tiles.
        """
        one = (1,) * len(self.shape)
        return tuple(
            np.full(one, p.offset) if p.axis is None else p.step * self._grid(p.axis) + p.offset for p in index
        )

    def _array(self, buffer: ir.Buffer) -> Any:
        if buffer not in self.held:
            source = buffer.source
            self.held[buffer] = np.asarray(source.data if isinstance(source, Const) else self.arrays[source])
        return self.held[buffer]

    # ── operands and statements ──────────────────────────────────────────────────────────────
    def _operand(self, x: ir.Operand) -> Any:
        match x:
            case ir.Local(node):
                return self.values[node]
            case ir.Load(buffer, index):
                return self._array(buffer)[self._at(buffer, index)]
            case ir.Argument(source):
                return self.arrays[source] if isinstance(source, Input) else source
            case ir.Literal(value, dtype):
                return dtype.type(value)

    def _chosen(self, x: ir.Operand, count: int) -> Any:
        chosen = np.asarray(self._operand(x)).astype(np.int64)
        if np.any((chosen < -count) | (chosen >= count)):
            raise IndexError(f"an index is outside of an axis of length {count}")
        return np.where(chosen < 0, chosen + count, chosen)

    def _assigned(self, s: ir.Assignment) -> Any:
        match s:
            case ir.Apply(node, operands):
                return node.op(*map(self._operand, operands), **node.params)
            case ir.MultiplyAdd(node, (x, y), other, negates):
                wider = _WIDER.get(node.dtype, node.dtype)
                a, b, c = (np.asarray(self._operand(v)).astype(node.dtype).astype(wider) for v in (x, y, other))
                return {"": a * b + c, "other": a * b - c, "product": c - a * b}[negates]
            case ir.Gather(_, load, chosen, axis, step, length):
                at = list(self._at(load.buffer, load.at))
                at[axis] = at[axis] + step * self._chosen(chosen, length)
                return self._array(load.buffer)[tuple(at)]
            case ir.OneHot(node, value, chosen, axis, length):
                here = 0 if axis is None else self._grid(axis)
                return np.where(self._chosen(chosen, length) == here, self._operand(value), 0)
            case ir.Fill(_, value):
                return self._operand(value)

    def _store(self, s: ir.Store) -> None:
        value = np.asarray(self._operand(s.value)).astype(s.buffer.dtype)
        self._write(s.buffer, s.at, value, np.add if s.adds else None)

    def _write(self, buffer: ir.Buffer, index: ir.Index, value: Any, combine: np.ufunc | None) -> None:
        array, at = self._array(buffer), self._at(buffer, index)
        shape = np.shape(array[at])
        value = np.broadcast_to(value, shape) if len(at) else np.reshape(value, shape)
        array[at] = value if combine is None else combine(array[at], value)

    def _scatter(self, s: ir.Reduce, choice: ir.Choice) -> None:
        """Add to a table: the chunk's own, or, from zero, the part of one that this tile makes."""
        assert s.operand is not None
        table = self._array(s.buffer)
        if s.buffer.space != "partial":
            added = np.zeros(table.shape, np.float64 if s.node.dtype.kind == "f" else s.node.dtype)
        else:
            added = table
            if s.buffer not in self.begun:
                table[...] = 0
                self.begun.add(s.buffer)
        at = list(self._at(s.buffer, s.at))
        at[choice.axis] = self._chosen(choice.chosen, choice.length)
        value = np.asarray(self._operand(s.operand)).astype(s.node.dtype)
        places = np.broadcast_arrays(*at, np.empty(self.shape, np.bool_))[:-1]
        np.add.at(added, tuple(places), np.broadcast_to(value, self.shape))
        if added is not table:
            tiled = [p.axis is not None and p.axis.is_tile for p in choice.whole]
            part = tuple(slice(self.begin, self.end) if t else slice(None) for t in tiled)
            table[part] = added[part]

    def _reduce(self, s: ir.Reduce) -> None:
        if s.choice is not None:
            self._scatter(s, s.choice)
            return
        gone = reduced_axes(s, self.nest)
        over = tuple(k for k, e in enumerate(self.nest.axes) if e in gone)
        dtype = s.node.dtype
        wider = np.float64 if dtype.kind == "f" else dtype
        if s.factors is not None:
            x, y = (np.asarray(self._operand(f)).astype(dtype).astype(wider) for f in s.factors)
            terms = x * y
        else:
            assert s.operand is not None
            terms = np.asarray(self._operand(s.operand)).astype(dtype).astype(wider)
        terms = np.broadcast_to(terms, self.shape)
        part = COMBINE[s.monoid].reduce(terms, axis=over, keepdims=True)
        again = s.buffer.space == "partial" and s.buffer in self.begun
        self._write(s.buffer, s.at, part, COMBINE[s.monoid] if again else None)
        self.begun.add(s.buffer)


def prod_of_extent(kernel: ir.Kernel) -> int:
    """The length of the tile axis; 1 where there is none."""
    return 1 if kernel.tile_axis is None else kernel.tile_axis.extent


def _monoid(kernel: ir.Kernel, buffer: ir.Buffer) -> str:
    return next(s.monoid for nest in kernel.nests for s in nest.reductions() if s.buffer is buffer)
