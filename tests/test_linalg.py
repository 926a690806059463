"""xg.linalg against SciPy, its derivatives against finite differences, eager, compiled and in batches."""

import numpy as np
import pytest
import scipy.linalg as sl

import xpgrad as xg
from xpgrad import DataError, ShapeError
from xpgrad.testing import check_grads, tolerance

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
RNG = np.random.default_rng(0)


def matrix(n, dtype=np.float64, m=None):
    a = RNG.normal(size=(n, m or n))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * RNG.normal(size=a.shape)
    return a.astype(dtype)


def definite(n, dtype=np.float64):
    a = matrix(n, dtype)
    return a @ a.conj().T + np.eye(n, dtype=dtype)


def near(ours, theirs, factor=50):
    bound = tolerance(np.asarray(ours).dtype).value
    assert np.shape(ours) == np.shape(theirs)
    scale = np.max(np.abs(theirs), initial=1e-300)
    assert np.max(np.abs(ours - theirs), initial=0) <= factor * bound * scale


# ── triangular systems ───────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, "T", "C"])
@pytest.mark.parametrize("unit", [False, True])
def test_a_triangular_system_is_scipys(dtype, lower, trans, unit):
    a = matrix(5, dtype) * 0.3 + 2 * np.eye(5, dtype=dtype)
    for b in (matrix(5, dtype, 3), matrix(5, dtype, 1)[:, 0]):
        ours = xg.linalg.solve_triangular(a, b, trans, lower, unit)
        assert ours.dtype == dtype
        near(ours, sl.solve_triangular(a, b, trans=trans, lower=lower, unit_diagonal=unit))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_triangular_system_has_derivatives(lower, dtype):
    a, b = matrix(3, dtype) * 0.3 + 2 * np.eye(3), matrix(3, dtype, 2)
    for trans in (0, 1, 2):
        check_grads(lambda a, b, t=trans: xg.linalg.solve_triangular(a, b, t, lower), [a, b])
    check_grads(lambda a, b: xg.linalg.solve_triangular(a, b, 0, lower, True), [a, b])


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky_factors_solve_as_scipys(lower, dtype):
    a, b = definite(4, dtype), matrix(4, dtype, 2)
    c, flag = xg.linalg.cho_factor(a, lower)
    theirs = sl.cho_factor(a, lower)
    assert flag is lower
    triangle = np.tril if lower else np.triu
    near(c, triangle(theirs[0]))
    near(xg.linalg.cho_solve((c, flag), b), sl.cho_solve(theirs, b), 500)


def test_the_triangle_that_is_not_asked_for_is_not_read():
    a = definite(3)
    broken = np.triu(a) + np.tril(np.full((3, 3), 7.0), -1)
    near(xg.linalg.cho_factor(broken)[0], sl.cho_factor(a)[0] * np.triu(np.ones((3, 3))))


