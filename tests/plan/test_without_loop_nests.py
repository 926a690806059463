"""What has no loop of ours: products that the library does best, and ops that need an axis whole."""

import numpy as np

from plan.planning import assert_plan

X, x = np.zeros((40, 3)), np.zeros(40)


def test_a_product_of_large_matrices_is_the_librarys():
    assert_plan(
        """
        in   a  float64[128, 128]
        in   b  float64[128, 128]
        untiled: large matrices are multiplied by the library
          matmul over i0, i1
            c[i0, i1] = dot(a[i0, i2], b[i2, i1])
        out  c
        """,
        lambda A, B: A @ B,
        np.zeros((128, 128)),
        np.zeros((128, 128)),
    )


def test_what_follows_a_product_of_large_matrices_is_a_loop():
    """A row of d, e and f takes 3072 bytes: a tile of one grain, and 75 tiles in 38 chunks."""
    assert_plan(
        """
        in   a  float64[300, 128]
        in   b  float64[128, 128]
        in   c  float64[128]
        untiled: large matrices are multiplied by the library
          matmul over i0, i1
            d[i0, i1] = dot(a[i0, i2], b[i2, i1])
        region over i0 < 300, tile 4, chunk 8
          loop over i0, i1
            e[i0, i1] = add(d[i0, i1], c[i1])
            f[i0, i1] = exp(e[i0, i1])
          stores f
        out  f
        """,
        lambda A, B, v: np.exp(A @ B + v),
        np.zeros((300, 128)),
        np.zeros((128, 128)),
        np.zeros(128),
    )


def test_the_indices_of_einsum_are_axes_of_a_loop():
    assert_plan(
        """
        in   a  float64[40, 3]
        in   b  float64[40, 3]
        region over i0 < 40, tile 16, chunk 16
          no loop nests: einsum has no loops of ours
            c = einsum(a, b, subscripts=bi,bi->b)
          stores c
        out  c
        """,
        lambda X, Y: np.einsum("bi,bi->b", X, Y),
        X,
        X,
    )


def test_a_diagonal_must_be_whole():
    assert_plan(
        """
        in   a  float64[4, 4]
        untiled: no axis that can be taken tile by tile
          no loop nests: einsum has no loops of ours
            b = einsum(a, subscripts=ii->i)
        out  b
        """,
        lambda A: np.einsum("ii->i", A),
        np.zeros((4, 4)),
    )


def test_the_other_axes_beside_a_diagonal_are_free():
    assert_plan(
        """
        in   a  float64[40, 2, 2]
        region over i0 < 40, tile 24, chunk 24
          no loop nests: einsum has no loops of ours
            b = einsum(a, subscripts=bii->b)
          stores b
        out  b
        """,
        lambda A: np.einsum("bii->b", A),
        np.zeros((40, 2, 2)),
    )


def test_cumsum_needs_its_axis_whole_and_no_other():
    assert_plan(
        """
        in   a  float64[40, 3]
        region over i0 < 40, tile 20, chunk 20
          no loop nests: cumsum has no loops of ours
            b = cumsum(a, axis=1)
          stores b
        out  b
        """,
        lambda X: np.cumsum(X, axis=1),
        X,
    )


def test_cumsum_waits_for_all_of_its_axis():
    assert_plan(
        """
        in   a  float64[40]
        region over i0 < 40, tile 40, chunk 40
          loop over i0
            b[i0] = exp(a[i0])
          stores b
        untiled: no axis that can be taken tile by tile
          no loop nests: cumsum has no loops of ours
            c = cumsum(b, axis=0)
        out  c
        """,
        lambda x: np.cumsum(np.exp(x), axis=0),
        x,
    )
