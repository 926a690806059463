"""The protocol between a generator of kernels and the programs that it makes.

A generator takes the steps of a plan in four stages, each a call:

- *supports*: ``check(node)`` raises `Declined` with the reason if it has no instructions for a node; `lower`
  calls it for each node of a step, and the library runs what is declined, under that reason;
- *render*: the kernel IR of a step (`xpgrad.codegen.lower`) becomes text, with a list of arguments;
- *build*: the text becomes machine code, which is kept under its text (`store`);
- *launch*: a `ProgramStep` calls it on the arrays of a run.

The smallest one is `xpgrad.backends.definition`, which interprets the IR in NumPy. A `Program` runs the steps
in order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from xpgrad.core import Value
from xpgrad.plan.plan import Step

Env = dict[Value, Any]
"""The values of a graph in one run."""


class ProgramStep(Protocol):
    """A step of a program.

    Attributes
    ----------
    step : Region or Untiled
        The part of the plan that it runs.
    fresh : int
        The number of kernels that were compiled for it.
    only_looks : bool
        True if it computes nothing, and only makes a view that later steps need.
    """

    @property
    def step(self) -> Step: ...

    @property
    def fresh(self) -> int: ...

    @property
    def only_looks(self) -> bool: ...

    @property
    def reads(self) -> Collection[Value]:
        """The values whose arrays it reads: for a kernel what a view looks into, and not the view."""
        ...

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it.

        ``numbers`` yields the number of the next kernel. ``whole``: it runs all of the plan's step. ``source``
        adds the text of its kernel.
        """
        ...

    def run(self, env: Env) -> None:
        """Put the values of the step into ``env``."""
        ...


class Runnable(Protocol):
    """A program that a compiled function calls.

    Attributes
    ----------
    compiled : int
        The number of kernels that were compiled for it.
    """

    compiled: int

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        ...

    def describe(self, source: bool) -> list[str]:
        """The lines of `explain` about each step."""
        ...
