"""scikit-learn's own checks of estimators: none fails, and none is expected to."""

import re

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import xpgrad as xg
from conftest import need_gpu
from xpgrad import learn


def squared(params, X, y):
    return (y - X @ params["w"] - params["b"]) ** 2


def zeros(X, y):
    return {"w": np.zeros(X.shape[1]), "b": 0.0}


def line(params, X):
    return X @ params["w"] + params["b"]


def cross_entropy(params, X, y):
    z = line(params, X)
    if z.ndim == 1:
        return np.logaddexp(0, z) - y * z
    return xg.losses.cross_entropy(z, y, axis=1, reduction="none")


def zeros_by_class(X, y):
    k = int(np.max(y)) + 1
    return {"w": np.zeros((X.shape[1], k)[: k - 1]), "b": np.zeros((k,)[: k - 2])}


def probabilities(params, X):
    z = line(params, X)
    return xg.special.expit(z) if z.ndim == 1 else xg.special.softmax(z, axis=1)


ESTIMATORS = [
    learn.Model(squared, zeros, line),
    learn.Model(cross_entropy, zeros_by_class, probabilities, task="classification"),
    learn.MLPClassifier(max_iter=100),
    learn.MLPRegressor(max_iter=100),
    learn.LogisticRegression(),
    learn.QuantileRegressor(alpha=0.01, tol=1e-9),
    learn.LinearRegression(),
    learn.Ridge(),
    learn.PoissonRegressor(),
    learn.GammaRegressor(),
    learn.TweedieRegressor(),
    learn.NegativeBinomialRegressor(),
    # Samples fewer than columns leave no residuals and a scale of 0, unless the penalty is strong.
    learn.HuberRegressor(alpha=100.0, tol=1e-8),
]


CHECKS = parametrize_with_checks(ESTIMATORS).mark


def name_of(part):
    """scikit-learn's name of an estimator or of a check, without the addresses of functions."""
    return re.sub(r"<function(\w+?)at0x\w+>", r"\1", CHECKS.kwargs["ids"](part))


# As in scikit-learn's own run of the checks: some of their data have no minimum, or none in 100 passes.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.sweep
@pytest.mark.parametrize(*CHECKS.args, ids=name_of)
def test_scikit_learns_checks_pass(estimator, check):
    if "cupy" in str(getattr(check, "keywords", "")):
        need_gpu()
    check(estimator)
