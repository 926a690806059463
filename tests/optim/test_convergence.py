"""Whether a fit has converged: what it says, against what is known of the loss."""

import numpy as np
import pytest

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
