"""What a generator of kernels provides, and what it is given.

A generator takes the steps of a plan in four stages, each a call:

- *supports*: ``check(node)`` raises `Declined` with the reason where it has no instructions for a node; `lower`
  asks it for each node of a step, and what is declined runs by the library, under that reason;
- *render*: the kernel IR of a step (`xpgrad.codegen.lower`) becomes text, with a list of arguments;
- *build*: the text becomes machine code, kept by its text (`store`);
- *launch*: a `ProgramStep` calls it on the arrays of a run.

The smallest one is `xpgrad.backends.definition`, which carries the IR out in NumPy. `Program` puts the steps
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from xpgrad.core import Value
from xpgrad.plan.plan import Step

Env = dict[Value, Any]
"""What the values of a graph are in one run."""


class ProgramStep(Protocol):
    """A step of a program.

    Attributes
    ----------
    step : Region or Untiled
        What it does of the plan.
    fresh : int
        How many kernels had to be compiled for it.
    only_looks : bool
        Whether it computes nothing: a view that later steps need.
    """

    @property
    def step(self) -> Step: ...

    @property
    def fresh(self) -> int: ...

    @property
    def only_looks(self) -> bool: ...

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """What `explain` says of it, by lines.

        ``numbers`` gives kernels theirs; ``whole``: it does all of the plan's step; ``source``: with the text
        of its kernel.
        """
        ...

    def run(self, env: Env) -> None:
        """Fill in ``env`` what the step makes."""
        ...


class Runnable(Protocol):
    """What a compiled function calls.

    Attributes
    ----------
    compiled : int
        How many kernels had to be compiled.
    """

    compiled: int

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the graph; they share no memory with the inputs or one another."""
        ...

    def describe(self, source: bool) -> list[str]:
        """Each step, and what does it."""
        ...
