"""Lowering of a step of a plan to the kernel IR, for all devices.

In:  a Region or an Untiled step, the arrays in memory before it, and the values that are read after it.
Out: a `Kernel`: where each operand is read, which values are stored, and which products are rounded with a sum.
Holds: nothing here knows a device. Workspaces have no strides yet: a generator chooses the order of their axes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.kernel_ir import c_strides
from xpgrad.core import Const, Input, Node, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.codes import adds_by_code, code_axis
from xpgrad.plan.loop_nests import (
    Access,
    AffineIndex,
    Declined,
    LoopNests,
    NestPlan,
    is_assembled,
    is_contraction,
    is_reduction,
)
from xpgrad.plan.plan import Step
from xpgrad.plan.slice_writes import SliceWrite, slice_writes_of


def lower(
    step: Step,
    plan: Plan,
    held: Mapping[Value, Any],
    alive: set[Value],
    check: Callable[[Node], None],
    dying: Collection[Value] = (),
) -> ir.Kernel:
    """The kernel of ``step``.

    Parameters
    ----------
    held : dict of Value to array
        The layout of each array that lies in memory before the step; a missing one lies in C order.
    alive : set of Value
        The values that later steps or the outputs read.
    check : callable
        ``check(node)`` raises `Declined` if the generator has no instructions for the node.
    dying : collection of Value
        Values in arrays of their own that nothing reads after this step, so that it may write to them.

    Raises
    ------
    Declined
        A node has no loops, or ``check`` declines it.
    """
    return _Lowering(step, plan, held, alive, check, dying).kernel


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which the parts of a reduction are combined."""
    return np.dtype(np.float64) if dtype.kind == "f" else dtype


