"""Plans a function for arguments as they lie in memory, and compares the printed plan.

In the expected texts ``tile`` is the cache over the bytes of one entry of the axis in all that a tile
touches, rounded down to a multiple of four, and at most the extent rounded up to one.
"""

import textwrap

import numpy as np

from xpgrad._trees import flatten
from xpgrad.backends.layouts import in_memory
from xpgrad.core import verify
from xpgrad.plan import Target, make_plan
from xpgrad.plan.show import show
from xpgrad.trace import graph_of

# Every loop is worth its tiles. A tile has as many entries as fit the cache, a multiple of four.
LOOPS = Target(cache=1024, grain=4, run=16, small=0)


def plan_of(f, *args, target=LOOPS):
    """The plan of ``f`` as it is traced, without passes."""
    graph, _ = graph_of(f, *args)
    verify(graph)
    memory = in_memory(graph, [np.asarray(x) for x in flatten(args)[0]])
    return make_plan(graph, target, memory.views, memory.unit_axes())


def assert_plan(text, f, *args, target=LOOPS):
    """Assert that the plan of ``f`` prints as ``text``."""
    expected = textwrap.dedent(text).strip().splitlines()
    assert show(plan_of(f, *args, target=target)).splitlines() == expected
