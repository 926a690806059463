"""A Plan as kernels: compiled, kept, called.

In:  a Plan, the arrays that it was made for, and in each call the inputs.
Out: the outputs.
Holds: a kernel is compiled once for each text, in this process or an earlier one; what no kernel can do is
done by the interpreter or by NumPy, and `describe` gives the reason.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from xpgrad._errors import at_line
from xpgrad.backends import reference
from xpgrad.backends.assembly import LOOKS, Assembly, Layouts, by_library, needed, origin, views_of_constants
from xpgrad.backends.cpu.interpret import Loop
from xpgrad.backends.cpu.llvm import build
from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.builder import Partial
from xpgrad.backends.cpu.llvm.fused import Fused
from xpgrad.backends.cpu.llvm.kernel import RUN, Kernel
from xpgrad.backends.cpu.llvm.memory import Scratch, Spare, address
from xpgrad.backends.cpu.pool import run_chunks
from xpgrad.backends.explaining import (
    UNWRITTEN,
    describe_step,
    describe_steps,
    indented,
    names_of,
    number,
    source_lines,
    told,
)
from xpgrad.backends.outputs import unshared
from xpgrad.backends.parts import COMBINE, IDENTITY, summed
from xpgrad.backends.reference import run_node
from xpgrad.backends.store import default_store
from xpgrad.core import Const, Node, Value, operands_of
from xpgrad.plan import Plan, Region, Straight

_Function = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
)
Env = dict[Value, Any]


class _Ready(NamedTuple):
    """A kernel in memory: the function, and what must live as long as it is called."""

    call: Any
    loaded: Any


_ready: dict[str, _Ready] = {}
_lock = threading.Lock()


def ready(text: str, name: str = RUN) -> tuple[_Ready, bool]:
    """The kernel of that text, whose entry is ``name``, and whether it had to be compiled."""
    with _lock:
        found = _ready.get(text)
        if found is not None:
            return found, False
        store = default_store()
        key = f"{build.fingerprint()}\n{text}"
        obj = store.get(key)
        fresh = obj is None
        if obj is None:
            obj = build.compile_ir(text)
            store.put(key, obj)
        loaded = build.load(obj, [name])
        found = _ready[text] = _Ready(_Function(loaded[name]), loaded)
        return found, fresh


class Outside(Exception):
    """An index was outside its axis."""


class KernelStep:
    """A step that a kernel does."""

    def __init__(
        self,
        step: Region | Straight,
        plan: Plan,
        layouts: Layouts,
        sources: dict[Value, tuple[Value, int]],
        fixed: dict[Value, Any],
    ) -> None:
        self.kernel = Kernel(step, plan, layouts)
        self.step = step
        self.ready: Any = None
        self.fresh = False
        self._sources = sources
        self._as_planned = layouts.held
        self._scratch = Scratch(self.kernel.scratch_bytes)
        slots = self.kernel.args
        self._template = np.array(slots.values, np.int64)
        self._scalars: list[tuple[int, Value]] = []
        self._pointers: list[tuple[int, Value]] = []
        self._constants: list[Any] = []
        for slot, source in slots.scalars:
            if isinstance(source, Value):
                self._scalars.append((slot, source))
            else:
                self._template[slot] = bits(source)
        for slot, source in slots.pointers:
            if not isinstance(source, Const) and source not in fixed:
                self._pointers.append((slot, source))
            else:
                array = np.asarray(source.data if isinstance(source, Const) else fixed[source])
                self._constants.append(array)
                self._template[slot] = address(array)

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """What `explain` says of it."""
        chunks = self.step.chunks if isinstance(self.step, Region) else 1
        each = ", once for each chunk" if chunks > 1 else ""
        names = "" if whole else f": {names_of(self.step.nodes)}"
        yield f"done by {number(numbers)} ({told(self.fresh)}){each}{names}"
        if source:
            yield from indented(source_lines("LLVM IR", self.kernel.text))

    def prepare(self) -> None:
        """Compile the kernel, or find it."""
        self.ready, self.fresh = ready(self.kernel.text)

    def run(self, env: Env, threads: int, spare: Spare) -> None:
        """Fill in ``env`` what the step makes."""
        kernel, step = self.kernel, self.step
        if self.ready is None:
            self.prepare()
        for node in kernel.outs:
            env[node] = spare.take(node)
        args = self._template.copy()
        for slot, value in self._scalars:
            args[slot] = bits(env[value])
        held = []
        for slot, value in self._pointers:
            base, offset = self._sources.get(value, (value, 0))
            array = env[base]
            if not isinstance(array, np.ndarray):
                array = np.asarray(array)
            elif base not in self._as_planned and not array.flags.c_contiguous:
                array = array.copy(order="C")  # a view, or what NumPy made in another order
            held.append(array)
            args[slot] = address(array) + offset
        where = address(args)
        call = self.ready.call
        chunks = step.chunks if isinstance(step, Region) else 1
        stride = kernel.partial_bytes
        partials = np.empty(chunks * stride // 8 + 8, np.float64) if stride else args
        sums = address(partials)

        def chunk(c: int, _worker: int) -> None:
            block, scratch = self._scratch.take()
            if isinstance(step, Region):
                begin, end = c * step.chunk, min((c + 1) * step.chunk, step.extent)
            else:
                begin = end = 0
            call(where, begin, end, sums + c * stride, scratch)
            self._scratch.give(block)

        run_chunks(chunk, chunks, threads)
        if kernel.may_be_outside is not None and args[kernel.may_be_outside]:
            raise Outside
        for part in kernel.partials:
            env[part.node] = self._total(partials, chunks, part)

    def _total(self, partials: Any, chunks: int, part: Partial) -> Any:
        node, monoid, strides = part.node, part.monoid, part.buffer.strides
        assert strides is not None
        size = part.buffer.dtype.itemsize
        if not chunks:
            return np.full(node.shape, IDENTITY[monoid], node.dtype)[()]
        table = self._parts(partials, chunks, part.offset, part)
        if part.lost is None:
            total = COMBINE[monoid].reduce(table, axis=0)
        else:
            total = summed(table, self._parts(partials, chunks, part.lost, part))
        shaped = as_strided(total, node.shape, [s * size for s in strides])
        return np.ascontiguousarray(shaped).reshape(node.shape).astype(node.dtype)[()]

    def _parts(self, partials: Any, chunks: int, offset: int, part: Partial) -> Any:
        """What the chunks hold at ``offset``, a row for each."""
        dtype = part.buffer.dtype
        size = dtype.itemsize
        bytes_ = partials.view(np.uint8)[offset:]
        return as_strided(
            bytes_[: (len(bytes_) // size) * size].view(dtype),
            (chunks, prod(part.node.shape)),
            (self.kernel.partial_bytes, size),
        )


class LoopStep:
    """A region that the interpreter does, and why."""

    fresh = False

    def __init__(self, step: Region, plan: Plan, reason: str) -> None:
        self.step, self.reason = step, reason
        self._loop = Loop(step, plan)

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """What `explain` says of it."""
        yield f"done by the NumPy interpreter, tile by tile: {self.reason}" + (
            f" ({UNWRITTEN})" if source else ""
        )

    def run(self, env: Env, threads: int, spare: Spare) -> None:
        self._loop.run(env, threads)


class RowStep:
    """A node that NumPy does, and why."""

    fresh = False

    def __init__(self, node: Node, reason: str) -> None:
        self.step = Straight([node], reason)
        self.reason = reason
        self.only_looks = reason is LOOKS

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """What `explain` says of it."""
        yield f"done by NumPy: {self.reason}: {names_of(self.step.nodes)}" + (
            f" ({UNWRITTEN})" if source else ""
        )

    def run(self, env: Env, threads: int, spare: Spare) -> None:
        node = self.step.nodes[0]
        with at_line(node.at), np.errstate(all="ignore"):
            if by_library(node):
                left, right = operands_of(node, env)
                env[node] = np.matmul(left, right, out=spare.take(node))
            else:
                env[node] = run_node(node, env)


class Program:
    """A plan in kernels.

    Parameters
    ----------
    plan : Plan
    held : dict of Value to array
        The inputs and the views of them, as they were when it was planned.
    threads : int
    """

    def __init__(self, plan: Plan, held: dict[Value, Any], threads: int) -> None:
        self.plan, self.threads = plan, threads
        self._held = held
        self._sources: dict[Value, tuple[Value, int]] = {
            node: (source, address(held[node]) - address(held[source]))
            for node in plan.views
            if (source := origin(node)) is not None
        }
        self._fixed = views_of_constants(plan)
        self.groups = Assembly(
            lambda step, alive: KernelStep(step, plan, Layouts(held, alive), self._sources, self._fixed),
            lambda step, reason: [LoopStep(step, plan, reason)],
            RowStep,
        ).groups(plan)
        self.steps = [step for group in self.groups for step in group]
        self.fused = self._fuse()
        if self.fused is None:
            for step in self.steps:
                if isinstance(step, KernelStep):
                    step.prepare()
        self.compiled = sum(step.fresh for step in self.steps) + (self.fused is not None and self.fused.fresh)
        others = [n for s in self.steps if not isinstance(s, KernelStep) for n in s.step.nodes]
        used = {*plan.graph.outputs, *(u for n in others for u in n.operands)}
        self._views = needed(plan.views, used)
        between: set[Value] = {n for s in self.steps if isinstance(s, KernelStep) for n in s.kernel.outs}
        between |= {
            s.step.nodes[0] for s in self.steps if isinstance(s, RowStep) and by_library(s.step.nodes[0])
        }
        self._spare = Spare(between - set(plan.graph.outputs))

    def _fuse(self) -> Fused | None:
        """The whole program in one call, where it is small."""
        if not all(isinstance(step, KernelStep) for step in self.steps):
            return None
        plan, inputs = self.plan, [self._held[v] for v in self.plan.graph.inputs]
        try:
            kernels: list[Kernel] = []
            alive: set[Value] = set(plan.graph.outputs)
            for k, step in reversed(list(enumerate(self.steps))):
                kernels.insert(0, Kernel(step.step, plan, Layouts(self._held, alive), str(k)))
                alive = alive | {u for n in step.step.nodes for u in n.operands}
            return Fused(plan, kernels, inputs, self._sources, self._fixed, ready)
        except ValueError:
            return None

    def describe(self, source: bool) -> list[str]:
        """Each step, and what does it."""
        if self.fused is None:
            return describe_steps(self.plan, self.groups, source, tiles=True)
        lines = [line for k, step in enumerate(self.plan.steps) for line in describe_step(self.plan, k, step)]
        lines.append(f"all steps done by kernel 0 ({told(self.fused.fresh)}), in one call")
        return lines + (indented(source_lines("LLVM IR", self.fused.text)) if source else [])

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        if self.fused is not None:
            found = self.fused.run(inputs)
            if found is not None:
                return found
        env: Env = dict(zip(self.plan.graph.inputs, inputs, strict=True))
        for node in self._views:
            env[node] = run_node(node, env)
        try:
            for step in self.steps:
                step.run(env, self.threads, self._spare)
        except Outside:  # node by node, the one that it is in says so
            return unshared(reference.run(self.plan.graph, inputs), inputs)
        outputs = unshared([env[v] for v in self.plan.graph.outputs], inputs)
        self._spare.give(env, outputs)
        return [x[()] if x.ndim == 0 else x for x in map(np.asarray, outputs)]
