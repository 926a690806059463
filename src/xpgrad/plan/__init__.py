"""From a Graph to a Plan: loop axes, regions, tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xpgrad.core import Graph, Node, Value
from xpgrad.plan.axes import Axes
from xpgrad.plan.plan import Plan, Region, Untiled
from xpgrad.plan.regions import schedule
from xpgrad.plan.tiles import Target, set_tiles

__all__ = ["Plan", "Region", "Target", "Untiled", "make_plan"]


def make_plan(graph: Graph, target: Target, views: Sequence[Node], unit_axes: Mapping[Value, int]) -> Plan:
    """Cut ``graph`` into steps for ``target``.

    Parameters
    ----------
    views : sequence of Node
        The nodes that only look at inputs or constants, in order; strides decide which reshapes do.
    unit_axes : dict of Value to int
        For inputs, and views of them, the axis along which they are contiguous.
    """
    axes = Axes(graph, {*graph.inputs, *views})
    seen = set(views)
    nodes = [n for n in graph.nodes if n not in seen]
    plan = Plan(graph, axes, list(views), schedule(nodes, axes, graph.outputs, target, unit_axes))
    for step in plan.steps:
        if isinstance(step, Region):
            set_tiles(step, axes, target, unit_axes)
    return plan
