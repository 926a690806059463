"""Values that are read elsewhere than they were made: views of inputs, and of what a step computes."""

import numpy as np

from plan.planning import assert_plan
from xpgrad.plan import Target

SMALL = Target(cache=1024)
X, A, x = np.zeros((40, 3)), np.zeros((4, 3)), np.zeros(40)


def test_a_transposed_value_is_read_where_it_is_made():
    assert_plan(
        """
        in   a  float64[40, 3]
        region over i0 < 40, tile 12, chunk 12
          view c = transpose(b, axes=(1, 0))
          loop over i0, i1
            b[i0, i1] = exp(a[i0, i1])
            d[i1, i0] = multiply(b[i0, i1], 2)
          stores d
        out  d
        """,
        lambda X: np.exp(X).T * 2,
        X,
    )


def test_a_value_and_its_transpose_meet_in_a_second_loop():
    """No value has one index on two axes: b is stored, and read through the view at another place."""

    def both(X):
        Z = np.exp(X)
        return Z + Z.T

    assert_plan(
        """
        in   a  float64[40, 40]
        region over i0 < 40, tile 4, chunk 4
          view c = transpose(b, axes=(1, 0))
          loop over i0, i1
            b[i0, i1] = exp(a[i0, i1])
          stores b
          stores c
        region over i0 < 40, tile 4, chunk 4
          loop over i0, i1
            d[i0, i1] = add(b[i0, i1], b[i1, i0])
          stores d
        out  d
        """,
        both,
        np.zeros((40, 40)),
    )


def test_a_slice_of_an_input_is_a_view():
    assert_plan(
        """
        in   a  float64[40]
        view b = getitem(a, index=slice(1, None, 2))
        region over i0 < 20, tile 20, chunk 20
          loop over i0
            c[i0] = add(b[i0], 1)
          stores c
        out  c
        """,
        lambda x: x[1::2] + 1,
        x,
    )


def test_a_slice_of_a_value_waits_until_the_value_is_stored():
    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = exp(a[i0])
          stores b
        untiled: no axis that can be taken tile by tile
          view c = getitem(b, index=slice(1, None, 2))
        region over i1 < 20, tile 20, chunk 20
          loop over i1
            d[i1] = add(b[2*i1 + 1], 1)
          stores d
        out  d
        """,
        lambda x: np.exp(x)[1::2] + 1,
        x,
    )


def test_a_slice_in_a_small_graph_is_read_with_its_start_and_step():
    assert_plan(
        """
        in   a  float64[40]
        untiled: too small for a loop over tiles
          view c = getitem(b, index=slice(1, None, 2))
          loop over i0
            b[i0] = exp(a[i0])
          loop over i1
            d[i1] = add(b[2*i1 + 1], 1)
        out  d
        """,
        lambda x: np.exp(x)[1::2] + 1,
        x,
        target=SMALL,
    )


def test_views_of_views_are_composed():
    assert_plan(
        """
        in   a  float64[4, 3]
        untiled: too small for a loop over tiles
          view c = getitem(b, index=slice(None, None, -1))
          view d = transpose(c, axes=(1, 0))
          loop over i0, i1
            b[i0, i1] = exp(a[i0, i1])
          loop over i1, i2
            e[i1, i2] = multiply(b[-i2 + 3, i1], 2)
        out  e
        """,
        lambda X: np.exp(X)[::-1].T * 2,
        A,
        target=SMALL,
    )


def test_a_slice_of_a_slice_starts_where_both_say():
    """Entry 0 of d is entry 3 of c, which is entry 7 of b."""
    assert_plan(
        """
        in   a  float64[40]
        untiled: too small for a loop over tiles
          view c = getitem(b, index=slice(1, None, 2))
          view d = getitem(c, index=slice(3, None, None))
          loop over i0
            b[i0] = exp(a[i0])
          loop over i2
            e[i2] = add(b[2*i2 + 7], 1)
        out  e
        """,
        lambda x: np.exp(x)[1::2][3:] + 1,
        x,
        target=SMALL,
    )


def test_axes_that_change_places_in_turn_are_told_from_their_inverse():
    assert_plan(
        """
        in   a  float64[2, 3, 4]
        untiled: too small for a loop over tiles
          view c = transpose(b, axes=(1, 2, 0))
          loop over i0, i1, i2
            b[i0, i1, i2] = exp(a[i0, i1, i2])
            d[i1, i2, i0] = multiply(b[i0, i1, i2], 2)
        out  d
        """,
        lambda X: np.exp(X).transpose(1, 2, 0) * 2,
        np.zeros((2, 3, 4)),
        target=SMALL,
    )


def test_a_value_that_is_spread_over_an_axis_costs_nothing_there():
    """By the entries that nodes touch the loop is over i0: c, which is none but b's, does not count."""
    assert_plan(
        """
        in   a  float64[3]
        region over i0 < 3, tile 4, chunk 4
          view c = broadcast_to(b, shape=(50, 3))
          loop over i0
            b[i0] = exp(a[i0])
          stores c
        out  c
        """,
        lambda x: np.broadcast_to(np.exp(x), (50, 3)),
        np.zeros(3),
    )


def test_a_reshape_that_adds_an_axis_is_a_view():
    assert_plan(
        """
        in   a  float64[40]
        in   b  float64[1, 3]
        region over i0 < 40, tile 24, chunk 24
          view d = reshape(c, shape=(40, 1))
          loop over i0
            c[i0] = exp(a[i0])
          loop over i0, i1
            e[i0, i1] = multiply(c[i0], b[0, i1])
          stores e
        out  e
        """,
        lambda x, y: np.exp(x).reshape(40, 1) * y,
        x,
        np.zeros((1, 3)),
    )


def test_a_reshape_that_regroups_axes_has_no_nests():
    assert_plan(
        """
        in   a  float64[4, 10, 3]
        untiled: too small for a loop over tiles
          no loop nests: reshape regroups axes of a value that is not in memory
            b = exp(a)
            c = reshape(b, shape=(4, 30))
            d = multiply(c, 2)
        out  d
        """,
        lambda X: np.exp(X).reshape(4, 30) * 2,
        np.zeros((4, 10, 3)),
        target=SMALL,
    )


def test_axes_of_one_length_are_not_the_same_where_a_reshape_regroups_them():
    assert_plan(
        """
        in   a  float64[6, 40]
        region over i1 < 40, tile 16, chunk 16
          loop over i0, i1
            b[i0, i1] = exp(a[i0, i1])
          stores b
        untiled: no axis that can be taken tile by tile
          no loop nests: reshape regroups axes of a stored value
            c = reshape(b, shape=(40, 6))
        region over i2 < 40, tile 8, chunk 8
          loop over i2, i3
            d[i2, i3] = multiply(c[i2, i3], 2)
          stores d
        out  d
        """,
        lambda X: np.exp(X).reshape(40, 6) * 2,
        np.zeros((6, 40)),
    )
