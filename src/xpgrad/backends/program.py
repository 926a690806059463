"""A program for any generator: kernels, and the library for the nodes that they decline.

In:  a Plan, and how a generator makes a kernel of a step.
Out: the program's steps in order, and the outputs when they run.
Holds: a node that no kernel takes is a step of the library, with the reason. Views that later steps need are
made before these, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.describe import describe_steps, names_of
from xpgrad.backends.interface import Env, ProgramStep
from xpgrad.backends.layouts import origin
from xpgrad.backends.outputs import unshared
from xpgrad.backends.reference import run_node
from xpgrad.core import Const, Node, Value, operands_of
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.axes import is_view
from xpgrad.plan.loop_nests import Declined, is_contraction
from xpgrad.plan.relations import is_blas_sized
from xpgrad.trace.tape import PICK

LOOKS = "only looks at what is stored"
"""The reason why a view is no part of a kernel."""


class LibraryStep:
    """A node that the array library computes, and the reason.

    Parameters
    ----------
    library : str
        Its name in `explain`.
    xp : module
        NumPy's functions for its arrays.
    empty : (node) -> array
        It allocates memory for the product of two large matrices.
    source : str
        A remark for `explain` with the text of kernels.
    """

    fresh = False

    def __init__(
        self,
        node: Node,
        reason: str,
        *,
        library: str,
        xp: Any = np,
        empty: Callable[[Node], Any],
        source: str = "",
    ) -> None:
        self.node, self.step, self.reason = node, Untiled([node], reason), reason
        self.only_looks = reason is LOOKS
        self.reads = list(node.operands)
        self._library, self._xp, self._empty, self._source = library, xp, empty, source

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        note = f" ({self._source})" if source and self._source else ""
        yield f"done by {self._library}: {self.reason}: {names_of(self.step.nodes)}{note}"

    def run(self, env: Env) -> None:
        """Put the value of the node into ``env``."""
        node = self.node
        if node.op is PICK:
            env[node] = env[node.operands[0]][node.params["index"]]
            return
        with at_line(node.at), np.errstate(all="ignore"):
            if fills_an_array(node):
                env[node] = self._xp.matmul(*operands_of(node, env), out=self._empty(node))
            else:
                env[node] = run_node(node, env)


class Program:
    """The steps of a plan, one after another.

    Attributes
    ----------
    plan : Plan
    groups : list of list of ProgramStep
        The steps of the program for each step of the plan.
    steps : list of ProgramStep
        The same, in one list.
    """

    def __init__(self, plan: Plan, groups: list[list[Any]], tiles: bool = True) -> None:
        self.plan, self.groups, self._tiles = plan, groups, tiles
        self.steps: list[Any] = [step for group in groups for step in group]
        self.compiled = sum(step.fresh for step in self.steps)
        self._views = needed(plan.views, self._read_as_arrays())

    def _read_as_arrays(self) -> set[Value]:
        """The values that the steps and the outputs read; the views among them become arrays."""
        used: set[Value] = set(self.plan.graph.outputs)
        for step in self.steps:
            used.update(u for n in step.step.nodes for u in n.operands)
        return used

    def begin(self, inputs: Sequence[Any]) -> Env:
        """The inputs, and those views of them that are read."""
        env: Env = dict(zip(self.plan.graph.inputs, inputs, strict=True))
        for node in self._views:
            env[node] = run_node(node, env)
        return env

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        env = self.begin(inputs)
        for step in self.steps:
            step.run(env)
        return unshared([env[v] for v in self.plan.graph.outputs], inputs)

    def describe(self, source: bool) -> list[str]:
        """The lines of `explain` about each step."""
        return describe_steps(self.plan, self.groups, source, tiles=self._tiles)


class StepLowering:
    """The lowering of a plan to the steps of a program.

    Parameters
    ----------
    kernel : (step, alive) -> ProgramStep
        It makes a kernel, or raises `Declined`; ``alive`` has the values that later steps or the outputs read.
    region : (Region, reason) -> list of ProgramStep, or None
        It takes a region that ``kernel`` declined; None if ``kernel`` declines none.
    library : (node, reason) -> ProgramStep
        It takes one node that ``kernel`` declined, or that only looks at what is stored.
    """

    def __init__(
        self,
        kernel: Callable[[Region | Untiled, set[Value]], ProgramStep],
        region: Callable[[Region, str], Sequence[ProgramStep]] | None,
        library: Callable[[Node, str], ProgramStep],
    ) -> None:
        self._kernel, self._region, self._library = kernel, region, library

    def groups(self, plan: Plan) -> list[list[ProgramStep]]:
        """The steps of the program for each step of ``plan``."""
        groups: list[list[ProgramStep]] = []
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
            groups.append([*found, *[self._library(node, LOOKS) for node in looks]])
            for one in found:
                alive.update(one.reads)
        return groups[::-1]

    def _of_region(self, step: Region, alive: set[Value]) -> Sequence[ProgramStep]:
        try:
            return [self._kernel(step, alive)]
        except Declined as error:
            if self._region is None:
                raise
            return self._region(step, str(error))

    def _of_run(self, nodes: Sequence[Node], reason: str, alive: set[Value]) -> list[ProgramStep]:
        """Kernels for runs of nodes, and the library for the nodes between them."""
        last = {u: k for k, n in enumerate(nodes) for u in n.operands}
        place = {node: k for k, node in enumerate(nodes)}
        found: list[ProgramStep] = []
        waiting: list[tuple[int, int] | ProgramStep] = [(0, len(nodes))]  # still to be tried, the first on top
        while waiting:
            part = waiting.pop()
            if not isinstance(part, tuple):
                found.append(part)
                continue
            begin, end = part
            if begin == end:
                continue
            tried = list(nodes[begin:end])
            # Values made before this part are in memory in any case; of its own, those that are read after it.
            read: set[Value] = {n for n in tried if n in alive or last.get(n, -1) >= end}
            if not read and all(map(is_view, tried)):
                continue  # views, which kernels read where they look
            try:
                later = {u for n in nodes[end:] for u in n.operands}
                found.append(self._kernel(Untiled(tried, reason), alive | later))
            except Declined as error:
                at = place[error.node]
                waiting += [(at + 1, end), self._library(error.node, str(error)), (begin, at)]
        return found


def fills_an_array(node: Node) -> bool:
    """True if the node is a BLAS-sized matmul, which the library writes to a given array."""
    return is_blas_sized(node) and node.ndim == 2 and is_contraction(node)


def line_of(nodes: Sequence[Node]) -> str | None:
    """The first known line of the user, for an error in a call that computes all of ``nodes``."""
    return next((n.at for n in nodes if n.at), None)


def views_of_constants(plan: Plan) -> dict[Value, Any]:
    """The views of the constants, which are the same in each call."""
    found: dict[Value, Any] = {}
    for node in plan.views:
        if origin(node) is None:
            found[node] = run_node(node, found)
    return found


def needed(views: Sequence[Node], used: set[Any]) -> list[Node]:
    """Those of ``views`` that are used, with the views that they look into."""
    found: list[Node] = []
    wanted = set(used)
    for node in reversed(views):
        if node in wanted:
            found.insert(0, node)
            wanted.update(node.operands)
    return found


def _looks(step: Region | Untiled, alive: set[Value]) -> list[Node]:
    """The views that a step makes for others, with the views that they look into."""
    found: list[Node] = []
    for node in reversed(step.nodes):
        through = any(node in later.operands for later in found)
        if is_view(node) and not isinstance(node.operands[0], Const) and (node in alive or through):
            found.insert(0, node)
    return found
