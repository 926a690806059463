"""Regressors with a linear predictor."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from xpgrad.devices import asnumpy
from xpgrad.devices.door import is_source
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.families import Family
from xpgrad.learn.linear import COMMON, SOLVERS, LinearEstimator, at_least, refuse_targets
from xpgrad.learn.streamed import average, in_memory

FITTING = {
    "fit_intercept": ["boolean"],
    "solver": [SOLVERS],
    "max_iter": [at_least(1, Integral), None],
    "tol": [at_least(0)],
    "warm_start": ["boolean"],
    **COMMON,
}


class Regressor(sk.RegressorMixin, LinearEstimator):
    """Fit the mean of a family."""

    def _family(self) -> Family:
        raise NotImplementedError

    def _scored(self) -> Family:
        family = self._family()
        if not family.distribution:
            raise ValueError(f"{type(self).__name__} has no likelihood, and so no inference")
        return family

    def _l2(self, total: float) -> float:
        """The penalty beside the mean loss of samples whose weights sum to ``total``."""
        return float(self.alpha)

    def _l1(self) -> float:
        return 0.0

    def _shape(self, y: Any, weights: Any) -> tuple[float, ...]:
        """Where the scalars that are fitted along begin."""
        return ()

    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None) -> Any:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : table or float[n, p]
        y : float[n]
        sample_weight : float[n], optional
        offset : float[n], optional
            Added to the linear predictor with a coefficient of 1.
        """
        return self._fitted(X, y, sample_weight, offset, None)

    def _fitted(self, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any) -> Any:
        arrival, design, y = self._read(X, y, fit=True)
        y = y if is_source(y) else np.asarray(y, dtype=design.numbers.dtype)
        family = self._family()
        refuse_targets(y, family, type(self).__name__)
        weights = self._weights(sample_weight, design)
        offset = self._offset(offset, exposure, design)
        found = self._fit_predictor(
            arrival,
            design,
            y,
            family,
            weights=weights,
            offset=offset,
            l2=self._l2(float(len(y) if weights is None else weights.sum())),
            l1=self._l1(),
            center=_center(y, weights, offset, family),
            shape=self._shape(y, weights),
        )
        self._after(arrival, found, y, design, offset)
        return self

    def _after(self, arrival: Any, found: Any, y: Any, design: Any, offset: Any) -> None:
        """Set what a family has beside its coefficients."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of the variance that is explained, R²."""
        return float(super().score(X, in_memory(X, y), sample_weight))

    def predict(self, X: Any, *, offset: Any = None) -> Any:
        """The expected target of each sample, float[n], or float[n, k] of several targets."""
        arrival, eta = self._eta(X, "predict", offset)
        out = asnumpy(self._family().mean(eta))
        return arrival.follow(out[:, None] if np.ndim(self.coef_) > np.ndim(out) else out)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self._takes_targets
        return tags


def _center(y: Any, weights: Any, offset: Any, family: Family) -> Any:
    """The linear predictor of the mean target, and a finite number if that has none."""
    mean = average(y, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        center = family.link(mean)
    if not np.all(np.isfinite(center)):
        center = 0.0 if family.lowest == 0 else mean
    return center if offset is None else center - float(average(offset, weights))


class LinearRegression(Regressor):
    """Least squares, of one target or of several, ``y`` of (n, k).

    Parameters
    ----------
    fit_intercept : bool
    tol : float
        For the largest entry of the gradient of the mean loss; with "lbfgs", the columns being standardised.
    solver : {"auto", "newton", "lbfgs"}
    max_iter : int, optional
        By default 1000.
    categorical_features, handle_unknown, checkpoint, device, dtype, memory_limit, cluster
        As in `LogisticRegression`.

    Attributes
    ----------
    coef_ : float[P], or float[k, P] of several targets
    intercept_ : float, or float[k]
    coef_names : list of str
    n_iter_ : int
    device_, device_reason_ : str

    Notes
    -----
    Minimises ``sum(w (y - z)²)``. Without a penalty the first level of each categorical column is the
    reference, whose coefficient is 0.
    """

    _takes_targets = True
    _parameter_constraints = {k: v for k, v in FITTING.items() if k != "warm_start"}

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        solver: str = "auto",
        max_iter: int | None = None,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.solver = solver
        self.max_iter = max_iter
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        return families.normal

    def _l2(self, total: float) -> float:
        return 0.0


class Ridge(Regressor):
    """Least squares with a penalty on the squares of the coefficients, of one target or of several.

    Parameters
    ----------
    alpha : float
        The strength of the penalty.
    fit_intercept, tol, solver, max_iter, categorical_features, handle_unknown
        As in `LinearRegression`.
    checkpoint, device, dtype, memory_limit, cluster
        As in `LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Notes
    -----
    Minimises ``sum(w (y - z)²) + alpha |coef|²``.
    """

    _takes_targets = True
    _parameter_constraints = {"alpha": [at_least(0)], **{k: v for k, v in FITTING.items() if k != "warm_start"}}

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        tol: float = 1e-6,
        solver: str = "auto",
        max_iter: int | None = None,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.solver = solver
        self.max_iter = max_iter
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        return families.normal

    def _l2(self, total: float) -> float:
        return float(self.alpha) / total
