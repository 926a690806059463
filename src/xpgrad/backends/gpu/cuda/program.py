"""A Plan as CUDA kernels on one device: built and launched.

In:  a Plan, the arrays that it was made for, and the inputs of each call.
Out: the outputs, new arrays on the device.
Holds: the library computes what no kernel can, and `describe` gives the reason. The device is a parameter: the
same program runs on a CUDA device and, in tests, behind a compiler for the CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.describe import indented, names_of, source_lines
from xpgrad.backends.gpu.cuda.arguments import Arguments, Device, Env, Refused, Work
from xpgrad.backends.gpu.cuda.graphs import CudaGraphs, OutputArena, Prepared
from xpgrad.backends.gpu.cuda.printing.kernel import Kernel
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.backends.gpu.cuda.tiles.fused_regions import fuse_regions
from xpgrad.backends.gpu.cuda.tiles.host_inputs import NotTileable, cut_of
from xpgrad.backends.gpu.cuda.tiles.host_loop import HostLoop, cache_tile
from xpgrad.backends.layouts import Layouts
from xpgrad.backends.program import LibraryStep, Program, StepLowering, line_of
from xpgrad.core import Input, Node, Value
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.axes import is_view
from xpgrad.plan.loop_nests import Declined
from xpgrad.plan.relations import is_blas_sized
from xpgrad.plan.tiles import looked_into


class KernelStep:
    """A step that kernels compute."""

    only_looks = False

    def __init__(self, step: Region | Untiled, plan: Plan, layouts: Layouts, device: Device) -> None:
        self.step, self.device = step, device
        self.kernel = Kernel(step, plan, layouts, device.limits)
        self.reads = self.kernel.builder.ir.reads()
        self.module, self.fresh = device.compile(self.kernel.text)
        self.arguments = Arguments(self.kernel, device)

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain`."""
        names = "" if whole else f": {names_of(self.step.nodes)}"
        yield f"done by CUDA kernels ({self.kernel.in_words(self.fresh)}){names}"
        if source:
            yield from indented(source_lines("CUDA C++, after the prelude", self.kernel.body))

    def allocate(self, env: Env, places: Env | None = None) -> Work:
        """Put the arrays that the step fills into ``env``, from ``places`` or new; return its work arrays."""
        kernel, xp = self.kernel, self.device.xp
        for node in kernel.outs:
            env[node] = places[node] if places and node in places else xp.empty(node.shape, node.dtype)
        work: Work = {}
        for node, (count, dtype) in kernel.partials.items():
            work["partial", node] = xp.empty(count * kernel.blocks, dtype)
        if kernel.workspace_bytes:
            work["workspace"] = xp.empty(kernel.workspace_bytes, np.uint8)
        return work

    def start(self, env: Env, work: Work) -> None:
        """Launch the kernels."""
        threads = self.device.limits.threads
        with at_line(line_of(self.step.nodes)):  # for CUDA's errors
            for launch in self.kernel.launches:
                if launch.grid:  # 0 where there are no samples
                    args = [self.arguments.of(p, env, work) for p in launch.params]
                    self.device.launch(self.module, launch.name, launch.grid, threads, args, launch.shared)

    def run(self, env: Env) -> None:
        """Put the results of the step into ``env``."""
        self.start(env, self.allocate(env))