@pytest.mark.parametrize("lower", [False, True])
def test_a_system_by_cholesky_factors_has_derivatives(lower):
    def f(x, b):
        a = x @ x.T + np.eye(3)
        return xg.linalg.cho_solve(xg.linalg.cho_factor(a, lower), b)

    check_grads(f, [matrix(3), matrix(3, m=1)[:, 0]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sylvesters_equation_is_solved_as_by_scipy(dtype):
    a, b, q = definite(4, dtype), definite(3, dtype), matrix(4, dtype, 3)
    near(xg.linalg.solve_sylvester(a, b, q), sl.solve_sylvester(a, b, q))


def test_sylvesters_equation_has_derivatives():
    check_grads(xg.linalg.solve_sylvester, [definite(3), definite(2), matrix(3, m=2)])


# ── functions of matrices ────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0, 1e-8, 0.1, 1.0, 5.0, 30.0])
def test_the_exponential_is_scipys(dtype, scale):
    a = matrix(5, dtype) * dtype(scale) if scale else np.zeros((5, 5), dtype)
    a = a - a.conj().T if scale > 5 else a  # bounded, for its condition grows with the norm
    ours = xg.linalg.expm(a)
    assert ours.dtype == dtype
    near(ours, sl.expm(a.astype(np.result_type(dtype, np.float64))), 500)


def test_the_exponential_of_a_matrix_far_from_normal_is_not_scaled_too_much():
    a = np.array([[1.0, 1e6], [0.0, -1.0]])
    expected = np.array([[np.e, 1e6 * np.sinh(1.0)], [0.0, 1 / np.e]])
    np.testing.assert_allclose(xg.linalg.expm(a), expected, rtol=1e-13)


def test_the_exponential_of_a_nilpotent_matrix_and_of_a_rotation_in_closed_form():
    near(xg.linalg.expm(np.array([[0.0, 3.0], [0.0, 0.0]])), np.array([[1.0, 3.0], [0.0, 1.0]]))
    t = 100.0
    rotation = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    near(xg.linalg.expm(np.array([[0.0, -t], [t, 0.0]])), rotation)


def test_the_derivative_of_the_exponential_is_frechets():
    a, e = matrix(4), matrix(4)
    near(xg.jvp(xg.linalg.expm, (a,), (e,))[1], sl.expm_frechet(a, e, compute_expm=False), 500)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_exponential_has_derivatives(scale, dtype):
    check_grads(lambda a: xg.linalg.expm(a) / np.exp(scale), [matrix(3, dtype) * scale])


def test_the_exponential_of_what_is_no_number_is_none():
    assert np.isnan(xg.linalg.expm(np.full((2, 2), np.nan))).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_roots_and_logarithms_are_scipys(dtype, n):
    for a in (definite(n, dtype), xg.linalg.expm(0.4 * matrix(n, dtype))):
        for name in ("sqrtm", "logm"):
            ours = getattr(xg.linalg, name)(a)
            assert ours.dtype == dtype
            near(ours, getattr(sl, name)(a.astype(np.result_type(dtype, np.float64))), 1000)


def test_a_root_and_a_logarithm_of_an_ill_conditioned_matrix():
    q = np.linalg.qr(matrix(4))[0]
    w = np.array([1e-4, 1.0, 1e2, 1e4])
    np.testing.assert_allclose(xg.linalg.sqrtm((q * w) @ q.T), (q * np.sqrt(w)) @ q.T, atol=1e-9)
    np.testing.assert_allclose(xg.linalg.logm((q * w) @ q.T), (q * np.log(w)) @ q.T, atol=1e-7)


@pytest.mark.parametrize("name", ["sqrtm", "logm"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_roots_and_logarithms_have_derivatives(name, dtype):
    f = getattr(xg.linalg, name)
    check_grads(f, [definite(3, dtype)])
    check_grads(f, [xg.linalg.expm(0.4 * matrix(3, dtype))])


@pytest.mark.parametrize("name", ["sqrtm", "logm"])
def test_a_matrix_without_a_principal_root_is_refused(name):
    with pytest.raises(DataError, match=f"{name}: no principal square root"):
        getattr(xg.linalg, name)(np.diag([1.0, -2.0]))


@pytest.mark.parametrize("name", ["expm", "sqrtm", "logm"])
def test_stacks_batches_and_compiled_code_agree(name):
    f = getattr(xg.linalg, name)
    stack = np.stack([definite(3), np.eye(3), 10 * definite(3) / np.linalg.norm(definite(3))])
    each = np.stack([getattr(sl, name)(a) for a in stack])
    for ours in (f(stack), xg.vmap(f)(stack), xg.compile(f)(stack)):
        near(ours, each, 1000)
    g = np.stack([xg.grad(lambda a: np.sum(f(a) ** 2))(a) for a in stack])
    near(xg.compile(xg.grad(lambda a: np.sum(f(a) ** 2)))(stack), g, 1000)
    near(xg.vmap(xg.grad(lambda a: np.sum(f(a) ** 2)))(stack), g, 1000)


def test_matrices_must_be_square():
    for name in ("expm", "sqrtm", "logm", "cho_factor"):
        with pytest.raises(ShapeError, match=f"{name}: the matrix is not square"):
            getattr(xg.linalg, name)(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="solve_sylvester"):
        xg.linalg.solve_sylvester(np.eye(2), np.eye(3), np.eye(2))
    with pytest.raises(ValueError, match="trans must be"):
        xg.linalg.solve_triangular(np.eye(2), np.ones(2), "X")


# ── structured matrices ──────────────────────────────────────────────────────────────────────
def test_blocks_on_the_diagonal_are_scipys():
    for blocks in (
        [matrix(2), matrix(3, m=1), [1.0, 2.0], 3.0],
        [matrix(2)],
        [[1, 2], np.eye(2, dtype=np.float32)],
    ):
        ours = xg.linalg.block_diag(*blocks)
        np.testing.assert_array_equal(ours, sl.block_diag(*blocks))
        assert ours.dtype == sl.block_diag(*blocks).dtype
    check_grads(lambda a, b, c: xg.linalg.block_diag(a, b, c) ** 2, [matrix(2), np.array([1.0, 2.0]), 3.0])
    with pytest.raises(ShapeError, match="block_diag"):
        xg.linalg.block_diag(np.ones((2, 2, 2)))


@pytest.mark.parametrize("r", [None, [7.0, 2.0, 3.0, 4.0], [1.0]])
def test_a_toeplitz_matrix_is_scipys(r):
    for c in ([1.0, 5.0, 6.0], np.array([1 + 1j, 2 - 1j]), [4]):
        np.testing.assert_array_equal(xg.linalg.toeplitz(c, r), sl.toeplitz(c, r))
    check_grads(lambda c: xg.linalg.toeplitz(c, r) ** 2, [np.array([1.0, 5.0])])
    check_grads(xg.compile(lambda c: xg.linalg.toeplitz(c, r) ** 2), [np.array([1.0, 5.0])], order=1)


def test_everything_is_on_the_device(put, device):
    a, b = put(definite(3)), put(matrix(3, m=2))
    lin = xg.linalg
    for out in (
        lin.solve_triangular(a, b, lower=True),
        lin.cho_solve(lin.cho_factor(a), b),
        lin.solve_sylvester(a, put(np.eye(2)), b),
        lin.expm(a),
        lin.sqrtm(a),
        lin.logm(a),
        lin.block_diag(a, b),
        lin.toeplitz(a[0], b[:, 0]),
    ):
        assert xg.device_of(out).startswith(device)
    check_grads(lin.expm, [0.1 * a])
    check_grads(lin.logm, [a])
