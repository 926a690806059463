"""Regressors that do not minimise squares: of a quantile, and with outliers that pull less."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from xpgrad.devices.door import is_source
from xpgrad.learn import _sklearn as sk
from xpgrad.learn import families
from xpgrad.learn.families import Family
from xpgrad.learn.linear import at_least
from xpgrad.learn.regressors import FITTING, Regressor
from xpgrad.learn.streamed import average, variance


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
    fit_intercept, solver, max_iter, tol, categorical_features, handle_unknown
        As in `LinearRegression`.
    checkpoint, device, dtype, memory_limit, cluster
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
        memory_limit: int | str | None = None,
        cluster: Any = None,
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
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        return families.smooth_quantile(float(self.quantile), 1.0)

    def _l2(self, total: float) -> float:
        return 0.0

    def _l1(self) -> float:
        return float(self.alpha)

    def _fit_predictor(self, arrival: Any, design: Any, y: Any, family: Family, **options: Any) -> Any:
        weights = options["weights"]
        center = average(y, weights, self.memory_limit)
        spread = variance(y, center, weights, self.memory_limit) ** 0.5 or 1.0
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
    fit_intercept, tol, solver, categorical_features, handle_unknown
        As in `LinearRegression`.
    checkpoint, device, dtype, memory_limit, cluster
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
        memory_limit: int | str | None = None,
        cluster: Any = None,
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
        self.memory_limit = memory_limit
        self.cluster = cluster

    def _family(self) -> Family:
        return families.huber(self.epsilon)

    def _l2(self, total: float) -> float:
        return 2 * float(self.alpha) / total

    def _shape(self, y: Any, weights: Any) -> tuple[float, ...]:
        if self.warm_start and hasattr(self, "scale_"):
            return (np.log(self.scale_),)
        center = average(y, weights, self.memory_limit)
        spread = variance(y, center, weights, self.memory_limit) ** 0.5
        return (np.log(spread) if spread > 0 else 0.0,)

    def _after(self, arrival: Any, found: Any, y: Any, design: Any, offset: Any) -> None:
        self.scale_ = float(np.exp(found.shape[0]))
        outliers = np.empty(design.size, bool)
        for at, eta in self._eta_of(found, design):
            eta = eta if offset is None else eta + offset[at]
            own = y.read(at.start, at.stop) if is_source(y) else y[at]
            outliers[at] = np.abs(own - eta) > self.epsilon * self.scale_
        self.outliers_ = arrival.follow(outliers)
