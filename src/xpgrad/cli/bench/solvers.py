"""Fits of one model by several solvers: time, and distance from the best objective.

In:  the name of a solver, the size of the data.
Out: seconds, iterations, and the objective at the end, computed by NumPy in float64.

The model is a logistic regression with a ridge penalty, of features whose scales differ by up to 100::

    f(w, b) = mean(log(1 + exp(z)) - y z) + penalty / 2 w.w,   z = X w + b
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpgrad.cli.bench.processes import Missing

PENALTY = 1e-4
MAX_ITER = 1000
TOLERANCE = 1e-9

Array = NDArray[Any]
Fit = tuple[Array, Any, int]


def problem(samples: int, features: int) -> tuple[Array, Array]:
    """``X`` float64[samples, features] and labels of 0 and 1 that a logistic model gave."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((samples, features)) * 10 ** rng.uniform(-1, 1, features)
    z = X @ (rng.standard_normal(features) / np.sqrt((X**2).sum(0) / samples * features)) * 2 - 0.5
    return X, (rng.random(samples) < 1 / (1 + np.exp(-z))).astype(float)


def objective(w: Array, b: Any, X: Array, y: Array) -> Any:
    """``f``, by any array library's NumPy."""
    z = X @ w + b
    return np.mean(np.logaddexp(0.0, z) - y * z) + PENALTY / 2 * np.sum(w * w)


def _xpgrad(method: str) -> Callable[[Array, Array], Fit]:
    def fit(X: Array, y: Array) -> Fit:
        import xpgrad as xg

        def loss(params: Any, X: Any, y: Any) -> Any:
            w, b = params
            return objective(w, b, X, y)

        start = (np.zeros(X.shape[1]), np.zeros(()))
        found = xg.minimize(loss, start, (X, y), method=method, max_iter=MAX_ITER, tol=TOLERANCE)
        return *found.params, found.n_iter

    return fit


def _scipy(X: Array, y: Array) -> Fit:
    from scipy.optimize import minimize

    def by_hand(params: Array) -> tuple[float, Array]:
        w, b = params[:-1], params[-1]
        z = X @ w + b
        d = (1 / (1 + np.exp(-z)) - y) / len(y)
        value = np.mean(np.logaddexp(0.0, z) - y * z) + PENALTY / 2 * (w @ w)
        return value, np.append(X.T @ d + PENALTY * w, d.sum())

    start = np.zeros(X.shape[1] + 1)
    options = {"maxiter": MAX_ITER, "gtol": TOLERANCE, "ftol": 0}
    found = minimize(by_hand, start, jac=True, method="L-BFGS-B", options=options)
    return found.x[:-1], found.x[-1], int(found.nit)


def _sklearn(solver: str) -> Callable[[Array, Array], Fit]:
    def fit(X: Array, y: Array) -> Fit:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1 / (PENALTY * len(y)), solver=solver, tol=TOLERANCE, max_iter=MAX_ITER)
        model.fit(X, y)
        return model.coef_[0], model.intercept_[0], int(model.n_iter_[0])

    return fit


SOLVERS: dict[str, Callable[[Array, Array], Fit]] = {
    "xpgrad newton": _xpgrad("newton"),
    "xpgrad lbfgs": _xpgrad("lbfgs"),
    "SciPy L-BFGS-B, gradient by hand": _scipy,
    "scikit-learn lbfgs": _sklearn("lbfgs"),
    "scikit-learn newton-cholesky": _sklearn("newton-cholesky"),
}


def solve(solver: str, samples: int, features: int) -> dict[str, Any]:
    """Fit twice, and give the seconds of both: the first has what is compiled and imported in it."""
    X, y = problem(samples, features)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        try:
            w, b, iterations = SOLVERS[solver](X, y)
        except ModuleNotFoundError as error:
            raise Missing(f"{error.name} is not installed") from error
        seconds.append(time.perf_counter() - start)
    return {
        "first_s": seconds[0],
        "seconds": seconds[1],
        "iterations": iterations,
        "objective": float(objective(w, b, X, y)),
    }
