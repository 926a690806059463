"""Sums over tiles, and loops that wait for them."""

import numpy as np
import pytest

from plan.planning import assert_plan, plan_of
from xpgrad.plan import Target

X, COLUMNS, x = np.zeros((40, 3)), np.zeros((3, 40)), np.zeros(40)


def test_a_reduction_of_the_leading_axis_is_a_sum_over_tiles():
    assert_plan(
        """
        in   a  float64[40, 3]
        region over i0 < 40, tile 20, chunk 20
          loop over i0, i1
            b[i0, i1] = multiply(a[i0, i1], a[i0, i1])
            c[i1] = sum(b[i0, i1])
          sums c
        out  c
        """,
        lambda X: np.sum(X * X, axis=0),
        X,
    )


def test_a_reduction_of_the_last_axis_is_made_tile_by_tile():
    """56 bytes a sample: c is 8 more than above."""
    assert_plan(
        """
        in   a  float64[40, 3]
        region over i0 < 40, tile 16, chunk 16
          loop over i0, i1
            b[i0, i1] = multiply(a[i0, i1], a[i0, i1])
            c[i0] = sum(b[i0, i1])
          stores c
        out  c
        """,
        lambda X: np.sum(X * X, axis=1),
        X,
    )


def test_an_axis_that_is_kept_with_length_1_moves_no_other():
    assert_plan(
        """
        in   a  float64[40, 3]
        region over i1 < 40, tile 40, chunk 40
          loop over i0, i1
            b[0, i0] = sum(a[i1, i0])
          sums b
        region over i0 < 3, tile 4, chunk 4
          loop over i0
            c[0, i0] = multiply(b[0, i0], 2)
          stores c
        out  c
        """,
        lambda X: np.sum(X, axis=0, keepdims=True) * 2,
        X,
    )


def test_the_longer_axis_is_the_loop_where_it_is_reduced():
    assert_plan(
        """
        in   a  float64[3, 40]
        region over i1 < 40, tile 40, chunk 40
          loop over i0, i1
            b[i0] = max(a[i0, i1])
          sums b
        out  b
        """,
        lambda X: np.max(X, axis=1),
        COLUMNS,
    )


def test_the_mean_is_finished_before_the_loop_of_the_variance():
    """x lies in memory, so that the two loops over it are of different axes."""

    def variance(x):
        d = x - np.sum(x) / 40
        return np.sum(d * d) / 40

    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b = sum(a[i0])
          sums b
        untiled: scalars alone
          loop
            c = divide(b, 40)
        region over i1 < 40, tile 40, chunk 40
          loop over i1
            d[i1] = subtract(a[i1], c)
            e[i1] = multiply(d[i1], d[i1])
            f = sum(e[i1])
          sums f
        untiled: scalars alone
          loop
            g = divide(f, 40)
        out  g
        """,
        variance,
        x,
    )


def shares(f):
    def shares(x):
        z = f(x)
        return z / np.sum(z)

    return shares


def test_what_two_loops_read_is_stored_by_the_first():
    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = exp(a[i0])
            c = sum(b[i0])
          sums c
          stores b
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            d[i0] = divide(b[i0], c)
          stores d
        out  d
        """,
        shares(np.exp),
        x,
    )


def test_what_two_loops_read_is_computed_again_where_that_is_cheap():
    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = multiply(a[i0], 2)
            c = sum(b[i0])
          sums c
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = multiply(a[i0], 2)
            d[i0] = divide(b[i0], c)
          stores d
        out  d
        """,
        shares(lambda x: x * 2),
        x,
    )


@pytest.mark.parametrize(("lines", "nodes", "stores"), [(6, 7, 0), (7, 1, 1)])
def test_at_most_six_nodes_are_computed_again(lines, nodes, stores):
    def cheap(x):
        for _ in range(lines):
            x = x * 2
        return x

    first, second = plan_of(shares(cheap), x).steps
    assert (len(second.nodes), len(first.stores)) == (nodes, stores)


def test_what_the_second_loop_alone_reads_is_made_there():
    """In the first loop d would have to be stored."""

    def f(x):
        z = np.exp(x)
        s = np.sum(z)
        return np.sin(z) / s

    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = exp(a[i0])
            c = sum(b[i0])
          sums c
          stores b
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            d[i0] = sin(b[i0])
            e[i0] = divide(d[i0], c)
          stores e
        out  e
        """,
        f,
        x,
    )


def test_a_value_is_made_in_the_nest_that_reads_it():
    """Made at once, b would be in memory while c is summed."""
    assert_plan(
        """
        in   a  float64[5]
        untiled: too small for a loop over tiles
          loop over i1
            c = sum(a[i1])
          loop over i0
            b[i0] = exp(a[i0])
            d[i0] = multiply(b[i0], c)
        out  d
        """,
        lambda x: np.exp(x) * np.sum(x),
        np.zeros(5),
        target=Target(cache=1024),
    )
