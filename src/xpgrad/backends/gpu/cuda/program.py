"""A Plan as CUDA kernels on one device: built, launched.

In:  a Plan, the arrays that it was made for, and in each call the inputs.
Out: the outputs, new arrays on the device.
Holds: what no kernel can do is done by the library's rows, and `describe` gives the reason. The device is
a parameter, so that the same program runs on a CUDA device and, in tests, on a compiler for the CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.assembly import Assembly, by_library, needed
from xpgrad.backends.gpu.cuda.arguments import Arguments, Device, Env
from xpgrad.backends.gpu.cuda.frame import Layouts
from xpgrad.backends.gpu.cuda.kernel import THREADS, Kernel
from xpgrad.backends.gpu.cuda.stream import StreamedStep, Whole, cut_of
from xpgrad.backends.reference import run_node
from xpgrad.core import Value, operands_of
from xpgrad.plan import Plan, Region, Straight
from xpgrad.plan.tiles import looked_into


class KernelStep:
    """A step that kernels do."""

    def __init__(self, step: Region | Straight, plan: Plan, layouts: Layouts, device: Device) -> None:
        self.step, self.device = step, device
        self.kernel = Kernel(step, plan, layouts, device.limits)
        self.module, self.fresh = device.compile(self.kernel.text)
        self.arguments = Arguments(self.kernel, device)

    def run(self, env: Env) -> None:
        """Fill in ``env`` what the step makes."""
        kernel, device = self.kernel, self.device
        xp = device.xp
        for node in kernel.outs:
            env[node] = xp.empty(node.shape, node.dtype)
        work: dict[Any, Any] = {}
        for node, (count, dtype) in kernel.partials.items():
            work["partial", node] = xp.empty(count * kernel.blocks, dtype)
        if kernel.scratch_bytes:
            work["scratch"] = xp.empty(kernel.scratch_bytes, np.uint8)
        for launch in kernel.launches:
            if launch.grid:  # 0 where there are no samples
                args = [self.arguments.of(p, env, work) for p in launch.params]
                device.launch(self.module, launch.name, launch.grid, THREADS, args, launch.shared)


class RowStep:
    """A node that the library's row does, and why."""

    fresh = False

    def __init__(self, node: Value, reason: str, device: Device) -> None:
        self.node, self.step = node, Straight([node], reason)
        self.reason, self.device = reason, device

    def run(self, env: Env) -> None:
        node = self.node
        with at_line(node.at), np.errstate(all="ignore"):
            if by_library(node):
                left, right = operands_of(node, env)
                env[node] = self.device.xp.matmul(left, right, out=self.device.xp.empty(node.shape, node.dtype))
            else:
                env[node] = run_node(node, env)


class Program:
    """A plan in CUDA kernels.

    Parameters
    ----------
    plan : Plan
    held : dict of Value to array
        The inputs and the views of them, as they were when it was planned.
    device : Device
    hosts : set of Value
        Inputs that stay on the host and are copied tile by tile.

    Raises
    ------
    Whole
        One of ``hosts`` cannot stay there.
    """

    def __init__(
        self, plan: Plan, held: dict[Value, Any], device: Device, hosts: Collection[Value] = ()
    ) -> None:
        self.plan, self.device = plan, device

        def kernel(step: Region | Straight, alive: set[Value]) -> Any:
            cut = cut_of(step, plan, held, hosts)
            if cut.hosts:
                assert isinstance(step, Region)
                return StreamedStep(step, plan, Layouts(held, alive), device, cut)
            return KernelStep(step, plan, Layouts(held, alive), device)

        self.steps = Assembly(
            kernel,
            lambda step, reason: [RowStep(node, reason, device) for node in step.nodes],
            lambda node, reason: RowStep(node, reason, device),
        ).steps(plan)
        self.compiled = sum(step.fresh for step in self.steps)
        used = {u for s in self.steps for n in s.step.nodes for u in n.inputs} | set(plan.graph.outputs)
        for h in hosts:
            for step in self.steps:
                if isinstance(step, RowStep) and any(
                    u is not None and looked_into(u) is h for u in step.node.inputs
                ):
                    raise Whole(h, f"{step.node.op} is in no kernel: {step.reason}")
            if any(looked_into(v) is h for v in plan.graph.outputs):
                raise Whole(h, "it is an output")
        self._views = [v for v in needed(plan.views, used) if looked_into(v) not in hosts]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        env: Env = dict(zip(self.plan.graph.inputs, inputs, strict=True))
        for node in self._views:
            env[node] = run_node(node, env)
        for step in self.steps:
            step.run(env)
        return self._owned([env[v] for v in self.plan.graph.outputs], inputs)

    def _owned(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        seen = {id(_base(x)) for x in inputs}
        found = []
        for x in outputs:
            if self.device.is_here(x):
                if id(_base(x)) in seen:
                    x = x.copy()
                seen.add(id(_base(x)))
            found.append(x)
        return found

    def describe(self) -> list[str]:
        """For each step what does it."""
        lines = []
        for step in self.steps:
            names = ", ".join(n.op.name for n in step.step.nodes if n.op is not None)
            if isinstance(step, RowStep):
                lines.append(f"by the library's row: {step.reason}: {names}")
                continue
            if isinstance(step, StreamedStep):
                lines += step.describe()
            kernel = step.kernel
            told = "compiled now" if step.fresh else "found ready"
            blocks = f", {kernel.blocks} blocks" if isinstance(step.step, Region) else ""
            lines.append(f"by CUDA kernels ({told}; {kernel.form}{blocks}): {names}")
        return lines


def _base(x: Any) -> Any:
    """The array whose memory ``x`` looks into."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x
