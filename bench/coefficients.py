"""Coefficients beside scikit-learn's, glum's and statsmodels': ``python -m bench.coefficients [--json OUT]``.

Each peer minimises the same objective as ours on the same data, standardised columns of float64, as far as it
goes (`TOL`). ``coef`` is the largest difference of a coefficient, intercepts included, relative to the largest
coefficient of the peer; ``gap`` is the objective of ours less that of the peer, relative to the peer's. The
objective is the mean of the negative log-likelihood of a sample (half the deviance for Tweedie) and half of
``l2`` times the squares of the coefficients, computed by NumPy and SciPy.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from bench.glm_problems import flights
from bench.peers.report import conditions

TOL = 1e-10
DISTRIBUTIONS = ("scikit-learn", "glum", "statsmodels", "scipy")


@dataclass
class Problem:
    """Data and objective.

    Attributes
    ----------
    X : float64[n, p]
    y : float64[n] or int64[n]
    family : {"logistic", "softmax", "normal", "poisson", "gamma", "tweedie"}
    l2 : float
        The strength of the penalty of the mean loss.
    """

    X: Any
    y: Any
    family: str
    l2: float

    def objective(self, intercept: Any, coef: Any) -> float:
        """The objective in float64; ``intercept`` and ``coef`` have a row for each class of softmax."""
        eta, y = self.X @ np.asarray(coef).T + intercept, self.y
        if self.family == "softmax":
            loss = logsumexp(eta, axis=1) - eta[np.arange(len(y)), y]
        else:
            loss = LOSSES[self.family](eta, y)
        return float(np.mean(loss) + self.l2 / 2 * np.sum(np.square(coef)))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "logistic": lambda eta, y: np.logaddexp(0, eta) - y * eta,
    "normal": lambda eta, y: (y - eta) ** 2 / 2,
    "poisson": lambda eta, y: np.exp(eta) - y * eta,
    "gamma": lambda eta, y: y * np.exp(-eta) + eta,
    "tweedie": lambda eta, y: np.exp(0.5 * eta) / 0.5 + y * np.exp(-0.5 * eta) / 0.5,
}
"""The loss of a sample, but for what does not depend on ``eta``; the power of Tweedie is 1.5."""


# ── the problems ─────────────────────────────────────────────────────────────────────────────
def _standard(X: Any) -> Any:
    X = np.asarray(X, np.float64)
    spread = X.std(axis=0)
    return (X - X.mean(axis=0))[:, spread > 0] / spread[spread > 0]


def _of_sklearn(name: str, family: str, l2: float) -> Problem:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Problem(_standard(X), y if family == "softmax" else y.astype(np.float64), family, l2 / len(y))


def _flights() -> Problem:
    table = flights(None)
    return Problem(table.dense(), table.y, "logistic", table.l2)


def _drawn(family: str, l2: float) -> Problem:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 8))
    mean = np.exp(X @ rng.normal(size=8) / 5 + 0.3)
    y = {
        "poisson": lambda: rng.poisson(mean).astype(np.float64),
        "gamma": lambda: rng.gamma(2.0, mean / 2),
        # A compound Poisson variable: a number of gamma variables.
        "tweedie": lambda: rng.gamma(np.maximum(2.0 * (k := rng.poisson(mean)), 1e-300), 0.5) * (k > 0),
    }[family]()
    return Problem(X, y, family, l2)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "breast cancer, logistic, C=1": lambda: _of_sklearn("breast_cancer", "logistic", 1.0),
    "digits, softmax, C=1": lambda: _of_sklearn("digits", "softmax", 1.0),
    "diabetes, linear": lambda: _of_sklearn("diabetes", "normal", 0.0),
    "diabetes, ridge, alpha=10": lambda: _of_sklearn("diabetes", "normal", 10.0),
    "flights, logistic, C=1": _flights,
    **{
        f"drawn, {family}, alpha={l2}": lambda family=family, l2=l2: _drawn(family, l2)
        for family in ("poisson", "gamma", "tweedie")
        for l2 in (0.0, 0.01)
    },
}


# ── the contenders: intercept and coefficients ───────────────────────────────────────────────
def by_estimator(problem: Problem, library: Any, **options: Any) -> tuple[Any, Any]:
    """By estimators with scikit-learn's names; ``library`` is `xpgrad.learn` or `sklearn.linear_model`."""
    n, l2, family = len(problem.y), problem.l2, problem.family
    if family in ("logistic", "softmax"):
        model = library.LogisticRegression(C=1 / (l2 * n) if l2 else np.inf, max_iter=10_000, **options)
    elif family == "normal":
        options.pop("solver", None)
        model = library.Ridge(alpha=l2 * n, **options) if l2 else library.LinearRegression()
    else:
        of = {"poisson": "PoissonRegressor", "gamma": "GammaRegressor", "tweedie": "TweedieRegressor"}[family]
        power = {"power": 1.5} if family == "tweedie" else {}
        model = getattr(library, of)(alpha=l2, max_iter=10_000, **power, **options)
    model.fit(problem.X, problem.y)
    if family == "softmax":
        return model.intercept_, model.coef_
    return float(np.ravel(model.intercept_)[0]), np.ravel(model.coef_)


