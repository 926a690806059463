"""`minimize` on all the data: what depends on it alone is computed once, and never taken for other data."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import DataError
from xpgrad.compiler import compile_step
from xpgrad.optim import minimize
from xpgrad.testing import close, tolerance

EXACT = tolerance(np.float64).value


def loss(params, X, Y):
    w, b = params
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    z = w @ Z + b
    return np.mean(np.logaddexp(0, z) - Y * z) + 0.01 * np.sum(w @ (Z @ Z.T / Y.size) * w)


def data(seed):
    rng = np.random.default_rng(seed)
    return 3 + 2 * rng.normal(size=(4, 900)), (rng.random(900) < 0.3).astype(float)


def gradient_by_hand(w, b, X, Y):
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    d = (1 / (1 + np.exp(-(w @ Z + b))) - Y) / Y.size
    return Z @ d + 0.02 * (Z @ Z.T / Y.size) @ w, d.sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_step_on_the_same_data_and_on_others_has_the_gradient_of_its_own(seed):
    step = compile_step(xg.value_and_grad(loss), None, same_data=True)
    rng = np.random.default_rng(seed)
    for X, Y in (data(0), data(1)):
        for _ in range(3):
            w, b = rng.normal(size=4), rng.normal()
            _, (dw, db) = step((w, b), X, Y)
            expected, wanted = gradient_by_hand(w, b, X, Y)
            assert close(dw, expected, 100 * EXACT)
            assert close(db, wanted, 100 * EXACT)
    assert len(step.traces) == 1


def test_explain_says_what_is_computed_once():
    step = compile_step(xg.value_and_grad(loss), None, same_data=True)
    args = (np.zeros(4), 0.0), *data(0)
    once = step.explain(*args).partition("computed once for the same data: ")[2]
    assert "float64[4, 1] at test_same_data.py:" in once
    assert "computed once" not in compile_step(xg.value_and_grad(loss), None).explain(*args)


@pytest.mark.parametrize("method", ["lbfgs", "gd", "adam"])
def test_a_fit_agrees_with_line_by_line(method):
    runs = {"method": method, "max_iter": 8, "tol": 0.0}
    a, b = (minimize(loss, (np.ones(4), 0.0), data(0), compile=flag, **runs) for flag in (True, False))
    assert close([r.value for r in a.history], [r.value for r in b.history], 1e3 * EXACT)


def test_data_are_refused_before_anything_is_computed_of_them():
    def asked(w, X, y):
        return xg.losses.poisson_nll(w @ X, y) + np.linalg.inv(y[:3, None] * np.eye(3))[0, 0]

    y = np.ones(50)
    y[0] = -1.0
    with pytest.raises(DataError, match="labels must be 0 or more"):
        minimize(asked, np.zeros(3), (np.ones((3, 50)), y), method="lbfgs")


def test_what_the_loss_reads_from_outside_may_change_between_steps():
    scale = [1.0]

    def scaled(w, X):
        return scale[0] * np.mean((w - X.mean()) ** 2)

    def callback(info):
        scale[0] = 2.0

    runs = {"max_iter": 3, "learning_rate": 0.1, "tol": 0.0, "callback": callback}
    fit = minimize(scaled, 0.0, (np.arange(4.0),), method="gd", **runs)
    w = 0.0
    for factor in (1, 1, 2):  # the callback runs after the second gradient
        w -= 0.1 * factor * 2 * (w - 1.5)
    assert close(fit.params, w, EXACT)
