"""Loops over samples: their axis, their nests, what they store, and the size of their tiles."""

import numpy as np
import pytest

from plan.planning import LOOPS, assert_plan, plan_of
from xpgrad.plan import Target

X, x, w = np.zeros((40, 3)), np.zeros(40), np.zeros(3)


def test_a_pointwise_chain_is_one_nest():
    """An entry takes 8 bytes in each of a, b, c and d: 1024 / 32 entries fit."""
    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 32, chunk 32
          loop over i0
            b[i0] = multiply(a[i0], 2)
            c[i0] = exp(b[i0])
            d[i0] = add(c[i0], a[i0])
          stores d
        out  d
        """,
        lambda x: np.exp(x * 2) + x,
        x,
    )


def test_a_small_graph_has_no_tiles():
    assert_plan(
        """
        in   a  float64[5]
        untiled: too small for a loop over tiles
          loop over i0
            b[i0] = exp(a[i0])
            c = sum(b[i0])
        out  c
        """,
        lambda x: np.sum(np.exp(x)),
        np.zeros(5),
        target=Target(cache=1024),
    )


def test_a_loss_over_classes_is_one_loop_over_samples():
    """c, e and f have 32 bytes a sample, d, g and h 8, X 24: 144. The axis of classes is shorter."""

    def loss(X, W):
        Z = X @ W
        E = np.exp(Z - np.max(Z, axis=1, keepdims=True))
        return np.sum(np.log(np.sum(E, axis=1)))

    assert_plan(
        """
        in   a  float64[40, 3]
        in   b  float64[3, 4]
        region over i0 < 40, tile 4, chunk 4
          matmul over i0, i1
            c[i0, i1] = dot(a[i0, i2], b[i2, i1])
          loop over i0, i1
            d[i0, 0] = max(c[i0, i1])
          loop over i0, i1
            e[i0, i1] = subtract(c[i0, i1], d[i0, 0])
            f[i0, i1] = exp(e[i0, i1])
            g[i0] = sum(f[i0, i1])
          loop over i0
            h[i0] = log(g[i0])
            i = sum(h[i0])
          sums i
        out  i
        """,
        loss,
        X,
        np.zeros((3, 4)),
    )


def test_an_array_is_read_once_in_two_roles():
    """The features that the first product contracts and those of the second are different loops: i1 and i2.

    X counts once: 24 bytes a sample, y, d and e 8 each.
    """

    def gradient(X, w, y):
        r = X @ w - y
        return X.T @ r

    assert_plan(
        """
        in   a  float64[40, 3]
        in   b  float64[3]
        in   c  float64[40]
        view f = transpose(a, axes=(1, 0))
        region over i0 < 40, tile 20, chunk 20
          matmul over i0
            d[i0] = dot(a[i0, i1], b[i1])
          loop over i0
            e[i0] = subtract(d[i0], c[i0])
          matmul over i2
            g[i2] = dot(f[i2, i0], e[i0])
          sums g
        out  g
        """,
        gradient,
        X,
        w,
        x,
    )


# ── shapes and dtypes ────────────────────────────────────────────────────────────────────────
def test_an_operand_is_read_without_the_axes_over_which_it_broadcasts():
    """Of b there is no entry for a sample, of c one: 24 + 24 + 24 + 8 bytes."""
    assert_plan(
        """
        in   a  float64[40, 3]
        in   b  float64[3]
        in   c  float64[40, 1]
        region over i0 < 40, tile 12, chunk 12
          loop over i0, i1
            d[i0, i1] = subtract(a[i0, i1], b[i1])
            e[i0, i1] = divide(d[i0, i1], c[i0, 0])
          stores e
        out  e
        """,
        lambda X, m, s: (X - m) / s,
        X,
        w,
        np.zeros((40, 1)),
    )


def test_axes_of_length_1_have_no_loop():
    assert_plan(
        """
        in   a  float64[40, 1]
        in   b  float64[1, 3]
        region over i0 < 40, tile 32, chunk 32
          loop over i0, i1
            c[i0, i1] = multiply(a[i0, 0], b[0, i1])
          stores c
        out  c
        """,
        lambda x, y: x * y,
        np.zeros((40, 1)),
        np.zeros((1, 3)),
    )


def test_a_reduction_of_an_axis_of_length_1_has_no_loop():
    assert_plan(
        """
        in   a  float64[40, 1]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = sum(a[i0, 0])
          stores b
        out  b
        """,
        lambda x: np.sum(x, axis=1),
        np.zeros((40, 1)),
    )


def test_a_loop_over_an_empty_axis_has_no_tile():
    assert_plan(
        """
        in   a  float64[0]
        region over i0 < 0, tile 4, chunk 4
          loop over i0
            b[i0] = exp(a[i0])
            c = sum(b[i0])
          sums c
        out  c
        """,
        lambda x: np.sum(np.exp(x)),
        np.zeros(0),
    )
    (region,) = plan_of(lambda x: np.sum(np.exp(x)), np.zeros(0)).steps
    assert region.chunks == 0


def test_the_loop_is_over_the_axis_that_has_entries():
    assert_plan(
        """
        in   a  float64[0, 3]
        region over i1 < 3, tile 4, chunk 4
          loop over i0, i1
            b[i0, i1] = exp(a[i0, i1])
            c[i1] = sum(b[i0, i1])
          stores c
        out  c
        """,
        lambda X: np.sum(np.exp(X), axis=0),
        np.zeros((0, 3)),
    )


def test_integers_count_with_their_own_bytes():
    """4 bytes of a and 8 of b: 256 / 12 entries."""
    assert_plan(
        """
        in   a  int32[40]
        region over i0 < 40, tile 20, chunk 20
          loop over i0
            b[i0] = exp(a[i0])
          stores b
        out  b
        """,
        np.exp,
        np.zeros(40, np.int32),
        target=LOOPS._replace(cache=256),
    )


# ── tiles ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("order", "target", "tile", "chunk"),
    [
        ("C", Target(cache=1 << 20, grain=4, run=16, small=0), 1000, 1000),  # the whole axis
        ("C", Target(cache=480, grain=4, run=16, small=0), 40, 40),  # 12 bytes an entry
        ("C", Target(cache=480, grain=64, run=16, small=0), 64, 64),  # a grain at least
        ("C", Target(cache=48, grain=4, run=16, small=0), 16, 16),  # a run at least, in 63 tiles
        ("F", Target(cache=48, grain=4, run=16, small=0), 4, 16),  # no runs; 250 tiles in 63 chunks
    ],
)
def test_tiles_fit_the_cache_and_chunks_are_at_most_64(order, target, tile, chunk):
    columns = np.zeros((3, 1000), np.float32, order=order)
    (region,) = plan_of(lambda X: np.max(X, axis=1), columns, target=target).steps
    assert (region.tile, region.chunk) == (tile, chunk)