class _Lowering:
    def __init__(
        self,
        step: Step,
        plan: Plan,
        held: Mapping[Value, Any],
        alive: set[Value],
        check: Callable[[Node], None],
        dying: Collection[Value],
    ) -> None:
        self.plan, self.axes, self.held = plan, plan.axes, held
        self.nests = LoopNests(step, plan, check)
        self._axes: dict[int, ir.Axis] = {}
        self._tile = None if self.nests.tile_axis is None else self._axis(self.nests.tile_axis)
        self.kernel = ir.Kernel(step, self._tile)
        self._memory: dict[Value, ir.Buffer] = {}
        self._slice_axes = 0
        self._sums = set(step.sums) if isinstance(step, Region) else set()
        stores = step.stores if isinstance(step, Region) else step.nodes
        for node in stores:
            if node in alive and self.nests.is_view(node):
                raise Declined(node, "is an output, and looks into a value that is not in memory")
        self._outputs = {n for n in stores if n in alive} - self._sums
        self._stored = self._outputs | self._sums | self._read_elsewhere(step)
        self._into: dict[Value, Node] = {}
        for nest in self.nests.nests:
            if nest.kind == "slices":
                self._write_in_place(nest.nodes[0], dying)
        for nest in self.nests.nests:
            if nest.kind == "slices":
                self._slices(nest)
            else:
                self._loop(nest)

    def _read_elsewhere(self, step: Step) -> set[Value]:
        """The values that are read in another nest than the one that makes them, or at another index."""
        found: set[Value] = set()
        for node in step.nodes:
            if not self.nests.is_view(node):
                for i in range(len(node.operands)):
                    access = self.nests.access(node, i)
                    if not self.nests.is_local(node, access):
                        found.add(access.root)
        return found

    def _write_in_place(self, node: Node, dying: Collection[Value]) -> None:
        """Let an `index_update` write into the buffer of the array before it, if nothing else reads that."""
        x = node.operands[0]
        if node.op.name != "index_update" or not isinstance(x, Node) or x.aval != node.aval:
            return
        readers = [
            (n, i)
            for n in self.kernel.step.nodes
            if not self.nests.is_view(n)
            for i in range(len(n.operands))
            if self.nests.access(n, i).root is x
        ]
        if readers != [(node, 0)]:
            return
        kind = self.nests.kind_of(x)
        if kind in ("loop", "slices") and x not in self._outputs | self._sums and not is_reduction(x):
            self._into[x] = node
        elif kind is None and x in dying and node in self._outputs:
            self.kernel.in_place[node] = x

    # ── axes and buffers ─────────────────────────────────────────────────────────────────────
    def _axis(self, number: int) -> ir.Axis:
        if number not in self._axes:
            self._axes[number] = ir.Axis(number, self.axes.extent[number], number == self.nests.tile_axis)
        return self._axes[number]

    def _index(self, index: tuple[AffineIndex[int], ...]) -> ir.Index:
        return tuple(
            AffineIndex(None if p.axis is None else self._axis(p.axis), p.step, p.offset) for p in index
        )

    def _own(self, node: Node) -> ir.Index:
        """The index at which the loops of ``node`` make its entries."""
        return self._index(tuple(map(AffineIndex, self.axes.loop_axes(node))))

    def _buffer(self, node: Node) -> ir.Buffer:
        """The buffer of a value that the step makes."""
        buffers = self.kernel.buffers
        while node in self._into:
            node = self._into[node]
        if node not in buffers:
            if node in self._outputs:
                buffers[node] = ir.Buffer(node, "output", node.dtype, node.shape, c_strides(node.shape))
            elif node in self._sums:
                buffers[node] = ir.Buffer(node, "partial", wide(node.dtype), node.shape)
            else:
                tiled = any(p.axis is not None and p.axis.is_tile for p in self._own(node))
                buffers[node] = ir.Buffer(node, "workspace", node.dtype, node.shape, is_tiled=tiled)
        return buffers[node]

    def _in_memory(self, source: Value) -> ir.Buffer:
        """An array that lies in memory before the step."""
        if source not in self._memory:
            array: Any = source.data if isinstance(source, Const) else self.held.get(source)
            if array is None:  # stored by an earlier step
                dtype, strides = source.dtype, c_strides(source.shape)
            else:
                if not hasattr(array, "strides"):
                    array = np.asarray(array)
                dtype, strides = np.dtype(array.dtype), tuple(s // array.itemsize for s in array.strides)
            self._memory[source] = ir.Buffer(source, "memory", dtype, source.shape, strides)
        return self._memory[source]

    # ── operands ─────────────────────────────────────────────────────────────────────────────
    def _operand(self, node: Node, i: int) -> ir.Operand:
        access = self.nests.access(node, i)
        u = access.root
        if isinstance(u, Node) and self.nests.is_local(node, access):
            return ir.Local(u)
        if not access.is_scalar:
            return self._load(access)
        if isinstance(u, Const):
            return ir.Argument(u.data, node.operands[i].dtype, (node, i))
        assert isinstance(u, Input)
        return ir.Argument(u, u.dtype, u)

    def _load(self, access: Access) -> ir.Load:
        u = access.root
        if isinstance(u, Node) and u in self.nests.own and not self.nests.is_view(u):
            return ir.Load(self._buffer(u), self._index(access.at))
        return ir.Load(self._in_memory(u), self._index(access.at))

    def _factors(self, product: Node) -> tuple[ir.Operand, ir.Operand]:
        found = [self._operand(product, i) for i in range(len(product.operands))]
        return found[0], found[-1]

    # ── loop nests ────────────────────────────────────────────────────────────────────────────────
    def _loop(self, nest: NestPlan) -> None:
        reduced = frozenset(e for node in nest.nodes for e in self.axes.reduced(node))
        axes = tuple(self._axis(e) for e in sorted(nest.loop_axes | reduced))
        found = ir.LoopNest(nest.kind, axes)
        folded = {p for node in nest.nodes for p in self._folded(node)}
        for node in nest.nodes:
            if is_reduction(node) or is_contraction(node):
                found.body.append(self._reduce(node))
                continue
            if is_assembled(node):
                found.body += self._entries(node)
                continue
            # A later step reads it, and computes the sum again: it is made and stored, too.
            if node not in folded or node in self._stored:
                found.body.append(self._assignment(node))
            if node in self._stored:
                found.body.append(ir.Store(self._buffer(node), self._own(node), ir.Local(node)))
        self.kernel.nests.append(found)

    def _entries(self, node: Node) -> list[ir.Store]:
        """The stores of the entries of an array that is put together."""
        shape, own = node.params["shape"], self._own(node)
        lead = own[: node.ndim - len(shape)]
        return [
            ir.Store(
                self._buffer(node), (*lead, *[AffineIndex(None, 1, k) for k in at]), self._operand(node, i)
            )
            for i, at in enumerate(np.ndindex(shape))
        ]

    def _folded(self, node: Node) -> list[Node]:
        """The product that ``node`` adds, which nothing else reads, and which is rounded with the sum."""
        fused = self.nests.fused(node)
        added = self.nests.added_product(node)
        return [p for p in (fused[1] if fused is not None else None, added) if p is not None]

    def _reduce(self, node: Node) -> ir.Reduce:
        monoid = self.axes.relations[node].monoid
        if adds_by_code(node):
            return self._scatter(node)
        buffer, index = self._buffer(node), self._own(node)
        product = node if is_contraction(node) else self.nests.added_product(node)
        if product is not None:
            return ir.Reduce(node, buffer, index, monoid, None, self._factors(product))
        return ir.Reduce(node, buffer, index, monoid, self._operand(node, 0), None)

    def _scatter(self, node: Node) -> ir.Reduce:
        """An addition to the entries of a table that codes choose."""
        k = code_axis(node)
        assert k is not None
        whole = self._own(node)
        at = tuple(AffineIndex(None) if a == k else p for a, p in enumerate(whole))
        choice = ir.Choice(self._operand(node, 1), k, node.shape[k], whole)
        return ir.Reduce(node, self._buffer(node), at, "sum", self._operand(node, 0), None, choice)

    def _assignment(self, node: Node) -> ir.Statement:
        name = node.op.name
        if name == "full_like":
            dtype = np.dtype(np.float64 if node.dtype.kind == "f" else np.int64)
            fill = (float if node.dtype.kind == "f" else int)(node.params["value"])
            return ir.Fill(node, ir.Argument(fill, dtype, ("fill", node)))
        if name == "getitem":
            axis, step = self.nests.choice(node)
            load = self._load(self.nests.access(node, 0))
            k = code_axis(node)
            chosen, length = (2, node.operands[0].shape[1]) if k is None else (1, node.operands[0].shape[k])
            return ir.Gather(node, load, self._operand(node, chosen), axis, step, length)
        if name == "scatter_add":
            number = self.axes.loop_axes(node)[1]
            axis_ = None if number is None else self._axis(number)
            return ir.OneHot(node, self._operand(node, 0), self._operand(node, 2), axis_, node.shape[1])
        fused = self.nests.fused(node)
        if fused is not None:
            i, product = fused
            negates = "" if name == "add" else "other" if i == 0 else "product"
            return ir.MultiplyAdd(node, self._factors(product), self._operand(node, 1 - i), negates)
        return ir.Apply(node, tuple(self._operand(node, i) for i in range(len(node.operands))))

    # ── slice writes ─────────────────────────────────────────────────────────────────────────
    def _slices(self, nest: NestPlan) -> None:
        (node,) = nest.nodes
        writes = slice_writes_of(node)
        if node in self._into.values() or node in self.kernel.in_place:
            writes = writes[1:]  # the array before it is in the buffer already
        for write in writes:
            axes = [
                self._slice_axis(number, length)
                for number, (length, *_) in zip(self.axes.loop_axes(node), write.slices, strict=True)
            ]
            index = tuple(
                AffineIndex(axis, step if axis is not None else 1, start)
                for axis, (_, start, step, _) in zip(axes, write.slices, strict=True)
            )
            value = self._written(node, write, axes)
            found = ir.LoopNest(nest.kind, tuple(e for e in axes if e is not None))
            found.body.append(ir.Store(self._buffer(node), index, value, write.adds))
            self.kernel.nests.append(found)

    def _slice_axis(self, number: int | None, length: int) -> ir.Axis | None:
        """The loop axis of one axis of a slice write, which has the whole of the tile axis."""
        if number is not None and number == self.nests.tile_axis:
            return self._tile
        if length == 1:
            return None
        self._slice_axes += 1
        return ir.Axis(len(self.axes.extent) + self._slice_axes, length)

    def _written(self, node: Node, write: SliceWrite, axes: list[ir.Axis | None]) -> ir.Operand:
        """The entry that is written, at the indices of the loops over one write."""
        if write.operand is None:
            return ir.Literal(0, node.dtype)
        found = self._operand(node, write.operand)
        if not isinstance(found, ir.Load):
            return found
        u = node.operands[write.operand]
        along = {mine: axis for axis, (*_, mine) in zip(axes, write.slices, strict=True) if mine is not None}
        view = self.nests.view_axes(u) if self.nests.is_view(u) else None
        index = [(a, 1, 0) for a in range(u.ndim)] if view is None else view
        return ir.Load(
            found.buffer,
            tuple(
                AffineIndex(along.get(mine), step, offset)
                if mine is not None and u.shape[mine] != 1 and along.get(mine) is not None
                else AffineIndex(None, 1, offset)
                for mine, step, offset in index
            ),
        )
