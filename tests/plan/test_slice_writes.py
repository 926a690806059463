"""Arrays that are written slice by slice, and entries that class labels choose."""

import numpy as np

from plan.planning import assert_plan
from xpgrad.ops.indexing import ARRAY, scatter_add, scatter_sum
from xpgrad.plan import Target

SMALL = Target(cache=1024)
X, A, x = np.zeros((40, 3)), np.zeros((4, 3)), np.zeros(40)


def test_concatenate_writes_one_slice_after_the_other():
    assert_plan(
        """
        in   a  float64[3]
        in   b  float64[4]
        untiled: too small for a loop over tiles
          slices over i0
            c[p0] = a[p0]  p0 < 3
            c[p0 + 3] = b[p0]  p0 < 4
          loop over i0
            d[i0] = multiply(c[i0], 2)
        out  d
        """,
        lambda x, y: np.concatenate([x, y]) * 2,
        np.zeros(3),
        np.zeros(4),
        target=SMALL,
    )


def test_concatenate_along_the_samples_waits_for_them():
    assert_plan(
        """
        in   a  float64[40]
        in   b  float64[20]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            c[i0] = exp(a[i0])
          stores c
        untiled: no axis that can be taken tile by tile
          slices over i1
            d[p0] = c[p0]  p0 < 40
            d[p0 + 40] = b[p0]  p0 < 20
        out  d
        """,
        lambda x, y: np.concatenate([np.exp(x), y]),
        x,
        np.zeros(20),
    )


def test_concatenate_of_features_is_in_the_loop_over_samples():
    assert_plan(
        """
        in   a  float64[40, 3]
        in   b  float64[40, 2]
        region over i0 < 40, tile 12, chunk 12
          slices over i0, i1
            c[p0, p1] = a[p0, p1]  p0 < 40, p1 < 3
            c[p0, p1 + 3] = b[p0, p1]  p0 < 40, p1 < 2
          stores c
        out  c
        """,
        lambda X, Y: np.concatenate([X, Y], axis=1),
        X,
        np.zeros((40, 2)),
    )


def test_pad_is_a_slice_in_zeros():
    assert_plan(
        """
        in   a  float64[3]
        untiled: no axis that can be taken tile by tile
          slices over i0
            b[p0] = 0  p0 < 6
            b[p0 + 1] = a[p0]  p0 < 3
        out  b
        """,
        lambda x: np.pad(x, (1, 2)),
        np.zeros(3),
    )


def test_a_write_to_a_slice_has_its_start_and_step():
    def written(x, v):
        y = x * 2
        y[1:5:2] = v
        return y

    assert_plan(
        """
        in   a  float64[6]
        in   b  float64[2]
        untiled: too small for a loop over tiles
          loop over i0
            c[i0] = multiply(a[i0], 2)
          slices over i1
            d[p0] = c[p0]  p0 < 6
            d[2*p0 + 1] = b[p0]  p0 < 2
        out  d
        """,
        written,
        np.zeros(6),
        np.zeros(2),
        target=SMALL,
    )


def test_a_write_to_a_row_has_one_row():
    def written(X, v):
        Y = X * 2
        Y[2] = v
        return Y

    assert_plan(
        """
        in   a  float64[4, 3]
        in   b  float64[3]
        untiled: too small for a loop over tiles
          loop over i0, i1
            c[i0, i1] = multiply(a[i0, i1], 2)
          slices over i1, i2
            d[p0, p1] = c[p0, p1]  p0 < 4, p1 < 3
            d[2, p1] = b[p1]  p1 < 3
        out  d
        """,
        written,
        A,
        np.zeros(3),
        target=SMALL,
    )


def test_a_write_of_a_row_to_several_is_one_slice_write():
    def written(X, v):
        Y = X * 2
        Y[1:3] = v
        return Y

    assert_plan(
        """
        in   a  float64[4, 3]
        in   b  float64[3]
        untiled: too small for a loop over tiles
          loop over i0, i1
            c[i0, i1] = multiply(a[i0, i1], 2)
          slices over i1, i2
            d[p0, p1] = c[p0, p1]  p0 < 4, p1 < 3
            d[p0 + 1, p1] = b[p1]  p0 < 2, p1 < 3
        out  d
        """,
        written,
        A,
        np.zeros(3),
        target=SMALL,
    )


def test_a_write_in_reverse_order_waits_for_the_array():
    def written(x, v):
        y = np.exp(x)
        y[::-1] = v
        return y

    assert_plan(
        """
        in   a  float64[40]
        in   b  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            c[i0] = exp(a[i0])
          stores c
        untiled: no axis that can be taken tile by tile
          slices over i1
            d[p0] = c[p0]  p0 < 40
            d[-p0 + 39] = b[p0]  p0 < 40
        out  d
        """,
        written,
        x,
        x,
    )


def test_scatter_sum_adds_slices():
    assert_plan(
        """
        in   a  float64[3]
        in   b  float64[2]
        untiled: no axis that can be taken tile by tile
          slices over i0
            c[p0] = 0  p0 < 6
            c[p0] += a[p0]  p0 < 3
            c[2*p0 + 1] += b[p0]  p0 < 2
        out  c
        """,
        lambda x, y: scatter_sum(x, y, indices=(slice(0, 3), slice(1, 5, 2)), shape=(6,), dtype=np.float64),
        np.zeros(3),
        np.zeros(2),
    )


# ── labels ───────────────────────────────────────────────────────────────────────────────────
def test_an_entry_of_each_row_is_chosen_in_the_loop():
    """32 bytes of a row of Z; 8 each of the result, of the rows' numbers and of the labels."""
    assert_plan(
        """
        in   a  float64[40, 4]
        in   b  int64[40]
        region over i0 < 40, tile 16, chunk 16
          loop over i0
            c[i0] = getitem(a[i0, :], int64[40][i0], b[i0])
          stores c
        out  c
        """,
        lambda Z, labels: Z[np.arange(40), labels],
        np.zeros((40, 4)),
        np.zeros(40, int),
    )


def test_an_entry_of_each_row_is_added_to_in_the_loop():
    def scattered(g, labels):
        return scatter_add(g, np.arange(40), labels, index=(ARRAY, ARRAY), shape=(40, 4))

    assert_plan(
        """
        in   a  float64[40]
        in   b  int64[40]
        region over i0 < 40, tile 16, chunk 16
          loop over i0, i1
            c[i0, i1] = scatter_add(a[i0], int64[40][i0], b[i0])
          stores c
        out  c
        """,
        scattered,
        x,
        np.zeros(40, int),
    )
