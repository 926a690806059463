"""Regressors with a linear predictor."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from xpgrad.devices import asnumpy
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.families import Family
from xpgrad.learn.linear import COMMON, SOLVERS, LinearEstimator, at_least, refuse_targets
from xpgrad.learn.solve import predictor

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
        y = np.asarray(y, dtype=design.numbers.dtype)
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
    mean = np.average(y, axis=0, weights=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        center = family.link(mean)
    if not np.all(np.isfinite(center)):
        center = 0.0 if family.lowest == 0 else mean
    return center if offset is None else center - float(np.average(offset, weights=weights))


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
    categorical_features, handle_unknown, checkpoint, device, dtype
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
    fit_intercept, tol, solver, max_iter, categorical_features, handle_unknown, checkpoint, device, dtype
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

    def _family(self) -> Family:
        return families.normal

    def _l2(self, total: float) -> float:
        return float(self.alpha) / total


class QuantileRegressor(Regressor):
    """Linear regression of a quantile, by a pinball loss whose corner is rounded.

    Parameters
    ----------
    quantile : float
        Between 0 and 1.
    alpha : float
        The strength of the penalty on the absolute values of the coefficients.
    smoothing : float
        The width of the rounded corner, in standard deviations of the target. The loss of a sample exceeds the
        pinball loss by 0.7 of that at most.
    fit_intercept, solver, max_iter, tol, categorical_features, handle_unknown, checkpoint, device, dtype
        As in `LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Notes
    -----
    Minimises ``sum(w loss) / sum(w) + alpha |coef|₁``. scikit-learn's estimator of this name minimises the
    pinball loss itself, by linear programming; this one is near its minimum. The width is lowered in steps,
    each of which begins where the last ended.
    """

    _parameter_constraints = {
        "quantile": [sk.Interval(Real, 0, 1, closed="neither")],
        "alpha": [at_least(0)],
        "smoothing": [at_least(0, Real, "neither")],
        **{k: v for k, v in FITTING.items() if k != "warm_start"},
    }

    def __init__(
        self,
        *,
        quantile: float = 0.5,
        alpha: float = 1.0,
        smoothing: float = 1e-3,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int | None = None,
        tol: float = 1e-6,
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
    ) -> None:
        self.quantile = quantile
        self.alpha = alpha
        self.smoothing = smoothing
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype

    def _family(self) -> Family:
        return families.smooth_quantile(float(self.quantile), 1.0)

    def _l2(self, total: float) -> float:
        return 0.0

    def _l1(self) -> float:
        return float(self.alpha)

    def _fit_predictor(self, arrival: Any, design: Any, y: Any, family: Family, **options: Any) -> Any:
        weights = options["weights"]
        center = np.average(y, weights=weights)
        spread = float(np.average((y - center) ** 2, weights=weights)) ** 0.5 or 1.0
        found, steps, width = None, 0, max(1.0, float(self.smoothing))
        while True:
            at = families.smooth_quantile(float(self.quantile), width * spread)
            last = width <= self.smoothing
            found = super()._fit_predictor(
                arrival,
                design,
                y,
                at,
                **{**options, "start": found, "quiet": not last, "stage": "" if last else f".{width:g}"},
            )
            steps += self.n_iter_
            if last:
                self.n_iter_ = steps
                return found
            width = max(width / 4, float(self.smoothing))


class HuberRegressor(Regressor):
    """Linear regression whose loss grows linearly beyond ``epsilon`` scales, the scale being fitted along.

    Parameters
    ----------
    epsilon : float
        From this many scales on a residual is an outlier; at least 1.
    max_iter : int
    alpha : float
        The strength of the penalty on the squares of the coefficients.
    warm_start : bool
    fit_intercept, tol, solver, categorical_features, handle_unknown, checkpoint, device, dtype
        As in `LinearRegression`.

    Attributes
    ----------
    scale_ : float
        In units of the target.
    outliers_ : bool[n]
        The samples whose residual is larger than ``epsilon scale_``.
    coef_, intercept_, coef_names, n_iter_, device_, device_reason_
        As in `LinearRegression`.

    Notes
    -----
    Minimises ``sum(w (s + s H((y - z) / s))) + alpha |coef|²`` over the coefficients and the scale ``s``, where
    ``H(r)`` is ``r²`` up to ``epsilon`` and ``2 epsilon |r| - epsilon²`` beyond.
    """

    _parameter_constraints = {"epsilon": [at_least(1.0)], "alpha": [at_least(0)], **FITTING}

    def __init__(
        self,
        *,
        epsilon: float = 1.35,
        max_iter: int = 100,
        alpha: float = 0.0001,
        warm_start: bool = False,
        fit_intercept: bool = True,
        tol: float = 1e-5,
        solver: str = "auto",
        categorical_features: Any = None,
        handle_unknown: str = "error",
        checkpoint: Any = None,
        device: str = "auto",
        dtype: str | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.max_iter = max_iter
        self.alpha = alpha
        self.warm_start = warm_start
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.solver = solver
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype

    def _family(self) -> Family:
        return families.huber(self.epsilon)

    def _l2(self, total: float) -> float:
        return 2 * float(self.alpha) / total

    def _shape(self, y: Any, weights: Any) -> tuple[float, ...]:
        if self.warm_start and hasattr(self, "scale_"):
            return (np.log(self.scale_),)
        center = np.average(y, weights=weights)
        spread = float(np.average((y - center) ** 2, weights=weights)) ** 0.5
        return (np.log(spread) if spread > 0 else 0.0,)

    def _after(self, arrival: Any, found: Any, y: Any, design: Any, offset: Any) -> None:
        self.scale_ = float(np.exp(found.shape[0]))
        eta = predictor(found.intercept, found.numbers, found.tables, design)
        eta = eta if offset is None else eta + offset
        self.outliers_ = arrival.follow(np.abs(y - eta) > self.epsilon * self.scale_)
