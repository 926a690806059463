"""A step in which the threads of a block share the indices of each nest, waiting for one another in between.

; the sums of the rows of x[n, r], r contiguous: a warp for each row
for (long long o = warp; o < n; o += warps) {
    float a = 0;
    for (long long i = lane; i < r; i += lanes) a += x[o * r + i];
    a = warp_reduce(a);
    if (lane == 0) y[o] = a;
}

In:  a Frame.
Out: the body of a kernel: phases, each the nodes of a nest that reduce the same labels.
Holds: every entry is written by one thread; what one phase writes, a later one reads after the threads have
waited. A sum over the region's axis is added to by the same threads in each tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from math import prod

from xpgrad.backends.gpu.cuda.printing.expressions import combine, identity, literal, value_type
from xpgrad.backends.gpu.cuda.printing.frame import Frame
from xpgrad.backends.gpu.cuda.printing.layout import Memory, Row, Text, c_strides
from xpgrad.backends.gpu.cuda.printing.owners import owners
from xpgrad.backends.gpu.cuda.printing.phases import WARP, Phase, held_dtype, phases, wide
from xpgrad.backends.gpu.cuda.printing.shares import smallest_tile
from xpgrad.core import Node, Value
from xpgrad.plan.boxes import Part

SAMPLES = 1 << 10
"""Of a tile with indices of 32 bits, at most."""


class ByBlock:
    """Writes the phases.

    Attributes
    ----------
    partials : dict of Node to Memory
        For each sum over the region's axis the block's part, to which each tile adds.
    scratch : list of (Node, Memory)
        What a tile keeps in between.
    owned : dict of Node to Owned
        The products of samples with many features.
    """

    def __init__(self, frame: Frame, tile: int, threads: int = 0) -> None:
        self.frame, self.tile = frame, tile
        self.partials: dict[Node, Memory] = {}
        self.scratch: list[tuple[Node, Memory]] = []
        self.kept: dict[Node, Row] = {}
        self.phases = phases(frame)
        self.owned = owners(frame, threads, tile) if tile else {}
        for phase in self.phases:
            for node in phase.nodes:
                self._place(node, phase)
        for node, product in self.owned.items():
            if product.parts is not None:
                product.parts.name = f"t{len(self.scratch)}"
                self.scratch.append((node, product.parts))

    # ── sizes ────────────────────────────────────────────────────────────────────────────────
    @property
    def entries(self) -> int:
        """Of one sample, in the phase that has the most."""
        extent, label = self.frame.axes.extent, self.frame.label
        return max((prod(extent[e] for e in p.labels if e != label) for p in self.phases), default=1)

    @property
    def fewest(self) -> int:
        """Samples of a tile at least, where nothing has an owner.

        A warp's samples where each thread adds up a long axis of one sample: fewer would leave lanes idle.
        """
        label = self.frame.label
        one_each = any(
            p.reduced and self._who(p) == "thread" and self._long(p.labels - p.reduced) == [label]
            for p in self.phases
        )
        return WARP if one_each else min(smallest_tile(max(self.entries, 1)), WARP)

    # ── places ───────────────────────────────────────────────────────────────────────────────
    def _place(self, node: Node, phase: Phase) -> None:
        frame = self.frame
        if node in frame.memories:
            return
        if node in frame.sums:
            self.partials[node] = Memory(
                f"sum{len(self.partials)}", wide(node.dtype), node.shape, c_strides(node.shape)
            )
        elif node in frame.stores:
            frame.output(node)
        else:
            labels = frame.axes.labels(node)
            shape = tuple(
                self.tile if e is not None and e == frame.label else n
                for e, n in zip(labels, node.shape, strict=True)
            )
            lane = frame.lane([e for e in labels if e is not None], phase.nodes)
            order = sorted(range(node.ndim), key=lambda a: labels[a] is not None and labels[a] == lane)
            strides = [0] * node.ndim
            lengths = [shape[a] for a in order]
            apart = odd_strides(lengths, node.dtype.itemsize) if self.tile else c_strides(lengths)
            for a, s in zip(order, apart, strict=True):
                strides[a] = s
            memory = Memory(f"t{len(self.scratch)}", node.dtype, shape, tuple(strides), tiled=True)
            self.scratch.append((node, memory))
            frame.memories[node] = memory

    @property
    def scratch_bytes(self) -> int:
        return sum(_bytes(m) for _, m in self.scratch)

    def declare_scratch(self, w: Text, base: str) -> None:
        """Pointers into the block's memory for one tile."""
        offset = 0
        for _, memory in self.scratch:
            at = self.frame.params.number(("scratch", memory.name), offset)
            w(f"{memory.ctype}* const {memory.name} = ({memory.ctype}*)({base} + {at});")
            offset += _bytes(memory)

    def declare_partials(self, w: Text) -> None:
        """The block's parts of the sums: in registers of all its threads, or in memory."""
        for node, memory in self.partials.items():
            pointer = self.frame.params.pointer(("partial", node), memory.ctype, ("partial", node))
            count = self.frame.params.number(("count", node), max(prod(node.shape), 1))
            w(f"{memory.ctype}* const {memory.name} = {pointer} + blockIdx.x * {count};")
        for phase in self.phases:
            for node in phase.nodes:
                if node in self.partials and self.is_single(phase):
                    self.kept[node] = self._row(w, node)
        for node, product in self.owned.items():
            product.declare(w, self.partials.get(node))

    def finish(self, w: Text) -> None:
        """After the last tile: the sums that the threads of the block hold together."""
        for product in self.owned.values():
            product.finish(w)
        for node, row in self.kept.items():
            self._finish(w, node, row, "block")

    # ── phases ───────────────────────────────────────────────────────────────────────────────
    def write(self, w: Text, phase: Phase) -> None:
        if phase.part is not None:
            self._box(w, phase, phase.part)
        elif phase.nodes[0] in self.owned:
            self.owned[phase.nodes[0]].write(w)
        elif not phase.reduced:
            self._pointwise(w, phase)
        else:
            self._reduction(w, phase)

    def keeps_to_samples(self, phase: Phase) -> bool:
        """Whether each thread deals with the same samples as in other such phases, and with no others."""
        frame = self.frame
        if phase.part is not None or frame.label is None or phase.nodes[0] in self.owned:
            return False
        kept = self._long(phase.labels - phase.reduced)
        if not phase.reduced or kept:
            return kept == [frame.label] and self._who(phase) == "thread"
        return self._long(phase.reduced) == [frame.label]

    def is_single(self, phase: Phase) -> bool:
        """Whether all threads of one block make one result together."""
        return bool(phase.reduced) and not self._long(phase.labels - phase.reduced)

    def _long(self, labels: frozenset[int]) -> list[int]:
        """The labels that threads share out."""
        return sorted(e for e in labels if e not in self.frame.unrolled)

    def _short(self, labels: frozenset[int]) -> list[int]:
        return sorted(e for e in labels if e in self.frame.unrolled)

    def _shared_out(self, w: Text, labels: Sequence[int], first: str, step: str, stack: ExitStack) -> None:
        """A loop over all indices of ``labels``, the first of them fastest, of which each turn takes one."""
        frame = self.frame
        if not labels:
            stack.enter_context(w.block(f"if ({first} == 0)"))
            return
        total = " * ".join(f"(long long){frame.extent(e)}" for e in labels)
        o, rest = w.fresh("o"), w.fresh("o")
        stack.enter_context(w.block(f"for (long long {o} = {first}; {o} < {total}; {o} += {step})"))
        number = self._number(labels)
        if len(labels) > 1:
            w(f"{number} {rest} = {o};")
        for k, e in enumerate(labels):
            i, n = frame.index(e, tiled=True), frame.extent(e)
            if len(labels) == 1:
                w(f"const long long {i} = {o};")
            elif k == len(labels) - 1:
                w(f"const long long {i} = {rest};")
            else:
                w(f"const long long {i} = {rest} % ({number}){n}; {rest} /= ({number}){n};")
            if e == frame.label:
                w("const long long g = begin + t;")

    def _number(self, labels: Iterable[int]) -> str:
        """What numbers the indices of ``labels``: 32 bits, by which a division takes far less, if they suffice.

        That does not depend on how many samples there are.
        """
        frame = self.frame
        size = SAMPLES * prod(frame.axes.extent[e] for e in labels if e != frame.label)
        return "unsigned int" if 0 < self.tile <= SAMPLES and size < 1 << 31 else "long long"

    def _lane_first(self, labels: Sequence[int], lane: int | None) -> list[int]:
        return sorted(labels, key=lambda e: (e != lane, -e))

    def _pointwise(self, w: Text, phase: Phase) -> None:
        frame = self.frame
        labels = self._long(phase.labels)
        cone = frame.cone(phase.nest, phase.nodes)
        with ExitStack() as stack:
            self._shared_out(w, self._lane_first(labels, frame.lane(labels, cone)), "thread", "threads", stack)
            stack.enter_context(frame.loops(w, self._short(phase.labels)))
            values: dict[Value, str] = {}
            frame.emit(w, cone, values)
            for node in phase.nodes:
                memory = frame.memories[node]
                w(f"{memory.name}[{frame.own_address(memory, node)}] = {values[node]};")

    def _reduction(self, w: Text, phase: Phase) -> None:
        """One result to a thread, a warp or the block, whichever reads neighbours by neighbours."""
        frame = self.frame
        kept, gone = self._long(phase.labels - phase.reduced), self._long(phase.reduced)
        cone = frame.cone(phase.nest, phase.nodes)
        lane = frame.lane([*kept, *gone], cone)
        who = self._who(phase)
        first, step = ("lane", "lanes") if who == "warp" else ("thread", "threads")
        with ExitStack() as results:
            if kept:
                starts = ("warp", "warps") if who == "warp" else ("thread", "threads")
                self._shared_out(w, self._lane_first(kept, lane), *starts, results)
            rows: dict[Node, Row] = {}
            for node in phase.nodes:
                rows[node] = self.kept.get(node) or self._row(w, node)
            with ExitStack() as stack:
                if who == "thread":
                    stack.enter_context(frame.loops(w, gone))
                elif who == "block" and not gone:
                    stack.enter_context(w.block("if (thread == 0)"))
                else:
                    self._shared_out(w, self._lane_first(gone, lane), first, step, stack)
                stack.enter_context(frame.loops(w, self._short(phase.labels)))
                values: dict[Value, str] = {}
                frame.emit(w, cone, values)
                for node in phase.nodes:
                    at = self._entry(node, rows[node])
                    w(f"{at} = {frame.added(node, at, rows[node].stored or node.dtype, values)};")
            for node in phase.nodes:
                if node not in self.kept:
                    self._finish(w, node, rows[node], who)

    def _who(self, phase: Phase) -> str:
        """Who makes one result together: where neighbours are summed up, neighbouring threads."""
        kept, gone = self._long(phase.labels - phase.reduced), self._long(phase.reduced)
        if not phase.reduced:
            return "thread"
        if not kept:
            return "block"
        lane = self.frame.lane([*kept, *gone], self.frame.cone(phase.nest, phase.nodes))
        return "warp" if lane in gone else "thread"

    def _row(self, w: Text, node: Node) -> Row:
        """Registers for the unrolled axes of ``node``, a reduction of nothing so far."""
        frame = self.frame
        labels = frame.axes.labels(node)
        lengths = [n if e in frame.unrolled else 1 for e, n in zip(labels, node.shape, strict=True)]
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        name, count = w.fresh("a"), max(prod(lengths), 1)
        dtype = held_dtype(frame, node, count)
        begin = identity(frame.monoid(node), dtype)
        w(f"{value_type(dtype)} {name}[{count}];")
        w("#pragma unroll")
        w(f"for (int k = 0; k < {count}; ++k) {name}[k] = {begin};")
        return Row(name, strides, dtype)

    def _entry(self, node: Node, row: Row) -> str:
        return f"{row.name}[{self.frame.row_index(row, self.frame.places(node))}]"

    def _finish(self, w: Text, node: Node, row: Row, who: str) -> None:
        """Combine what several threads hold, and let one of them write it."""
        frame = self.frame
        ctype = value_type(row.stored or node.dtype)
        monoid = f"xg::{frame.monoid(node).capitalize()}"
        memory = self.partials.get(node) or frame.memories[node]
        total = w.fresh()
        with frame.loops(w, self._short(frozenset(frame.own(node)))):
            entry = self._entry(node, row)
            if who == "block":
                wider = value_type(wide(node.dtype))
                w(f"const {wider} {total} = xg::block_reduce<{monoid}>(({wider}){entry}, ({wider}*)xg_sums);")
            elif who == "warp":
                w(f"const {ctype} {total} = xg::warp_reduce<{monoid}>({entry});")
            else:
                w(f"const {ctype} {total} = {entry};")
            one = {"block": "thread == 0", "warp": "lane == 0"}.get(who)
            with w.block(f"if ({one})") if one else nullcontext():
                at = f"{memory.name}[{frame.own_address(memory, node)}]"
                if node in self.partials and node not in self.kept:
                    wider = f"({memory.ctype}){total}"
                    w(f"{at} = begin == first ? {wider} : {combine(frame.monoid(node), at, wider)};")
                else:
                    w(f"{at} = ({memory.ctype}){total};")

    # ── arrays put together of parts ─────────────────────────────────────────────────────────
    def _box(self, w: Text, phase: Phase, part: Part) -> None:
        """``u[1:-1] = v``: the threads share out the box of one part."""
        frame = self.frame
        (node,) = phase.nodes
        target = frame.memories[node]
        labels = frame.axes.labels(node)
        goal, total, lengths = [], [], []
        reading = self._reading(node, part.operand) if part.operand is not None else {}
        at = list(reading.get(None, ()))
        memory = None
        if part.operand is not None and not frame.nests.access(node, part.operand).is_scalar:
            memory = frame.memory(frame.nests.access(node, part.operand))
        for a, (length, start, step, mine) in enumerate(part.box):
            along = labels[a] is not None and labels[a] == frame.label
            n = "m" if along else frame.params.number(("box", node, a, part.operand), length)
            i = f"b{a}"
            lengths.append((i, n))
            total.append(f"(long long){n}")
            here = i if not along or target.tiled else f"(begin + {i})"
            factor = frame.params.number(("step", node, a, part.operand), step * target.strides[a])
            if start:
                goal.append(frame.params.number(("start", node, a, part.operand), start * target.strides[a]))
            goal.append(f"{here} * {factor}")
            if memory is not None:
                there = i if not along or memory.tiled else f"(begin + {i})"
                at += [f"{there} * {text}" for text in reading.get(mine, ())] if mine is not None else []
        with ExitStack() as stack:
            o = w.fresh("o")
            stack.enter_context(
                w.block(f"for (long long {o} = thread; {o} < {' * '.join(total) or '1'}; {o} += threads)")
            )
            number = self._number(frame.own(node))
            w(f"{number} rest = {o};")
            for i, n in reversed(lengths):
                w(f"const long long {i} = rest % ({number}){n}; rest /= ({number}){n};")
            ctype = value_type(node.dtype)
            if part.operand is None:
                value = literal(0, node.dtype)
            elif memory is None:
                value = f"({ctype})({frame.operand(node, part.operand, {})[0]})"
            else:
                value = f"({ctype})({frame.load(memory, ' + '.join(at) or '0')})"
            place = f"{target.name}[{' + '.join(goal) or '0'}]"
            w(f"{place} {'+=' if part.adds else '='} {value};")

    def _reading(self, node: Node, operand: int) -> dict[int | None, list[str]]:
        """For each axis of an operand of a node of boxes the strides that go with it in its array; for None
        what is added once."""
        access = self.frame.nests.access(node, operand)
        if access.is_scalar:
            return {}
        u, memory = node.operands[operand], self.frame.memory(access)
        nests = self.frame.nests
        axes = nests.view_axes(u) if nests.is_view(u) else [(a, 1, 0) for a in range(u.ndim)]
        found: dict[int | None, list[str]] = {None: self.frame.beginning(memory)}
        for axis, (mine, step, offset) in enumerate(axes):
            stride = memory.strides[axis]
            if offset:
                found[None].append(self.frame.distance(memory, offset * stride))
            if mine is not None and u.shape[mine] != 1:
                found.setdefault(mine, []).append(self.frame.distance(memory, step * stride))
        return found


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


def _bytes(memory: Memory) -> int:
    span = sum((n - 1) * s for n, s in zip(memory.shape, memory.strides, strict=True)) + 1
    return -(-(span if prod(memory.shape) else 0) * memory.dtype.itemsize // 16) * 16
