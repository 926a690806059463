"""Small matrices, compiled: LAPACK's values and errors, mpmath's for ill-conditioned ones, derivatives."""

from itertools import permutations

import mpmath
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import assert_agrees

la = np.linalg
RNG = np.random.default_rng(11)


def positive(x):
    return x @ x.swapaxes(-1, -2) + np.eye(x.shape[-1])


FUNCTIONS = {
    "inv": la.inv,
    "solve": lambda x: la.solve(x, x[..., :1] + 2),
    "det": la.det,
    "slogdet": lambda x: tuple(la.slogdet(x)),
    "cholesky": lambda x: la.cholesky(positive(x)),
}


@pytest.mark.rotated
@pytest.mark.sweep
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (7, 2, 2), (2, 3, 3, 3)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_lapacks(compiler, name, shape, dtype):
    x = np.random.default_rng(11).normal(size=shape).astype(dtype)  # the same whatever was tried before
    got = compiler.compile(FUNCTIONS[name])(x)
    expected = FUNCTIONS[name](x)
    for a, b in zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True):
        assert_agrees(a, b, dtype)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_rows_are_exchanged_where_a_pivot_is_small(compiler, order):
    x = np.array([[1e-20, 2.0, 3.0], [0.0, 1e-18, 4.0], [5.0, 6.0, 7.0]])[list(order)]
    got = compiler.compile(lambda x: (la.inv(x), la.det(x)))(x)
    exact = mpmath.matrix(x.tolist())
    assert_agrees(got[0], np.array((exact**-1).tolist(), float), np.float64)
    assert_agrees(got[1], float(mpmath.det(exact)), np.float64)


def test_the_solution_of_an_ill_conditioned_system_is_as_good_as_the_system_allows(compiler):
    x = 1 / (np.arange(4)[:, None] + np.arange(4) + 1.0)
    b = np.array([[1.0], [-1.0], [0.5], [2.0]])
    got = compiler.compile(la.solve)(x, b)
    with mpmath.workdps(40):
        exact = np.array(mpmath.lu_solve(mpmath.matrix(x.tolist()), mpmath.matrix(b.tolist())).tolist(), float)
    assert np.max(abs(got - exact)) <= la.cond(x) * np.finfo(float).eps * np.max(abs(exact))
    assert np.max(abs(x @ got - b)) <= 16 * np.finfo(float).eps * np.max(abs(got))


def singular(n):
    """Whole numbers whose last row is a combination of the others, in some order."""
    x = RNG.integers(-4, 5, (n, n)).astype(float)
    x[-1] = 2 * x[0] - x[1]
    return x[RNG.permutation(n)]


@pytest.mark.parametrize(
    "x", [[[0.0]], [[1.0, 3.0], [3.0, 9.0]], [[3.0, 1.0], [1.0, 1 / 3]], singular(3)], ids=str
)
def test_a_singular_matrix_is_an_error_and_its_determinant_is_zero(compiler, x):
    x = np.array(x)
    with pytest.raises(la.LinAlgError):
        la.inv(x)
    for f in (la.inv, lambda x: la.solve(x, x)):
        with pytest.raises(la.LinAlgError, match="Singular matrix"):
            compiler.compile(f)(x)
    det, (sign, log) = compiler.compile(lambda x: (la.det(x), tuple(la.slogdet(x))))(x)
    assert (det, sign, log) == (0, 0, -np.inf)


def test_what_is_singular_is_decided_as_by_lapack():
    step = xg.compile(la.inv)
    disagree = 0
    for _ in range(200):
        x = np.outer(RNG.random(2), RNG.random(2))
        found = []
        for f in (la.inv, step):
            try:
                f(x)
                found.append(False)
            except la.LinAlgError:
                found.append(True)
        disagree += found[0] != found[1]
    assert disagree <= 2  # another BLAS may add in another order


def test_one_singular_matrix_of_a_stack_is_an_error(compiler):
    x = RNG.normal(size=(50, 2, 2))
    step = compiler.compile(lambda x: np.sum(la.inv(x)))
    assert_agrees(step(x), np.sum(la.inv(x)), np.float64)
    x[37] = 1
    with pytest.raises(la.LinAlgError, match="Singular matrix"):
        step(x)


@pytest.mark.parametrize("x", [[[-1.0]], [[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]], ids=str)
def test_a_matrix_that_is_not_positive_definite_has_no_cholesky_factor(compiler, x):
    with pytest.raises(la.LinAlgError, match="Matrix is not positive definite"):
        compiler.compile(la.cholesky)(np.array(x))


def test_cholesky_reads_the_lower_triangle_alone(compiler):
    x = positive(RNG.normal(size=(3, 3)))
    assert_agrees(
        compiler.compile(la.cholesky)(np.tril(x) + np.triu(np.full((3, 3), np.nan), 1)),
        la.cholesky(x),
        np.float64,
    )


def likelihood(x, b):
    s = positive(x)
    r = la.solve(s, b)[:, 0]
    return b[:, 0] @ r + np.log(la.det(s)) + np.sum(la.inv(la.cholesky(s))) + la.slogdet(x)[1]


@pytest.mark.rotated
@pytest.mark.parametrize("n", [1, 2, 4])
def test_gradients_agree_with_those_that_are_computed_line_by_line(compiler, n):
    args = RNG.normal(size=(n, n)), RNG.normal(size=(n, 1))
    value, gradient = compiler.compile(xg.value_and_grad(likelihood, argnums=(0, 1)))(*args)
    assert_agrees(value, likelihood(*args), np.float64)
    for a, b in zip(gradient, xg.grad(likelihood, argnums=(0, 1))(*args), strict=True):
        assert_agrees(a, b, np.float64)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_singular_matrix_has_the_gradient_of_its_determinant(compiler, n):
    x = RNG.integers(-3, 4, (n, n)).astype(float)
    x[-1] = 0
    got = compiler.compile(xg.grad(la.det))(x)
    cofactors = [
        [la.det(np.delete(np.delete(x, i, 0), j, 1)) * (-1) ** (i + j) for j in range(n)] for i in range(n)
    ]
    assert_agrees(got, np.array(cofactors), np.float64)


def test_small_matrices_are_done_by_kernels_and_larger_ones_by_the_library():
    def f(x):
        return np.sum(la.inv(x)) + la.det(x)

    assert "NumPy" not in xg.compile(f).explain(np.eye(3) * 2)
    assert "inv has no loops of ours" in xg.compile(f).explain(np.eye(5) * 2)
