"""Steps by the Hessian of some samples lead to the minimum of all."""

import numpy as np
import pytest

from xpgrad.optim.linear import Design, LinearObjective, newton_linear, objective, sampling
from xpgrad.optim.linear.gram import weighted_gram

N, Q = 140_000, 30


def logistic(eta, y):
    return np.logaddexp(0, eta) - y * eta


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, Q))
    y = (rng.random(N) < 1 / (1 + np.exp(1 - X @ rng.normal(size=Q) / 4))).astype(float)
    return X, y


@pytest.fixture
def asked(monkeypatch):
    """The numbers of rows of the Hessians that a fit computes."""
    rows = []
    for module in (objective, sampling):
        monkeypatch.setattr(module, "weighted_gram", lambda d, *w: rows.append(d.size) or weighted_gram(d, *w))
    return rows


def fitted(X, y, **penalty):
    problem = LinearObjective(logistic, Design(X), (y,), scale=1 / len(y), **penalty)
    return newton_linear(problem, tol=1e-9)


@pytest.mark.parametrize("penalty", [{"l2": 1e-3}, {"l1": 1e-2}])
def test_the_minimum_is_that_of_all_samples(drawn, asked, penalty):
    X, y = drawn
    fit = fitted(X, y, **penalty)
    assert fit.converged
    assert max(asked) < N // 4
    gradient = X.T @ (1 / (1 + np.exp(-(X @ fit.params[1:] + fit.params[0]))) - y) / N
    slope = gradient + penalty.get("l2", 0.0) * fit.params[1:]
    l1 = penalty.get("l1", 0.0)
    at_zero = fit.params[1:] == 0
    assert at_zero.any() == bool(l1)
    np.testing.assert_allclose(slope[~at_zero], -l1 * np.sign(fit.params[1:][~at_zero]), atol=2e-9)
    assert (np.abs(slope[at_zero]) <= l1).all()


def test_a_column_on_few_samples_asks_for_all(drawn, asked):
    X, y = drawn
    X = X.copy()
    X[:, 3] = 0
    X[1::1000, 3] = 1.0  # not one of them is an eighth sample
    fit = fitted(X, y, l2=1e-6)
    assert fit.converged
    assert min(asked) == N


def test_collinear_columns_are_found_in_all_samples(drawn, asked):
    X, y = drawn
    X = np.c_[X, X[:, :1] - X[:, 1:2]]
    fit = fitted(X, y)
    assert "minimum norm" in fit.message
    assert N in asked


def test_sorted_samples_are_no_harm(drawn):
    """Each step-th of them has another distribution, if they come in periods of the step."""
    X, y = drawn
    step = N // (1 << 14)
    X = X.copy()
    X[::step] *= 0.05
    fit = fitted(X, y, l2=1e-4)
    assert fit.converged
    w, b = fit.params[1:], fit.params[0]
    np.testing.assert_allclose(X.T @ (1 / (1 + np.exp(-(X @ w + b))) - y) / N + 1e-4 * w, 0, atol=2e-9)
