"""A program over sources: its regions run piece by piece, while the next pieces are read.

In:  a Plan made for the whole arrays, sources for some of its inputs, and arrays for the others.
Out: the outputs, with the bits that the same arrays in memory would give.
Holds: chunks, groups of samples and their order are those of the plan in memory; a piece is a part of one
chunk, with whole groups. A kernel is given addresses at which the whole array would begin, so that it finds a
sample of a piece at its own index. Each region reads its sources once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DataError, OutOfBoundsError, TraceError, message
from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.buffer_pool import Pinned, address
from xpgrad.backends.cpu.llvm.kernel import CLEAR, RUN, TOTAL
from xpgrad.backends.cpu.llvm.program import TOTAL_TYPE, KernelStep, ready
from xpgrad.backends.cpu.llvm.single_call import chunks_of
from xpgrad.backends.cpu.llvm.sums import BLOCK
from xpgrad.backends.cpu.pool import run_chunks
from xpgrad.backends.describe import compiled_or_found, indented, names_of, number, source_lines
from xpgrad.backends.interface import Env
from xpgrad.backends.layouts import InMemory, Layouts, origin
from xpgrad.backends.outputs import unshared
from xpgrad.backends.program import LibraryStep, Program, StepLowering, views_of_constants
from xpgrad.backends.streaming import Streaming, not_a_sum, runner
from xpgrad.codegen.kernel_ir import Gather, Load
from xpgrad.core import Node, Value
from xpgrad.data.memory import room
from xpgrad.data.reading import PIECE, Pass, Piece
from xpgrad.data.source import Source
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.codes import adds_by_code, reads_by_code
from xpgrad.plan.relations import is_blas_sized

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
_RUN_TYPE = ctypes.CFUNCTYPE(None, _POINTER, _SIZE, _SIZE, _POINTER, _POINTER)
_CLEAR_TYPE = ctypes.CFUNCTYPE(None, _POINTER, _POINTER)


def capacity_of(plan: Plan, sources: Sequence[Source]) -> int:
    """The samples of the longest piece: about `PIECE` bytes of all sources, and no more than a chunk."""
    each = max(sum(x.sample_bytes for x in sources), 1)
    most = max(PIECE // each // BLOCK, 1) * BLOCK
    samples = sources[0].samples
    chunks = [step.chunk for step in plan.steps if isinstance(step, Region) and step.extent == samples]
    return max((_length(chunk, most) for chunk in chunks), default=most)


def _length(chunk: int, most: int) -> int:
    """The length of the pieces of a chunk: whole groups, and as equal as these allow."""
    parts = -(-chunk // most)
    return min(chunk, -(-chunk // parts // BLOCK) * BLOCK)


class StreamedStep(KernelStep):
    """A region over the samples of sources.

    Parameters
    ----------
    streams : dict of Value to Source
        The inputs that are sources.
    capacity : int
        The samples of a piece at most, for which the layouts were made.

    Attributes
    ----------
    of_samples : frozenset of Value
        The arrays in memory that are read at the sample that the loop is at, along their first axis.
    """

    resumes = True

    def __init__(
        self,
        step: Region,
        plan: Plan,
        layouts: Layouts,
        sources: dict[Value, tuple[Value, int]],
        fixed: dict[Value, Any],
        threads: int,
        pool: Any,
        streams: dict[Value, Source],
        capacity: int,
    ) -> None:
        super().__init__(step, plan, layouts, sources, fixed, threads, pool)
        self.streams = {v: streams[v] for v in streams if v in self._pointers}
        self._spots = [
            (slot, offset, k, _sample_stride(source, capacity))
            for k, (v, source) in enumerate(self.streams.items())
            for slot, offset in self._pointers[v]
        ]
        self._capacity = capacity
        self._check(layouts, sources)

    def _check(self, layouts: Layouts, sources: dict[Value, tuple[Value, int]]) -> None:
        """Refuse a region that needs a sample beside the one that it is at; note which arrays it reads so."""
        elsewhere: set[Value] = set()
        for nest in self.kernel.ir.nests:
            loads = [*nest.loads(), *(s.load for s in nest.assignments() if isinstance(s, Gather))]
            for load in loads:
                value = load.buffer.source
                base, offset = sources.get(value, (value, 0))
                if base not in self.streams and not (base is value and _at_its_row(load)):
                    elsewhere.add(base)
                if base in self.streams and not self._is_at_its_sample(load, layouts.held[value], base, offset):
                    nodes = [s.node for s in (*nest.assignments(), *nest.reductions())]
                    raise not_a_sum(nodes, "reads other samples than the one that it is at", self.streams[base])
        extent = chunks_of(self.kernel)[2]
        arrays = [v for v in self.values() if v.shape[:1] == (extent,) and v not in elsewhere]
        odd = [v for v in arrays if v in layouts.held and not layouts.held[v].flags.c_contiguous]
        self.of_samples = frozenset(v for v in arrays if v in self._pointers and v not in odd)

    def _is_at_its_sample(self, load: Load, held: Any, base: Value, offset: int) -> bool:
        source = self.streams[base]
        stride = _sample_stride(source, self._capacity)
        axes = [a for a, n in enumerate(held.shape) if n == source.samples and held.strides[a] == stride]
        if len(axes) != 1 or not _within_a_sample(source, offset, self._capacity):
            return False
        (axis,) = axes
        return all(
            (p.axis is not None and p.axis.is_tile and (p.step, p.offset) == (1, 0)) == (a == axis)
            and (a == axis or p.axis is None or not p.axis.is_tile)
            for a, p in enumerate(load.at)
        )

    def prepare(self) -> None:
        """Compile the kernel, or find it in the store."""
        self._loaded, self.fresh = ready(self.kernel.text, (RUN, CLEAR, TOTAL))
        self._part, self._clear = _RUN_TYPE(self._loaded[RUN]), _CLEAR_TYPE(self._loaded[CLEAR])
        self._total = TOTAL_TYPE(self._loaded[TOTAL])

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        chunks, chunk, _ = chunks_of(self.kernel)
        parts = -(-chunk // self._capacity)
        names = "" if whole else f": {names_of(self.step.nodes)}"
        yield f"done by {number(numbers)} ({compiled_or_found(self.fresh)}), piece by piece{names}"
        what = ", ".join(x.name for x in self.streams.values())
        yield f"  reads {what} once, in {chunks * parts} pieces of up to {min(self._capacity, chunk)} samples"
        if source:
            yield from indented(source_lines("LLVM IR", self.kernel.text))

    def arguments(self, env: Env) -> tuple[Any, list[Any]]:
        """The table of the kernel without the addresses of sources, and what must live as long as it."""
        args = self._template.copy()
        for slot, value in self._scalars:
            args[slot] = bits(env[value])
        held = []
        for base, slots in self._pointers.items():
            if base not in self.streams:
                array = np.asarray(env[base])
                if base not in self._as_planned and not array.flags.c_contiguous:
                    array = array.copy(order="C")
                held.append(array)
                for slot, offset in slots:
                    args[slot] = address(array) + offset
        return args, held

    def values(self) -> list[Value]:
        """The values that it reads, without the sources."""
        scalars = [value for _, value in self._scalars]
        arrays = [v for v in self._pointers if v not in self.streams and v not in self.kernel.outs]
        return list(dict.fromkeys([*scalars, *arrays]))

    def samples_of(self, chunks: tuple[int, int]) -> tuple[int, int]:
        """The first sample of a range of chunks, and the end of the last."""
        _, length, extent = chunks_of(self.kernel)
        return chunks[0] * length, min(chunks[1] * length, extent)

    def part_of(self, node: Node, array: Any, chunks: tuple[int, int]) -> Any:
        """The entries of a value of each sample that belong to a range of chunks, a view."""
        axis = node.shape.index(chunks_of(self.kernel)[2])
        return array[(slice(None),) * axis + (slice(*self.samples_of(chunks)),)]

    def partials(self, env: Env, chunks: Sequence[int], streaming: Streaming) -> Any:
        """The partials of these chunks, uint8[chunks, bytes]: one pass over their samples."""
        args, _held = self.arguments(env)
        stride = self.kernel.partial_bytes
        found = Pinned().array((len(chunks), stride), np.dtype(np.uint8))
        lanes = min(self._threads, len(chunks))
        sources = [env[v] for v in self.streams]
        groups = [chunks[i : i + lanes] for i in range(0, len(chunks), max(lanes, 1))]
        order = [p for group in groups for p in _in_turn([self._pieces(c) for c in group])]
        with Pass(sources, self._capacity, order, lanes, streaming.kept) as read:

            def work(k: int, _worker: int) -> None:
                mine, table = address(found) + k * stride, args.copy()
                block, workspace = self._workspaces.take()
                self._clear(address(table), mine)
                for piece in self._pieces(chunks[k]):
                    buffers = read.take(piece)
                    for slot, offset, i, step in self._spots:
                        table[slot] = address(buffers[i]) + offset - piece.begin * step
                    self._part(address(table), piece.begin, piece.end, mine, workspace)
                    read.give(piece, buffers)
                    self._refuse_outside(table, piece)
                self._workspaces.give(block)

            run_chunks(work, len(chunks), read.lanes)
        return found

    def _pieces(self, chunk: int) -> list[Piece]:
        _, length, extent = chunks_of(self.kernel)
        begin, end = chunk * length, min((chunk + 1) * length, extent)
        return [Piece(b, min(b + self._capacity, end)) for b in range(begin, end, self._capacity)]

    def _refuse_outside(self, table: Any, piece: Piece) -> None:
        slot = self.kernel.may_be_outside
        if slot is not None and table[slot]:
            node = next(
                n for n in self.step.nodes if reads_by_code(n) or adds_by_code(n) or n.op.name == "getitem"
            )
            what = f"{node.op.name}: an index is outside its axis, in samples {piece.begin} to {piece.end - 1}"
            raise OutOfBoundsError(message(what, {"array": node.operands[0].aval}, at=node.at or ""))

    def combine(self, env: Env, partials: Any) -> None:
        """Put the sums into ``env``, made of the partials of all chunks in order."""
        args, _held = self.arguments(env)
        made = [np.empty(part.node.shape, part.node.dtype) for part in self.kernel.partials]
        outs = np.array([address(x) for x in made], np.int64)
        self._total(address(args), address(partials), len(partials), self.kernel.partial_bytes, address(outs))
        for part, x in zip(self.kernel.partials, made, strict=True):
            env[part.node] = x[()]

    def run_streamed(self, env: Env, streaming: Streaming, program: StreamedProgram) -> None:
        """Put the sums over the samples into ``env``."""
        by = runner.get()
        for node in self.kernel.outs:
            env[node] = room(node.shape, node.dtype, streaming.kept.limit)
        if by is None:
            partials = self.partials(env, range(chunks_of(self.kernel)[0]), streaming)
        else:
            partials = by.partials(program, program.steps.index(self), env)
        self.combine(env, partials)


class StreamedProgram(Program):
    """A plan of which some inputs are sources.

    Parameters
    ----------
    plan : Plan
    memory : InMemory
        The layouts of inputs and views: those of sources for pieces of ``capacity`` samples.
    streams : dict of Value to Source
    capacity, threads : int
    streaming : Streaming
    """

    def __init__(
        self,
        plan: Plan,
        memory: InMemory,
        streams: dict[Value, Source],
        capacity: int,
        threads: int,
        streaming: Streaming,
    ) -> None:
        from xpgrad.backends.cpu.llvm.buffer_pool import BufferPool

        self.streams, self.capacity, self.streaming, self._held = streams, capacity, streaming, memory.held
        self.laid_out = {v: memory.held[v] for v in plan.graph.inputs}
        held, fixed, pool = memory.held, views_of_constants(plan), BufferPool()
        views: dict[Value, tuple[Value, int]] = {
            node: (source, address(held[node]) - address(held[source]))
            for node in plan.views
            if (source := origin(node)) is not None
        }
        of_sources = {*streams, *(v for v, (base, _) in views.items() if base in streams)}
        first = next(iter(streams.values()))

        def kernel(step: Region | Untiled, alive: set[Value]) -> KernelStep:
            layouts = Layouts(held, alive, ())
            reads = [n for n in step.nodes if not of_sources.isdisjoint(n.operands)]
            if not reads:
                return KernelStep(step, plan, layouts, views, fixed, threads, pool)
            if isinstance(step, Untiled) and all(map(is_blas_sized, step.nodes)):
                raise _no_kernel(reads[0], step.reason, first)
            if isinstance(step, Untiled):
                chosen = [u for u in reads[0].operands[1:] if isinstance(u, Node) and u.ndim]
                by_index = reads[0].op.name == "getitem" and chosen  # what made it, such as a sort
                raise not_a_sum(
                    chosen if by_index else reads, f"needs all samples at once ({step.reason})", first
                )
            return StreamedStep(step, plan, layouts, views, fixed, threads, pool, streams, capacity)

        def region(step: Region, why: str) -> Any:
            node = next((n for n in step.nodes if why.startswith(n.op.name)), step.nodes[0])
            raise _no_kernel(node, why, first)

        def library(node: Node, reason: str) -> LibraryStep:
            if not of_sources.isdisjoint(node.operands) or node.op.name == "loop":
                raise not_a_sum([node], f"needs all samples at once ({reason})", first)
            return LibraryStep(node, reason, library="NumPy", empty=pool.take)

        for value in plan.graph.outputs:
            if value in of_sources:
                raise TraceError(
                    message("a result of the function is a source, or a view of one", {"source": first})
                )
        super().__init__(plan, StepLowering(kernel, region, library).groups(plan))
        self._refuse_whole(first)
        for step in self.steps:
            if isinstance(step, KernelStep):
                step.prepare()
        self.compiled = sum(step.fresh for step in self.steps)

    def _refuse_whole(self, source: Source) -> None:
        """Refuse what needs a value for each sample, and runs in no loop over them."""
        long: set[Value] = set()
        for step in self.steps:
            nodes = step.step.nodes
            if isinstance(step, KernelStep) and isinstance(step.step, Region):
                long.update(
                    n for n in step.kernel.outs if n in step.step.tiled and step.step.extent == source.samples
                )
                continue
            reads = [n for n in nodes if not long.isdisjoint(n.operands)]
            if reads and step.only_looks:
                long.update(nodes)
            elif reads:
                raise not_a_sum(reads, "needs the values of all samples at once", source)

    @property
    def stored(self) -> list[Node]:
        """The values that are kept for each sample from one region to the next, or are results."""
        return [n for step in self.steps if isinstance(step, StreamedStep) for n in step.kernel.outs]

    def _read_as_arrays(self) -> set[Value]:
        others = [n for s in self.steps if not isinstance(s, KernelStep) for n in s.step.nodes]
        return {*self.plan.graph.outputs, *(u for n in others for u in n.operands)}

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        env = self.begin(inputs)
        results = set(self.plan.graph.outputs)
        between = [n for n in self.stored if n not in results]
        takes, limit = sum(n.size * n.dtype.itemsize for n in between), self.streaming.kept.limit
        if takes > limit // 2:
            what = f"memory_limit of {limit / 1e6:.0f} MB is less than twice what is kept for each sample"
            got = {n.op.name: n.aval for n in between}
            raise DataError(message(what, got, at=between[0].at or "", remedy="raise memory_limit"))
        for step in self.steps:
            if isinstance(step, StreamedStep):
                step.run_streamed(env, self.streaming, self)
            else:
                step.run(env)
        outputs = unshared([env[v] for v in self.plan.graph.outputs], inputs)
        return [x[()] if x.ndim == 0 else x for x in map(np.asarray, outputs)]

    def describe(self, source: bool) -> list[str]:
        """The lines of `explain` about each step."""
        lines = super().describe(source)
        times = sum(isinstance(step, StreamedStep) for step in self.steps)
        each = "once" if times == 1 else f"{times} times, once for each region over the samples"
        return [*lines, f"sources are read {each}, in at most memory_limit bytes; what fits stays in memory"]


def _at_its_row(load: Load) -> bool:
    """Whether an array is read along its first axis at the sample of the loop, and along no other by it."""
    tiled = [p.axis is not None and p.axis.is_tile for p in load.at]
    at_it = bool(tiled) and tiled[0] and not any(tiled[1:])
    return at_it and (load.at[0].step, load.at[0].offset) == (1, 0)


def _no_kernel(node: Node, why: str, source: Source) -> TraceError:
    what = f"{node.op.name} of a source is computed by no kernel: {why}"
    remedy = "take minibatches, give both operands one dtype, or read it into memory: source.read()"
    return TraceError(message(what, {"value": node.aval, "source": source}, at=node.at or "", remedy=remedy))


def _sample_stride(source: Source, capacity: int) -> int:
    return source.strides(capacity)[source.axis]


def _within_a_sample(source: Source, offset: int, capacity: int) -> bool:
    """Whether an offset in bytes leads to another entry of the same sample."""
    if source.layout == "rows":
        return 0 <= offset < max(source.sample_bytes, 1)
    return not offset % (capacity * source.dtype.itemsize)


def _in_turn(lists: Sequence[list[Piece]]) -> Iterator[Piece]:
    """The first of each list, then the second of each."""
    for k in range(max(map(len, lists), default=0)):
        yield from (x[k] for x in lists if k < len(x))
