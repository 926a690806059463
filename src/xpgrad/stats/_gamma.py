"""Continuous distributions by the gamma, beta and Bessel functions.

Sources: Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions; the names and parameters are SciPy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, pi
from math import log as ln
from typing import Any, ClassVar

from xpgrad.ops.bessel import i0e
from xpgrad.ops.elementwise import log, log1p, sin, sqrt, where
from xpgrad.ops.special import betaln, gammaln, xlog1py, xlogy
from xpgrad.ops.tails import (
    betainc,
    betaincc,
    betaincinv,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    log_betainc,
    log_gammainc,
    log_gammaincc,
    log_t_density,
    stdtr,
    stdtrit,
)
from xpgrad.stats._base import Continuous, Symmetric


def log_betaincc(a: Any, b: Any, x: Any) -> Any:
    """``log(1 - betainc(a, b, x))``; ``1 - x`` has the digits of a small x only where these do not matter."""
    below = betainc(a, b, x)
    near = below < 0.5
    return where(near, log1p(-where(near, below, 0.0)), log_betainc(b, a, 1 - x))


class Gamma(Continuous):
    """Shape ``a`` and ``scale``: the mean is ``a scale``."""

    name = "gamma"
    shapes: ClassVar[Mapping[str, float]] = {"a": 1.0}

    def _support(self, a: Any) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any, a: Any) -> Any:
        return xlogy(a - 1, z) - z - gammaln(a)

    def _cdf(self, z: Any, a: Any) -> Any:
        return gammainc(a, z)

    def _sf(self, z: Any, a: Any) -> Any:
        return gammaincc(a, z)

    def _logcdf(self, z: Any, a: Any) -> Any:
        return log_gammainc(a, z)

    def _logsf(self, z: Any, a: Any) -> Any:
        return log_gammaincc(a, z)

    def _ppf(self, q: Any, a: Any) -> Any:
        return gammaincinv(a, q)

    def _draw(self, source: Any, a: Any) -> Any:
        return source.gamma(a)


class Chi2(Continuous):
    """The sum of ``df`` squares of normal variates."""

    name = "chi2"
    shapes: ClassVar[Mapping[str, float]] = {"df": 1.0}

    def _support(self, df: Any) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any, df: Any) -> Any:
        a = df / 2
        return xlogy(a - 1, z / 2) - z / 2 - gammaln(a) - ln(2)

    def _cdf(self, z: Any, df: Any) -> Any:
        return gammainc(df / 2, z / 2)

    def _sf(self, z: Any, df: Any) -> Any:
        return gammaincc(df / 2, z / 2)

    def _logcdf(self, z: Any, df: Any) -> Any:
        return log_gammainc(df / 2, z / 2)

    def _logsf(self, z: Any, df: Any) -> Any:
        return log_gammaincc(df / 2, z / 2)

    def _ppf(self, q: Any, df: Any) -> Any:
        return 2 * gammaincinv(df / 2, q)

    def _draw(self, source: Any, df: Any) -> Any:
        return 2 * source.gamma(df / 2)


class InvGamma(Continuous):
    """The reciprocal of a gamma variate of shape ``a``."""

    name = "invgamma"
    shapes: ClassVar[Mapping[str, float]] = {"a": 1.0}
    open_ends = True

    def _support(self, a: Any) -> Any:
        return 0.0, None

    def _logpdf(self, z: Any, a: Any) -> Any:
        return -(a + 1) * log(z) - gammaln(a) - 1 / z

    def _cdf(self, z: Any, a: Any) -> Any:
        return gammaincc(a, 1 / z)

    def _sf(self, z: Any, a: Any) -> Any:
        return gammainc(a, 1 / z)

    def _logcdf(self, z: Any, a: Any) -> Any:
        return log_gammaincc(a, 1 / z)

    def _logsf(self, z: Any, a: Any) -> Any:
        return log_gammainc(a, 1 / z)

    def _ppf(self, q: Any, a: Any) -> Any:
        return 1 / gammainccinv(a, q)

    def _draw(self, source: Any, a: Any) -> Any:
        return 1 / source.gamma(a)


class Beta(Continuous):
    """The part that a gamma variate of shape ``a`` has of its sum with one of shape ``b``."""

    name = "beta"
    shapes: ClassVar[Mapping[str, float]] = {"a": 1.0, "b": 1.0}

    def _support(self, a: Any, b: Any) -> Any:
        return 0.0, 1.0

    def _logpdf(self, z: Any, a: Any, b: Any) -> Any:
        return xlogy(a - 1, z) + xlog1py(b - 1, -z) - betaln(a, b)

    def _cdf(self, z: Any, a: Any, b: Any) -> Any:
        return betainc(a, b, z)

    def _sf(self, z: Any, a: Any, b: Any) -> Any:
        return betaincc(a, b, z)

    def _logcdf(self, z: Any, a: Any, b: Any) -> Any:
        return log_betainc(a, b, z)

    def _logsf(self, z: Any, a: Any, b: Any) -> Any:
        return log_betaincc(a, b, z)

    def _ppf(self, q: Any, a: Any, b: Any) -> Any:
        return betaincinv(a, b, q)

    def _draw(self, source: Any, a: Any, b: Any) -> Any:
        x, y = source.gamma(a), source.gamma(b)
        return x / (x + y)


class T(Symmetric):
    """Student's distribution with ``df`` degrees of freedom; infinitely many are `norm`, which see."""

    name = "t"
    shapes: ClassVar[Mapping[str, float]] = {"df": 1.0}

    def _valid(self, df: Any) -> Any:
        return (df > 0) & (df < inf)

    def _logpdf(self, z: Any, df: Any) -> Any:
        return log_t_density(df, z)

    def _cdf(self, z: Any, df: Any) -> Any:
        return stdtr(df, z)

    def _logcdf(self, z: Any, df: Any) -> Any:
        """Of the tail without underflow; elsewhere the function itself, or its complement."""
        far, left = (z < 0) & (z * z >= df), z < 0
        u = where(far, z, -1.0)
        v = where(far, df, 1.0)
        tail = log_betainc(v / 2, 0.5, v / (v + u * u)) - ln(2)
        middle = log(stdtr(df, where(left & ~far, z, 0.0)))
        right = log1p(-stdtr(df, where(left, 0.0, -z)))
        return where(far, tail, where(left, middle, right))

    def _ppf(self, q: Any, df: Any) -> Any:
        return stdtrit(df, q)

    def _draw(self, source: Any, df: Any) -> Any:
        return source.normal() * sqrt(0.5 * df / source.gamma(0.5 * df))


class VonMises(Continuous):
    """An angle about ``loc``, of concentration ``kappa``."""

    name = "vonmises"
    shapes: ClassVar[Mapping[str, float]] = {"kappa": 1.0}
    lacks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("cdf", "logcdf", "sf", "logsf", "ppf"), "it has no closed form, and no derivative in kappa is known"
    )

    def _valid(self, kappa: Any) -> Any:
        return kappa >= 0

    def _logpdf(self, z: Any, kappa: Any) -> Any:
        """With ``cos z - 1 = -2 sin(z / 2)^2``, so that nothing cancels at a large kappa."""
        half = sin(0.5 * z)
        return -2 * kappa * half * half - ln(2 * pi) - log(i0e(kappa))

    def _draw(self, source: Any, kappa: Any) -> Any:
        return source.of(source.rng.vonmises(0.0, source.fixed("kappa", kappa), source.shape))