def by_xpgrad(problem: Problem) -> tuple[Any, Any]:
    import xpgrad as xg

    return by_estimator(problem, xg.learn, **({} if problem.family == "normal" else {"tol": TOL}))


def by_sklearn(problem: Problem) -> tuple[Any, Any]:
    from sklearn import linear_model

    if problem.family == "normal":
        return by_estimator(problem, linear_model)
    solver = "newton-cg" if problem.family == "softmax" else "newton-cholesky"
    return by_estimator(problem, linear_model, tol=TOL, solver=solver)


def by_glum(problem: Problem) -> tuple[Any, Any] | None:
    import glum

    family = {"logistic": "binomial", "tweedie": glum.TweedieDistribution(1.5)}.get(
        problem.family, problem.family
    )
    if problem.family == "softmax":
        return None
    link = {"logistic": "logit", "normal": "identity"}.get(problem.family, "log")
    model = glum.GeneralizedLinearRegressor(
        family=family, link=link, alpha=problem.l2, l1_ratio=0, gradient_tol=TOL, max_iter=10_000
    ).fit(problem.X, problem.y)
    return model.intercept_, model.coef_


def by_statsmodels(problem: Problem) -> tuple[Any, Any] | None:
    import statsmodels.api as sm

    if problem.l2 or problem.family in ("logistic", "softmax"):
        return None  # it has no fit with a penalty on squares but by coordinate descent
    log = sm.families.links.Log()
    family = {
        "normal": lambda: sm.families.Gaussian(),
        "poisson": lambda: sm.families.Poisson(),
        "gamma": lambda: sm.families.Gamma(link=log),
        "tweedie": lambda: sm.families.Tweedie(link=log, var_power=1.5),
    }[problem.family]()
    found = sm.GLM(problem.y, sm.add_constant(problem.X), family=family).fit(tol=1e-14, maxiter=1000)
    return found.params[0], found.params[1:]


PEERS = {"scikit-learn": by_sklearn, "glum": by_glum, "statsmodels": by_statsmodels}


def compared(problem: Problem) -> dict[str, Any]:
    """Ours beside each peer."""
    intercept, coef = by_xpgrad(problem)
    ours = problem.objective(intercept, coef)
    rows: dict[str, Any] = {}
    for name, peer in PEERS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a peer has ended at rounding level
                answer = peer(problem)
        except ModuleNotFoundError as error:
            rows[name] = {"missing": f"{error.name} is not installed"}
            continue
        if answer is None:
            rows[name] = {"missing": "has no such model"}
            continue
        theirs = problem.objective(*answer)
        a, b = (np.concatenate([np.ravel(i), np.ravel(c)]) for i, c in ((intercept, coef), answer))
        if problem.family == "softmax":  # the intercepts of all classes may be shifted together
            k = len(intercept)
            a[:k] -= a[:k].mean()
            b[:k] -= b[:k].mean()
        rows[name] = {
            "coef": float(np.max(abs(a - b)) / np.max(abs(b))),
            "gap": (ours - theirs) / abs(theirs),
        }
    return rows


def main(argv: list[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.coefficients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    found = {}
    for name in args.problems:
        found[name] = compared(PROBLEMS[name]())
        for peer, row in found[name].items():
            shown = row.get("missing") or f"coefficients {row['coef']:.1e}, objective {row['gap']:+.1e}"
            print(f"{name:32} {peer:14} {shown}", flush=True)
    if args.json:
        args.json.write_text(
            json.dumps({"conditions": conditions(DISTRIBUTIONS), "problems": found}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
