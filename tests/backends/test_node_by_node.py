"""A program that runs each node by the library: its outputs are the caller's own arrays."""

import numpy as np

from xpgrad._trees import flatten
from xpgrad.backends.choose import NodeByNode
from xpgrad.trace import graph_of


def run(f, *args):
    graph, _ = graph_of(f, *args)
    return NodeByNode(graph, "asked for").run(flatten(args)[0])


def test_outputs_share_no_memory_with_inputs_or_one_another():
    x = np.arange(6.0).reshape(2, 3)

    def f(x):
        y = np.exp(x)
        return x, x.T, x[0], y, y.T, y[1:]

    found = run(f, x)
    for k, a in enumerate(found):
        assert not np.shares_memory(a, x)
        assert not any(np.shares_memory(a, b) for b in found[k + 1 :])
    for a, b in zip(found, f(x), strict=True):
        assert np.array_equal(a, b)


def test_numbers_stay_what_they_are():
    total, count = run(lambda x, k: (np.sum(x), k * 2), np.ones(3), 2)
    assert (total, count) == (3, 4)
