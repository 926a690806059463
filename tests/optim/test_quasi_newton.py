"""L-BFGS against SciPy, and at its edges."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize

import xpgrad as xg
from xpgrad.optim import lbfgs, minimize, quasi_newton
from xpgrad.optim.flat import Flat
from xpgrad.optim.line_search import strong_wolfe
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.slow
def test_rosenbrock_in_100_dimensions_ends_where_scipy_does(put):
    x0 = np.tile([-1.2, 1.0], 50)
    fit = lbfgs(rosenbrock, put(x0))
    theirs = optimize.minimize(
        optimize.rosen, x0, jac=optimize.rosen_der, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 0}
    )
    assert fit.converged
    assert fit.value < 1e-10
    np.testing.assert_allclose(xg.asnumpy(fit.params), theirs.x, atol=1e-4)
    assert fit.history[-1].evaluations < 1.5 * theirs.nfev


def test_logistic_regression_ends_where_scipy_does(logistic, put):
    loss, start, data = logistic

    def flat(x):
        return loss((x[:4, None], x[4]), *data)

    fit = lbfgs(loss, put(start), put(data), tol=1e-9)
    theirs = optimize.minimize(flat, np.zeros(5), jac=xg.grad(flat), method="BFGS", options={"gtol": 1e-9})
    assert fit.converged
    assert abs(fit.value - theirs.fun) < 1e-14
    W, b = xg.asnumpy(fit.params)
    np.testing.assert_allclose([*W[:, 0], b], theirs.x, atol=1e-7)


def test_every_accepted_step_satisfies_the_strong_wolfe_conditions(logistic, monkeypatch):
    steps = []

    def watched(phi, start, step):
        found = strong_wolfe(phi, start, step)
        steps.append((start, found))
        return found

    monkeypatch.setattr("xpgrad.optim.quasi_newton.strong_wolfe", watched)
    fits = [lbfgs(rosenbrock, np.tile([-1.2, 1.0], 5)), lbfgs(logistic[0], logistic[1], logistic[2])]
    assert all(fit.converged for fit in fits)
    assert len(steps) == sum(fit.n_iter for fit in fits)
    for start, found in steps:
        d = found.x - start.x
        slope, new_slope = start.gradient @ d, found.gradient @ d
        assert slope < 0
        assert found.value <= start.value + 1e-4 * slope
        assert abs(new_slope) <= 0.9 * abs(slope) * (1 + 1e-9)


def test_a_quadratic_in_n_dimensions_takes_few_steps():
    A = np.diag([1.0, 10.0, 100.0, 1000.0])
    fit = lbfgs(lambda x: x @ A @ x / 2, np.ones(4), tol=1e-8)
    assert fit.converged
    assert fit.n_iter <= 30
    np.testing.assert_allclose(fit.params, 0, atol=1e-8)


def test_the_two_loops_give_the_bfgs_matrix():
    rng = np.random.default_rng(3)
    pairs = [(s, 2 * s + 0.1 * rng.normal(size=5)) for s in rng.normal(size=(3, 5))]
    memory = quasi_newton.Memory(2)
    for s, y in pairs:
        memory.learn(s, y, s @ y, s @ s, y @ y)
    s, y = pairs[-1]
    H = np.eye(5) * (s @ y) / (y @ y)
    for s, y in pairs[1:]:  # the first has been forgotten
        V = np.eye(5) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    g = rng.normal(size=5)
    assert close(memory.times(g), H @ g, EXACT)


def test_a_pair_without_positive_curvature_is_not_kept():
    memory = quasi_newton.Memory(5)
    s = np.array([1.0, 0.0])
    for y in (np.array([-1.0, 0.0]), np.array([0.0, 1.0])):
        memory.learn(s, y, s @ y, s @ s, y @ y)
    assert not memory
    assert np.array_equal(memory.times(s), s)


def test_a_loss_that_is_nan_or_infinite_too_far_along_is_stepped_back_from(put):
    f = lambda x: np.sum(x - np.log(x))  # its minimum is at 1; NaN below 0
    for start in (1e-3, 50.0):
        fit = lbfgs(f, put(np.full(3, start)))
        assert fit.converged
        np.testing.assert_allclose(xg.asnumpy(fit.params), 1, atol=1e-4)
        assert all(np.isfinite(record.value) for record in fit.history)


def test_a_search_that_fails_is_tried_again_down_the_gradient(monkeypatch):
    slopes = []

    def fails_once(phi, start, step):
        slopes.append(start.slope / -(start.gradient @ start.gradient))
        return None if len(slopes) == 5 else strong_wolfe(phi, start, step)

    monkeypatch.setattr("xpgrad.optim.quasi_newton.strong_wolfe", fails_once)
    fit = lbfgs(rosenbrock, np.array([-1.2, 1.0]))
    assert fit.converged
    assert (slopes[0], slopes[5]) == (1.0, 1.0)
    assert slopes[4] != 1.0


def test_the_loss_never_rises(logistic):
    values = [record.value for record in lbfgs(logistic[0], logistic[1], logistic[2]).history]
    assert values == sorted(values, reverse=True)


def test_float32_stays_float32_and_comes_close_to_float64(logistic, put):
    loss, start, data = logistic
    in_single = tuple(x.astype(np.float32) for x in start), tuple(x.astype(np.float32) for x in data)
    fit = lbfgs(loss, *map(put, in_single))
    assert fit.converged
    assert [p.dtype for p in fit.params] == [np.float32, np.float32]
    for p, q in zip(fit.params, lbfgs(loss, start, data).params, strict=True):
        np.testing.assert_allclose(xg.asnumpy(p), q, atol=2e-3)


def test_float32_does_not_stop_at_the_first_small_decrease():
    n, m, rng = 100, 8000, np.random.default_rng(1)
    share = 1 / np.arange(1, n + 1) ** 2
    one_hot = np.eye(n)[:, rng.choice(n, size=m, p=share / share.sum())]
    rest = rng.normal(size=(6, m))
    X = np.vstack([one_hot, rest[3:] + 0.01 * rest[:3], rest[3:]])  # nearly collinear
    X = (X - X.mean(1, keepdims=True)) / (X.std(1, keepdims=True) + 1e-9)
    w = 0.3 * rng.normal(size=n + 6)
    Y = (rng.random(m) < 1 / (1 + np.exp(1 - w @ X))).astype(float)

    def loss(w, X, Y):
        Z = w[:-1] @ X + w[-1]
        return np.mean(np.logaddexp(0, Z) - Y * Z)

    best = lbfgs(loss, np.zeros(n + 7), (X, Y), tol=1e-6).value
    data = X.astype(np.float32), Y.astype(np.float32)
    found = lbfgs(loss, np.zeros(n + 7, np.float32), data).params.astype(float)
    assert loss(found, X, Y) < best * (1 + 5e-6)


def test_rosenbrock_in_float32_ends_where_its_rounding_does():
    fit = lbfgs(rosenbrock, np.tile(np.array([-1.2, 1.0], np.float32), 50))
    assert fit.converged
    assert "rounding" in fit.message
    np.testing.assert_allclose(fit.params, 1, atol=1e-4)


def test_a_python_scalar_gives_way_to_the_dtype_of_arrays():
    assert Flat({"W": np.zeros(2, np.float32), "b": 0.5}, np).dtype == np.float32
    assert Flat((np.float64(1), np.zeros(2, np.complex64)), np).dtype == np.float64
    assert Flat((1.0, 1j), np).dtype == np.float64


@dataclass
class Model:
    weights: dict
    offset: object
    scale: object


def test_a_tree_of_mixed_leaves_comes_back_as_it_was():
    start = Model({"W": np.zeros((2, 1), np.float32, order="F")}, 0.5, (np.float64(1.0), np.array(2.0)))

    def loss(m):
        return np.sum((m.weights["W"] - 3) ** 2) + (m.offset - 1) ** 2 + (m.scale[0] + 1) ** 2 + m.scale[1] ** 4

    fit = lbfgs(loss, start, tol=1e-4)
    m = fit.params
    assert fit.converged
    assert type(m) is Model
    assert (type(m.offset), type(m.scale[0]), type(m.scale[1])) == (float, np.float64, np.ndarray)
    assert (m.weights["W"].dtype, m.weights["W"].shape, m.scale[1].shape) == (np.float32, (2, 1), ())
    np.testing.assert_allclose([*m.weights["W"][:, 0], m.offset, m.scale[0]], [3, 3, 1, -1], atol=1e-3)


def test_complex_parameters_count_as_two_real_ones(put):
    target = np.array([[1 + 2j, -3j]])
    fit = lbfgs(
        lambda p: np.sum(np.abs(p[0] - target) ** 2) + (p[1] - 1) ** 2, (put(np.zeros((1, 2), complex)), 0.0)
    )
    assert fit.converged
    assert fit.params[0].dtype == complex
    np.testing.assert_allclose(xg.asnumpy(fit.params[0]), target, atol=1e-5)


def test_only_scalars_come_to_the_host(logistic, put, monkeypatch):
    sizes = []
    fetch = quasi_newton.fetch
    monkeypatch.setattr(
        "xpgrad.optim.quasi_newton.fetch", lambda *xs: sizes.extend(map(np.size, xs)) or fetch(*xs)
    )
    fit = lbfgs(logistic[0], put(logistic[1]), put(logistic[2]))
    assert set(sizes) == {1}
    assert len(sizes) >= 5 * fit.n_iter


def test_at_the_minimum_nothing_is_done():
    fit = lbfgs(lambda x: np.sum(x**2), np.zeros(3))
    assert (fit.converged, fit.n_iter, fit.history[-1].evaluations) == (True, 0, 1)
    said = "converged: the gradient norm 0 is within tol=1e-05; params did not move"
    assert fit.message == f"{said}: the loss does not depend on it, or its gradient was 0"


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_decrease_within_rounding_is_convergence_and_said_so(logistic, offset):
    loss, start, data = logistic
    fit = lbfgs(lambda params, *data: loss(params, *data) + offset, start, data, tol=0.0)
    assert fit.converged
    assert "rounding" in fit.message
    best = lbfgs(loss, start, data, tol=1e-8)
    assert abs(fit.value - offset - best.value) <= 1e-14 + 1e-15 * offset
    np.testing.assert_allclose(fit.params[0], best.params[0], atol=1e-6 + 1e-8 * offset)


def test_a_wrong_gradient_is_no_convergence():
    @xg.custom_vjp
    def wrong(x):
        return np.sum(x**2)

    wrong.defvjp(lambda x: (wrong(x), x), lambda x, g: (-2 * g * x,))
    fit = lbfgs(wrong, np.ones(2))
    assert not fit.converged
    assert fit.message.startswith("stopped: no lower loss was found down the gradient (norm 2)")
    assert np.array_equal(fit.params, np.ones(2))


def test_a_start_without_a_finite_loss_is_said_so():
    with np.errstate(all="ignore"):
        fit = lbfgs(lambda x: np.log(x), -1.0)
    assert (fit.converged, fit.params, fit.n_iter) == (False, -1.0, 0)
    assert fit.message.startswith("the loss is nan at the given parameters; xg.debug(nans=True)")


def test_minimize_and_lbfgs_are_the_same_method(logistic):
    loss, start, data = logistic
    a, b = lbfgs(loss, start, data), minimize(loss, start, data, method="lbfgs")
    assert [r.value for r in a.history] == [r.value for r in b.history]
    assert np.array_equal(a.params[0], b.params[0])


def test_a_memory_of_nothing_is_refused():
    with pytest.raises(ValueError, match="lbfgs: memory must be at least 1, got 0"):
        lbfgs(rosenbrock, np.ones(3), memory=0)
