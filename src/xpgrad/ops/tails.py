"""Incomplete gamma and beta functions, Student's distribution, and derivatives in their shapes.

A *score* is the derivative of the logarithm of a distribution function in a shape, from `backends.tails`. By it
a derivative keeps its relative accuracy in either tail. A *curvature* is the second derivative, of gamma alone.
A second derivative in the shapes of beta and a third one in that of gamma are not known.

Sources: DLMF is the NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov.
"""

from __future__ import annotations

from math import inf
from typing import Any

from xpgrad.ops.elementwise import exp, log, log1p, sqrt, where
from xpgrad.ops.special import (
    beta_kernel,
    betaln,
    digamma,
    gamma_kernel,
    gammaln,
    normal_density,
    polygamma,
    special,
    xlog1py,
    xlogy,
)

_positive = (0.5, 3.0)


def _gamma_density(a: Any, x: Any) -> Any:
    return gamma_kernel(a - 1, x, gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return beta_kernel(a - 1, b - 1, x, betaln(a, b))


_of_gamma = (_positive, _positive)
_of_beta = (_positive, _positive, (0.2, 0.8))


def _of_tail(t: Any, z: Any, score: Any) -> Any:
    """``t z score``, and 0 where the tail is 0, whatever its score."""
    return t * (z * where(z == 0, 0, score))


def _log_gamma_density(a: Any, x: Any) -> Any:
    return xlogy(a - 1, x) - x - gammaln(a)


def _log_beta_density(a: Any, b: Any, x: Any) -> Any:
    return xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)


def _excess(a: Any, total: Any, log_x: Any, score: Any) -> Any:
    """The score of the density, ``log x - (digamma(a) - total)``, less that of the tail."""
    return log_x - (digamma(a) - total) - score


def gamma_path(a: Any, x: Any) -> Any:
    """How a quantile of the gamma distribution moves with ``a``: ``-(dP/da) / density``."""
    at = where(x > 0, x, 1)
    slope = -exp(log_gammainc(a, at) - _log_gamma_density(a, at)) * gamma_score_below(a, at)
    return where(x > 0, slope, 0)


def _beta_path(a: Any, b: Any, x: Any, score: Any) -> Any:
    inside = (x > 0) & (x < 1)
    at = where(inside, x, 0.5)
    slope = -exp(log_betainc(a, b, at) - _log_beta_density(a, b, at)) * score(a, b, at)
    return where(inside, slope, 0)


gammainc = special(
    "gammainc",
    lambda t, z, a, x: _of_tail(t, z, gamma_score_below(a, x)),
    lambda t, _z, a, x: t * _gamma_density(a, x),
    domain=_of_gamma,
)
gammaincc = special(
    "gammaincc",
    lambda t, z, a, x: _of_tail(t, z, gamma_score_above(a, x)),
    lambda t, _z, a, x: -t * _gamma_density(a, x),
    domain=_of_gamma,
)
log_gammainc = special(
    "log_gammainc",
    lambda t, _z, a, x: t * gamma_score_below(a, x),
    lambda t, z, a, x: t * exp(_log_gamma_density(a, x) - z),
    domain=_of_gamma,
)
log_gammaincc = special(
    "log_gammaincc",
    lambda t, _z, a, x: t * gamma_score_above(a, x),
    lambda t, z, a, x: -t * exp(_log_gamma_density(a, x) - z),
    domain=_of_gamma,
)


def _hazard_below(a: Any, x: Any) -> Any:
    return exp(_log_gamma_density(a, x) - log_gammainc(a, x))


def _hazard_above(a: Any, x: Any) -> Any:
    return -exp(_log_gamma_density(a, x) - log_gammaincc(a, x))


gamma_score_below = special(
    "gamma_score_below",
    lambda t, _z, a, x: t * gamma_curvature_below(a, x),
    lambda t, z, a, x: t * (_hazard_below(a, x) * _excess(a, 0, log(x), z)),
    domain=_of_gamma,
)
gamma_score_above = special(
    "gamma_score_above",
    lambda t, _z, a, x: t * gamma_curvature_above(a, x),
    lambda t, z, a, x: t * (_hazard_above(a, x) * _excess(a, 0, log(x), z)),
    domain=_of_gamma,
)


def _bend(a: Any, x: Any, curvature: Any, score: Any) -> Any:
    """The second derivative in ``a`` of a hazard, over the hazard."""
    excess = _excess(a, 0, log(x), score)
    return excess * excess - polygamma(1, a) - curvature


