"""What depends on the data of a program alone: computed once, kept while the data are the same.

In:  the arrays of a call.
Out: the values that the rest of the program takes as further inputs.
Holds: other arrays than those of the last call are computed anew. Arrays that are written to between two calls
are not noticed, so it is for callers who keep their data, as `minimize` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

from xpgrad.backends import choose
from xpgrad.backends.streaming import Streaming
from xpgrad.core import Graph, Node


class Prior:
    """The hoisted part of one trace.

    Parameters
    ----------
    graph : Graph
        The ``prior`` of `passes.hoist.hoisted`.
    arrays : sequence of arrays
        Those of the call that is traced.
    fixed_from : int
        The number of inputs that change from call to call, which are the first.
    threads : int
    streaming : Streaming, optional
        How sources among the arrays are read.

    Attributes
    ----------
    compiled : int
        The number of kernels that were compiled for it.
    """

    def __init__(
        self,
        graph: Graph,
        arrays: Sequence[Any],
        fixed_from: int,
        threads: int,
        streaming: Streaming | None = None,
    ) -> None:
        self.graph, self._fixed_from = graph, fixed_from
        self.program = choose.build(graph, arrays, threads, streaming=streaming)
        self.compiled: int = self.program.compiled
        self._latest: tuple[Sequence[Any], list[Any]] | None = None

    def of(self, arrays: Sequence[Any]) -> list[Any]:
        """The values for the data among ``arrays``."""
        data = arrays[self._fixed_from :]
        latest = self._latest
        if latest is None or not all(map(is_, data, latest[0])):
            latest = self._latest = data, self.program.run(arrays)
        return latest[1]

    def describe(self, source: bool) -> list[str]:
        """The lines of `explain` about it."""
        nodes = [v for v in self.graph.outputs if isinstance(v, Node)]
        outputs = ", ".join(f"{n.op.name} {n.aval}" + (f" at {n.at}" if n.at else "") for n in nodes)
        return [
            f"computed once for the same data: {outputs}",
            *("  " + x for x in self.program.describe(source)),
        ]
