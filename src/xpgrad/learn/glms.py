"""Generalised linear models of counts and of positive targets."""

from __future__ import annotations

from math import log
from numbers import Real
from typing import Any

import numpy as np

from xpgrad.devices import asnumpy
from xpgrad.devices.door import is_source
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.families import Family
from xpgrad.learn.linear import at_least, refuse_targets
from xpgrad.learn.places import host
from xpgrad.learn.regressors import FITTING, Regressor
from xpgrad.learn.solve import Solution
from xpgrad.learn.streamed import average, in_memory, variance
from xpgrad.transforms import grad

_NO_DISPERSION = log(1e-4)
_CONSTRAINTS = {"alpha": [at_least(0)], **FITTING}


class GeneralizedLinearRegressor(Regressor):
    """The mean of a family by its link; scored by the share of the deviance explained."""

    _log_link = True

    @sk.fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, exposure: Any = None
    ) -> Any:
        """Fit to the samples in the rows of ``X``.

        Parameters
        ----------
        X : table or float[n, p]
        y : float[n]
        sample_weight : float[n], optional
        offset : float[n], optional
            Added to the linear predictor with a coefficient of 1.
        exposure : float[n], optional
            Positive; with the log link the mean is proportional to it, as with ``offset=log(exposure)``.
        """
        self._refuse_exposure(exposure)
        return self._fitted(X, y, sample_weight, offset, exposure)

    def predict(self, X: Any, *, offset: Any = None, exposure: Any = None) -> Any:
        """The expected target of each sample, float[n]."""
        self._refuse_exposure(exposure)
        arrival, eta = self._eta(X, "predict", offset, exposure)
        return arrival.follow(asnumpy(self._family().mean(eta)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of the deviance that is explained, D²; that of the mean target is 0."""
        family = self._scored()
        _, eta = self._eta(X, "score")
        eta = asnumpy(eta)
        y = sk.check_array(host(in_memory(X, y)), dtype=eta.dtype, ensure_2d=False)
        refuse_targets(y, family, type(self).__name__)
        w = None
        if sample_weight is not None:
            w = sk.check_sample_weight(host(sample_weight), eta[:, None], dtype=eta.dtype)
        null = np.full_like(eta, family.link(np.average(y, weights=w)))
        least = np.average(family.least(y), weights=w)
        left = np.average(asnumpy(family.losses(eta, y)), weights=w) - least
        return float(1 - left / (np.average(asnumpy(family.losses(null, y)), weights=w) - least))

    def _refuse_exposure(self, exposure: Any) -> None:
        if exposure is not None and not self._log_link:
            raise ValueError(f"{type(self).__name__}: exposure needs the log link; give offset instead")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self._family().lowest == 0
        return tags


class PoissonRegressor(GeneralizedLinearRegressor):
    """Poisson regression of counts, or of rates with their exposure as weights, by the log link.

    Parameters
    ----------
    alpha : float
        The strength of the penalty on the squares of the coefficients.
    fit_intercept : bool
    solver : {"auto", "newton", "lbfgs"}
    max_iter : int
    tol : float
        For the largest entry of the gradient of the mean loss; with "lbfgs", the columns being standardised.
    warm_start : bool
        Begin where the last fit ended.
    categorical_features, handle_unknown, checkpoint, device, dtype, memory_limit, cluster
        As in `LogisticRegression`.

    Attributes
    ----------
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Raises
    ------
    DataError
        A negative target.

    Notes
    -----
    Minimises ``sum(w (exp(z) - y z)) / sum(w) + alpha |coef|² / 2``: half of the mean deviance, but for a
    constant.
    """

    _parameter_constraints = _CONSTRAINTS

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int = 100,
        tol: float = 1e-4,
        warm_start: bool = False,
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
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        return families.poisson


class GammaRegressor(PoissonRegressor):
    """Gamma regression of positive targets, by the log link.

    Parameters
    ----------
    alpha, fit_intercept, solver, max_iter, tol, warm_start
        As in `PoissonRegressor`.
    categorical_features, handle_unknown, checkpoint, device, dtype, memory_limit, cluster
        As in `PoissonRegressor`.

    Attributes
    ----------
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Raises
    ------
    DataError
        A target of 0 or less.

    Notes
    -----
    Minimises ``sum(w (z + y exp(-z))) / sum(w) + alpha |coef|² / 2``: half of the mean deviance, but for a
    constant.
    """

    def _family(self) -> Family:
        return families.gamma


class TweedieRegressor(GeneralizedLinearRegressor):
    """Regression with a variance that is the mean to a power.

    Parameters
    ----------
    power : float
        0 is the normal, 1 the Poisson, 2 the gamma and 3 the inverse Gaussian distribution; between 1 and 2 the
        target is 0 or positive. Between 0 and 1 there is none.
    alpha : float
        The strength of the penalty on the squares of the coefficients.
    fit_intercept : bool
    link : {"auto", "identity", "log"}
        "auto" is "identity" up to a power of 0, and "log" above.
    solver, max_iter, tol, warm_start, categorical_features, handle_unknown
        As in `PoissonRegressor`.
    checkpoint, device, dtype, memory_limit, cluster
        As in `PoissonRegressor`.

    Attributes
    ----------
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Raises
    ------
    ValueError
        A power between 0 and 1.
    DataError
        A target that the distribution does not have.

    Notes
    -----
    Minimises half of the mean deviance, but for a constant, plus ``alpha |coef|² / 2``.
    """

    _parameter_constraints = {
        "power": [at_least(-np.inf, Real, "neither")],
        "link": [sk.StrOptions({"auto", "identity", "log"})],
        **_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        power: float = 0.0,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        link: str = "auto",
        solver: str = "auto",
        max_iter: int = 100,
        tol: float = 1e-4,
        warm_start: bool = False,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.power = power
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.link = link
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    @property
    def _log_link(self) -> bool:  # type: ignore[override]
        return self.link == "log" or (self.link == "auto" and self.power > 0)

    def _family(self) -> Family:
        if 0 < self.power < 1:
            raise ValueError(f"TweedieRegressor: no distribution has a power between 0 and 1, got {self.power}")
        return families.tweedie(self.power, "log" if self._log_link else "identity")

    def __sklearn_tags__(self) -> Any:
        tags = super(GeneralizedLinearRegressor, self).__sklearn_tags__()
        tags.target_tags.positive_only = self.power >= 1
        return tags


class NegativeBinomialRegressor(GeneralizedLinearRegressor):
    """Regression of counts whose variance exceeds their mean, by the log link (NB2).

    Parameters
    ----------
    alpha : float
        The strength of the penalty on the squares of the coefficients.
    dispersion : float or None
        The variance is ``mean + dispersion mean²``. None: it is fitted along, by maximum likelihood.
    fit_intercept, solver, max_iter, tol, warm_start
        As in `PoissonRegressor`.
    categorical_features, handle_unknown, checkpoint, device, dtype, memory_limit, cluster
        As in `PoissonRegressor`.

    Attributes
    ----------
    dispersion_ : float
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Raises
    ------
    DataError
        A negative target.

    Notes
    -----
    Minimises the mean negative log-likelihood plus ``alpha |coef|² / 2``. Hilbe, Negative Binomial Regression
    (2011), section 8.
    """

    _parameter_constraints = {"dispersion": [at_least(0, Real, "neither"), None], **_CONSTRAINTS}

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        dispersion: float | None = None,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int = 100,
        tol: float = 1e-4,
        warm_start: bool = False,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
        memory_limit: int | str | None = None,
        cluster: Any = None,
    ) -> None:
        self.alpha = alpha
        self.dispersion = dispersion
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        if self.dispersion is None:
            return families.negative_binomial
        return families.with_shape(families.negative_binomial, log(self.dispersion))

    def _shape(self, y: Any, weights: Any) -> tuple[float, ...]:
        """By the method of moments, as if all had one mean."""
        if self.dispersion is not None:
            return ()
        mean = float(average(y, weights, self.memory_limit))
        spread = variance(y, mean, weights, self.memory_limit)
        return (log(min(max((spread - mean) / mean**2, 0.01), 10.0)) if mean > 0 else 0.0,)

    def _fit_predictor(self, arrival: Any, design: Any, y: Any, family: Family, **options: Any) -> Solution:
        """Begin with Poisson regression, and end there if the counts vary no more than it says."""
        if self.dispersion is not None:
            self.dispersion_ = float(self.dispersion)
            return super()._fit_predictor(arrival, design, y, family, **options)
        plain = {**options, "shape": (), "stage": ".poisson"}
        poisson = super()._fit_predictor(arrival, design, y, families.poisson, **plain)
        slope = 0.0
        offset, weights = options["offset"], options["weights"]
        for at, eta in self._eta_of(poisson, design):
            eta = eta if offset is None else eta + offset[at]
            own = y.read(at.start, at.stop) if is_source(y) else y[at]
            slope += _slope_at_no_dispersion(eta, own, None if weights is None else weights[at])
        if not slope < 0:
            self.dispersion_ = 0.0
            return poisson
        found = super()._fit_predictor(arrival, design, y, family, **{**options, "start": poisson})
        self.dispersion_ = float(np.exp(found.shape[0]))
        return found

    def _scored(self) -> Family:
        if self.dispersion_ == 0:
            return families.poisson
        return families.with_shape(families.negative_binomial, log(self.dispersion_))


def _slope_at_no_dispersion(eta: Any, y: Any, weights: Any) -> float:
    """The derivative of the loss in the dispersion near 0; negative where the likelihood rises with it."""
    eta, y = np.asarray(eta, dtype=np.float64), np.asarray(y, dtype=np.float64)

    def loss(log_dispersion: Any) -> Any:
        each = families.negative_binomial.unit(eta, y, log_dispersion)
        return np.sum(each if weights is None else weights * each)

    return float(grad(loss)(_NO_DISPERSION))
