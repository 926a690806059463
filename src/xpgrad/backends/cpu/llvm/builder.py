"""The layout of a kernel's buffers, and its lengths and strides as arguments.

In:  a step of a plan, lowered to the kernel IR.
Out: a layout for each buffer; names of LLVM values for lengths and strides.
Holds: nothing here writes a loop; `loops` and `matmul` do, and `kernel` calls them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.cpu.llvm.arguments import Arena, KernelArgs
from xpgrad.backends.cpu.llvm.functions import Callee
from xpgrad.backends.cpu.llvm.scalars import Scalar, check, stored_type
from xpgrad.backends.cpu.llvm.sums import is_sum, keeps_lost
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.backends.layouts import Layouts, check_strides
from xpgrad.codegen.kernel_ir import Argument, Axis, Buffer, Index, Load, Reduce, index_axes, strides_in_order
from xpgrad.codegen.lower import lower
from xpgrad.core import Node
from xpgrad.plan import Plan, Region
from xpgrad.plan.loop_nests import Declined, is_contraction
from xpgrad.plan.plan import Step
from xpgrad.plan.relations import is_blas_sized

VECTOR_BYTES = 64

WIDE_TABLE = 1 << 18
"""Entries of a table, at most, that has a copy in float64 while it is added to: 2 MiB."""


class Partial(NamedTuple):
    """A reduction over the tile axis, and its offset in the partials of a chunk.

    ``lost`` is the offset of the sum's rounding errors, if they are kept, in the same order.
    """

    node: Node
    monoid: str
    offset: int
    buffer: Buffer
    lost: int | None


class KernelBuilder:
    """The buffers and arguments that the functions of a kernel share.

    Attributes
    ----------
    ir : kernel_ir.Kernel
    args : KernelArgs
    lost : dict of Buffer to Buffer
        The rounding errors of float64 sums over the tile axis.
    partials : list of Partial
    partial_bytes, workspace_bytes : int
    may_be_outside : int or None
        The slot of `outside`, if the kernel has indices.
    checked : set of (Load, int)
        Codes in memory, with the lengths of their axes, whose bounds an earlier nest of the tile has checked.
    calls : set of (str, tuple of str)
        The functions of `xpgrad.codegen.scalar` that are called, each with the types of its operands.

    Raises
    ------
    Declined
        A node has no loops or no instructions here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts) -> None:
        self.step = step

        def checked(node: Node) -> None:
            _check(node)
            if node in plan.axes.by_library:
                raise Declined(node, "of a few samples of many features, in columns, is BLAS's")
            check_strides(node, layouts.held)

        self.ir = lower(step, plan, layouts.held, layouts.alive, checked, layouts.dying)
        self.tile = step.tile if isinstance(step, Region) else 0
        self.args = KernelArgs()
        self.lost: dict[Buffer, Buffer] = {}
        self.partials: list[Partial] = []
        self.calls: set[Callee] = set()
        self.may_be_outside: int | None = None
        self.checked: set[tuple[Load, int]] = set()
        self._wide: dict[Buffer, Buffer] = {}
        self._slots: dict[Buffer, int] = {}
        self._partial_arena, self._workspace = Arena(), Arena()

    @property
    def partial_bytes(self) -> int:
        return self._partial_arena.size

    @property
    def workspace_bytes(self) -> int:
        return self._workspace.size

    @property
    def outs(self) -> list[Node]:
        """The values whose arrays the kernel fills."""
        return self.ir.made("output")

    # ── layout ───────────────────────────────────────────────────────────────────────────────
    def lay_out(self, buffer: Buffer, index: Index, inner: Axis | None) -> None:
        """Give ``buffer`` strides and a slot; the nest that fills it at ``index`` has ``inner`` innermost."""
        if buffer.strides is not None:
            return
        if buffer.is_tiled:
            buffer.shape = tuple(
                self.tile if p.axis is not None and p.axis.is_tile else n
                for p, n in zip(index, buffer.shape, strict=True)
            )
        order = sorted(range(len(index)), key=lambda a: index[a].axis is inner is not None)
        buffer.strides = strides_in_order(buffer.shape, order)
        if buffer.space == "workspace":
            offset = self._workspace.take(buffer.shape, buffer.dtype)
            self._slots[buffer] = self.args.number(("workspace", buffer), offset)

    def lay_out_partial(self, s: Reduce, inner: Axis | None) -> None:
        """Give a reduction over the tile axis its offset in the partials of a chunk."""
        buffer = s.buffer
        if buffer.strides is not None:
            return
        self.lay_out(buffer, s.at, inner)
        offset = self._take_partial(buffer)
        lost = None
        if is_sum(s.node) and keeps_lost(s.node) and s.choice is None:
            beside = self.lost[buffer] = Buffer(
                ("lost", s.node), "partial", buffer.dtype, buffer.shape, buffer.strides
            )
            lost = self._take_partial(beside)
        self.partials.append(Partial(s.node, s.monoid, offset, buffer, lost))

    def _take_partial(self, buffer: Buffer) -> int:
        offset = self._partial_arena.take(buffer.shape, buffer.dtype)
        self._slots[buffer] = self.args.number(("partial", buffer), offset)
        return offset

    def workspace(self, source: Any, like: Index, dtype: Any, order: Sequence[int]) -> Buffer:
        """A workspace for one tile, with an entry for each iteration of the loops in ``like``."""
        shape = tuple(1 if p.axis is None else self.length(p.axis) for p in like)
        tiled = any(e.is_tile for e in index_axes(like))
        made = Buffer(source, "workspace", np.dtype(dtype), shape, strides_in_order(shape, order), 0, tiled)
        self._slots[made] = self.args.number(("workspace", made), self._workspace.take(shape, made.dtype))
        return made

    def wide(self, s: Reduce) -> Buffer:
        """The float64 buffer in which a sum of floats is added up; a very large table is its own."""
        buffer = s.buffer
        if s.choice is not None and s.node.size > WIDE_TABLE:
            return buffer
        if buffer.space == "partial" or buffer.dtype == np.float64:
            return buffer
        if buffer not in self._wide:
            strides = buffer.strides
            assert strides is not None
            order = sorted(range(len(strides)), key=lambda a: -strides[a])
            like = s.at if s.choice is None else s.choice.whole
            self._wide[buffer] = self.workspace(("wide", s.node), like, np.float64, order)
        return self._wide[buffer]

    def slot(self, buffer: Buffer) -> int:
        """The slot of a buffer's address, or of its offset in bytes for a partial or a workspace."""
        found = self._slots.get(buffer)
        return self.args.pointer(buffer.source) if found is None else found

    def outside(self) -> int:
        """The slot that a kernel sets to 1 if an index is outside its axis."""
        self.may_be_outside = self.args.number("outside", 0)
        return self.may_be_outside

    # ── numbers inside a function ────────────────────────────────────────────────────────────
    def get(self, w: Writer, slot: int) -> str:
        """Load a number from the kernel's arguments."""
        return w.load("i64", "%args", str(slot))

    def scalar(self, w: Writer, x: Argument) -> Scalar:
        """Load a scalar of the user's from its slot."""
        kind = "i64" if x.dtype.kind in "biu" else "double"
        return Scalar(w.load(kind, "%args", str(self.args.scalar(("scalar", x.key), x.source))), kind)

    def extent(self, w: Writer, axis: Axis) -> str:
        """The number of iterations of a loop over ``axis``."""
        return "%tile" if axis.is_tile else self.get(w, self.args.number(("extent", axis), axis.extent))

    def length(self, axis: Axis) -> int:
        return self.tile if axis.is_tile else axis.extent

    def stride(self, w: Writer, buffer: Buffer, a: int, step: int = 1) -> str:
        """The stride along axis ``a`` in entries; a stride of 1 is written into the text."""
        if a == buffer.unit and step == 1:
            return "1"
        assert buffer.strides is not None
        return self.get(w, self.args.number(("stride", buffer, a, step), buffer.strides[a] * step))

    def steps(self, w: Writer, buffer: Buffer, index: Index) -> dict[Axis, str]:
        """For each loop axis in ``index`` the stride of one step along it."""
        return {p.axis: self.stride(w, buffer, a, p.step) for a, p in enumerate(index) if p.axis is not None}


class Call(NamedTuple):
    """A call of a nest's function: its name, and the entries that its pointers point to."""

    function: str
    pointers: list[tuple[Buffer, Index]]


class Piece(NamedTuple):
    """The text of one nest: functions, and calls of them in each tile, or once before the first tile."""

    functions: list[Writer]
    calls: list[Call]
    before: list[Call]


def ctype_in_memory(buffer: Buffer) -> str:
    """The type of a buffer's entries."""
    found = stored_type(buffer.dtype)
    assert found is not None
    return found


def _check(node: Node) -> None:
    """Raise Declined if there are no instructions for ``node``, or if its loops are a library's."""
    check(node)
    if not is_contraction(node):
        return
    if is_blas_sized(node):
        raise Declined(node, "of two large matrices is BLAS's")
    if any(u.dtype != node.dtype for u in node.operands) or node.dtype.kind != "f":
        raise Declined(node, f"of {node.operands[0].aval} and {node.operands[1].aval} has no loops of ours")
