"""Distributions by mpmath: logarithms of density, distribution and survival function in standard form.

``CASES`` has for each: three functions of ``(z, *shapes)``, shape parameters, and points within the support.
"""

from typing import Any, NamedTuple

import mpmath as mp


class Case(NamedTuple):
    density: Any  # its logarithm
    below: Any  # the distribution function
    above: Any  # the survival function
    shapes: tuple
    points: tuple


class Counts(NamedTuple):
    """Of whole numbers: the probability, parameters, and points."""

    probability: Any
    shapes: tuple
    points: tuple


def _log_normal(z):
    return -z * z / 2 - mp.log(2 * mp.pi) / 2


def _power_of_gamma(z, a):
    return (a - 1) * mp.log(z) - z - mp.loggamma(a)


def _lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def _upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


def _beta(z, a, b):
    return mp.betainc(a, b, 0, z, regularized=True)


def _student_below(z, df):
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + z * z), regularized=True) / 2
    return tail if z < 0 else 1 - tail


def _student(z, df):
    return (
        mp.loggamma((df + 1) / 2)
        - mp.loggamma(df / 2)
        - mp.log(df * mp.pi) / 2
        - (df + 1) / 2 * mp.log1p(z * z / df)
    )


def _mass(a, b):
    return mp.ncdf(b) - mp.ncdf(a) if a < 0 else mp.ncdf(-a) - mp.ncdf(-b)


def _logistic(z):
    return 1 / (1 + mp.exp(-z))


_WIDE = (-30.0, -2.0, -0.5, 0.7, 3.0, 25.0)
_RIGHT = (1e-6, 0.3, 0.9, 2.0, 6.0, 40.0)

CASES = {
    "norm": Case(_log_normal, mp.ncdf, lambda z: mp.ncdf(-z), ((),), _WIDE),
    "lognorm": Case(
        lambda z, s: _log_normal(mp.log(z) / s) - mp.log(s * z),
        lambda z, s: mp.ncdf(mp.log(z) / s),
        lambda z, s: mp.ncdf(-mp.log(z) / s),
        ((0.6,), (2.0,)),
        _RIGHT,
    ),
    "halfnorm": Case(
        lambda z: _log_normal(z) + mp.log(2),
        lambda z: mp.erf(z / mp.sqrt(2)),
        lambda z: mp.erfc(z / mp.sqrt(2)),
        ((),),
        _RIGHT,
    ),
    "truncnorm": Case(
        lambda z, a, b: _log_normal(z) - mp.log(_mass(a, b)),
        lambda z, a, b: _mass(a, z) / _mass(a, b),
        lambda z, a, b: _mass(z, b) / _mass(a, b),
        ((-1.0, 2.5), (2.0, 9.0), (-31.0, 7.0)),
        (2.1, 2.4, -0.3),
    ),
    "uniform": Case(lambda z: mp.mpf(0) * z, lambda z: z, lambda z: 1 - z, ((),), (1e-6, 0.2, 0.5, 0.99)),
    "expon": Case(lambda z: -z, lambda z: -mp.expm1(-z), lambda z: mp.exp(-z), ((),), _RIGHT),
    "laplace": Case(
        lambda z: -abs(z) - mp.log(2),
        lambda z: mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2,
        lambda z: 1 - mp.exp(z) / 2 if z < 0 else mp.exp(-z) / 2,
        ((),),
        (*_WIDE, 900.0),
    ),
    "logistic": Case(
        lambda z: mp.log(_logistic(z)) + mp.log(_logistic(-z)),
        _logistic,
        lambda z: _logistic(-z),
        ((),),
        _WIDE,
    ),
    "cauchy": Case(
        lambda z: -mp.log(mp.pi) - mp.log1p(z * z),
        lambda z: mp.atan2(1, -z) / mp.pi,
        lambda z: mp.atan2(1, z) / mp.pi,
        ((),),
        (-1e6, *_WIDE, 1e9),
    ),
    "weibull_min": Case(
        lambda z, c: mp.log(c) + (c - 1) * mp.log(z) - z**c,
        lambda z, c: -mp.expm1(-(z**c)),
        lambda z, c: mp.exp(-(z**c)),
        ((0.6,), (2.5,)),
        _RIGHT,
    ),
    "pareto": Case(
        lambda z, b: mp.log(b) - (b + 1) * mp.log(z),
        lambda z, b: 1 - z**-b,
        lambda z, b: z**-b,
        ((0.7,), (4.0,)),
        (1.001, 1.5, 8.0, 1e6),
    ),
    "gamma": Case(
        _power_of_gamma,
        lambda z, a: _lower(a, z),
        lambda z, a: _upper(a, z),
        ((0.3,), (1.0,), (45.0,)),
        _RIGHT,
    ),
    "chi2": Case(
        lambda z, k: _power_of_gamma(z / 2, k / 2) - mp.log(2),
        lambda z, k: _lower(k / 2, z / 2),
        lambda z, k: _upper(k / 2, z / 2),
        ((1.5,), (9.0,)),
        _RIGHT,
    ),
    "invgamma": Case(
        lambda z, a: -(a + 1) * mp.log(z) - mp.loggamma(a) - 1 / z,
        lambda z, a: _upper(a, 1 / z),
        lambda z, a: _lower(a, 1 / z),
        ((0.8,), (6.0,)),
        (0.02, 0.3, 2.0, 50.0),
    ),
    "beta": Case(
        lambda z, a, b: (a - 1) * mp.log(z) + (b - 1) * mp.log1p(-z) - mp.log(mp.beta(a, b)),
        _beta,
        lambda z, a, b: 1 - _beta(z, a, b),
        ((0.5, 0.7), (8.0, 2.5)),
        (1e-4, 0.2, 0.8, 0.99),
    ),
    "t": Case(
        _student,
        _student_below,
        lambda z, df: _student_below(-z, df),
        ((0.7,), (5.0,), (80.0,)),
        _WIDE,
    ),
}

COUNTS = {
    "bernoulli": Counts(lambda k, p: p if k else 1 - p, ((0.3,),), (0, 1)),
    "binom": Counts(
        lambda k, n, p: mp.binomial(n, k) * p**k * (1 - p) ** (n - k), ((9, 0.3), (40, 0.02)), (0, 1, 4, 8)
    ),
    "nbinom": Counts(
        lambda k, n, p: mp.gamma(n + k) / mp.gamma(n) / mp.factorial(k) * p**n * (1 - p) ** k,
        ((0.6, 0.4), (7.5, 0.9)),
        (0, 1, 4, 12),
    ),
    "poisson": Counts(lambda k, mu: mp.exp(-mu) * mu**k / mp.factorial(k), ((0.4,), (12.0,)), (0, 1, 4, 30)),
}
