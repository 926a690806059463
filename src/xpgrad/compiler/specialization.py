"""The trace of one signature of a compiled function, and the program that runs it.

In:  arrays for the inputs of the graph.
Out: a tree like the result of the user's function, or the DataError of a demand that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad.backends import reference
from xpgrad.backends.outputs import unshared
from xpgrad.compiler.capture_guards import CaptureGuards
from xpgrad.compiler.prior import Prior
from xpgrad.compiler.requirements import Requirements
from xpgrad.core import Graph
from xpgrad.passes import PassReport

Rebuild = Callable[[Sequence[Any]], Any]


class Specialization:
    """A compiled function for one signature.

    Attributes
    ----------
    graph : Graph
        The optimised graph. After the outputs of the function come the answers of ``demanded``.
    rebuild : callable
        It puts the outputs into a tree like the function's result.
    rewrites : list of str
        The rewritings of transforms before they differentiated, in words.
    reports : list of PassReport
    captures : CaptureGuards
        Guards for all that was read from outside while the function was traced.
    program : program
    demanded : Requirements or None
        Demands on the arrays of a call, which each call checks.
    settled : Requirements or None
        Demands on what stays the same from call to call, which the caller checks once.
    prior : Prior or None
        What ``program`` takes as further inputs: it depends on what stays the same from call to call.
    """

    def __init__(
        self,
        graph: Graph,
        rebuild: Rebuild,
        rewrites: list[str],
        reports: list[PassReport],
        captures: CaptureGuards,
    ) -> None:
        self.graph, self.rebuild, self.captures = graph, rebuild, captures
        self.rewrites, self.reports = rewrites, reports
        self.program: Any = None
        self.demanded: Requirements | None = None
        self.settled: Requirements | None = None
        self.prior: Prior | None = None

    def run(self, arrays: Sequence[Any]) -> Any:
        """The function's result for ``arrays``, or the DataError of a demand that does not hold."""
        outs = self.program.run(arrays if self.prior is None else [*arrays, *self.prior.of(arrays)])
        if self.demanded is not None:
            outs = self._held(outs, arrays)
        return self.rebuild(outs)

    def run_checked(self, arrays: Sequence[Any]) -> Any:
        """As `run`, node by node, under ``xg.debug(nans=True)``."""
        with np.errstate(all="ignore"):
            if self.demanded is not None:  # first: data that are refused may make NaN
                self.demanded.check(arrays)
            outs = unshared(reference.run(self.graph, arrays), arrays)
        return self.rebuild(outs if self.demanded is None else self._held(outs, arrays))

    def _held(self, outs: Sequence[Any], arrays: Sequence[Any]) -> Sequence[Any]:
        """The outputs without the answers of the demands, which must all hold."""
        assert self.demanded is not None
        n = len(outs) - len(self.demanded)
        self.demanded.refuse_unless(outs[n:], arrays)
        return outs[:n]
