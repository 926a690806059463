"""The trace of one signature of a compiled function, and the program that runs it.

In:  arrays for the inputs of the graph.
Out: a tree like the result of the user's function, or the DataError of a demand that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.backends import reference
from xpgrad.backends.outputs import unshared
from xpgrad.compiler.capture_guards import CaptureGuards
from xpgrad.compiler.guards import MISSING
from xpgrad.compiler.prior import Prior
from xpgrad.compiler.requirements import Requirements
from xpgrad.core import Graph
from xpgrad.devices.door import is_source
from xpgrad.passes import PassReport

Rebuild = Callable[[Sequence[Any]], Any]

_MADE = 3
"""How often a native function is made for one key, and for how many keys of a trace."""


class OutputNumber(int):
    """A place among the outputs of a graph, which stands for the output in a tree."""


class _Made(NamedTuple):
    """A native function, and how often it may still be made anew."""

    enter: Any
    left: int


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
        self._entries: dict[Any, _Made] = {}

    def run(self, arrays: Sequence[Any]) -> Any:
        """The function's result for ``arrays``, or the DataError of a demand that does not hold."""
        outs = self.program.run(arrays if self.prior is None else [*arrays, *self.prior.of(arrays)])
        if self.demanded is not None:
            outs = self._held(outs, arrays)
        return self.rebuild(outs)

    def entry(self, key: Any, args: tuple[Any, ...]) -> Any:
        """A native function of the tuple of arguments (`backends.cpu.llvm.entry`); None where there is none.

        ``args`` are those of a call, and ``key`` is theirs.
        """
        found = self._entries.get(key)
        if (
            found is None or found.left
        ):  # made once more where it declines: dtypes may be equal and not the same
            left = _MADE if found is None else found.left
            if len(self._entries) > _MADE:
                self._entries.clear()
            found = self._entries[key] = _Made(self._make_entry(args), left - 1)
        return found.enter

    def _make_entry(self, args: tuple[Any, ...]) -> Any:
        make = getattr(self.program, "entry", None)
        if make is None or self.prior is not None or self.demanded is not None:
            return None
        outputs = [OutputNumber(k) for k in range(len(self.graph.outputs))]
        result, rebuild, same = self.rebuild(outputs), self.rebuild, self.captures.same
        known = _is_plain(result)
        guards = self.captures.places()
        enter = make(args, result if known else tuple(outputs), guards or (), MISSING)
        if enter is None or (known and guards is not None):
            return enter

        def entered(given: tuple[Any, ...]) -> Any:
            if guards is None and not same():
                return None
            found = enter(given)
            return found if known or found is None else rebuild(found)

        return entered

    def run_checked(self, arrays: Sequence[Any]) -> Any:
        """As `run`, node by node, under ``xg.debug(nans=True)``."""
        source = next(filter(is_source, arrays), None)
        if source is not None:
            remedy = "give it some of the samples: source.read(0, 10_000)"
            what = "debug: ops run one by one on arrays in memory, and an argument is a source"
            raise TraceError(message(what, {"source": source}, remedy=remedy))
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


def _is_plain(result: Any) -> bool:
    """Whether a result is made of outputs in tuples and lists alone."""
    if type(result) is tuple or type(result) is list:
        return all(map(_is_plain, result))
    return type(result) is OutputNumber
