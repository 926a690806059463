"""Runs a function's graph through a pass: verified before and after, and equal to the reference."""

import copy
import warnings

import numpy as np
import pytest

from xpgrad._trees import flatten
from xpgrad.backends import reference
from xpgrad.core import show, verify
from xpgrad.testing import tolerance
from xpgrad.testing.tolerances import close
from xpgrad.trace import graph_of


class Through:
    """What came of it: ``graph``, ``notes``, and the names of its ops."""

    def __init__(self, graph, notes):
        self.graph, self.notes = graph, notes

    @property
    def ops(self):
        return [node.op.name for node in self.graph.nodes]


def values(graph, args):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's mean of nothing
        return [np.asarray(x) for x in reference.run(graph, flatten(args)[0])]


@pytest.fixture
def through():
    """``through(passes, f, *args)``; with ``exact`` to the last bit, signs of zero included."""

    def through(passes, f, *args, exact=False, agree=True):
        graph, _ = graph_of(f, *args)
        verify(graph)
        before = copy.copy(graph.nodes)
        text = show(graph)
        expected = values(graph, args)
        notes = []
        out = graph
        for one in passes:
            out = one(out, notes.append)
            verify(out)
        assert graph.nodes == before
        assert show(graph) == text
        assert [v.aval for v in out.inputs] == [v.aval for v in graph.inputs]
        assert [v.aval for v in out.outputs] == [v.aval for v in graph.outputs]
        for a, b in zip(values(out, args), expected, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            if exact:
                assert np.array_equal(a, b, equal_nan=True)
                assert np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))
            elif agree:
                assert close(a, b, tolerance(b.dtype if b.dtype.kind in "fc" else np.float64).value)
        return Through(out, notes)

    return through
