"""How compiled functions read sources: in how much memory, and who computes.

In:  the memory limit of a compiled function or a fit; for a cluster, who computes the partials of chunks.
Out: `Streaming`, which the programs of one function or one fit share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Protocol

from xpgrad._errors import TraceError, message
from xpgrad.core import Node
from xpgrad.data.memory import limit_of
from xpgrad.data.reading import Kept


class Streaming:
    """The memory for sources, which is found out when the first is read.

    Parameters
    ----------
    memory_limit : int, str or None
        As in `minimize`.
    """

    def __init__(self, memory_limit: Any = None) -> None:
        if memory_limit is not None:
            limit_of(memory_limit)  # which refuses what is none
        self.memory_limit = memory_limit

    @cached_property
    def kept(self) -> Kept:
        return Kept(self.memory_limit)


class Runner(Protocol):
    """Who computes the partials of the chunks of a step: a cluster."""

    def partials(self, program: Any, step: int, env: Any) -> Any:
        """The partials of all chunks of a step, uint8[chunks, bytes], in the order of the chunks."""
        ...


runner: ContextVar[Runner | None] = ContextVar("runner", default=None)


@contextmanager
def run_by(found: Runner) -> Iterator[None]:
    """Let ``found`` compute the partials of chunks."""
    token = runner.set(found)
    try:
        yield
    finally:
        runner.reset(token)


def not_a_sum(nodes: Sequence[Node], why: str, source: Any) -> TraceError:
    """The error of a function that is no sum over the samples of a source."""
    node = nodes[0]
    return TraceError(
        message(
            f"{node.op.name} {why}: the function is no sum over the samples of a source",
            {"value": node.aval, "source": source},
            at=node.at or "",
            remedy="read the source into memory: source.read()",
        )
    )
