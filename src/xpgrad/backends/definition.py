"""The smallest generator: the interpreter of the kernel IR, with which the others are compared.

In:  a Plan, and the layouts of the arrays that it was made for.
Out: a Program whose kernels NumPy runs, statement by statement.
Holds: it takes whatever any generator may take; it is made to be read, and not to be fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xpgrad.backends import reference
from xpgrad.backends.describe import indented
from xpgrad.backends.interface import Env
from xpgrad.backends.layouts import InMemory
from xpgrad.backends.outputs import unshared
from xpgrad.backends.program import LibraryStep, Program, StepLowering
from xpgrad.codegen.interpret import interpret
from xpgrad.codegen.lower import lower
from xpgrad.codegen.show import show
from xpgrad.core import Node, Value
from xpgrad.plan import Plan, Region, Untiled
from xpgrad.plan.loop_nests import Declined, has_loops


class KernelStep:
    """A step that the interpreter of the kernel IR runs."""

    fresh = only_looks = False

    def __init__(self, step: Region | Untiled, plan: Plan, held: dict[Value, Any], alive: set[Value]) -> None:
        self.step, self._graph = step, plan.graph
        self.kernel = lower(step, plan, held, alive, check)
        self.reads = self.kernel.reads()
        self._tile = step.tile if isinstance(step, Region) else 0

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        yield "done by the interpreter of the kernel IR"
        if source:
            yield from indented(show(self.kernel, self._graph).splitlines())

    def run(self, env: Env) -> None:
        """Put the values of the step into ``env``."""
        for node, x in interpret(self.kernel, env, self._tile).items():
            env[node] = x


class Interpreted(Program):
    """A plan whose kernels are interpreted."""

    def __init__(self, plan: Plan, memory: InMemory) -> None:
        def library(node: Node, reason: str) -> LibraryStep:
            return LibraryStep(node, reason, library="NumPy", empty=lambda n: np.empty(n.shape, n.dtype))

        lowering = StepLowering(
            lambda step, alive: KernelStep(step, plan, memory.held, alive),
            lambda step, reason: [library(node, reason) for node in step.nodes],
            library,
        )
        super().__init__(plan, lowering.groups(plan))

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        try:
            outputs = super().run(inputs)
        except IndexError:  # node by node, the node itself raises the error
            return unshared(reference.run(self.plan.graph, inputs), inputs)
        return [x[()] if x.ndim == 0 else x for x in map(np.asarray, outputs)]


def check(node: Node) -> None:
    """Decline dtypes that the generators of kernels do not have."""
    if node.dtype.kind not in "fbiu" or node.dtype.itemsize > 8:
        raise Declined(node, f"gives {node.dtype}, in which kernels do not compute")
    if not has_loops(node.op) and node.op.kind not in ("elementwise", "constant", "linear"):
        raise Declined(node, "is no expression of one entry of each operand")
