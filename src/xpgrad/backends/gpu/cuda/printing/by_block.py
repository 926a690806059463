"""A step by block: its threads share the indices of each nest, with barriers between the nests.

; sums over the contiguous axis of x[n, r]: one warp per sum
for (long long o = warp; o < n; o += warps) {
    float a = 0;
    for (long long i = lane; i < r; i += lanes) a += x[o * r + i];
    a = warp_reduce(a);
    if (lane == 0) y[o] = a;
}

In:  a KernelBuilder.
Out: the body of a kernel: phases, each the statements of a nest that reduce the same axes.
Holds: every entry is written by one thread; a barrier lies between a phase that writes an entry and one that
reads it. The same threads add to a sum over the tile axis in each tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from math import prod

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, Values, ctype_of, made_by, strides_of
from xpgrad.backends.gpu.cuda.printing.expressions import combine, identity, monoid_type, value_type
from xpgrad.backends.gpu.cuda.printing.grid import smallest_tile
from xpgrad.backends.gpu.cuda.printing.layout import Registers, Text
from xpgrad.backends.gpu.cuda.printing.matmul import RegisterMatmul, matmul_of
from xpgrad.backends.gpu.cuda.printing.matmul_by_thread import MatmulByThread
from xpgrad.backends.gpu.cuda.printing.matmul_by_warp import MatmulByWarp
from xpgrad.backends.gpu.cuda.printing.phases import Phase, held_dtype, phases
from xpgrad.backends.gpu.limits import WARP
from xpgrad.codegen.kernel_ir import Axis, Buffer, Reduce, Store, c_strides, index_axes
from xpgrad.codegen.lower import wide


class ByBlock:
    """Writes the phases.

    Attributes
    ----------
    tile : int
        Samples per tile; 0 where the step has no tile axis.
    partials : list of Reduce
        The reductions over the tile axis; each tile adds to the block's part.
    workspaces : list of Buffer
        The values that a tile keeps between its phases.
    matmuls : dict of Reduce to RegisterMatmul
        The register-tiled matmuls.
    declined : list of str
        Why other matmuls are not register-tiled.
    """

    def __init__(self, k: KernelBuilder, tile: int) -> None:
        self.k, self.tile = k, tile
        self.partials: list[Reduce] = []
        self.workspaces: list[Buffer] = []
        self.held: dict[Reduce, Registers] = {}
        self.phases = phases(k)
        self.matmuls: dict[Reduce, RegisterMatmul] = {}
        self.declined: list[str] = []
        if tile:
            self._choose_matmuls()
        for phase in self.phases:
            for s in phase.statements:
                self._lay_out(s, phase)
        for matmul in self.matmuls.values():
            if matmul.partial is not None:
                self._add_workspace(matmul.partial)

    def _choose_matmuls(self) -> None:
        for nest in self.k.ir.nests:
            product = matmul_of(self.k, nest)
            if product is None:
                continue
            by_warp, limits = product.samples_adjoin, self.k.limits
            if not (limits.matmul_by_warp if by_warp else limits.matmul_by_thread):
                continue
            matmul = (MatmulByWarp if by_warp else MatmulByThread)(self.k, product, self.tile)
            reason = matmul.why_not()
            if reason is None:
                self.matmuls[product.s] = matmul
            else:
                self.declined.append(f"no {matmul.form.removeprefix('a ')}: {reason}")

    # ── sizes ────────────────────────────────────────────────────────────────────────────────
    @property
    def entries(self) -> int:
        """Entries per sample, in the phase that has the most."""
        sizes = [prod(e.extent for e in p.axes if not e.is_tile) for p in self.phases]
        return max(sizes, default=1)

    @property
    def least_tile(self) -> int:
        """Samples per tile, at least.

        Without register-tiled matmuls it is a warp's where each thread adds up a long axis of one sample, for
        fewer would leave lanes idle.
        """
        if self.matmuls:
            return min(m.least_tile for m in self.matmuls.values())
        one_each = any(
            p.reduced and self._who(p) == "thread" and self._long(p.axes - p.reduced) == [self.k.tile_axis]
            for p in self.phases
        )
        return WARP if one_each else min(smallest_tile(max(self.entries, 1), self.k.limits), WARP)

    @property
    def sample_bytes(self) -> int:
        """Bytes per sample in all arrays that register-tiled matmuls read."""
        arrays = {
            (m.k.name(m.buffer), m.buffer.offset): m.product.feature.extent * m.buffer.dtype.itemsize
            for m in self.matmuls.values()
        }
        return sum(arrays.values())

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
        self._add_workspace(buffer)

    def _add_workspace(self, buffer: Buffer) -> None:
        self.k.named(buffer, f"t{len(self.workspaces)}")
        self.workspaces.append(buffer)

    @property
    def workspace_bytes(self) -> int:
        return sum(map(_bytes, self.workspaces))

    def declare_workspaces(self, w: Text, base: str) -> None:
        """Declare pointers into the block's memory for one tile."""
        offset = 0
        for buffer in self.workspaces:
            name, ctype = self.k.name(buffer), ctype_of(buffer)
            at = self.k.args.number(("workspace", name), offset)
            w(f"{ctype}* const {name} = ({ctype}*)({base} + {at});")
            offset += _bytes(buffer)

    def declare_partials(self, w: Text) -> None:
        """Declare the block's parts of the sums: in registers of all its threads, or in memory."""
        for s in self.partials:
            ctype, name = ctype_of(s.buffer), self.k.name(s.buffer)
            pointer = self.k.args.pointer(("partial", s.node), ctype, ("partial", s.node))
            count = self.k.args.number(("count", s.node), max(prod(s.node.shape), 1))
            w(f"{ctype}* const {name} = {pointer} + blockIdx.x * {count};")
        for phase in self.phases:
            for found in phase.statements:
                if isinstance(found, Reduce) and found in self.partials and self.is_single(phase):
                    self.held[found] = self._declared(w, found, phase)
        for matmul in self.matmuls.values():
            matmul.declare(w)

    def finish(self, w: Text) -> None:
        """Write the sums that the block's threads hold after the last tile."""
        for matmul in self.matmuls.values():
            matmul.finish(w)
        for s, held in self.held.items():
            self._finish(w, s, held, "block")

    # ── phases ───────────────────────────────────────────────────────────────────────────────
    def write(self, w: Text, phase: Phase) -> None:
        matmul = self._matmul(phase)
        if matmul is not None:
            matmul.write(w)
        elif not phase.reduced:
            self._pointwise(w, phase)
        else:
            self._reduction(w, phase)

    def _matmul(self, phase: Phase) -> RegisterMatmul | None:
        first = phase.statements[0]
        return self.matmuls.get(first) if isinstance(first, Reduce) else None

    def keeps_to_samples(self, phase: Phase) -> bool:
        """True if the thread-to-sample mapping is unchanged, so no barrier is needed."""
        tile = self.k.tile_axis
        if phase.nest.kind == "slices" or tile is None or self._matmul(phase) is not None:
            return False
        kept = self._long(phase.axes - phase.reduced)
        if not phase.reduced or kept:
            return kept == [tile] and self._who(phase) == "thread"
        return self._long(phase.reduced) == [tile]

    def is_single(self, phase: Phase) -> bool:
        """True if all threads of a block compute one result together."""
        return bool(phase.reduced) and not self._long(phase.axes - phase.reduced)

    def _long(self, axes: Iterable[Axis]) -> list[Axis]:
        """The axes that threads divide."""
        return sorted((e for e in axes if e not in self.k.unrolled), key=lambda e: e.number)

    def _short(self, axes: Iterable[Axis]) -> list[Axis]:
        return sorted((e for e in axes if e in self.k.unrolled), key=lambda e: e.number)

    def _divided(self, w: Text, axes: Sequence[Axis], first: str, step: str, stack: ExitStack) -> None:
        """A loop over every ``step``-th index of ``axes``, the first axis fastest."""
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
        """The type that numbers the indices of ``axes``: 32 bits where they suffice, for division is faster.

        It does not depend on the number of samples.
        """
        size = self.k.limits.tile * prod(e.extent for e in axes if not e.is_tile)
        return "unsigned int" if self.tile and size < 1 << 31 else "long long"

    def _lane_first(self, axes: Sequence[Axis], lane: Axis | None) -> list[Axis]:
        return sorted(axes, key=lambda e: (e is not lane, -e.number))

    def _pointwise(self, w: Text, phase: Phase) -> None:
        k, axes = self.k, self._long(phase.axes)
        cone = phase.nest.cone(phase.statements)
        with ExitStack() as stack:
            lane = k.lane(axes, [*cone, *phase.statements])
            self._divided(w, self._lane_first(axes, lane), "thread", "threads", stack)
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
        """One result per thread, per warp or per block, such that neighbouring threads read neighbours."""
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
                self._divided(w, self._lane_first(kept, lane), *starts, results)
            sums = {s: self.held.get(s) or self._declared(w, s, phase) for s in statements}
            with ExitStack() as stack:
                if who == "thread":
                    stack.enter_context(k.loops(w, gone))
                elif who == "block" and not gone:
                    stack.enter_context(w.block("if (thread == 0)"))
                else:
                    self._divided(w, self._lane_first(gone, lane), first, step, stack)
                stack.enter_context(k.loops(w, self._short(phase.axes)))
                values: Values = {}
                k.emit(w, cone, values)
                for s, held in sums.items():
                    at = k.register(held, s.at)
                    w(f"{at} = {k.added(s, at, held.stored, values)};")
            for s, held in sums.items():
                if s not in self.held:
                    self._finish(w, s, held, who)

    def _who(self, phase: Phase) -> str:
        """The threads that compute one result: one, a warp where neighbours are summed up, or the block."""
        kept, gone = self._long(phase.axes - phase.reduced), self._long(phase.reduced)
        if not phase.reduced:
            return "thread"
        if not kept:
            return "block"
        cone = phase.nest.cone(phase.statements)
        return "warp" if self.k.lane([*kept, *gone], [*cone, *phase.statements]) in gone else "thread"

    def _declared(self, w: Text, s: Reduce, phase: Phase) -> Registers:
        """Registers for the unrolled axes of a reduction, initialised with its identity."""
        lengths = [1 if p.axis is None or p.axis not in self.k.unrolled else p.axis.extent for p in s.at]
        dtype = held_dtype(self.k, s, phase.nest, max(prod(lengths), 1))
        return self.k.declared(w, w.fresh("a"), lengths, dtype, identity(s.monoid, dtype))

    def _finish(self, w: Text, s: Reduce, held: Registers, who: str) -> None:
        """Combine the registers of several threads, and let one of them write the result."""
        k, ctype, monoid = self.k, value_type(held.stored), monoid_type(s.monoid)
        target, total = ctype_of(s.buffer), w.fresh()
        with k.loops(w, self._short(index_axes(s.at))):
            entry = k.register(held, s.at)
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
                if s.buffer.space == "partial" and s not in self.held:
                    wider = f"({target}){total}"
                    w(f"{at} = begin == first ? {wider} : {combine(s.monoid, at, wider)};")
                else:
                    w(f"{at} = ({target}){total};")


def odd_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Strides that are odd numbers of words along every axis, which avoids bank conflicts.

    Shared memory has 32 banks of one word, four bytes, each: with a stride of 32 words all lanes of a warp
    would access one bank. Half a warp at a time reads entries of eight bytes.
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
