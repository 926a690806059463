"""Banded systems and filters against SciPy, their derivatives against finite differences."""

import numpy as np
import pytest
import scipy.linalg as sl

import xpgrad as xg
from xpgrad import ShapeError
from xpgrad.testing import check_grads, tolerance

RNG = np.random.default_rng(0)
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
BANDS = [(1, 1), (2, 1), (0, 2), (3, 0), (0, 0), (1, 6)]


def drawn(*shape, dtype=np.float64):
    x = RNG.normal(size=shape)
    return (x + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def diagonals(lower, upper, n, dtype=np.float64):
    ab = drawn(lower + upper + 1, n, dtype=dtype)
    ab[upper] += 5
    return ab


def near(ours, theirs, factor=50):
    assert np.shape(ours) == np.shape(theirs)
    assert ours.dtype == theirs.dtype
    scale = np.max(np.abs(theirs), initial=1e-300)
    assert np.max(np.abs(ours - theirs), initial=0) <= factor * tolerance(ours.dtype).value * scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("band", BANDS)
def test_a_banded_system_is_scipys(dtype, band):
    ab = diagonals(*band, 5, dtype)
    for b in (drawn(5, dtype=dtype), drawn(5, 3, dtype=dtype)):
        near(xg.linalg.solve_banded(band, ab, b), sl.solve_banded(band, ab, b))


@pytest.mark.parametrize("band", BANDS)
def test_a_banded_system_has_derivatives(band):
    for dtype in (np.float64, np.complex128):
        ab, b = diagonals(*band, 4, dtype), drawn(4, 2, dtype=dtype)
        check_grads(lambda ab, b: xg.linalg.solve_banded(band, ab, b), [ab, b])
    compiled = xg.compile(lambda ab, b: xg.linalg.solve_banded(band, ab, b))
    check_grads(compiled, [diagonals(*band, 4), drawn(4)], order=1)


def test_stacks_of_banded_systems_are_solved_one_by_one():
    ab, b = np.stack([diagonals(1, 2, 6) for _ in range(3)]), drawn(3, 6, 2)
    expected = np.stack([sl.solve_banded((1, 2), a, c) for a, c in zip(ab, b, strict=True)])
    near(xg.linalg.solve_banded((1, 2), ab, b), expected)
    one = np.stack([sl.solve_banded((1, 2), ab[0], c) for c in b])
    near(xg.linalg.solve_banded((1, 2), ab[0], b), one)
    near(xg.vmap(lambda c: xg.linalg.solve_banded((1, 2), ab[0], c))(b), one)


def test_what_lies_outside_the_matrix_is_not_read_and_has_no_derivative():
    ab = diagonals(1, 1, 4)
    ab[0, 0] = ab[2, -1] = np.nan
    g = xg.grad(lambda ab: np.sum(xg.linalg.solve_banded((1, 1), ab, np.ones(4))))(ab)
    assert g[0, 0] == g[2, -1] == 0
    assert np.isfinite(g).all()


@pytest.mark.parametrize("lower", [False, True])
def test_half_of_a_hermitian_band_is_enough(lower):
    for dtype in DTYPES:
        ab, b = diagonals(2, 0, 5, dtype) if lower else diagonals(0, 2, 5, dtype), drawn(5, 2, dtype=dtype)
        ab[0 if lower else 2] = np.abs(ab[0 if lower else 2])
        near(xg.linalg.solveh_banded(ab, b, lower), sl.solveh_banded(ab, b, lower=lower), 200)
    check_grads(lambda ab, b: xg.linalg.solveh_banded(ab, b, lower), [ab.real.copy(), b.real.copy()])


def test_a_toeplitz_system_is_scipys():
    c, r, b = drawn(5) + 5 * np.eye(5)[0], drawn(5), drawn(5, 2)
    near(xg.linalg.solve_toeplitz((c, r), b), sl.solve_toeplitz((c, r), b))
    near(xg.linalg.solve_toeplitz(c, b[:, 0]), sl.solve_toeplitz(c, b[:, 0]))
    check_grads(lambda c, r, b: xg.linalg.solve_toeplitz((c, r), b), [c, r, b])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"1 \+ 1 \+ 1 diagonals are 3, not 2"):
        xg.linalg.solve_banded((1, 1), np.ones((2, 4)), np.ones(4))
    with pytest.raises(ShapeError, match="as many entries as the right-hand side has rows"):
        xg.linalg.solve_banded((1, 1), np.ones((3, 4)), np.ones(5))
    for band in ((1, 1), (1, 0), (0, 1)):
        with pytest.raises(np.linalg.LinAlgError, match=r"[Ss]ingular"):
            xg.linalg.solve_banded(band, np.zeros((sum(band) + 1, 4)), np.ones(4))