class CudaProgram(Program):
    """A plan in CUDA kernels.

    Parameters
    ----------
    plan : Plan
    held : dict of Value to array
        The inputs and the views of them, as they were when the plan was made.
    device : Device
    hosts : set of Value
        Inputs that stay on the host and are copied tile by tile.

    Raises
    ------
    NotTileable
        One of ``hosts`` cannot stay there.
    """

    def __init__(
        self, plan: Plan, held: dict[Value, Any], device: Device, hosts: Collection[Value] = ()
    ) -> None:
        limits = device.limits
        if limits.fused_regions or hosts:  # tiles from the host go through matmuls, too
            plan = fuse_regions(plan, lambda region: cache_tile(region, plan.axes, device.l2, limits))
        self.device = device

        def kernel(step: Region | Untiled, alive: set[Value]) -> KernelStep | HostLoop:
            layouts, cut = Layouts(held, alive), cut_of(step, plan, hosts)
            if isinstance(step, Untiled):
                return KernelStep(step, plan, layouts, device)
            if cut or any(map(is_blas_sized, step.nodes)):
                return HostLoop(step, plan, layouts, device, cut)
            try:
                return KernelStep(step, plan, layouts, device)
            except Declined as error:
                return HostLoop(step, plan, layouts, device, cut, str(error))

        def library(node: Node, reason: str) -> LibraryStep:
            def empty(n: Node) -> Any:
                return device.xp.empty(n.shape, n.dtype)

            return LibraryStep(node, reason, library="the library", xp=device.xp, empty=empty)

        super().__init__(plan, StepLowering(kernel, None, library).groups(plan), tiles=False)
        for h in hosts:
            for step in self.steps:
                if isinstance(step, LibraryStep) and any(looked_into(u) is h for u in step.node.operands):
                    raise NotTileable(h, f"{step.node.op} is in no kernel: {step.reason}")
            if any(looked_into(v) is h for v in plan.graph.outputs):
                raise NotTileable(h, "it is an output")
        self._views = [v for v in self._views if looked_into(v) not in hosts]
        self._no_graph = self._why_no_graph()
        self._graphs = CudaGraphs(device, self._prepare) if self._no_graph is None else None

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        with self.device.working():
            if self._graphs is not None and not self._graphs.refused:
                found = self._graphs.run(inputs)
                if found is not None:
                    return found
            return super().run(inputs)

    def _prepare(self, inputs: Sequence[Any]) -> Prepared:
        """All kernels with their memory, so that launching them allocates none."""
        scalars = [
            self.device.xp.asarray(x) if isinstance(x, np.generic) and not v.weak else x
            for v, x in zip(self.plan.graph.inputs, inputs, strict=True)
        ]
        env = self.begin(scalars)
        outputs = self.plan.graph.outputs
        filled = {n for step in self.steps if isinstance(step, KernelStep) for n in step.kernel.outs}
        arena = OutputArena(self.device.xp, [v for v in dict.fromkeys(outputs) if v in filled])
        works = {}
        for step in self.steps:
            if isinstance(step, KernelStep):
                works[step] = step.allocate(env, arena.arrays)
            else:
                step.run(env)  # it only makes a view

        def start() -> None:
            before = dict(env)
            for step, work in works.items():
                step.start(env, work)
            if any(env[v] is not x for v, x in before.items()):
                raise Refused("between its kernels an array is copied into the order that they read")

        def used() -> list[Any]:
            return [*env.values(), *(x for work in works.values() for x in work.values())]

        return Prepared(start, [(v, env[v]) for v in outputs], arena, used)

    def _why_no_graph(self) -> str | None:
        """The reason why no graph is made; None where one is."""
        limits = self.device.limits
        if not limits.cuda_graphs:
            return "the switch `cuda_graphs` is off"
        for step in self.steps:
            if isinstance(step, HostLoop):
                return step.why_no_graph()
            if isinstance(step, LibraryStep) and not is_view(step.node):
                return f"{step.node.op.name} is the library's, which may refuse a captured stream"
        if sum(len(step.kernel.launches) for step in self.steps if isinstance(step, KernelStep)) < 2:
            return "one kernel is launched as fast as a graph"
        outputs = self.plan.graph.outputs
        if any(isinstance(v, Input) or v in self.plan.views for v in outputs):
            return "an output looks into an argument"
        size = sum(v.size * v.dtype.itemsize for v in outputs)
        return f"its outputs, {size} bytes, would have to be copied" if size > limits.graph_copied else None

    def describe(self, source: bool) -> list[str]:
        """Each step, and what computes it."""
        if self._graphs is None:
            graph = f"no CUDA graph: {self._no_graph}"
        elif self._graphs.refused:
            graph = f"no CUDA graph: the device refuses to capture it: {self._graphs.refused}"
        else:
            calls, count = self.device.limits.graph_calls, self._graphs.count
            graph = f"a CUDA graph after {calls} calls with the same buffers ({count} kept)"
        lines = [*super().describe(source), graph]
        if source and not all(isinstance(step, LibraryStep) for step in self.steps):
            lines += source_lines("the prelude, with which the text of each CUDA kernel begins", prelude())
        return lines
