"""Regions over one axis, and the library's matmuls between them, fused into one region.

    step 0: dot                      step 0: one loop over the samples: dot, add, tanh, dot
    step 1: one loop: add, tanh
    step 2: dot

In:  a Plan, which keeps BLAS-sized matmuls out of its loops.
Out: a Plan with the same nodes, for a loop on the host over matmuls and kernels.
Holds: in a fused region each node reads the samples that it computes, and no finished sum of the same region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xpgrad.core import Value
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.plan import Step
from xpgrad.plan.relations import is_blas_sized


def fuse_regions(plan: Plan, tile: Callable[[Region], int]) -> Plan:
    """``plan`` with its regions fused; ``tile(region)`` is the number of samples per tile."""
    if not any(is_blas_sized(n) for step in plan.steps for n in step.nodes):
        return plan
    steps = [part for step in plan.steps for part in _apart(step)]
    for loop_axis in dict.fromkeys(s.loop_axis for s in plan.steps if isinstance(s, Region)):
        steps = _along(steps, loop_axis, plan.axes)
    order = {node: k for k, node in enumerate(plan.graph.nodes)}
    found: list[Step] = []
    for step in steps:
        last = found[-1] if found else None
        if isinstance(step, Untiled) and isinstance(last, Untiled) and last.reason == step.reason:
            last.nodes += step.nodes
        else:
            found.append(step)
    for k, step in enumerate(found):
        if isinstance(step, Region) and any(map(is_blas_sized, step.nodes)):
            step.nodes.sort(key=order.__getitem__)
            others = [n for s in found if s is not step for n in s.nodes]
            read = {u for n in others for u in n.operands} | set(plan.graph.outputs)
            step.stores = [n for n in step.nodes if n in step.tiled and n in read]
            samples = tile(step)
            found[k] = replace(step, tile=samples, chunk=samples)
    return replace(plan, steps=found)


def _apart(step: Step) -> list[Step]:
    return [step] if isinstance(step, Region) else [Untiled([n], step.reason) for n in step.nodes]


def _along(steps: Sequence[Step], loop_axis: int, axes: Axes) -> list[Step]:
    """The steps in another order, with those over ``loop_axis`` fused."""
    found: list[Step] = []
    rest = list(steps)
    while any(isinstance(s, Untiled) and _goes_along(s, loop_axis, axes) for s in rest):
        group = _Group(loop_axis, axes)
        before: list[Step] = []
        late: list[Step] = []
        kept: set[Value] = set()
        for step in rest:
            reads = {u for n in step.nodes for u in n.operands} - set(step.nodes)
            free = group.takes(step)
            if reads & kept or (not free and reads & group.made):
                late.append(step)
                kept.update(set(step.nodes) - group.made)
            elif free:
                group.steps.append(step)
                group.made.update(step.nodes)
            else:
                before.append(step)
        found += [*before, *group.result()]
        rest = late
    return found + rest


def _goes_along(step: Step, loop_axis: int, axes: Axes) -> bool:
    """True if the step is a loop over ``loop_axis``, or a BLAS-sized matmul that can be part of one."""
    if isinstance(step, Region):
        return step.loop_axis == loop_axis
    node = step.nodes[0]
    return is_blas_sized(node) and (loop_axis in axes.loop_axes(node) or loop_axis in axes.reduced(node))


class _Group:
    """Steps that can be one loop."""

    def __init__(self, loop_axis: int, axes: Axes) -> None:
        self.loop_axis, self.axes = loop_axis, axes
        self.steps: list[Step] = []
        self.made: set[Value] = set()

    def takes(self, step: Step) -> bool:
        """True if the step reads the loop's results at the sample that it computes, and at no other."""
        if not _goes_along(step, self.loop_axis, self.axes):
            return False
        inside = set(step.nodes)
        for node in step.nodes:
            for i, u in enumerate(node.operands):
                if u not in self.made or u in inside:
                    continue
                loop_axes = self.axes.operand_loop_axes(node, i)
                own = self.axes.axis(u, self.loop_axis)
                if own is None or self.loop_axis not in loop_axes or loop_axes.index(self.loop_axis) != own:
                    return False
        return True

    def result(self) -> list[Step]:
        """One region, if the steps are matmuls and loops; otherwise the steps as they were."""
        regions = [s for s in self.steps if isinstance(s, Region)]
        if not regions or len(regions) == len(self.steps):
            return self.steps
        nodes = list(dict.fromkeys(n for s in self.steps for n in s.nodes))
        tiled = {n: a for n in nodes if (a := self.axes.axis(n, self.loop_axis)) is not None}
        sums = [n for n in nodes if n not in tiled]
        assert not any(is_view(n) for n in sums)
        return [Region(self.loop_axis, regions[0].extent, nodes, tiled, sums, [])]
