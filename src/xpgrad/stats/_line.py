"""Continuous distributions by elementary functions and the normal distribution.

Sources: Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions; the names and parameters are SciPy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, pi
from math import log as ln
from math import sqrt as root
from typing import Any, ClassVar

from xpgrad.ops.elementwise import (
    arctan2,
    clip,
    cos,
    exp,
    expm1,
    hypot,
    log,
    log1p,
    logaddexp,
    sin,
    tan,
    where,
)
from xpgrad.ops.special import (
    erf,
    erfc,
    erfinv,
    expit,
    log1mexp,
    log_expit,
    log_ndtr,
    logit,
    ndtr,
    ndtri,
    ndtri_exp,
    xlogy,
)
from xpgrad.stats._base import Continuous, Symmetric
from xpgrad.transforms import stop_gradient

_HALF_LOG_2PI = 0.5 * ln(2 * pi)


class Norm(Symmetric):
    """The normal distribution: mean ``loc``, standard deviation ``scale``."""

    name = "norm"

    def _logpdf(self, z: Any) -> Any:
        return -0.5 * z * z - _HALF_LOG_2PI

    def _cdf(self, z: Any) -> Any:
        return ndtr(z)

    def _logcdf(self, z: Any) -> Any:
        return log_ndtr(z)

    def _ppf(self, q: Any) -> Any:
        return ndtri(q)

    def _draw(self, source: Any) -> Any:
        return source.normal()


class LogNorm(Continuous):
    """The exponential of a normal variate: ``log(x / scale)`` has the standard deviation ``s``."""

    name = "lognorm"
    shapes: ClassVar[Mapping[str, float]] = {"s": 1.0}
    open_ends = True

    def _support(self, s: Any) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any, s: Any) -> Any:
        u = log(z)
        return -0.5 * (u / s) ** 2 - u - log(s) - _HALF_LOG_2PI

    def _cdf(self, z: Any, s: Any) -> Any:
        return ndtr(log(z) / s)

    def _logcdf(self, z: Any, s: Any) -> Any:
        return log_ndtr(log(z) / s)

    def _sf(self, z: Any, s: Any) -> Any:
        return ndtr(-log(z) / s)

    def _logsf(self, z: Any, s: Any) -> Any:
        return log_ndtr(-log(z) / s)

    def _ppf(self, q: Any, s: Any) -> Any:
        return exp(s * ndtri(q))

    def _draw(self, source: Any, s: Any) -> Any:
        return exp(s * source.normal())


class HalfNorm(Continuous):
    """The absolute value of a normal variate."""

    name = "halfnorm"

    def _support(self) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any) -> Any:
        return -0.5 * z * z + (ln(2) - _HALF_LOG_2PI)

    def _cdf(self, z: Any) -> Any:
        return erf(z / root(2))

    def _sf(self, z: Any) -> Any:
        return erfc(z / root(2))

    def _logcdf(self, z: Any) -> Any:
        near = z < 1
        return where(near, log(erf(where(near, z, 0.5) / root(2))), log1p(-erfc(where(near, 1.0, z) / root(2))))

    def _logsf(self, z: Any) -> Any:
        near = z < 1
        return where(near, log1p(-erf(where(near, z, 0.5) / root(2))), log_ndtr(where(near, -1.0, -z)) + ln(2))

    def _ppf(self, q: Any) -> Any:
        near = q < 0.5
        low = root(2) * erfinv(where(near, q, 0.5))
        return where(near, low, -ndtri(0.5 * (1 - where(near, 0.5, q))))

    def _draw(self, source: Any) -> Any:
        return abs(source.normal())


def _log_mass(a: Any, b: Any) -> Any:
    """Logarithm of the normal probability between ``a < b``, by the tail on the side of both."""
    right = a > 0
    low, high = where(right, -b, a), where(right, -a, b)
    one_sided = high <= 0
    top = where(one_sided, high, -1.0)
    # log(Phi(high) - Phi(low)), where both are far on the left.
    apart = log_ndtr(top) - log_ndtr(where(one_sided, low, -2.0))
    tail = log_ndtr(top) + log1mexp(apart)
    center = log1p(-ndtr(where(one_sided, -1.0, low)) - ndtr(where(one_sided, -1.0, -high)))
    return where(one_sided, tail, center)


def _smaller(log_p: Any, log_q: Any) -> Any:
    """``log_p``, by the complement where it is near 0 and a difference has lost its digits."""
    near = log_p > -0.1
    return where(near, log1p(-exp(where(near, log_q, -1.0))), log_p)


class TruncNorm(Continuous):
    """A normal variate, given that it lies between ``a`` and ``b`` standard deviations from its mean."""

    name = "truncnorm"
    shapes: ClassVar[Mapping[str, float]] = {"a": -1.0, "b": 1.0}

    def _valid(self, a: Any, b: Any) -> Any:
        return a < b

    def _support(self, a: Any, b: Any) -> Any:
        return a, b

    def _inside(self, a: Any, b: Any) -> Any:
        a, b = stop_gradient(a), stop_gradient(b)
        low, high = clip(a, -1e6, 1e6), clip(b, -1e6, 1e6)
        return clip(low + 0.5 * (high - low), a, b)

    def _logpdf(self, z: Any, a: Any, b: Any) -> Any:
        return -0.5 * z * z - _HALF_LOG_2PI - _log_mass(a, b)

    def _logcdf(self, z: Any, a: Any, b: Any) -> Any:
        return _smaller(_log_mass(a, z) - _log_mass(a, b), _log_mass(z, b) - _log_mass(a, b))

    def _logsf(self, z: Any, a: Any, b: Any) -> Any:
        return _smaller(_log_mass(z, b) - _log_mass(a, b), _log_mass(a, z) - _log_mass(a, b))

    def _cdf(self, z: Any, a: Any, b: Any) -> Any:
        return exp(self._logcdf(z, a, b))

    def _sf(self, z: Any, a: Any, b: Any) -> Any:
        return exp(self._logsf(z, a, b))

    def _ppf(self, q: Any, a: Any, b: Any) -> Any:
        """By the logarithm of the tail on the left, or of that on the right of its mirror image."""
        right = a > 0
        low, high = where(right, -b, a), where(right, -a, b)
        p = where(right, 1 - q, q)
        at_low = low == -inf
        rest = log(p) + _log_mass(low, high)
        found = ndtri_exp(where(at_low, rest, logaddexp(log_ndtr(where(at_low, -1.0, low)), rest)))
        return where(right, -found, found)

    def _draw(self, source: Any, a: Any, b: Any) -> Any:
        return self._ppf(source.uniform(), a, b)


class Uniform(Continuous):
    """Equal density from ``loc`` to ``loc + scale``."""

    name = "uniform"

    def _support(self) -> Any:
        return 0.0, 1.0

    def _logpdf(self, z: Any) -> Any:
        return 0.0 * z

    def _cdf(self, z: Any) -> Any:
        return z

    def _sf(self, z: Any) -> Any:
        return 1 - z

    def _logcdf(self, z: Any) -> Any:
        return log(z)

    def _logsf(self, z: Any) -> Any:
        return log1p(-z)

    def _ppf(self, q: Any) -> Any:
        return q

    def _draw(self, source: Any) -> Any:
        return source.uniform()


class Expon(Continuous):
    """The exponential distribution: ``scale`` is the mean."""

    name = "expon"

    def _support(self) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any) -> Any:
        return -z

    def _cdf(self, z: Any) -> Any:
        return -expm1(-z)

    def _sf(self, z: Any) -> Any:
        return exp(-z)

    def _logcdf(self, z: Any) -> Any:
        return log1mexp(z)

    def _logsf(self, z: Any) -> Any:
        return -z

    def _ppf(self, q: Any) -> Any:
        return -log1p(-q)

    def _draw(self, source: Any) -> Any:
        return source.exponential()


class Laplace(Symmetric):
    """The double exponential distribution; its log-density has the derivative 0 at ``loc``."""

    name = "laplace"

    def _logpdf(self, z: Any) -> Any:
        return -abs(z) - ln(2)

    def _cdf(self, z: Any) -> Any:
        tail = 0.5 * exp(-abs(z))
        return where(z < 0, tail, 1 - tail)

    def _logcdf(self, z: Any) -> Any:
        left = z < 0
        return where(left, where(left, z, 0.0) - ln(2), log1p(-0.5 * exp(-where(left, 0.0, z))))

    def _ppf(self, q: Any) -> Any:
        left = q < 0.5
        return where(left, log(2 * where(left, q, 0.5)), -log(2 * (1 - where(left, 0.5, q))))

    def _draw(self, source: Any) -> Any:
        return self._ppf(source.uniform())


class Logistic(Symmetric):
    """The logistic distribution; `cdf` is `xpgrad.special.expit`."""

    name = "logistic"

    def _logpdf(self, z: Any) -> Any:
        return log_expit(z) + log_expit(-z)

    def _cdf(self, z: Any) -> Any:
        return expit(z)

    def _logcdf(self, z: Any) -> Any:
        return log_expit(z)

    def _ppf(self, q: Any) -> Any:
        return logit(q)

    def _draw(self, source: Any) -> Any:
        return logit(source.uniform())


class Cauchy(Symmetric):
    """The quotient of two normal variates."""

    name = "cauchy"

    def _logpdf(self, z: Any) -> Any:
        return -ln(pi) - 2 * log(hypot(z, 1.0))

    def _cdf(self, z: Any) -> Any:
        return arctan2(1.0, -z) / pi

    def _logcdf(self, z: Any) -> Any:
        left = z < 0
        return where(left, log(self._cdf(where(left, z, -1.0))), log1p(-self._cdf(where(left, -1.0, -z))))

    def _ppf(self, q: Any) -> Any:
        """The tangent about the median, the cotangent of the angle of the nearer tail beyond."""
        left, middle = q < 0.5, abs(q - 0.5) < 0.25
        angle = pi * where(middle, 0.25, where(left, q, 1 - q))
        size = cos(angle) / sin(angle)
        tail = where(left, -size, size)
        return where(middle, tan(pi * (where(middle, q, 0.5) - 0.5)), tail)

    def _draw(self, source: Any) -> Any:
        return self._ppf(source.uniform())


class WeibullMin(Continuous):
    """The power ``1 / c`` of an exponential variate."""

    name = "weibull_min"
    shapes: ClassVar[Mapping[str, float]] = {"c": 1.0}

    def _support(self, c: Any) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any, c: Any) -> Any:
        return log(c) + xlogy(c - 1, z) - z**c

    def _cdf(self, z: Any, c: Any) -> Any:
        return -expm1(-(z**c))

    def _sf(self, z: Any, c: Any) -> Any:
        return exp(-(z**c))

    def _logcdf(self, z: Any, c: Any) -> Any:
        return log1mexp(z**c)

    def _logsf(self, z: Any, c: Any) -> Any:
        return -(z**c)

    def _ppf(self, q: Any, c: Any) -> Any:
        return (-log1p(-q)) ** (1 / c)

    def _draw(self, source: Any, c: Any) -> Any:
        return source.exponential() ** (1 / c)


class Pareto(Continuous):
    """The density falls by the power ``b + 1`` of x, from ``scale`` on."""

    name = "pareto"
    shapes: ClassVar[Mapping[str, float]] = {"b": 1.0}

    def _support(self, b: Any) -> Any:
        return 1.0, None

    def _inside(self, b: Any) -> Any:
        return 2.0

    def _logpdf(self, z: Any, b: Any) -> Any:
        return log(b) - (b + 1) * log(z)

    def _cdf(self, z: Any, b: Any) -> Any:
        return -expm1(-b * log(z))

    def _sf(self, z: Any, b: Any) -> Any:
        return z**-b

    def _logcdf(self, z: Any, b: Any) -> Any:
        return log1mexp(b * log(z))

    def _logsf(self, z: Any, b: Any) -> Any:
        return -b * log(z)

    def _ppf(self, q: Any, b: Any) -> Any:
        return exp(-log1p(-q) / b)

    def _draw(self, source: Any, b: Any) -> Any:
        return exp(source.exponential() / b)