gamma_curvature_below = special(
    "gamma_curvature_below",
    None,
    lambda t, z, a, x: t * (_hazard_below(a, x) * _bend(a, x, z, gamma_score_below(a, x))),
    domain=_of_gamma,
)
gamma_curvature_above = special(
    "gamma_curvature_above",
    None,
    lambda t, z, a, x: t * (_hazard_above(a, x) * _bend(a, x, z, gamma_score_above(a, x))),
    domain=_of_gamma,
)
gammaincinv = special(
    "gammaincinv",
    lambda t, z, a, _y: t * gamma_path(a, z),
    lambda t, z, a, _y: t / _gamma_density(a, z),
    domain=(_positive, (0.2, 0.8)),
)
gammainccinv = special(
    "gammainccinv",
    lambda t, z, a, _y: t * gamma_path(a, z),
    lambda t, z, a, _y: -t / _gamma_density(a, z),
    domain=(_positive, (0.2, 0.8)),
)
betainc = special(
    "betainc",
    lambda t, z, a, b, x: _of_tail(t, z, beta_score_a(a, b, x)),
    lambda t, z, a, b, x: _of_tail(t, z, beta_score_b(a, b, x)),
    lambda t, _z, a, b, x: t * _beta_density(a, b, x),
    domain=_of_beta,
)
betaincc = special(
    "betaincc",
    lambda t, _z, a, b, x: _of_tail(-t, betainc(a, b, x), beta_score_a(a, b, x)),
    lambda t, _z, a, b, x: _of_tail(-t, betainc(a, b, x), beta_score_b(a, b, x)),
    lambda t, _z, a, b, x: -t * _beta_density(a, b, x),
    domain=_of_beta,
)
log_betainc = special(
    "log_betainc",
    lambda t, _z, a, b, x: t * beta_score_a(a, b, x),
    lambda t, _z, a, b, x: t * beta_score_b(a, b, x),
    lambda t, z, a, b, x: t * exp(_log_beta_density(a, b, x) - z),
    domain=_of_beta,
)


def _beta_hazard(a: Any, b: Any, x: Any) -> Any:
    return exp(_log_beta_density(a, b, x) - log_betainc(a, b, x))


beta_score_a = special(
    "beta_score_a",
    None,
    None,
    lambda t, z, a, b, x: t * (_beta_hazard(a, b, x) * _excess(a, digamma(a + b), log(x), z)),
    domain=_of_beta,
)
beta_score_b = special(
    "beta_score_b",
    None,
    None,
    lambda t, z, a, b, x: t * (_beta_hazard(a, b, x) * _excess(b, digamma(a + b), log1p(-x), z)),
    domain=_of_beta,
)
betaincinv = special(
    "betaincinv",
    lambda t, z, a, b, _y: t * _beta_path(a, b, z, beta_score_a),
    lambda t, z, a, b, _y: t * _beta_path(a, b, z, beta_score_b),
    lambda t, z, a, b, _y: t / _beta_density(a, b, z),
    domain=_of_beta,
)


def log_t_density(df: Any, x: Any) -> Any:
    """Logarithm of Student's density."""
    return -betaln(df / 2, 0.5) - 0.5 * log(df) - (df + 1) / 2 * log1p(x * x / df)


def _stdtr_slope(df: Any, x: Any) -> Any:
    """The derivative of `stdtr` in ``df``.

    Left of 0 the function is I(df / 2, 1/2; X) / 2 with X = df / (df + x^2); near 0 by its complement in 1 - X.
    """
    a, square = df / 2, x * x
    near = square < df
    u = where(near, square, 0.25 * df) / where(near, df + square, df)
    v = df / where(near, 4 * df, df + square)
    of_shape = where(
        near, -betainc(0.5, a, u) * beta_score_b(0.5, a, u), betainc(a, 0.5, v) * beta_score_a(a, 0.5, v)
    )
    of_point = sqrt(square / (df + square)) * exp(-a * log1p(square / df) - betaln(a, 0.5)) / df
    slope = 0.25 * of_shape + 0.5 * of_point
    return where(x > 0, -slope, slope)


_of_t = ((1.0, 5.0), (-2.0, 2.0))
stdtr = special(
    "stdtr",
    lambda t, _z, df, x: t * where(df == inf, 0, _stdtr_slope(where(df == inf, 1, df), x)),
    lambda t, _z, df, x: (
        t * where(df == inf, normal_density(x), exp(log_t_density(where(df == inf, 1, df), x)))
    ),
    domain=_of_t,
)
stdtrit = special(
    "stdtrit",
    lambda t, z, df, _p: -t * (_stdtr_slope(df, z) / exp(log_t_density(df, z))),
    lambda t, z, df, _p: t / exp(log_t_density(df, z)),
    domain=((1.0, 5.0), (0.2, 0.8)),
)
