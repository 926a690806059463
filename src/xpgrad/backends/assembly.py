"""A Plan as the steps of a program, for any generator: kernels, and rows for what they decline.

In:  a Plan, and how a generator makes a kernel of a step.
Out: the program's steps in order.
Holds: what no kernel takes is given back with the reason; views that later steps need are made where they
are needed, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from xpgrad.backends.reference import run_node
from xpgrad.core import Const, Input, Node, Operand, Value
from xpgrad.plan import Plan, Region, Straight
from xpgrad.plan.axes import is_view
from xpgrad.plan.nests import Declined, is_contraction
from xpgrad.plan.relations import is_fat

LOOKS = "only looks at what is stored"
"""Why a view is no part of a kernel."""


class Layouts(NamedTuple):
    """What is known when a kernel is made: the arrays that lie in memory before it runs.

    Attributes
    ----------
    held : dict of Value to array
        Inputs and views of them, as `layout_of` gives them.
    alive : set of Value
        What later steps or the outputs read.
    """

    held: dict[Value, Any]
    alive: set[Value]


def layout_of(x: Any) -> Any:
    """An array with the shape, dtype and strides of ``x``, whose entries are not to be read.

    What a program keeps of the arguments that it was planned for: the arguments themselves it lets go.
    """
    return placed(x.shape, x.dtype, x.strides)


def placed(shape: Sequence[int], dtype: Any, strides: Sequence[int]) -> Any:
    """As `layout_of`, of an array that is not there yet."""
    return as_strided(np.empty(1, dtype), shape, strides)


def check_strides(node: Node, held: Mapping[Value, Any]) -> None:
    """Decline a node that reads entries which lie a fraction of an entry off: a column of records, say."""
    for u in node.operands:
        array: Any = u.data if isinstance(u, Const) else held.get(u)
        if any(s % array.itemsize for s in getattr(array, "strides", ())):
            raise Declined(node, "of an array whose entries are not a whole number of entries apart")


class Assembly:
    """How a generator makes steps.

    Parameters
    ----------
    kernel : (step, alive) -> step of the program
        ``alive``: what later steps or the outputs read. Raises Declined.
    region : (Region, reason) -> steps of the program, or None
        For a region that ``kernel`` declined; None where it declines none.
    row : (node, reason) -> step of the program
        For one node that ``kernel`` declined, or that only looks at what is stored.
    """

    def __init__(
        self,
        kernel: Callable[[Region | Straight, set[Value]], Any],
        region: Callable[[Region, str], Sequence[Any]] | None,
        row: Callable[[Node, str], Any],
    ) -> None:
        self._kernel, self._region, self._row = kernel, region, row

    def groups(self, plan: Plan) -> list[list[Any]]:
        """The steps of the program in order, those of each step of ``plan`` together."""
        groups: list[list[Any]] = []
        alive: set[Value] = set(plan.graph.outputs)
        for step in reversed(plan.steps):
            looks = _looks(step, alive)
            for node in looks:
                alive.update(node.operands)
            alive.difference_update(looks)
            if isinstance(step, Region):
                stores = [n for n in step.tiled if n in alive and n not in looks]
                found = [*self._of_region(replace(step, stores=stores), alive)]
            else:
                found = self._of_run(step.nodes, step.reason, alive)
            groups.append([*found, *[self._row(node, LOOKS) for node in looks]])
            for node in step.nodes:
                alive.update(node.operands)
        return groups[::-1]

    def _of_region(self, step: Region, alive: set[Value]) -> Sequence[Any]:
        try:
            return [self._kernel(step, alive)]
        except Declined as error:
            if self._region is None:
                raise
            return self._region(step, str(error))

    def _of_run(self, nodes: Sequence[Node], reason: str, alive: set[Value]) -> list[Any]:
        """Kernels for runs of nodes, and rows for those between."""
        last = {u: k for k, n in enumerate(nodes) for u in n.operands}
        place = {node: k for k, node in enumerate(nodes)}
        found: list[Any] = []
        waiting: list[tuple[int, int] | Any] = [(0, len(nodes))]  # what is still to be tried, the first on top
        while waiting:
            part = waiting.pop()
            if type(part) is not tuple:
                found.append(part)
                continue
            begin, end = part
            if begin == end:
                continue
            tried = list(nodes[begin:end])
            # What is made before this part is in memory in any case; of its own, what is read after it.
            read: set[Value] = {n for n in tried if n in alive or last.get(n, -1) >= end}
            try:
                found.append(self._kernel(Straight(tried, reason), read))
            except Declined as error:
                at = place[error.node]
                waiting += [(at + 1, end), self._row(error.node, str(error)), (begin, at)]
        return found


def by_library(node: Node) -> bool:
    """Whether the library's product can be written to a given array."""
    return is_fat(node) and node.ndim == 2 and is_contraction(node)


def line_of(nodes: Sequence[Node]) -> str | None:
    """The user's line, for an error in what does all of ``nodes`` at once: the first that is known."""
    return next((n.at for n in nodes if n.at), None)


def origin(value: Operand) -> Input | None:
    """The input that a view looks into."""
    while isinstance(value, Node) and value.operands:
        value = value.operands[0]
    return value if isinstance(value, Input) else None


def views_of_constants(plan: Plan) -> dict[Value, Any]:
    """The views of arrays that the function closes over, which are the same in each call."""
    found: dict[Value, Any] = {}
    for node in plan.views:
        if origin(node) is None:
            found[node] = run_node(node, found)
    return found


def needed(views: Sequence[Node], used: set[Any]) -> list[Node]:
    """Of ``views`` those that are used, with what they look into."""
    found: list[Node] = []
    wanted = set(used)
    for node in reversed(views):
        if node in wanted:
            found.insert(0, node)
            wanted.update(node.operands)
    return found


def _looks(step: Region | Straight, alive: set[Value]) -> list[Node]:
    """The views that a step computes for others, with the views that they look through."""
    found: list[Node] = []
    for node in reversed(step.nodes):
        through = any(node in later.operands for later in found)
        if is_view(node) and not isinstance(node.operands[0], Const) and (node in alive or through):
            found.insert(0, node)
    return found
