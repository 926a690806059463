"""A step in which the threads of a block share the indices of each nest, waiting for one another in between.

; the sums of the rows of x[n, r], r contiguous: a warp for each row
for (long long o = warp; o < n; o += warps) {
    float a = 0;
    for (long long i = lane; i < r; i += lanes) a += x[o * r + i];
    a = warp_reduce(a);
    if (lane == 0) y[o] = a;
}

In:  a KernelBuilder.
Out: the body of a kernel: phases, each the statements of a nest that reduce the same axes.
Holds: every entry is written by one thread; what one phase writes, a later one reads after the threads have
waited. A sum over the tile axis is added to by the same threads in each tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from math import prod

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, Values, ctype_of, made_by, strides_of
from xpgrad.backends.gpu.cuda.printing.expressions import combine, identity, monoid_type, value_type
from xpgrad.backends.gpu.cuda.printing.layout import Row, Text
from xpgrad.backends.gpu.cuda.printing.owned import Owned
from xpgrad.backends.gpu.cuda.printing.owners import owners
from xpgrad.backends.gpu.cuda.printing.phases import WARP, Phase, held_dtype, phases
from xpgrad.backends.gpu.cuda.printing.shares import smallest_tile
from xpgrad.codegen.kernel_ir import Axis, Buffer, Reduce, Store, c_strides, index_axes
from xpgrad.codegen.lower import wide

SAMPLES = 1 << 10
"""Of a tile with indices of 32 bits, at most."""


class ByBlock:
    """Writes the phases.

    Attributes
    ----------
    partials : list of Reduce
        The reductions over the tile axis, to whose part of the block each tile adds.
    scratch : list of Buffer
        What a tile keeps in between.
    owned : dict of Reduce to Owned
        The products of samples with many features.
    """

    def __init__(self, k: KernelBuilder, tile: int, threads: int = 0) -> None:
        self.k, self.tile = k, tile
        self.partials: list[Reduce] = []
        self.scratch: list[Buffer] = []
        self.kept: dict[Reduce, Row] = {}
        self.phases = phases(k)
        self.owned = owners(k, threads, tile) if tile else {}
        for phase in self.phases:
            for s in phase.statements:
                self._lay_out(s, phase)
        for product in self.owned.values():
            if product.parts is not None:
                self._scratch(product.parts)

    # ── sizes ────────────────────────────────────────────────────────────────────────────────
    @property
    def entries(self) -> int:
        """Of one sample, in the phase that has the most."""
        sizes = [prod(e.extent for e in p.axes if not e.is_tile) for p in self.phases]
        return max(sizes, default=1)

    @property
    def fewest(self) -> int:
        """Samples of a tile at least, where nothing has an owner.

        A warp's samples where each thread adds up a long axis of one sample: fewer would leave lanes idle.
        """
        one_each = any(
            p.reduced and self._who(p) == "thread" and self._long(p.axes - p.reduced) == [self.k.tile_axis]
            for p in self.phases
        )
        return WARP if one_each else min(smallest_tile(max(self.entries, 1)), WARP)

    # ── layout ───────────────────────────────────────────────────────────────────────────────
    def _lay_out(self, s: Store | Reduce, phase: Phase) -> None:
        k, buffer = self.k, s.buffer
        if buffer.space == "output" or buffer.strides is not None:
            return
        if buffer.space == "partial":
            assert isinstance(s, Reduce)
            buffer.strides = c_strides(buffer.shape)
            k.named(buffer, f"sum{len(self.partials)}")
            self.partials.append(s)
            return
        if buffer.is_tiled:
            shape = zip(s.at, buffer.shape, strict=True)
            buffer.shape = tuple(self.tile if p.axis is not None and p.axis.is_tile else n for p, n in shape)
        lane = k.lane(index_axes(s.at), made_by(phase.nest, phase.statements))
        order = sorted(range(len(s.at)), key=lambda a: s.at[a].axis is lane is not None)
        lengths = [buffer.shape[a] for a in order]
        apart = odd_strides(lengths, buffer.dtype.itemsize) if self.tile else c_strides(lengths)
        strides = [0] * len(order)
        for a, stride in zip(order, apart, strict=True):
            strides[a] = stride
        buffer.strides = tuple(strides)
        self._scratch(buffer)

    def _scratch(self, buffer: Buffer) -> None:
        self.k.named(buffer, f"t{len(self.scratch)}")
        self.scratch.append(buffer)

    @property
    def scratch_bytes(self) -> int:
        return sum(map(_bytes, self.scratch))

    def declare_scratch(self, w: Text, base: str) -> None:
        """Pointers into the block's memory for one tile."""
        offset = 0
        for buffer in self.scratch:
            name, ctype = self.k.name(buffer), ctype_of(buffer)
            at = self.k.args.number(("scratch", name), offset)
            w(f"{ctype}* const {name} = ({ctype}*)({base} + {at});")
            offset += _bytes(buffer)

    def declare_partials(self, w: Text) -> None:
        """The block's parts of the sums: in registers of all its threads, or in memory."""
        for s in self.partials:
            ctype, name = ctype_of(s.buffer), self.k.name(s.buffer)
            pointer = self.k.args.pointer(("partial", s.node), ctype, ("partial", s.node))
            count = self.k.args.number(("count", s.node), max(prod(s.node.shape), 1))
            w(f"{ctype}* const {name} = {pointer} + blockIdx.x * {count};")
        for phase in self.phases:
            for found in phase.statements:
                if isinstance(found, Reduce) and found in self.partials and self.is_single(phase):
                    self.kept[found] = self._row(w, found, phase)
        for product in self.owned.values():
            product.declare(w)

    def finish(self, w: Text) -> None:
        """After the last tile: the sums that the threads of the block hold together."""
        for product in self.owned.values():
            product.finish(w)
        for s, row in self.kept.items():
            self._finish(w, s, row, "block")

    # ── phases ───────────────────────────────────────────────────────────────────────────────
    def write(self, w: Text, phase: Phase) -> None:
        product = self._owner(phase)
        if product is not None:
            product.write(w)
        elif not phase.reduced:
            self._pointwise(w, phase)
        else:
            self._reduction(w, phase)

    def _owner(self, phase: Phase) -> Owned | None:
        first = phase.statements[0]
        return self.owned.get(first) if isinstance(first, Reduce) else None

    def keeps_to_samples(self, phase: Phase) -> bool:
        """Whether each thread deals with the same samples as in other such phases, and with no others."""
        tile = self.k.tile_axis
        if phase.nest.kind == "slices" or tile is None or self._owner(phase) is not None:
            return False
        kept = self._long(phase.axes - phase.reduced)
        if not phase.reduced or kept:
            return kept == [tile] and self._who(phase) == "thread"
        return self._long(phase.reduced) == [tile]

    def is_single(self, phase: Phase) -> bool:
        """Whether all threads of one block make one result together."""
        return bool(phase.reduced) and not self._long(phase.axes - phase.reduced)

    def _long(self, axes: Iterable[Axis]) -> list[Axis]:
        """The axes that threads share out."""
        return sorted((e for e in axes if e not in self.k.unrolled), key=lambda e: e.number)

    def _short(self, axes: Iterable[Axis]) -> list[Axis]:
        return sorted((e for e in axes if e in self.k.unrolled), key=lambda e: e.number)

    def _shared_out(self, w: Text, axes: Sequence[Axis], first: str, step: str, stack: ExitStack) -> None:
        """A loop over all indices of ``axes``, the first of them fastest, of which each turn takes one."""
        k = self.k
        if not axes:
            stack.enter_context(w.block(f"if ({first} == 0)"))
            return
        total = " * ".join(f"(long long){k.extent(e)}" for e in axes)
        o, rest = w.fresh("o"), w.fresh("o")
        stack.enter_context(w.block(f"for (long long {o} = {first}; {o} < {total}; {o} += {step})"))
        number = self._number(axes)
        if len(axes) > 1:
            w(f"{number} {rest} = {o};")
        for a, e in enumerate(axes):
            i, n = k.index(e, in_tile=True), k.extent(e)
            if len(axes) == 1:
                w(f"const long long {i} = {o};")
            elif a == len(axes) - 1:
                w(f"const long long {i} = {rest};")
            else:
                w(f"const long long {i} = {rest} % ({number}){n}; {rest} /= ({number}){n};")
            if e.is_tile:
                w("const long long g = begin + t;")

    def _number(self, axes: Iterable[Axis]) -> str:
        """What numbers the indices of ``axes``: 32 bits, by which a division takes far less, if they suffice.

        That does not depend on how many samples there are.
        """
        size = SAMPLES * prod(e.extent for e in axes if not e.is_tile)
        return "unsigned int" if 0 < self.tile <= SAMPLES and size < 1 << 31 else "long long"

    def _lane_first(self, axes: Sequence[Axis], lane: Axis | None) -> list[Axis]:
        return sorted(axes, key=lambda e: (e is not lane, -e.number))

    def _pointwise(self, w: Text, phase: Phase) -> None:
        k, axes = self.k, self._long(phase.axes)
        cone = phase.nest.cone(phase.statements)
        with ExitStack() as stack:
            lane = k.lane(axes, [*cone, *phase.statements])
            self._shared_out(w, self._lane_first(axes, lane), "thread", "threads", stack)
            stack.enter_context(k.loops(w, self._short(phase.axes)))
            values: Values = {}
            k.emit(w, cone, values)
            for s in phase.statements:
                place = k.place(s.buffer, s.at)
                if isinstance(s, Reduce):  # of one entry, over no axis
                    w(f"{place} = {k.term(s, values)};")
                else:
                    w(f"{place} {'+=' if s.adds else '='} {k.typed(s.value, s.buffer.dtype, values)};")

    def _reduction(self, w: Text, phase: Phase) -> None:
        """One result to a thread, a warp or the block, whichever reads neighbours by neighbours."""
        k = self.k
        statements = [s for s in phase.statements if isinstance(s, Reduce)]
        kept, gone = self._long(phase.axes - phase.reduced), self._long(phase.reduced)
        cone = phase.nest.cone(phase.statements)
        lane = k.lane([*kept, *gone], [*cone, *statements])
        who = self._who(phase)
        first, step = ("lane", "lanes") if who == "warp" else ("thread", "threads")
        with ExitStack() as results:
            if kept:
                starts = ("warp", "warps") if who == "warp" else ("thread", "threads")
                self._shared_out(w, self._lane_first(kept, lane), *starts, results)
            rows = {s: self.kept.get(s) or self._row(w, s, phase) for s in statements}
            with ExitStack() as stack:
                if who == "thread":
                    stack.enter_context(k.loops(w, gone))
                elif who == "block" and not gone:
                    stack.enter_context(w.block("if (thread == 0)"))
                else:
                    self._shared_out(w, self._lane_first(gone, lane), first, step, stack)
                stack.enter_context(k.loops(w, self._short(phase.axes)))
                values: Values = {}
                k.emit(w, cone, values)
                for s, row in rows.items():
                    at = self._entry(s, row)
                    w(f"{at} = {k.added(s, at, row.stored, values)};")
            for s, row in rows.items():
                if s not in self.kept:
                    self._finish(w, s, row, who)

    def _who(self, phase: Phase) -> str:
        """Who makes one result together: where neighbours are summed up, neighbouring threads."""
        kept, gone = self._long(phase.axes - phase.reduced), self._long(phase.reduced)
        if not phase.reduced:
            return "thread"
        if not kept:
            return "block"
        cone = phase.nest.cone(phase.statements)
        return "warp" if self.k.lane([*kept, *gone], [*cone, *phase.statements]) in gone else "thread"

    def _row(self, w: Text, s: Reduce, phase: Phase) -> Row:
        """Registers for the unrolled axes of a reduction, of nothing so far."""
        lengths = [1 if p.axis is None or p.axis not in self.k.unrolled else p.axis.extent for p in s.at]
        dtype = held_dtype(self.k, s, phase.nest, max(prod(lengths), 1))
        return self.k.row(w, w.fresh("a"), lengths, dtype, identity(s.monoid, dtype))

    def _entry(self, s: Reduce, row: Row) -> str:
        return f"{row.name}[{self.k.row_index(row, s.at)}]"

    def _finish(self, w: Text, s: Reduce, row: Row, who: str) -> None:
        """Combine what several threads hold, and let one of them write it."""
        k, ctype, monoid = self.k, value_type(row.stored), monoid_type(s.monoid)
        target, total = ctype_of(s.buffer), w.fresh()
        with k.loops(w, self._short(index_axes(s.at))):
            entry = self._entry(s, row)
            if who == "block":
                wider = value_type(wide(s.node.dtype))
                w(f"const {wider} {total} = xg::block_reduce<{monoid}>(({wider}){entry}, ({wider}*)xg_sums);")
            elif who == "warp":
                w(f"const {ctype} {total} = xg::warp_reduce<{monoid}>({entry});")
            else:
                w(f"const {ctype} {total} = {entry};")
            one = {"block": "thread == 0", "warp": "lane == 0"}.get(who)
            with w.block(f"if ({one})") if one else nullcontext():
                at = k.place(s.buffer, s.at)
                if s.buffer.space == "partial" and s not in self.kept:
                    wider = f"({target}){total}"
                    w(f"{at} = begin == first ? {wider} : {combine(s.monoid, at, wider)};")
                else:
                    w(f"{at} = ({target}){total};")


def odd_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Strides that are odd numbers of words, whichever axis neighbouring lanes go along.

    Shared memory has 32 banks, a word of four bytes in each: with a stride of 32 words the lanes of a warp
    would wait for one another at one bank. Entries of eight bytes are read by half a warp at a time.
    """
    word = max(4 // itemsize, 1)
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        if n > 1:
            step = (-(-step * n // word) | 1) * word
    return tuple(reversed(strides))


def _bytes(buffer: Buffer) -> int:
    span = sum((n - 1) * s for n, s in zip(buffer.shape, strides_of(buffer), strict=True)) + 1
    return -(-(span if prod(buffer.shape) else 0) * buffer.dtype.itemsize // 16) * 16
