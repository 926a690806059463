"""A loop nest as a function: loops that LLVM vectorises.

; y = x * x, and its sum
define internal void @nest0(ptr %args, i64 %tile, ptr noalias %p0, ptr noalias %p1, ptr noalias %p2)
    for i in 0..tile:
        x = p0[i]
        y = x * x
        p1[i] = y
        sum += y
    p2[0] += sum
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from xpgrad.backends.cpu.llvm import codes
from xpgrad.backends.cpu.llvm.builder import Call, KernelBuilder, Piece, ctype_in_memory
from xpgrad.backends.cpu.llvm.codes import choices, index_of, leave_if_outside, notes_in_its_loop
from xpgrad.backends.cpu.llvm.combining import combined, combined_in_any_order, is_extremum
from xpgrad.backends.cpu.llvm.loop_order import WRITTEN, loop_order, merged
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, ctype_of, emit, kept, loaded, multiply_add
from xpgrad.backends.cpu.llvm.sums import BLOCK, LONG, Running, Total, add_to, is_sum, settled
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.kernel_ir import identity, index_axes, operands_of, reduced_axes
from xpgrad.core import Node


def write_loop(k: KernelBuilder, nest: ir.LoopNest, name: str) -> Piece:
    """The function of ``nest``, and the calls of it."""
    return _Loop(k, nest, name).piece()


# ── reductions that are combined in memory ───────────────────────────────────────────────────
class InMemory(NamedTuple):
    """A reduction that is combined in memory: its buffers, and the calls before and after its nest."""

    to: ir.Buffer
    lost: ir.Buffer | None
    before: list[Piece]
    after: list[Piece]

    def around(self, piece: Piece) -> Piece:
        """``piece`` with the calls before and after it."""
        pieces = [*self.before, piece, *self.after]
        return Piece(
            [f for p in pieces for f in p.functions], [c for p in pieces for c in p.calls], piece.before
        )


def in_memory(k: KernelBuilder, s: ir.Reduce, name: str) -> InMemory:
    """The buffer in which ``s`` is combined, and the loops that initialise and finish it, if it is no chunk's.

    ; the sums of float32 x[n, r] along its first axis: added up in float64
    for i in 0..r: wide[i] = 0
    ...
    for i in 0..r: y[i] = (float)wide[i]
    """
    to = k.wide(s) if is_sum(s.node) else s.buffer
    if s.buffer.space == "partial":
        return InMemory(to, k.lost.get(to) if is_sum(s.node) else None, [], [])
    at = s.at if s.choice is None else s.choice.whole
    axes = tuple(sorted(index_axes(at), key=lambda e: e.number))
    start = ir.LoopNest(
        "fill", axes, [ir.Store(to, at, ir.Literal(identity(s.monoid, s.node.dtype), to.dtype))]
    )
    after = []
    if to is not s.buffer:
        settled_ = ir.LoopNest("copy", axes, [ir.Store(s.buffer, at, ir.Load(to, at))])
        after.append(write_loop(k, settled_, f"{name}.settle"))
    return InMemory(to, None, [write_loop(k, start, f"{name}.clear")], after)


# ── the function ─────────────────────────────────────────────────────────────────────────────
class _Address(NamedTuple):
    """An entry of a buffer: the parameter that points to the first one, and the strides of the loops."""

    buffer: ir.Buffer
    pointer: str
    steps: Mapping[ir.Axis, str]


class _Loop:
    def __init__(self, k: KernelBuilder, nest: ir.LoopNest, name: str) -> None:
        self.k, self.nest, self.name = k, nest, name
        if nest.kind == "slices":  # in C order, whatever is read
            for store in nest.stores():
                k.lay_out(store.buffer, store.at, None)
        self.order = loop_order(k, nest)
        self.inner = self.order[-1] if self.order else None
        self.pointers: list[tuple[ir.Buffer, ir.Index]] = []
        self._names: dict[tuple[ir.Buffer, ir.Index], str] = {}
        self._in_memory: dict[ir.Reduce, InMemory] = {}
        self._targets: dict[ir.Store | ir.Reduce, ir.Load] = {}
        for s in nest.body:
            if isinstance(s, ir.Store):
                k.lay_out(s.buffer, s.at, self.inner)
                self._targets[s] = ir.Load(s.buffer, s.at)
            elif isinstance(s, ir.Reduce):
                if s.buffer.space == "partial":
                    k.lay_out_partial(s, self.inner)
                k.lay_out(s.buffer, s.at, self.inner)
                self._targets[s] = ir.Load(s.buffer, s.at)
                # If more than the inner axis is reduced, or codes choose, the nest adds to its buffer.
                own = s.choice is None and reduced_axes(s, nest) == {self.inner}
                if s.buffer.space == "partial" or not own:
                    found = self._in_memory[s] = in_memory(k, s, f"{name}.{len(self._in_memory)}")
                    self._targets[s] = ir.Load(found.to, s.at)
        places = [(x.buffer, x.at) for x in (*nest.loads(), *self._targets.values())]
        self.merged = merged(k, nest, self.order, places)
        gone = {e for outer in self.merged.values() for e in outer}
        self.order = [e for e in self.order if e not in gone]

    def piece(self) -> Piece:
        w = self.w = Writer(self.name, ["ptr %args", "i64 %tile"])
        self._body()
        w.params += [f"ptr noalias %p{i}" for i in range(len(self.pointers))]
        piece = Piece([w], [Call(self.name, self.pointers)], [])
        for found in self._in_memory.values():
            piece = found.around(piece)
        return piece

    # ── addresses ────────────────────────────────────────────────────────────────────────────
    def _address(self, x: ir.Load) -> _Address:
        key = (x.buffer, x.at)
        if key not in self._names:
            self._names[key] = f"%p{len(self.pointers)}"
            self.pointers.append(key)
        return _Address(x.buffer, self._names[key], self.k.steps(self.w, x.buffer, x.at))

    def _outer(self, x: ir.Load) -> str:
        """The address at the indices of the outer loops."""
        if x not in self._bases:
            address = self._addresses[x]
            at = "0"
            for axis, step in address.steps.items():
                if axis in self._outer_index:
                    at = self.w.plus(at, self.w.times(self._outer_index[axis], step))
            self._bases[x] = self.w.at(ctype_in_memory(x.buffer), address.pointer, at)
        return self._bases[x]

    def _along(self, x: ir.Load) -> str:
        """The offset along the inner loop."""
        steps = self._addresses[x].steps
        if self.inner is None or self.inner not in steps:
            return "0"
        return self.w.times(self.index[self.inner], steps[self.inner])

    # ── operands ─────────────────────────────────────────────────────────────────────────────
    def _operand(self, x: ir.Operand) -> Scalar:
        match x:
            case ir.Local(node):
                return self.values[node]
            case ir.Literal(value, dtype):
                ctype = ctype_of(dtype) or ""
                return Scalar(number(value, ctype), ctype)
            case ir.Load(buffer) if x not in self.fixed:
                return loaded(self.w, buffer.dtype, self._outer(x), self._along(x))
        return self.fixed[x]

    def _fix(self) -> None:
        """Load loop-invariant operands before the loops, and keep the addresses of the others."""
        w = self.w
        self.fixed: dict[ir.Operand, Scalar] = {}
        self._addresses: dict[ir.Load, _Address] = {}
        gathered = {s.load for s in self.nest.body if isinstance(s, ir.Gather)}
        for x in (x for s in self.nest.body for x in operands_of(s)):
            if isinstance(x, ir.Argument) and x not in self.fixed:
                self.fixed[x] = self.k.scalar(w, x)
            elif isinstance(x, ir.Load) and x not in self.fixed and x not in self._addresses:
                address = self._address(x)
                if address.steps or x in gathered:
                    self._addresses[x] = address
                else:
                    self.fixed[x] = loaded(w, x.buffer.dtype, address.pointer, "0")
        for s, target in self._targets.items():
            self._addresses[target] = self._address(target)
            lost = self._lost(s)
            if lost is not None:
                self._addresses[lost] = self._address(lost)

    def _lost(self, s: ir.Store | ir.Reduce) -> ir.Load | None:
        found = self._in_memory.get(s) if isinstance(s, ir.Reduce) else None
        return None if found is None or found.lost is None else ir.Load(found.lost, s.at)

    # ── the loops ────────────────────────────────────────────────────────────────────────────
    def _extent(self, axis: ir.Axis) -> str:
        """The length of the loop over ``axis`` and the axes that are merged with it."""
        short = axis is self.inner and not axis.is_tile and axis.extent <= WRITTEN and axis not in self.merged
        if short and len(self.nest.axes) > 2 and not any(self.nest.reductions()):
            return str(axis.extent)
        found = self.k.extent(self.w, axis)
        for e in self.merged.get(axis, ()):
            found = self.w.times(found, self.k.extent(self.w, e))
        return found

    def _body(self) -> None:
        k, w, nest = self.k, self.w, self.nest
        extents = {e: self._extent(e) for e in self.order}
        self._outside = ""
        chosen = choices(nest)
        if notes_in_its_loop(nest, chosen):
            self._outside = w.local("i64")
            w.do(f"store i64 0, ptr {self._outside}")
        self._fix()
        in_memory_ = [(x, n) for x, n in chosen if isinstance(x, ir.Load)]
        leave_if_outside(k, w, {x: self._address(x)[1:] for x, _ in in_memory_}, in_memory_)
        over_inner = [
            s
            for s in nest.reductions()
            if s.choice is None and self.inner is not None and self.inner in reduced_axes(s, nest)
        ]
        self.accumulators = {s: w.local(ctype_of(s.node.dtype) or "") for s in over_inner if not is_sum(s.node)}
        once = self.inner is not None and (len(self.order) == 1 or k.length(self.inner) >= LONG)
        self.running = {
            s: Running(w, s.node, ctype_of(s.node.dtype) or "", once) for s in over_inner if is_sum(s.node)
        }
        self.values: dict[Node, Scalar] = {}
        self.index: dict[ir.Axis, str] = {}
        with ExitStack() as stack:
            for e in self.order[:-1]:
                self.index[e] = stack.enter_context(w.loop(extents[e]))
            window = "0", "1" if self.inner is None else extents[self.inner]
            if any(s.buffer.space == "partial" for s in self.running):
                # The sums of each block by themselves, so that their bits do not depend on the tile.
                window = self._block(stack, window[1])
            for s, local in self.accumulators.items():
                ctype = ctype_of(s.node.dtype) or ""
                w.do(f"store {ctype} {number(identity(s.monoid, s.node.dtype), ctype)}, ptr {local}")
            for sums in self.running.values():
                sums.begin(w)
            self._outer_index, self._bases = dict(self.index), dict[ir.Load, str]()
            for x in self._addresses:
                self._outer(x)
            self._innermost(window)
            self._settle(window)
        if self._outside:
            with w.when(w.op(f"icmp ne i64 {w.load('i64', self._outside)}, 0")):
                w.store("i64", "1", "%args", str(k.outside()))

    def _block(self, stack: ExitStack, n: str) -> tuple[str, str]:
        """A loop over blocks of ``n`` entries: the first entry of a block, and how many it has."""
        first = stack.enter_context(self.w.loop(n, "0", str(BLOCK)))
        return first, self.w.least(str(BLOCK), self.w.minus(n, first))

    def _innermost(self, window: tuple[str, str]) -> None:
        """The loop over a window of the inner axis: its first entry, and its length."""
        w, inner, (begin, n) = self.w, self.inner, window
        adjoining = [x for s in self.running if (x := self._adjoins(s)) is not None]
        with ExitStack() as stack:
            self.entry = "0"
            if inner is not None and len(adjoining) == len(self.nest.body):
                for sums, x in zip(self.running.values(), adjoining, strict=True):
                    sums.add(w, w.at(ctype_in_memory(x.buffer), self._outer(x), begin), n)
                return
            if inner is not None and self.running:
                first, count = self._block(stack, n) if begin == "0" else (begin, n)
                for sums in self.running.values():
                    stack.callback(sums.add, w, sums.entries, count)
                self.entry = stack.enter_context(w.loop(count))
                self.index[inner] = w.plus(first, self.entry)
            elif inner is not None:
                self.index[inner] = stack.enter_context(w.loop(n))
            for s in self.nest.body:
                if isinstance(s, ir.Store):
                    self._store(s)
                elif isinstance(s, ir.Reduce):
                    self._reduce(s)
                else:
                    self.values[s.node] = self._assigned(s)

    def _adjoins(self, s: ir.Reduce) -> ir.Load | None:
        """The operand of a sum, if it is an array of the same dtype that is contiguous along the inner axis."""
        x = s.operand
        if not isinstance(x, ir.Load) or x not in self._addresses or self.inner is None:
            return None
        adjoins = x.buffer.dtype == s.node.dtype and self._addresses[x].steps.get(self.inner) == "1"
        return x if adjoins else None

    def _settle(self, window: tuple[str, str]) -> None:
        """Write the reductions over the inner axis to their buffers."""
        w = self.w
        for s, sums in self.running.items():
            total, target, lost = sums.total(w), self._outer(self._targets[s]), self._lost(s)
            if s in self._in_memory:
                add_to(w, total, target, None if lost is None else self._outer(lost))
            else:
                ctype = ctype_in_memory(s.buffer)
                w.store(ctype, converted(w, Scalar(settled(w, total), "double"), ctype), target)
        for s, local in self.accumulators.items():
            ctype, target = ctype_of(s.node.dtype) or "", self._outer(self._targets[s])
            if is_extremum(s.node):
                self._last_zero(s, local, window)
            found = Scalar(w.load(ctype, local), ctype)
            if s in self._in_memory:
                found = combined(w, s.node, loaded(w, s.buffer.dtype, target, "0"), found)
            self._keep(found, s.buffer, target, "0")

    def _last_zero(self, s: ir.Reduce, local: str, window: tuple[str, str]) -> None:
        """If an extremum is zero, whose sign vectors lose, take the last zero, as NumPy does."""
        w, ctype = self.w, ctype_of(s.node.dtype) or ""
        (begin, n), zero = window, number(0, ctype)
        assert self.inner is not None
        with w.when(w.op(f"fcmp oeq {ctype} {w.load(ctype, local)}, {zero}")), w.loop(n) as i:
            self.index[self.inner] = w.plus(begin, i)
            for a in self.nest.cone([s]):
                self.values[a.node] = self._assigned(a)
            x = self._term(s)
            with w.when(w.op(f"fcmp oeq {ctype} {x}, {zero}")):
                w.store(ctype, x, local)

    # ── statements ───────────────────────────────────────────────────────────────────────────
    def _assigned(self, s: ir.Assignment) -> Scalar:
        w, ctype = self.w, ctype_of(s.node.dtype) or ""
        match s:
            case ir.Apply(node, (checked, ok)) if "raises" in node.op.traits:
                codes.note_unless(w, converted(w, self._operand(ok), "i1"), self._outside)
                return Scalar(converted(w, self._operand(checked), ctype), ctype)
            case ir.Apply(node, operands):
                return emit(w, node, [self._operand(x) for x in operands], self.k.calls)
            case ir.MultiplyAdd(node, factors, other, negates):
                pair = [self._operand(f) for f in factors]
                return multiply_add(w, node, pair, self._operand(other), negates)
            case ir.Gather(_, load, chosen, axis, step, length):
                label = self._chosen(chosen, length)
                apart = self.k.stride(w, load.buffer, axis, step) if step else "0"
                at = w.plus(self._along(load), w.times(label, apart))
                return loaded(w, load.buffer.dtype, self._outer(load), at)
            case ir.OneHot(_, value, chosen, axis, length):
                here = "0" if axis is None else self.index[axis]
                hit = w.op(f"icmp eq i64 {self._chosen(chosen, length)}, {here}")
                x = converted(w, self._operand(value), ctype)
                return Scalar(w.op(f"select i1 {hit}, {ctype} {x}, {ctype} {number(0, ctype)}"), ctype)
            case ir.Fill(_, value):
                return Scalar(converted(w, self._operand(value), ctype), ctype)

    def _chosen(self, x: ir.Operand, length: int) -> str:
        """The index that an operand chooses; a negative one counts from the end, as in NumPy."""
        if isinstance(x, ir.Load):
            return index_of(self.k, self.w, self._operand(x), length)
        return codes.checked_index(self.k, self.w, self._operand(x), length, self._outside)

    def _store(self, s: ir.Store) -> None:
        w, target = self.w, self._targets[s]
        value = self._operand(s.value)
        if s.adds:
            held = loaded(w, s.buffer.dtype, self._outer(target), self._along(target))
            x = converted(w, value, held.ctype)
            add = "fadd" if held.ctype in ("float", "double") else "add"
            value = Scalar(w.op(f"{add} {held.ctype} {held.name}, {x}"), held.ctype)
        self._keep(value, s.buffer, self._outer(target), self._along(target))

    def _keep(self, x: Scalar, buffer: ir.Buffer, base: str, at: str) -> None:
        ctype = ctype_of(buffer.dtype) or ""
        kept(self.w, Scalar(converted(self.w, x, ctype), ctype), base, at)

    def _term(self, s: ir.Reduce) -> str:
        """The entry that this iteration adds, in the type of the reduction."""
        w, ctype = self.w, ctype_of(s.node.dtype) or ""
        if s.factors is None:
            assert s.operand is not None
            return converted(w, self._operand(s.operand), ctype)
        x, y = (converted(w, self._operand(f), ctype) for f in s.factors)
        return w.op(f"fmul contract {ctype} {x}, {y}")

    def _reduce(self, s: ir.Reduce) -> None:
        w, ctype, target = self.w, ctype_of(s.node.dtype) or "", self._targets[s]
        x = Scalar(self._term(s), ctype)
        if s in self.running:
            w.store(ctype, x.name, self.running[s].entries, self.entry)
        elif s in self.accumulators:
            held = Scalar(w.load(ctype, self.accumulators[s]), ctype)
            new = combined_in_any_order(w, s.node, held, x)
            w.do(f"store {ctype} {new.name}, ptr {self.accumulators[s]}")
        elif s.choice is not None:
            self._scatter(s, s.choice, x)
        elif is_sum(s.node):
            place = w.at("double", self._outer(target), self._along(target))
            add_to(w, Total(converted(w, x, "double"), None), place, None)
        else:
            held = loaded(w, s.buffer.dtype, self._outer(target), self._along(target))
            self._keep(combined(w, s.node, held, x), s.buffer, self._outer(target), self._along(target))

    def _scatter(self, s: ir.Reduce, choice: ir.Choice, x: Scalar) -> None:
        """Add to the entry of a table that a code chooses, in the dtype of the table's copy."""
        w, target = self.w, self._targets[s]
        ctype = ctype_in_memory(target.buffer)
        moved = w.times(
            self._chosen(choice.chosen, choice.length), self.k.stride(w, target.buffer, choice.axis)
        )
        at = w.plus(self._along(target), moved)
        held = w.load(ctype, self._outer(target), at)
        add = "fadd" if ctype in ("float", "double") else "add"
        w.store(ctype, w.op(f"{add} {ctype} {held}, {converted(w, x, ctype)}"), self._outer(target), at)
