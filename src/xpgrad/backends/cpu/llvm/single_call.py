"""A program of kernels alone, as one native function over one table of addresses.

In:  the kernels of a plan, in order.
Out: outputs, by one call of one function; or by a few, between which threads share the chunks of a region.
Holds: a table, and the memory that is kept with it, belong to one call at a time; an output is copied out of
that memory, or was made for the call. Whether threads share a region does not change its chunks, so no bits.

For ten numbers the call itself is the work, so all that is known before is written down before. Larger arrays
are not copied: their addresses are put into the table.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.buffer_pool import Pinned, Workspaces, address
from xpgrad.backends.cpu.llvm.kernel import WORK, Kernel, module
from xpgrad.backends.cpu.llvm.repeated import MAIN, REPEAT, REPEATED
from xpgrad.backends.cpu.llvm.single_call_text import FIELDS, main_text, scalar_inputs, table_size
from xpgrad.backends.cpu.llvm.spinning import SPIN_WAIT, Driver, SharedWork
from xpgrad.backends.layouts import form_of_view
from xpgrad.core import Const, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.tiles import looked_into

COPIED = 1 << 12
"""Bytes of an array that are copied in less time than its address is found."""

BRIEF = 1 << 18
"""Bytes of all arrays together, up to which a call keeps the GIL: giving it away takes as long."""


_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
_REPEAT_TYPE = ctypes.CFUNCTYPE(None, _SIZE, _POINTER, _SIZE, _POINTER, _SIZE)
WORK_TYPE = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _SIZE, _SIZE, _SIZE, _POINTER, _SIZE, _POINTER)


class SingleCall:
    """The kernels of a plan behind one function.

    Parameters
    ----------
    shared : set of int
        The kernels whose chunks threads share; all others run on the calling thread.
    threads : int
    by_address : bool
        No input or output is copied: the caller puts their addresses into the ``spots`` of a `Memory`. There is
        a function that repeats the call (`REPEATED`).

    Raises
    ------
    ValueError
        An output is not made by a kernel, nor a view of what a kernel makes; or two outputs are of one array.
    """

    def __init__(
        self,
        plan: Plan,
        kernels: Sequence[Kernel],
        inputs: Sequence[Any],
        sources: Any,
        fixed: dict[Value, Any],
        ready: Any,
        shared: set[int],
        threads: int,
        by_address: bool = False,
    ) -> None:
        self.plan, self.kernels, self.sources, self.fixed = plan, kernels, sources, fixed
        self.threads = threads
        self.made = [n for k in kernels for n in (*k.outs, *(p.node for p in k.partials))]
        self.taken_over = {x: node for k in kernels for node, x in k.ir.in_place.items()}
        outputs = [v if v in self.made else looked_into(v) for v in plan.graph.outputs]
        if not all(v in self.made for v in outputs) or len(set(outputs)) != len(outputs):
            raise ValueError("an output is no array of its own")
        self.shown = {
            base: _View(*form_of_view(v, base))
            for v, base in zip(plan.graph.outputs, outputs, strict=True)
            if v is not base
        }
        self.outputs = outputs
        pairs = zip(plan.graph.inputs, inputs, strict=True)
        self.given = [v for v, x in pairs if by_address or not _is_copied(x)]
        self.new = [v for v in outputs if by_address or v.size * v.dtype.itemsize > COPIED]
        self.text = module(kernels, main_text(kernels) + (REPEATED if by_address else ""))
        entries = [MAIN, *(WORK + kernel.name for kernel in kernels), *([REPEAT] if by_address else [])]
        self.loaded, self.fresh = ready(self.text, entries)
        self.repeat = _REPEAT_TYPE(self.loaded[REPEAT]) if by_address else None
        total = sum(v.size * v.dtype.itemsize for v in (*plan.graph.inputs, *self.made))
        self.is_brief = total <= BRIEF
        form = ctypes.PYFUNCTYPE if self.is_brief else ctypes.CFUNCTYPE
        self.main = form(None, _POINTER, _SIZE, _SIZE)(self.loaded[MAIN])
        self.work = {k: WORK_TYPE(self.loaded[WORK + kernels[k].name]) for k in shared}
        if shared and threads > 1:
            SPIN_WAIT.prepare(ready)
        self.workspaces = {k: Workspaces(kernels[k].workspace_bytes) for k in shared}
        self._free: list[Memory] = []

    @contextmanager
    def memory(self) -> Iterator[Memory]:
        """The memory of one call."""
        try:
            memory = self._free.pop()
        except IndexError:  # the first call, or another thread is in one
            memory = Memory(self, self.given, self.new)
        try:
            yield memory
        finally:
            self._free.append(memory)

    def forget(self) -> None:
        """Give up the memory that is kept for the next call."""
        self._free.clear()

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Outputs of the graph; None if an index was outside its axis."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = Memory(self, self.given, self.new)
        try:
            return memory.run(inputs)
        finally:
            self._free.append(memory)


class _View(NamedTuple):
    """Another form of an array in C order: what an output shows of it. The offset is in bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def of(self, array: Any) -> Any:
        """The view of ``array``; a scalar where it has no axes."""
        view: Any = np.ndarray(self.shape, array.dtype, array, self.offset, self.strides)
        return view if self.shape else view[()]


