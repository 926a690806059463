"""A program of LLVM kernels: it compiles, keeps and calls them.

In:  a Plan, the arrays that it was made for, and in each call the inputs.
Out: the outputs.
Holds: a kernel is compiled once for each text, in this process or an earlier one. The interpreter or NumPy
runs what no kernel can, and `describe` gives the reason.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from xpgrad.backends import reference
from xpgrad.backends.cpu.interpret import Loop
from xpgrad.backends.cpu.llvm import build
from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.buffer_pool import BufferPool, Workspaces, address
from xpgrad.backends.cpu.llvm.entry import Guard, entry
from xpgrad.backends.cpu.llvm.kernel import TOTAL, WORK, Kernel
from xpgrad.backends.cpu.llvm.repeat import LoopOfBodies
from xpgrad.backends.cpu.llvm.single_call import WORK_TYPE, SingleCall, chunks_of
from xpgrad.backends.cpu.pool import run_chunks
from xpgrad.backends.describe import (
    UNWRITTEN,
    compiled_or_found,
    describe_step,
    indented,
    names_of,
    number,
    source_lines,
)
from xpgrad.backends.interface import Env
from xpgrad.backends.layouts import Layouts, origin
from xpgrad.backends.outputs import unshared
from xpgrad.backends.program import LibraryStep, Program, StepLowering, fills_an_array, views_of_constants
from xpgrad.backends.store import default_store
from xpgrad.core import Const, Graph, Node, Value
from xpgrad.ops.loops import LOOP
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.tiles import looked_into, work

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
TOTAL_TYPE = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _SIZE, _SIZE, _POINTER)

ALONE = 3 << 19
"""The most `work` of a region that one thread does alone, which takes a few times as long as to post it."""

_ready: dict[str, build.Loaded] = {}
_lock = threading.Lock()


def ready(text: str, names: Sequence[str]) -> tuple[build.Loaded, bool]:
    """The module with this text, which has the functions ``names``, and whether it was compiled now."""
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
        found = _ready[text] = build.load(obj, names)
        return found, fresh


class Outside(Exception):
    """An index was outside its axis, or an op has refused its operand."""


class KernelStep:
    """A step that a kernel runs."""

    resumes = False

    def __init__(
        self,
        step: Region | Untiled,
        plan: Plan,
        layouts: Layouts,
        sources: dict[Value, tuple[Value, int]],
        fixed: dict[Value, Any],
        threads: int,
        pool: BufferPool,
    ) -> None:
        self.kernel = Kernel(step, plan, layouts, resumes=self.resumes)
        self.reads = self.kernel.ir.reads()
        self._threads, self._pool = threads, pool
        self.step = step
        self.fresh = self.only_looks = False
        self._as_planned = layouts.held
        self._plan = plan
        self._workspaces = Workspaces(self.kernel.workspace_bytes)
        self._partials = Workspaces(chunks_of(self.kernel)[0] * self.kernel.partial_bytes)
        slots = self.kernel.args
        self._template = np.array(slots.values, np.int64)
        self._scalars: list[tuple[int, Value]] = []
        self._pointers: dict[Value, list[tuple[int, int]]] = {}  # slots and offsets, by the array
        self._constants: list[Any] = []
        for slot, source in slots.scalars:
            if isinstance(source, Value):
                self._scalars.append((slot, source))
            else:
                self._template[slot] = bits(source)
        for slot, source in slots.pointers:
            if not isinstance(source, Const) and source not in fixed:
                base, offset = sources.get(source, (source, 0))
                self._pointers.setdefault(base, []).append((slot, offset))
            else:
                array = np.asarray(source.data if isinstance(source, Const) else fixed[source])
                self._constants.append(array)
                self._template[slot] = address(array)

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        chunks = self.step.chunks if isinstance(self.step, Region) else 1
        each = ", once for each chunk" if chunks > 1 else ""
        names = "" if whole else f": {names_of(self.step.nodes)}"
        yield f"done by {number(numbers)} ({compiled_or_found(self.fresh)}){each}{names}"
        if source:
            yield from indented(source_lines("LLVM IR", self.kernel.text))

    def prepare(self) -> None:
        """Compile the kernel, or find it in the store."""
        self._loaded, self.fresh = ready(self.kernel.text, (WORK, TOTAL))
        self._work, self._total = WORK_TYPE(self._loaded[WORK]), TOTAL_TYPE(self._loaded[TOTAL])

    def run(self, env: Env) -> None:
        """Put the values of the step into ``env``."""
        kernel, in_place = self.kernel, self.kernel.ir.in_place
        for node in kernel.outs:
            env[node] = self._pool.take(node) if node not in in_place else _taken_over(env.pop(in_place[node]))
        args = self._template.copy()
        for slot, value in self._scalars:
            args[slot] = bits(env[value])
        held = []
        for base, slots in self._pointers.items():
            array = env[base]
            if not isinstance(array, np.ndarray):
                array = np.asarray(array)
            elif base not in self._as_planned and not array.flags.c_contiguous:
                array = array.copy(order="C")  # a view, or an array that NumPy made in another order
            held.append(array)
            at = address(array)
            for slot, offset in slots:
                args[slot] = at + offset
        chunks, chunk, extent = chunks_of(kernel)
        stride = kernel.partial_bytes
        block, sums = self._partials.take()
        counter = np.zeros(1, np.int64)
        where, next_ = address(args), address(counter)

        def work(_part: int, _worker: int) -> None:
            block, workspace = self._workspaces.take()
            self._work(where, next_, chunks, chunk, extent, sums, stride, workspace)
            self._workspaces.give(block)

        threads = min(chunks, self._threads) if is_shared(self.step, self._plan) else 1
        run_chunks(work, threads, threads)
        if kernel.may_be_outside is not None and args[kernel.may_be_outside]:
            raise Outside
        if kernel.partials:
            made = [np.empty(part.node.shape, part.node.dtype) for part in kernel.partials]
            outs = np.array([address(x) for x in made], np.int64)
            self._total(where, sums, chunks, stride, address(outs))
            for part, x in zip(kernel.partials, made, strict=True):
                env[part.node] = x[()]
        self._partials.give(block)


def is_shared(step: Region | Untiled, plan: Plan) -> bool:
    """Whether a step is long enough for several threads."""
    if not isinstance(step, Region) or step.chunks < 2:
        return False
    return work(step, plan.axes) > ALONE


class LoopStep:
    """A region that the interpreter runs, and the reason."""

    fresh = only_looks = False

    def __init__(self, step: Region, plan: Plan, reason: str, threads: int) -> None:
        self.step, self.reason, self._threads = step, reason, threads
        self.reads = {u for n in step.nodes for u in n.operands}
        self._loop = Loop(step, plan)

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        note = f" ({UNWRITTEN})" if source else ""
        yield f"done by the NumPy interpreter, tile by tile: {self.reason}{note}"

    def run(self, env: Env) -> None:
        """Put the values that the region stores and sums into ``env``."""
        self._loop.run(env, self._threads)


class LLVMProgram(Program):
    """A plan that kernels run.

    Parameters
    ----------
    plan : Plan
    held : dict of Value to array
        The layouts of inputs and views that it was planned for.
    threads : int
    build : callable
        ``build(graph, repeated) -> LLVMProgram``, for the body of a loop.
    repeated : bool
        Whether this is such a body, whose single call is repeated without Python.
    """

    def __init__(
        self,
        plan: Plan,
        held: dict[Value, Any],
        threads: int,
        build: Callable[[Graph, bool], Any],
        repeated: bool = False,
    ) -> None:
        self._held, self._repeated = held, repeated
        self._sources: dict[Value, tuple[Value, int]] = {
            node: (source, address(held[node]) - address(held[source]))
            for node in plan.views
            if (source := origin(node)) is not None
        }
        self._fixed = views_of_constants(plan)
        pool = self._pool = BufferPool()

        def kernel(step: Region | Untiled, alive: set[Value]) -> KernelStep:
            layouts = Layouts(held, alive, _dying(step, alive))
            return KernelStep(step, plan, layouts, self._sources, self._fixed, threads, pool)

        def library(node: Node, reason: str) -> LibraryStep | LoopOfBodies:
            if node.op is LOOP:
                return LoopOfBodies(node, build)
            return LibraryStep(node, reason, library="NumPy", empty=pool.take, source=UNWRITTEN)

        lowering = StepLowering(kernel, lambda step, why: [LoopStep(step, plan, why, threads)], library)
        super().__init__(plan, lowering.groups(plan))
        self.not_single = ""
        self.single_call = self._fuse(threads)
        if self.single_call is None:
            for step in self.steps:
                if isinstance(step, KernelStep):
                    step.prepare()
            self.compiled = sum(step.fresh for step in self.steps)
        else:
            self.compiled = int(self.single_call.fresh)
        pool.keep({n for step in self.steps for n in _filled(step)} - set(plan.graph.outputs))

    def _read_as_arrays(self) -> set[Value]:
        """Leave out the views that only kernels read, which find them by the address of their input."""
        others = [n for s in self.steps if not isinstance(s, KernelStep) for n in s.step.nodes]
        return {*self.plan.graph.outputs, *(u for n in others for u in n.operands)}

    def _fuse(self, threads: int) -> SingleCall | None:
        """The whole program as a single call, if kernels do all of it."""
        steps = [step for step in self.steps if isinstance(step, KernelStep)]
        read = {u for step in steps for u in step.reads}
        others = [
            step
            for step in self.steps
            if not isinstance(step, KernelStep)
            and (self._repeated or not step.only_looks or not read.isdisjoint(step.step.nodes))
        ]
        if others:
            self.not_single = f"{names_of(others[0].step.nodes)} is done by no kernel"
            return None
        plan, inputs = self.plan, [self._held[v] for v in self.plan.graph.inputs]
        try:
            kernels: list[Kernel] = []
            looks = {n for step in self.steps if step.only_looks for n in step.step.nodes}
            alive: set[Value] = {looked_into(v) if v in looks else v for v in plan.graph.outputs}
            for k, step in reversed(list(enumerate(steps))):
                layouts = Layouts(self._held, alive, _dying(step.step, alive))
                kernels.insert(0, Kernel(step.step, plan, layouts, str(k)))
                alive = alive | set(step.reads)
            long = {k for k, step in enumerate(steps) if is_shared(step.step, plan)}
            shared = long if threads > 1 else set()
            return SingleCall(
                plan, kernels, inputs, self._sources, self._fixed, ready, shared, threads, self._repeated
            )
        except ValueError as error:
            self.not_single = str(error)
            return None

    def describe(self, source: bool) -> list[str]:
        """The lines of `explain` about each step."""
        if self.single_call is None:
            return super().describe(source)
        lines = [line for k, step in enumerate(self.plan.steps) for line in describe_step(self.plan, k, step)]
        call = self.single_call
        numbers = ", ".join(map(str, sorted(call.work)))
        shared = f", the chunks of step {numbers} by threads" if call.work else ""
        lines.append(f"all steps done by kernel 0 ({compiled_or_found(call.fresh)}), in one call{shared}")
        return lines + (indented(source_lines("LLVM IR", self.single_call.text)) if source else [])

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        if self.single_call is not None and not self._repeated:
            found = self.single_call.run(inputs)
            return self._outside(inputs) if found is None else found
        env = self.begin(inputs)
        try:
            for step in self.steps:
                step.run(env)
        except Outside:
            return self._outside(inputs)
        outputs = unshared([env[v] for v in self.plan.graph.outputs], inputs)
        self._pool.give(env, outputs)
        return [x[()] if x.ndim == 0 else x for x in map(np.asarray, outputs)]

    def entry(self, args: tuple[Any, ...], result: Any, guards: Sequence[Guard], missing: Any) -> Any:
        """A native function of the tuple ``args`` (`entry.entry`); None where there is none."""
        if self.single_call is None or self._repeated:
            return None
        return entry(self.single_call, args, result, guards, missing, ready)

    def _outside(self, inputs: Sequence[Any]) -> list[Any]:
        """Node by node: the node whose index is outside its axis, or that refuses its operand, raises."""
        with np.errstate(all="ignore"):
            return unshared(reference.run(self.plan.graph, inputs), inputs)


def _dying(step: Region | Untiled, alive: set[Value]) -> set[Value]:
    """The values that ``step`` reads last, if each has an array of its own, whoever computed it."""
    kept = {looked_into(v) for v in alive}
    return {
        u
        for n in step.nodes
        for u in n.operands
        if isinstance(u, Node)
        and u not in kept
        and not u.op.traits.isdisjoint(("pointwise", "slices", "cheap"))
        and u.op.traits.isdisjoint(("same", "view"))
    }


def _taken_over(array: Any) -> Any:
    """``array``, which nothing else reads, to be written to; a copy if it looks into another."""
    if array.base is None and array.flags.c_contiguous and array.flags.writeable:
        return array
    return array.copy(order="C")


def _filled(step: Any) -> list[Node]:
    """The nodes for which a step takes arrays from the pool."""
    if isinstance(step, KernelStep):
        return step.kernel.outs
    return [n for n in step.step.nodes if isinstance(step, LibraryStep) and fills_an_array(n)]
