"""Codes into a table: a read at codes, and additions by codes, go along with the samples."""

import numpy as np
import pytest

from plan.planning import assert_plan, plan_of
from xpgrad.ops.indexing import ARRAY, getitem, scatter_add
from xpgrad.plan import Region, Untiled
from xpgrad.plan.codes import COPIES, code_axis, has_large_table
from xpgrad.plan.tiles import CHUNKS
from xpgrad.trace import graph_of

x, codes, table = np.zeros(40), np.zeros(40, np.int32), np.zeros(5)


def test_a_read_at_codes_and_its_sum_are_one_loop():
    assert_plan(
        """
        in   a  float64[5]
        in   b  int32[40]
        in   c  float64[40]
        region over i0 < 40, tile 36, chunk 36
          loop over i0
            d[i0] = getitem(a[:], b[i0])
            e[i0] = multiply(d[i0], c[i0])
            f = sum(e[i0])
          sums f
        out  f
        """,
        lambda w, c, x: np.sum(w[c] * x),
        table,
        codes,
        x,
    )


def test_additions_by_codes_are_a_sum_over_tiles_in_a_nest_of_their_own():
    assert_plan(
        """
        in   a  float64[40]
        in   b  int32[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            c[i0] = exp(a[i0])
          scatter over i0
            d[i1] = scatter_add(c[i0], b[i0])
          sums d
        out  d
        """,
        lambda x, c: scatter_add(np.exp(x), c, index=(ARRAY,), shape=(5,)),
        x,
        codes,
    )


def test_a_table_in_whose_sum_each_chunk_would_clear_more_than_it_adds_is_not_tiled():
    def f(g, c):
        return scatter_add(np.exp(g), c, index=(ARRAY,), shape=(2000,))

    few, many = 4000, 200_000
    kinds = {}
    for m in (few, many):
        plan = plan_of(f, np.zeros(m), np.zeros(m, np.int64))
        kinds[m] = [type(step) for step in plan.steps for n in step.nodes if n.op.name == "scatter_add"]
    assert kinds == {few: [Untiled], many: [Region]}


def test_a_loop_has_at_most_as_many_copies_of_a_table_as_chunks():
    assert COPIES == CHUNKS


INDICES = {
    "w[c]": ((ARRAY,), 0),
    "w[:, c]": ((slice(None), ARRAY), 1),
    "w[..., c]": ((Ellipsis, ARRAY), 2),
    "w[c, ...]": ((ARRAY, Ellipsis), 0),
    "w[1:, c]": ((slice(1, None), ARRAY), None),
    "w[0, c]": ((0, ARRAY), None),
    "w[None, c]": ((None, ARRAY), None),
}


@pytest.mark.parametrize("name", INDICES)
def test_the_axis_that_codes_choose_along(name):
    index, axis = INDICES[name]
    graph, _ = graph_of(lambda w, c: getitem(w, c, index=index), np.zeros((5, 5, 5)), np.zeros(40, np.int64))
    assert code_axis(graph.nodes[0]) == axis


def test_a_table_without_entries_is_left_to_the_library_which_raises_the_error():
    graph, _ = graph_of(lambda g, c: scatter_add(g, c, index=(ARRAY,), shape=(0,)), x, codes)
    assert has_large_table(graph.nodes[0])