class _Chunks(NamedTuple):
    """A shared region: its kernel, and what `WORK_TYPE` takes of it."""

    kernel: int
    args: int
    counter: int
    chunks: int
    chunk: int
    extent: int
    partials: int
    stride: int


class Memory:
    """The table of one call at a time, and the arrays that are kept between calls.

    ``given`` are the inputs that are not copied, ``new`` the outputs that are made for each call.
    """

    def __init__(self, program: SingleCall, given: Sequence[Value], new: Sequence[Value]) -> None:
        self._program = program
        graph = program.plan.graph
        self.patches: Any = None  # of who repeats the call
        self._pinned = Pinned()
        self._places: dict[Value, Any] = {}
        self.outside: list[Any] = []
        # For each input that is not copied, and each output that is made anew, the slots of its address.
        self.spots: dict[Value, list[tuple[Any, int, int]]] = {v: [] for v in (*given, *new)}
        for value in (*graph.inputs, *program.made):
            if value not in self.spots and value not in program.taken_over:
                self._places[value] = self._pinned.array(value.shape, value.dtype)
        sizes = [table_size(kernel) for kernel in program.kernels]
        table = self._pinned.array((max(sum(sizes), 1),), np.dtype(np.int64))
        self._shared: list[_Chunks] = []
        at = 0
        for k, size in enumerate(sizes):
            self._fill(k, table[at : at + size])
            at += size
        self.table, self.end = table, 3 * len(program.kernels)
        self.stages = self._in_stages(address(table))
        order: dict[Value, int] = {v: k for k, v in enumerate(graph.inputs)}
        self._given = [(order[v], self.spots[v]) for v in given]
        self._copies = [(k, self._places[v]) for v, k in order.items() if v in self._places]
        self._new = [(v.shape, v.dtype, self.spots[v]) for v in new]
        self._takers = [self._taker(v, new) for v in program.outputs]

    def driver(self) -> Driver | None:
        """The stages behind one native function, for a caller that puts all addresses into ``spots``."""
        program = self._program
        rows: list[list[int]] = []
        at = 0
        for stage in self.stages:
            if isinstance(stage, SharedWork):
                words, held = stage.stage()
                for array in held:
                    self._pinned.keep(array)
                rows.append(words)
                at += 1
            else:
                first = 3 * self._shared[at - 1].kernel + 2 if at else 0
                last = 3 * self._shared[at].kernel + 1 if at < len(self._shared) else self.end
                rows.append([first, last, 0, 0, 0, 0, 0])
        return SPIN_WAIT.driver(program.loaded[MAIN], address(self.table), rows)

    def place(self, value: Value) -> Any:
        """The kept array of an input that is copied."""
        return self._places[value]

    def shown(self, value: Value) -> Any:
        """What an output shows of its kept array."""
        place, view = self._places[value], self._program.shown.get(value)
        if view is None:
            return place
        return np.ndarray(view.shape, place.dtype, place, view.offset, view.strides)

    def _taker(self, value: Value, new: Sequence[Value]) -> Callable[[list[Any]], Any]:
        """The function that gives an output: a copy out of the kept memory, or an array made for the call."""
        if value in new:
            k, view = new.index(value), self._program.shown.get(value)
            return (lambda made: made[k]) if view is None else (lambda made: view.of(made[k]))
        place = self.shown(value)
        return (lambda made: place.copy()) if place.ndim else (lambda made: place[()])

    def _in_stages(self, table: int) -> list[Callable[[], None]]:
        """The calls of the program: a stretch of stages natively, a shared region, the next stretch."""
        program = self._program
        found: list[Callable[[], None]] = []
        at, end = 0, 3 * len(program.kernels)
        for chunks in self._shared:
            found += [_native(program.main, table, at, 3 * chunks.kernel + 1), _spread(program, chunks)]
            at = 3 * chunks.kernel + 2
        return [*found, _native(program.main, table, at, end)]

    # ── the table ────────────────────────────────────────────────────────────────────────────
    def _put(self, array: Any, k: int, value: Value, offset: int) -> None:
        """Put the address of ``value`` into ``array[k]``, now or in each call."""
        while value in self._program.taken_over:  # it lies where the value lies that takes its array over
            value = self._program.taken_over[value]
        if value in self.spots:
            self.spots[value].append((array, k, offset))
        else:
            array[k] = address(self._places[value]) + offset

    def _fill(self, k: int, table: Any) -> None:
        """Write the addresses that kernel ``k`` needs into ``table``."""
        kernel, fixed, sources = self._program.kernels[k], self._program.fixed, self._program.sources
        args = self._pinned.array((max(len(kernel.args.values), 1),), np.dtype(np.int64))
        args[: len(kernel.args.values)] = kernel.args.values
        for slot, source in kernel.args.pointers:
            if not isinstance(source, Const) and source not in fixed:
                base, offset = sources.get(source, (source, 0))
                self._put(args, slot, base, offset)
            else:
                array = np.asarray(source.data if isinstance(source, Const) else fixed[source])
                self._pinned.keep(array)
                args[slot] = address(array)
        for slot, source in kernel.args.scalars:
            if not isinstance(source, Value):
                args[slot] = bits(source)
        if kernel.may_be_outside is not None:
            self.outside.append(args[kernel.may_be_outside :][:1])
        chunks, chunk, extent = chunks_of(kernel)
        partials = self._pinned.array((chunks * kernel.partial_bytes // 8 + 8,), np.dtype(np.float64))
        workspace = self._pinned.array((kernel.workspace_bytes // 8 + 8,), np.dtype(np.float64))
        counter = address(table) + 8 * FIELDS.index("counter")
        table[: len(FIELDS)] = (
            *(address(x) for x in (args, partials, workspace)),
            *(chunks, chunk, extent, kernel.partial_bytes, 0),
        )
        if k in self._program.work:
            sizes = chunks, chunk, extent, address(partials), kernel.partial_bytes
            self._shared.append(_Chunks(k, address(args), counter, *sizes))
        at = len(FIELDS)
        for part in kernel.partials:
            self._put(table, at, part.node, 0)
            at += 1
        for slot, source in scalar_inputs(kernel):
            table[at] = address(args) + 8 * slot
            self._put(table, at + 1, source, 0)
            at += 2

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Outputs of the graph; None if an index was outside its axis."""
        for k, place in self._copies:
            place[...] = inputs[k]
        for k, spots in self._given:
            at = address(inputs[k])
            for array, slot, offset in spots:
                array[slot] = at + offset
        made = []
        for shape, dtype, spots in self._new:
            x = np.empty(shape, dtype)
            made.append(x)
            at = address(x)
            for array, slot, offset in spots:
                array[slot] = at + offset
        for stage in self.stages:
            stage()
        return None if self.was_outside() else [take(made) for take in self._takers]

    def was_outside(self) -> bool:
        """Whether an index was outside its axis since this was last asked."""
        found = any(self.outside)
        for slot in self.outside if found else ():
            slot[...] = 0
        return found


def chunks_of(kernel: Kernel) -> tuple[int, int, int]:
    """The number of chunks, at least 1, and the entries of the tile axis in a chunk and in all."""
    step = kernel.step
    return (max(step.chunks, 1), step.chunk, step.extent) if isinstance(step, Region) else (1, 0, 0)


def _native(main: Any, table: int, begin: int, end: int) -> Callable[[], None]:
    where, first, last = _POINTER(table), _SIZE(begin), _SIZE(end)
    return lambda: main(where, first, last)


def _spread(program: SingleCall, shared: _Chunks) -> Callable[[], None]:
    """The call that lets threads share the chunks of a region."""
    k, *values = shared
    call, workspaces, threads = program.work[k], program.workspaces[k], min(program.threads, shared.chunks)
    given = [_POINTER(x) for x in values[:2]] + [_SIZE(x) for x in values[2:5]]
    given += [_POINTER(shared.partials), _SIZE(shared.stride)]

    def work(_part: int, _worker: int) -> None:
        block, workspace = workspaces.take()
        call(*given, workspace)
        workspaces.give(block)

    job = [program.loaded[WORK + program.kernels[k].name], *values]
    return SharedWork(work, job, workspaces, threads)


def _is_copied(x: Any) -> bool:
    return bool(x.nbytes <= COPIED and x.flags.c_contiguous)
