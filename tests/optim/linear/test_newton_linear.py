"""Fits of linear predictors against scikit-learn, SciPy and least squares, on columns written out."""

import numpy as np
import pytest
from scipy import optimize
from sklearn import linear_model

from optim.linear.problems import cauchy, dense, gamma, logistic, poisson, softmax, squared, table
from xpgrad import DataError
from xpgrad.optim.linear import Design, LinearObjective, lbfgs_linear, newton_linear
from xpgrad.optim.linear.programs import terms
from xpgrad.optim.linear.proximal import proximal_step, subgradient

ROWS, LEVELS = 600, (6, 4, 3)


@pytest.fixture(scope="module")
def data():
    """Numbers, codes, the columns written out, and a predictor."""
    X, codes = table(ROWS, 2, LEVELS)
    columns = dense(X, codes, LEVELS)
    coef = np.random.default_rng(3).normal(size=columns.shape[1]) / 2
    return X, codes, columns, columns @ coef


def drawn(unit, eta):
    rng = np.random.default_rng(4)
    if unit is logistic:
        return (rng.random(ROWS) < 1 / (1 + np.exp(-eta))) * 1.0
    return rng.poisson(np.exp(eta)) * 1.0 if unit is poisson else rng.gamma(2.0, np.exp(eta) / 2)


MODELS = {
    logistic: lambda: linear_model.LogisticRegression(C=20.0, tol=1e-12, solver="newton-cholesky"),
    poisson: lambda: linear_model.PoissonRegressor(alpha=1 / 20 / ROWS, tol=1e-12, solver="newton-cholesky"),
    gamma: lambda: linear_model.GammaRegressor(alpha=1 / 20 / ROWS, tol=1e-12, solver="newton-cholesky"),
}


