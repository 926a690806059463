"""Newton's method and its conjugate gradients, against SciPy and closed forms."""

import numpy as np
import pytest
from scipy import optimize

import xpgrad as xg
from xpgrad.optim import minimize, newton, newton_cg
from xpgrad.optim.newton import Factored
from xpgrad.optim.newton_cg import steihaug
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value
METHODS = ["newton", "newton_cg"]


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("method", METHODS)
def test_logistic_regression_ends_where_scipy_does(logistic, put, method):
    loss, start, data = logistic
    fit = minimize(loss, put(start), put(data), method=method, tol=1e-10)
    theirs = optimize.minimize(
        lambda x: loss((x[:4, None], x[4]), *data), np.zeros(5), method="BFGS", options={"gtol": 1e-7}
    )
    W, b = xg.asnumpy(fit.params)
    assert fit.converged
    assert fit.n_iter <= 8
    assert fit.value <= theirs.fun + EXACT
    np.testing.assert_allclose([*W[:, 0], b], theirs.x, atol=1e-5)


@pytest.mark.parametrize("solver", [newton, newton_cg])
def test_a_quadratic_function_is_solved_in_the_dtype_of_the_parameters(solver, put):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(6, 6))
    A, b = A @ A.T + np.eye(6), rng.normal(size=6)
    fit = solver(lambda x, A, b: x @ A @ x / 2 - b @ x, put(np.zeros(6)), put((A, b)), tol=1e-10)
    assert fit.converged
    assert fit.params.dtype == np.float64
    assert fit.n_iter <= (1 if solver is newton else 8)
    np.testing.assert_allclose(xg.asnumpy(fit.params), np.linalg.solve(A, b), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrock_ends_at_its_minimum(method):
    fit = minimize(rosenbrock, np.array([-1.2, 1.0]), method=method, tol=1e-9, compile=False)
    assert fit.converged
    np.testing.assert_allclose(fit.params, 1, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_saddle_point_is_left_although_the_hessian_is_indefinite(method):
    start = np.array([1e-3, 1.0])
    fit = minimize(lambda x: x[0] ** 4 - x[0] ** 2 + x[1] ** 2, start, method=method, tol=1e-8, compile=False)
    assert fit.converged
    np.testing.assert_allclose(fit.params, [0.5**0.5, 0], atol=1e-7)
    assert ("negative eigenvalues" in fit.message) == (method == "newton")


@pytest.mark.parametrize("method", METHODS)
def test_least_squares_of_collinear_columns_has_the_solution_of_minimum_norm(method):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    X = np.column_stack([X, X[:, 0] + X[:, 1]])
    fit = minimize(lambda w, X, y: np.mean((X @ w - y) ** 2), np.zeros(4), (X, y), method=method, tol=1e-12)
    assert fit.converged
    np.testing.assert_allclose(fit.params, np.linalg.lstsq(X, y)[0], rtol=1e-8)
    assert ("singular (rank 3 of 4)" in fit.message) == (method == "newton")


@pytest.mark.parametrize("method", METHODS)
def test_complex_parameters_count_as_pairs_of_real_ones(method):
    target = np.array([1 + 2j, -3j])
    fit = minimize(lambda z: np.sum(np.abs(z - target) ** 2), np.zeros(2, complex), method=method)
    assert fit.converged
    assert close(fit.params, target, EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_float32_stops_where_its_rounding_hides_progress_and_says_so(logistic, method):
    loss, start, data = logistic
    single = [tuple(x.astype(np.float32) for x in part) for part in (start, data)]
    fit = minimize(loss, *single, method=method, tol=1e-12)
    exact = minimize(loss, start, data, method=method, tol=1e-12)
    assert "by its rounding" in fit.message
    assert fit.n_iter < 20
    assert fit.params[0].dtype == np.float32
    np.testing.assert_allclose(fit.params[0], exact.params[0], rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_large_constant_does_not_keep_the_gradient_from_its_tolerance(logistic, method):
    loss, start, data = logistic
    fit = minimize(lambda p, X, Y: loss(p, X, Y) + 1e9, start, data, method=method, tol=1e-9, compile=False)
    assert fit.message.startswith("converged: the gradient norm")


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_without_a_lower_bound_is_not_converged(method):
    fit = minimize(lambda x: np.sum(x), np.array([0.1, 1.0]), method=method, max_iter=20, compile=False)
    assert not fit.converged


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_cannot_be_compiled_is_run_line_by_line_with_one_warning(method):
    def loss(x):
        return np.sum((x - 1) ** 2) if x[0] < 5 else np.sum(x**4)

    with pytest.warns(RuntimeWarning, match="cannot be compiled") as seen:
        fit = minimize(loss, np.array([0.0, 3.0]), method=method)
    assert len(seen) == 1
    assert "not compiled" in fit.message
    assert close(fit.params, np.ones(2), EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_nan_at_the_start_is_named(method):
    fit = minimize(lambda x, y: np.sum((x - y) ** 2), np.zeros(2), (np.array([1, np.nan]),), method=method)
    assert not fit.converged
    assert "data[0] has nan at [1]" in fit.message


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_never_rises_and_a_callback_stops_the_fit(logistic, method):
    loss, start, data = logistic
    fit = minimize(loss, start, data, method=method, callback=lambda info: info.iteration == 2, compile=False)
    values = [record.value for record in fit.history]
    assert fit.n_iter == 2
    assert "callback" in fit.message
    assert values == sorted(values, reverse=True)


def test_the_step_is_that_of_the_normal_equations_and_of_the_pseudo_inverse():
    rng = np.random.default_rng(4)
    B, g = rng.normal(size=(5, 4)), rng.normal(size=4)
    H = B.T @ B
    assert close(Factored(H, 2.0**-52).step(g, 1e-5), -np.linalg.solve(H, g), 100 * EXACT)
    H = B[:2].T @ B[:2]
    g = H @ g
    found = Factored(H, 2.0**-52)
    assert found.null.shape == (4, 2)
    assert close(H @ found.null, np.zeros((4, 2)), 100 * EXACT)
    assert close(found.step(g, 1e-5), -np.linalg.pinv(H) @ g, 100 * EXACT)


def test_scaled_columns_do_not_make_a_hessian_singular():
    H = np.diag([1e-12, 1.0, 1e12]) * np.array([[2.0, 0, 0], [0, 2, 0], [0, 0, 2]])
    found = Factored(H, 2.0**-52)
    assert found.null is None
    assert close(found.step(np.array([1e-12, 1.0, 1e12]), 1e-5), np.full(3, -0.5), EXACT)


def test_conjugate_gradients_end_at_the_minimum_or_at_the_edge():
    rng = np.random.default_rng(5)
    A = rng.normal(size=(5, 5))
    H, g = A @ A.T + np.eye(5), rng.normal(size=5)
    exact = -np.linalg.solve(H, g)

    def times(v):
        return v @ H @ v, H @ v

    p, promise, at_edge = steihaug(times, 1e-9 * g, 100.0)
    assert not at_edge
    np.testing.assert_allclose(p, 1e-9 * exact, rtol=1e-3)
    assert promise == pytest.approx(-(1e-9 * g @ p + p @ H @ p / 2))
    p, _, at_edge = steihaug(times, g, np.linalg.norm(exact) / 10)
    assert at_edge
    assert np.linalg.norm(p) == pytest.approx(np.linalg.norm(exact) / 10)
    p, promise, at_edge = steihaug(lambda v: (-v @ v, -v), g, 3.0)
    assert at_edge
    assert promise == pytest.approx(3 * np.linalg.norm(g) + 4.5)
