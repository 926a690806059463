"""Losses of predictions against real labels, and negative log-likelihoods of counts and amounts.

``weights``, ``reduction`` and the errors common to all are those of `xpgrad.losses`.
"""

from __future__ import annotations

from math import log, pi
from typing import Any

from xpgrad._errors import message
from xpgrad.core import aval_of
from xpgrad.losses._common import as_float, demand_labels, fits, pair, reduced
from xpgrad.ops import elementwise as ew
from xpgrad.ops import special as sp
from xpgrad.trace.functions._table import array


def _difference(name: str, prediction: Any, y: Any) -> Any:
    prediction, y = pair(name, prediction, y)
    return prediction - y


def mean_squared_error(prediction: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean squared difference.

    Parameters
    ----------
    prediction : float[..., m]
    y : float[..., m]
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In squared units of ``y``.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``prediction``.
    DataError
        The batch is empty, or a weight is negative.

    Notes
    -----
    ``mean((f - y)**2)``. Bishop, Pattern Recognition and Machine Learning, eq. 3.12 (without the half).
    """
    name = "mean_squared_error"
    return reduced(name, ew.square(_difference(name, prediction, y)), weights, reduction)


def mean_absolute_error(prediction: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean absolute difference; where there is none, the derivative is 0.

    Parameters and errors are those of `mean_squared_error`.

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In units of ``y``.

    Notes
    -----
    ``mean(abs(f - y))``. Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, eq. 10.22.
    """
    name = "mean_absolute_error"
    return reduced(name, abs(_difference(name, prediction, y)), weights, reduction)


def huber(prediction: Any, y: Any, *, delta: float = 1.0, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean of a loss that is quadratic for differences up to ``delta`` and linear beyond.

    Parameters
    ----------
    prediction : float[..., m]
    y : float[..., m]
    delta : float
        Positive, in units of ``y``.
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In squared units of ``y``.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``prediction``.
    DataError
        The batch is empty, or a weight is negative.
    ValueError
        ``delta`` is not positive.

    Notes
    -----
    ``d**2 / 2`` for ``abs(d) <= delta``, else ``delta (abs(d) - delta / 2)``. Huber, Annals of
    Mathematical Statistics 35, 1964.
    """
    if not delta > 0:
        raise ValueError(message(f"huber: delta must be positive, not {delta}"))
    d = _difference("huber", prediction, y)
    held = ew.clip(d, -delta, delta)
    return reduced("huber", held * (d - 0.5 * held), weights, reduction)


def log_cosh(prediction: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean of ``log(cosh(d))``: smooth, quadratic near 0, and like ``abs(d)`` far off.

    Parameters and errors are those of `mean_squared_error`.

    Returns
    -------
    float scalar, or float[..., m] for "none"

    Notes
    -----
    ``abs(d) + log1p(exp(-2 abs(d))) - log(2)``, written as ``softplus(2 d) - d - log(2)``. Green,
    IEEE Transactions on Medical Imaging 9, 1990.
    """
    d = _difference("log_cosh", prediction, y)
    return reduced("log_cosh", sp.softplus(2 * d) - d - log(2), weights, reduction)


def quantile(prediction: Any, y: Any, *, q: float = 0.5, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean pinball loss, which the ``q`` quantile minimises; at the kink the derivative is ``-q``.

    Parameters
    ----------
    prediction : float[..., m]
    y : float[..., m]
    q : float
        In (0, 1).
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In units of ``y``.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``prediction``.
    DataError
        The batch is empty, or a weight is negative.
    ValueError
        ``q`` is not in (0, 1).

    Notes
    -----
    ``q (y - f)`` where the label is above the prediction, ``(1 - q) (f - y)`` below. Koenker,
    Bassett, Econometrica 46, 1978.
    """
    if not 0 < q < 1:
        raise ValueError(message(f"quantile: q must be in (0, 1), not {q}"))
    d = _difference("quantile", prediction, y)
    return reduced("quantile", ew.where(d > 0, (1 - q) * d, -q * d), weights, reduction)


def poisson_nll(log_rate: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean negative log-likelihood of Poisson counts, from log-rates, without ``log(y!)``.

    Parameters
    ----------
    log_rate : float[..., m]
        Up to the logarithm of the largest number of its dtype.
    y : float[..., m] or int[..., m]
        Counts, at least 0.
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In nats, up to a constant of the labels.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``log_rate``.
    DataError
        The batch is empty, a count is negative, or a weight is.

    Notes
    -----
    ``mean(exp(f) - y f)``. McCullagh, Nelder, Generalized Linear Models, section 6.2.
    """
    name = "poisson_nll"
    f, y = pair(name, log_rate, y, "log_rate")
    y = demand_labels(name, y, y >= 0, "0 or more")
    return reduced(name, ew.exp(f) - y * f, weights, reduction)


def gamma_nll(log_mean: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean negative log-likelihood of gamma distributed amounts, from the logarithms of their means.

    Parameters
    ----------
    log_mean : float[..., m]
        Logarithm of the mean, in units of ``y``.
    y : float[..., m]
        Amounts, greater than 0.
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In nats for each unit of the distribution's shape parameter, up to a constant of the labels.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``log_mean``.
    DataError
        The batch is empty, an amount is not positive, or a weight is negative.

    Notes
    -----
    ``mean(y exp(-f) + f)``. McCullagh, Nelder, Generalized Linear Models, section 8.3.
    """
    name = "gamma_nll"
    f, y = pair(name, log_mean, y, "log_mean")
    y = demand_labels(name, y, y > 0, "greater than 0")
    return reduced(name, y * ew.exp(-f) + f, weights, reduction)


def normal_nll(mean: Any, y: Any, *, log_scale: Any = 0.0, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean negative log-likelihood of normal labels, from means and log standard deviations.

    Parameters
    ----------
    mean : float[..., m]
    y : float[..., m]
    log_scale : float[..., m] or float
        Logarithm of the standard deviation, in units of ``y``.
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In nats.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``mean``.
    DataError
        The batch is empty, or a weight is negative.

    Notes
    -----
    ``mean(((y - f) exp(-s))**2 / 2 + s + log(2 pi) / 2)``. Bishop, Pattern Recognition and Machine
    Learning, eq. 1.54.
    """
    name = "normal_nll"
    d = _difference(name, mean, y)
    s = as_float(array(log_scale), aval_of(d).dtype)
    fits(name, "mean", d, "log_scale", s)
    return reduced(name, 0.5 * ew.square(d * ew.exp(-s)) + s + 0.5 * log(2 * pi), weights, reduction)