@pytest.mark.parametrize("unit", MODELS, ids=lambda unit: unit.__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_are_those_of_scikit_learn(data, unit, weighted, put):
    X, codes, columns, eta = data
    y = drawn(unit, eta)
    weights = np.random.default_rng(5).integers(1, 4, ROWS) * 1.0 if weighted else None
    total = ROWS if weights is None else weights.sum()
    l2 = 1 / 20 / (total if unit is logistic else ROWS)
    objective = LinearObjective(
        unit, Design(*put((X, codes)), LEVELS), (put(y),), weights=put(weights), scale=1 / total, l2=l2
    )
    fit = newton_linear(objective, tol=1e-11)
    theirs = MODELS[unit]().fit(columns[:, 1:], y, sample_weight=weights)
    assert fit.converged
    assert fit.n_iter <= 12
    np.testing.assert_allclose(fit.params[0], theirs.intercept_, rtol=1e-6)
    np.testing.assert_allclose(fit.params[1:], theirs.coef_.reshape(-1), rtol=1e-6, atol=1e-9)


def test_several_outputs_are_those_of_scikit_learn(data):
    X, codes, columns, _ = data
    labels = np.random.default_rng(6).integers(0, 3, ROWS)
    fixed = np.zeros((columns.shape[1], 3), bool)
    fixed[0, 2] = True  # of the intercepts only differences matter
    objective = LinearObjective(
        softmax, Design(X, codes), (np.eye(3)[labels],), outputs=3, scale=1 / ROWS, l2=1 / 20 / ROWS
    )
    fit = newton_linear(objective, fixed=fixed, tol=1e-11)
    theirs = linear_model.LogisticRegression(C=20.0, tol=1e-12, solver="newton-cholesky")
    theirs.fit(columns[:, 1:], labels)
    assert fit.converged
    assert fit.params[0, 2] == 0
    np.testing.assert_allclose(fit.params[1:], theirs.coef_.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(np.diff(fit.params[0]), np.diff(theirs.intercept_), atol=1e-8)


def test_lbfgs_ends_where_newton_does(data):
    X, codes, _, eta = data
    objective = LinearObjective(
        poisson, Design(X, codes), (drawn(poisson, eta),), scale=1 / ROWS, l2=np.r_[0, np.full(15, 0.01)]
    )
    fixed = np.arange(16) == 5
    fit = lbfgs_linear(objective, fixed=fixed, tol=1e-10)
    exact = newton_linear(objective, fixed=fixed, tol=1e-10)
    assert fit.converged
    assert fit.n_iter > exact.n_iter
    assert fit.params[5] == exact.params[5] == 0
    np.testing.assert_allclose(fit.params, exact.params, atol=1e-6)  # a loss at its rounding


def test_lbfgs_refuses_an_l1_penalty(data):
    X, codes, _, eta = data
    with pytest.raises(DataError, match=r"l1 penalty[\s\S]*newton_linear"):
        lbfgs_linear(LinearObjective(squared, Design(X, codes), (eta,), l1=0.1))


def test_an_offset_is_part_of_the_predictor(data):
    X, codes, columns, eta = data
    y, exposure = drawn(poisson, eta), np.random.default_rng(7).uniform(0.5, 2, ROWS)
    objective = LinearObjective(
        poisson, Design(X, codes), (y,), offset=np.log(exposure), scale=1 / exposure.sum(), l2=0.01
    )
    fit = newton_linear(objective, tol=1e-11)
    theirs = linear_model.PoissonRegressor(alpha=0.01, tol=1e-12, solver="newton-cholesky")
    theirs.fit(columns[:, 1:], y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(fit.params[1:], theirs.coef_, rtol=1e-6, atol=1e-9)


def test_without_a_penalty_collinear_levels_have_the_solution_of_minimum_norm(data):
    X, codes, columns, eta = data
    y = eta + np.random.default_rng(8).normal(size=ROWS)
    fit = newton_linear(LinearObjective(squared, Design(X, codes), (y,), scale=1 / ROWS), tol=1e-12)
    assert fit.converged
    assert "singular (rank 13 of 16): steps of minimum norm" in fit.message
    np.testing.assert_allclose(fit.params, np.linalg.lstsq(columns, y)[0], rtol=1e-8)


def test_minimum_norm_holds_over_several_steps(data):
    X, codes, columns, eta = data
    y = drawn(logistic, eta)
    fit = newton_linear(LinearObjective(logistic, Design(X, codes), (y,), scale=1 / ROWS), tol=1e-12)
    assert fit.converged
    assert fit.n_iter > 3
    _, sizes, rows = np.linalg.svd(columns)
    beyond = rows[np.sum(sizes > 1e-9 * sizes[0]) :]
    assert len(beyond) == 3
    np.testing.assert_allclose(beyond @ fit.params, 0, atol=1e-10)


def test_fixed_levels_are_columns_left_out(data):
    X, codes, columns, eta = data
    y = eta + np.random.default_rng(8).normal(size=ROWS)
    design = Design(X, codes)
    fixed = np.zeros(design.columns, bool)
    fixed[[levels.start for levels in design.of_levels]] = True
    fit = newton_linear(LinearObjective(squared, design, (y,), scale=1 / ROWS), fixed=fixed, tol=1e-12)
    assert fit.message.startswith("converged: the gradient norm")
    assert "singular" not in fit.message
    assert (fit.params[fixed] == 0).all()
    np.testing.assert_allclose(fit.params[~fixed], np.linalg.lstsq(columns[:, ~fixed], y)[0], rtol=1e-8)


def test_a_loss_of_ones_own_that_is_not_convex_ends_where_scipy_does(data):
    X, codes, columns, eta = data
    y = eta + np.random.default_rng(9).standard_cauchy(ROWS)
    fit = newton_linear(LinearObjective(cauchy, Design(X, codes), (y,), scale=1 / ROWS, l2=0.1), tol=1e-10)

    def theirs(coef):
        off = columns @ coef - y
        ridge = np.r_[0, coef[1:]]
        gradient = columns.T @ (2 * off / (1 + off**2)) / ROWS + 0.1 * ridge
        return np.mean(np.log1p(off**2)) + 0.05 * ridge @ ridge, gradient

    found = optimize.minimize(theirs, np.zeros(columns.shape[1]), jac=True, tol=1e-10)
    assert fit.converged
    np.testing.assert_allclose(fit.params, found.x, atol=1e-6)


def test_a_start_from_which_the_full_step_overflows_still_ends_at_the_minimum():
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = np.random.default_rng(1).poisson(1e6, 100) * 1.0
    fit = newton_linear(LinearObjective(poisson, Design(X), (y,), scale=1e-8), tol=1e-12)
    theirs = linear_model.PoissonRegressor(alpha=0, tol=1e-14, max_iter=1000).fit(X, y)
    assert fit.converged
    np.testing.assert_allclose(fit.params, [theirs.intercept_, *theirs.coef_], atol=1e-6)


def test_float32_ends_where_its_rounding_hides_progress_and_says_so(data):
    X, codes, _, eta = data
    y = drawn(logistic, eta)
    exact = newton_linear(LinearObjective(logistic, Design(X, codes), (y,), scale=1 / ROWS, l2=1e-3), tol=1e-10)
    design = Design(X.astype(np.float32), codes)
    objective = LinearObjective(logistic, design, (y.astype(np.float32),), scale=1 / ROWS, l2=1e-3)
    fit = newton_linear(objective, tol=1e-12)
    assert "by its rounding" in fit.message
    assert fit.n_iter < 15
    np.testing.assert_allclose(fit.params, exact.params, atol=1e-4)


@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_elastic_net_is_that_of_scikit_learn(data, l2):
    X, codes, columns, eta = data
    y = eta + np.random.default_rng(8).normal(size=ROWS)
    objective = LinearObjective(squared, Design(X, codes), (y,), scale=1 / ROWS, l2=l2, l1=0.05)
    fit = newton_linear(objective, tol=1e-10)
    theirs = linear_model.ElasticNet(alpha=0.05 + l2, l1_ratio=0.05 / (0.05 + l2), tol=1e-12, max_iter=100_000)
    theirs.fit(columns[:, 1:], y)
    assert fit.converged
    assert fit.n_iter <= 3
    assert 0 < np.sum(fit.params == 0) < 15
    if l2:  # without, levels that sum to the intercept may have several solutions
        np.testing.assert_allclose(fit.params[1:], theirs.coef_, atol=1e-8)
    eta = columns[:, 1:] @ theirs.coef_ + theirs.intercept_
    value = np.mean((eta - y) ** 2) / 2 + l2 * theirs.coef_ @ theirs.coef_ / 2 + 0.05 * abs(theirs.coef_).sum()
    assert fit.value == pytest.approx(value, rel=1e-9)


def test_logistic_lasso_is_that_of_scikit_learn(data):
    X, codes, columns, eta = data
    y = drawn(logistic, eta)
    objective = LinearObjective(logistic, Design(X, codes), (y,), scale=1 / ROWS, l1=1 / 5 / ROWS)
    fit = newton_linear(objective, tol=1e-10)
    theirs = linear_model.LogisticRegression(l1_ratio=1.0, C=5.0, solver="saga", tol=1e-9, max_iter=20_000)
    theirs.fit(columns[:, 1:], y)
    coef = np.r_[theirs.intercept_, theirs.coef_[0]]
    value = np.mean(logistic(columns @ coef, y)) + abs(coef[1:]).sum() / 5 / ROWS
    assert fit.converged
    assert fit.value <= value + 1e-12
    assert fit.value == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_the_proximal_step_meets_the_optimality_conditions(seed):
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(15, 10))
    H, g, coef = B.T @ B, 5 * rng.normal(size=10), rng.normal(size=10)
    coef[:4], l1 = 0, rng.uniform(0, 8, 10)
    l1[9] = 0
    new = coef + proximal_step(H, g, coef, l1)
    slope = g + H @ (new - coef)
    assert (abs(subgradient(new, slope, l1)) <= 1e-8).all()
    assert 0 < np.sum(new == 0) < 10
    assert np.allclose(slope[new != 0], -(l1 * np.sign(new))[new != 0])
    assert (abs(slope[new == 0]) <= l1[new == 0]).all()


def test_levels_without_samples_and_constant_columns_get_the_solution_of_minimum_norm():
    codes, y = np.arange(60) % 3, np.linspace(-1, 1, 60) ** 3
    X = np.column_stack([np.linspace(-1, 1, 60), np.ones(60)])
    fit = newton_linear(LinearObjective(squared, Design(X, [codes], [5]), (y,), scale=1 / 60), tol=1e-12)
    np.testing.assert_allclose(fit.params, np.linalg.lstsq(dense(X, [codes], [5]), y)[0], atol=1e-9)


def test_separable_labels_without_a_penalty_are_not_converged_to_a_large_gradient():
    x = np.linspace(-1, 1, 50)[:, None]
    fit = newton_linear(LinearObjective(logistic, Design(x), ((x[:, 0] > 0) * 1.0,), scale=1 / 50), max_iter=5)
    assert not fit.converged
    assert "max_iter=5" in fit.message


def test_nan_in_the_targets_is_named(data):
    X, codes, _, eta = data
    y = eta.copy()
    y[3] = np.nan
    fit = newton_linear(LinearObjective(squared, Design(X, codes), (y,)))
    assert not fit.converged
    assert "data[0] has nan at [3]" in fit.message


def test_a_second_fit_is_not_traced_again_and_many_shapes_have_another_program(monkeypatch):
    monkeypatch.setattr("xpgrad.optim.linear.programs._TRACES", 3)

    def unit(eta, y):
        return (eta - y) ** 4

    def fit(rows):
        X = np.linspace(-1, 1, rows)[:, None]
        newton_linear(LinearObjective(unit, Design(X), (np.ones(rows),)), max_iter=1)
        return terms(unit)

    first = fit(20)
    assert fit(21) is fit(20) is first
    assert len(first.traces) == 2
    assert fit(22) is not first
