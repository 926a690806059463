"""The models, each stated once: the loss of a sample, the inverse link, the range of targets.

``unit(eta, y, *shape, *known)`` is the loss of each sample in plain NumPy, from the linear predictor ``eta``
and the target ``y``; ``shape`` are scalars that are fitted along (a scale, a dispersion). No derivative is
written here.

Shapes: ``eta`` and ``y`` are float[n], the loss is float[n]; for `softmax`, ``eta`` is float[n, k] and ``y``
int[n].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any, NamedTuple

import numpy as np

from xpgrad import losses, special


class Family(NamedTuple):
    """One model of a target given its linear predictor.

    Attributes
    ----------
    unit : callable
        ``unit(eta, y, *shape, *known)``, the loss of each sample.
    mean : callable
        The inverse link: the expected target at ``eta``.
    link : callable
        The link, for the intercept to begin with.
    saturated : callable
        ``saturated(y, *shape, *known)``, the least loss that any ``eta`` gives; twice the excess over it is the
        deviance.
    lowest : float
        The targets' lower bound.
    open : bool
        Whether that bound is excluded.
    known : tuple of float
        The last arguments of the loss; one program serves all their values.
    quadratic : bool
        Whether the loss is quadratic in ``eta``, with the same second derivative for every ``eta`` and ``y``.
    distribution : str
        The distribution whose negative log-likelihood the loss is, up to constants; empty if there is none.
    """

    unit: Callable[..., Any]
    mean: Callable[[Any], Any]
    link: Callable[[Any], Any]
    saturated: Callable[..., Any]
    lowest: float = -inf
    open: bool = False
    known: tuple[float, ...] = ()
    distribution: str = ""
    quadratic: bool = False

    def losses(self, eta: Any, y: Any, *shape: Any) -> Any:
        """The loss of each sample, of numbers as they are."""
        return self.unit(eta, y, *shape, *self.known)

    def least(self, y: Any, *shape: Any) -> Any:
        """The least loss of each sample."""
        return self.saturated(y, *shape, *self.known)


def _identity(x: Any) -> Any:
    return x


def _zero(y: Any, *shape: Any) -> Any:
    return 0 * y


logistic = Family(
    unit=lambda eta, y: np.logaddexp(0, eta) - y * eta,
    mean=special.expit,
    link=special.logit,
    saturated=_zero,
    lowest=0,
    distribution="bernoulli",
)

softmax = Family(
    unit=lambda eta, y: losses.cross_entropy(eta, y, axis=1, reduction="none"),
    mean=lambda eta: special.softmax(eta, axis=1),
    link=np.log,
    saturated=_zero,
)

normal = Family(
    unit=lambda eta, y: 0.5 * (y - eta) ** 2,
    mean=_identity,
    link=_identity,
    saturated=_zero,
    distribution="normal",
    quadratic=True,
)

normals = normal._replace(unit=lambda eta, y: 0.5 * np.mean((y - eta) ** 2, axis=1))

poisson = Family(
    unit=lambda eta, y: np.exp(eta) - y * eta,
    mean=np.exp,
    link=np.log,
    saturated=lambda y: y - special.xlogy(y, y),
    lowest=0,
    distribution="poisson",
)

gamma = Family(
    unit=lambda eta, y: eta + y * np.exp(-eta),
    mean=np.exp,
    link=np.log,
    saturated=lambda y: 1 + np.log(y),
    lowest=0,
    open=True,
    distribution="gamma",
)


@cache
def tweedie(power: float, link: str) -> Family:
    """The Tweedie distribution whose variance is the mean to the ``power``.

    Parameters
    ----------
    power : float
        0 is the normal, 1 the Poisson, 2 the gamma distribution; none exists between 0 and 1.
    link : {"log", "identity"}
    """
    log = link == "log"
    p = power

    def saturated(y: Any) -> Any:
        if p == 0:
            return 0 * y
        if p == 1:
            return y - special.xlogy(y, y)
        if p == 2:
            return 1 + np.log(y)
        return np.maximum(y, 0) ** (2 - p) / ((1 - p) * (p - 2))

    def unit(eta: Any, y: Any) -> Any:
        mu = np.exp(eta) if log else eta
        if p == 0:
            return 0.5 * (y - mu) ** 2
        if p == 1:
            return mu - y * (eta if log else np.log(eta))
        if p == 2:
            return eta + y * np.exp(-eta) if log else np.log(eta) + y / eta
        if log:
            return np.exp((2 - p) * eta) / (2 - p) - y * np.exp((1 - p) * eta) / (1 - p)
        return eta ** (2 - p) / (2 - p) - y * eta ** (1 - p) / (1 - p)

    return Family(
        unit=unit,
        mean=np.exp if log else _identity,
        link=np.log if log else _identity,
        saturated=saturated,
        lowest=0 if p >= 1 else -inf,
        open=p >= 2,
        distribution="tweedie",
    )


def _binomial(y: Any, r: Any) -> Any:
    """The logarithm of the binomial coefficient of ``y + r - 1`` and ``y``, exact also where ``r`` is large."""
    return -special.betaln(y + 1, r) - np.log(y + r)


def _negative_binomial(eta: Any, y: Any, log_dispersion: Any) -> Any:
    """The negative log-likelihood of counts of mean ``exp(eta)`` and variance ``mean + dispersion mean²``."""
    r = np.exp(-log_dispersion)
    z = eta + log_dispersion
    return (y + r) * np.logaddexp(0, z) - y * z - _binomial(y, r)


def _negative_binomial_saturated(y: Any, log_dispersion: Any) -> Any:
    r = np.exp(-log_dispersion)
    return (y + r) * np.log1p(y / r) - special.xlogy(y, y / r) - _binomial(y, r)


negative_binomial = Family(
    unit=_negative_binomial,
    mean=np.exp,
    link=np.log,
    saturated=_negative_binomial_saturated,
    lowest=0,
    distribution="negative binomial",
)


def _huber(eta: Any, y: Any, log_scale: Any, epsilon: Any) -> Any:
    scale = np.exp(log_scale)
    z = np.abs(y - eta) / scale
    return scale * (1 + np.where(z < epsilon, z * z, 2 * epsilon * z - epsilon**2))


def huber(epsilon: float) -> Family:
    """The squared residual in units of a scale that is fitted along, linear beyond ``epsilon``.

    Owen, A robust hybrid of lasso and ridge regression (2007), section 4.
    """
    return Family(unit=_huber, mean=_identity, link=_identity, saturated=_zero, known=(epsilon,))


def _smooth_quantile(eta: Any, y: Any, quantile: Any, width: Any) -> Any:
    r = y - eta
    return width * np.logaddexp(0, r / width) - (1 - quantile) * r


def smooth_quantile(quantile: float, width: float) -> Family:
    """The pinball loss with its corner rounded.

    ``width log(1 + exp(r / width)) - (1 - quantile) r`` of the residual ``r`` exceeds the pinball loss by at
    most ``width log(2)``, at ``r = 0``.
    """
    return Family(
        unit=_smooth_quantile, mean=_identity, link=_identity, saturated=_zero, known=(quantile, width)
    )


def with_shape(family: Family, *shape: float) -> Family:
    """A family whose scalars beside the linear predictor are known."""
    return family._replace(known=shape)
