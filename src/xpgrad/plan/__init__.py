"""From a Graph to a Plan: axes, regions, tiles."""

from __future__ import annotations

from collections.abc import Callable

from xpgrad.core import Graph, Value
from xpgrad.plan.axes import Axes, views_of_memory
from xpgrad.plan.plan import Plan, Region, Straight
from xpgrad.plan.regions import schedule
from xpgrad.plan.tiles import Target, set_tiles

__all__ = ["Plan", "Region", "Straight", "Target", "make_plan"]


def make_plan(
    graph: Graph,
    target: Target,
    is_viewable: Callable[[Value], bool],
    unit_axis: Callable[[Value], int | None] = lambda _: None,
) -> Plan:
    """Cut ``graph`` into steps for ``target``.

    ``is_viewable(node)`` says whether a reshape of an input is a view, which its strides decide;
    ``unit_axis(value)`` along which axis an input, or a view of one, is contiguous.
    """
    views = views_of_memory(graph, is_viewable)
    axes = Axes(graph, {*graph.inputs, *views})
    seen = set(views)
    nodes = [n for n in graph.nodes if n not in seen]
    plan = Plan(graph, axes, views, schedule(nodes, axes, graph.outputs, target.small))
    for step in plan.steps:
        if isinstance(step, Region):
            set_tiles(step, axes, target, unit_axis)
    return plan
