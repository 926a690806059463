"""Whether a fit has converged: what it says, against what is known of the loss."""

import re

import numpy as np
import pytest

from xpgrad.losses import binary_cross_entropy
from xpgrad.optim import minimize

SINGLE = np.float32


def kinked(w):
    return np.where(w > -1, np.sum(w), np.nan * w).sum()


# Where no minimum is: nothing that a fit may call converged.
WITHOUT_A_MINIMUM = {
    "linear": (np.sum, np.zeros(2)),
    "linear, float32": (np.sum, np.zeros(2, SINGLE)),
    "concave": (lambda w: -np.sum(w**2), np.ones(2)),
    "concave, large": (lambda w: -1e12 * np.sum(w**2), np.ones(2)),
    "cubic": (lambda w: np.sum(w**3), -np.ones(3)),
    "logarithm": (lambda w: np.sum(np.log(w)), np.ones(2)),
    "NaN beyond a wall": (kinked, 0.5),
}


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "line by line"])
@pytest.mark.parametrize("method", ["lbfgs", "gd", "adam"])
@pytest.mark.parametrize("case", WITHOUT_A_MINIMUM)
def test_where_no_minimum_is_found_a_fit_has_not_converged(case, method, compile):
    loss, start = WITHOUT_A_MINIMUM[case]
    with np.errstate(all="ignore"):
        fit = minimize(loss, start, method=method, compile=compile, max_iter=300)
    assert not fit.converged, fit
    assert not fit.message.startswith("converged"), fit
    assert np.isfinite(fit.value)
    assert np.all(np.isfinite(fit.params))


WITH_A_MINIMUM = {
    "quadratic": (lambda w: np.sum((w - 3) ** 2), np.zeros(2), 3.0),
    "quadratic, float32": (lambda w: np.sum((w - 3) ** 2), np.zeros(2, SINGLE), 3.0),
    "quadratic beside a constant": (lambda w: 1e6 + np.sum((w - 3) ** 2), np.zeros(2), 3.0),
    "quartic": (lambda w: np.sum((w - 3) ** 4), np.zeros(2), 3.0),
    "large": (lambda w: 1e12 * np.sum((w - 3) ** 2), np.zeros(2), 3.0),
    "large, float32": (lambda w: SINGLE(1e12) * np.sum((w - 3) ** 2), np.zeros(2, SINGLE), 3.0),
    "at the start": (lambda w: np.sum(w**2), np.zeros(2), 0.0),
}


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "line by line"])
@pytest.mark.parametrize("case", WITH_A_MINIMUM)
def test_at_a_minimum_a_fit_has_converged(case, compile):
    loss, start, where = WITH_A_MINIMUM[case]
    fit = minimize(loss, start, method="lbfgs", compile=compile)
    assert fit.converged, fit
    np.testing.assert_allclose(fit.params, where, atol=0.05)


PLATEAUS = {
    "float32": (lambda w: SINGLE(1e8) + np.sum(w * w), np.ones(2, SINGLE)),
    "float32, skew": (lambda w: SINGLE(1e8) + np.sum(np.array([1, 50], SINGLE) * w**2), np.ones(2, SINGLE)),
    "float64": (lambda w: 1e18 + np.sum(w**2), np.ones(2)),
}


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "line by line"])
@pytest.mark.parametrize("case", PLATEAUS)
def test_a_plateau_of_rounding_is_convergence_only_near_the_minimum(case, compile):
    loss, start = PLATEAUS[case]
    fit = minimize(loss, start, method="lbfgs", compile=compile)
    assert not fit.converged or np.all(np.abs(fit.params) < 0.05), fit


def test_a_stall_with_a_large_gradient_says_both_norms():
    fit = minimize(np.sum, np.zeros(2), method="lbfgs")
    assert "the gradient is not small (norm 1, 1 at the start)" in fit.message


def squares(w, X):
    return np.mean((X - w) ** 2)


@pytest.mark.parametrize(
    "options", [{"method": "lbfgs"}, {"method": "gd"}, {"method": "adam", "batch_size": 2}]
)
@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "line by line"])
@pytest.mark.parametrize(
    ("X", "says"),
    [
        ([[1, 2, 3], [4, np.nan, np.inf]], r"data\[0\] has nan at \[1, 1\], and 1 other not finite"),
        ([[1, 2, np.inf], [4, 5, 6]], r"data\[0\] has inf at \[0, 2\]"),
    ],
)
def test_where_the_loss_is_nan_the_message_names_the_entry_of_the_data(X, says, options, compile):
    with np.errstate(all="ignore"):
        fit = minimize(squares, 0.0, (np.array(X, float),), compile=compile, max_iter=3, **options)
    assert not fit.converged
    assert re.search(says, fit.message), fit.message
    assert "did not move" not in fit.message


def test_where_the_loss_is_nan_the_message_names_the_entry_of_the_parameters():
    params = {"a": np.zeros(2), "b": np.array([1.0, 2.0, -np.inf])}
    fit = minimize(lambda p: np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2), params, method="lbfgs")
    assert not fit.converged
    assert "params['b'] has -inf at [2]" in fit.message


@pytest.mark.parametrize("options", [{"method": "lbfgs"}, {"method": "gd"}, {"method": "adam", "max_iter": 3}])
@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "line by line"])
def test_parameters_that_the_loss_does_not_depend_on_are_named(options, compile):
    params = {"a": np.zeros(2), "b": np.zeros(3), "c": [1.0]}
    fit = minimize(lambda p: np.sum((p["a"] - 1) ** 2), params, compile=compile, **options)
    assert "params['b'] and params['c'][0] did not move" in fit.message
    fit = minimize(
        lambda p: np.sum((p["a"] - 1) ** 2) + np.sum(p["b"] - 2) ** 2 + (p["c"][0] - 3) ** 2, params, **options
    )
    assert "did not move" not in fit.message


@pytest.mark.parametrize("loss", [lambda w: 5.0, lambda w: np.sum(np.round(w))], ids=["constant", "steps"])
@pytest.mark.parametrize("method", ["lbfgs", "gd"])
def test_a_loss_that_does_not_depend_on_the_parameters_is_told(loss, method):
    assert (
        "params did not move: the loss does not depend on it"
        in minimize(loss, np.full(2, 0.7), method=method).message
    )


def test_a_gradient_that_underflows_ends_a_fit():
    """Of separable classes the loss goes to 0, and with tol=0 the fit goes on until its gradient does."""
    X = np.arange(100.0)[None] - 50.5
    y = X[0] > 0
    fit = minimize(lambda w, X, y: binary_cross_entropy(w @ X, y), np.zeros(1), (X, y), method="lbfgs", tol=0)
    assert fit.value < 1e-100
