"""Distributions on whole numbers.

Sources: Johnson, Kemp, Kotz, Univariate Discrete Distributions; the names and parameters are SciPy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from xpgrad.ops.elementwise import floor, log, log1p, where
from xpgrad.ops.special import betaln, gammaln, xlog1py, xlogy
from xpgrad.ops.tails import (
    betainc,
    betaincc,
    gammainc,
    gammaincc,
    log_betainc,
    log_gammainc,
    log_gammaincc,
)
from xpgrad.stats._base import Discrete
from xpgrad.stats._gamma import log_betaincc

_NO_PPF = {"ppf": "a quantile is a whole number, which no small change moves; scipy.stats has it"}


def _is_probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


class Bernoulli(Discrete):
    """1 with probability ``p``, else 0."""

    name = "bernoulli"
    shapes: ClassVar[Mapping[str, float]] = {"p": 0.5}
    lacks = _NO_PPF

    def _valid(self, p: Any) -> Any:
        return _is_probability(p)

    def _support(self, p: Any) -> Any:
        return 0.0, 1.0

    def _inside(self, *_: Any) -> Any:
        return 0.0

    def _logpmf(self, k: Any, p: Any) -> Any:
        return xlogy(k, p) + xlog1py(1 - k, -p)

    def _cdf(self, k: Any, p: Any) -> Any:
        return 1 - p + 0 * k

    def _sf(self, k: Any, p: Any) -> Any:
        return p + 0 * k

    def _logcdf(self, k: Any, p: Any) -> Any:
        return log1p(-p) + 0 * k

    def _logsf(self, k: Any, p: Any) -> Any:
        return log(p) + 0 * k

    def _draw(self, source: Any, p: Any) -> Any:
        return source.of(source.rng.random(source.shape) < source.fixed("p", p))


class Binom(Discrete):
    """Successes in ``n`` trials, each with probability ``p``."""

    name = "binom"
    shapes: ClassVar[Mapping[str, float]] = {"n": 1.0, "p": 0.5}
    whole = ("n",)
    lacks = _NO_PPF

    def _valid(self, n: Any, p: Any) -> Any:
        return (n >= 0) & (n == floor(n)) & _is_probability(p)

    def _support(self, n: Any, p: Any) -> Any:
        return 0.0, n

    def _inside(self, *_: Any) -> Any:
        return 0.0

    def _logpmf(self, k: Any, n: Any, p: Any) -> Any:
        choices = -log1p(n) - betaln(n - k + 1, k + 1)
        return choices + xlogy(k, p) + xlog1py(n - k, -p)

    # Of k = n, where the function is 1, the masks take care; n - k is at least 1.
    def _cdf(self, k: Any, n: Any, p: Any) -> Any:
        return betaincc(k + 1, _at_least_one(n - k), p)

    def _sf(self, k: Any, n: Any, p: Any) -> Any:
        return betainc(k + 1, _at_least_one(n - k), p)

    def _logcdf(self, k: Any, n: Any, p: Any) -> Any:
        return log_betaincc(k + 1, _at_least_one(n - k), p)

    def _logsf(self, k: Any, n: Any, p: Any) -> Any:
        return log_betainc(k + 1, _at_least_one(n - k), p)

    def _draw(self, source: Any, n: Any, p: Any) -> Any:
        n, p = source.whole(n), source.fixed("p", p)
        return source.of(source.rng.binomial(n, p, source.shape))


def _at_least_one(n: Any) -> Any:
    return where(n < 1, 1.0, n)


class NBinom(Discrete):
    """Failures before the success of number ``n``, which may be any positive number; ``p`` is of a trial."""

    name = "nbinom"
    shapes: ClassVar[Mapping[str, float]] = {"n": 1.0, "p": 0.5}
    lacks = _NO_PPF

    def _valid(self, n: Any, p: Any) -> Any:
        return (n > 0) & (p > 0) & (p <= 1)

    def _support(self, n: Any, p: Any) -> Any:
        return 0.0, None

    def _inside(self, *_: Any) -> Any:
        return 0.0

    def _logpmf(self, k: Any, n: Any, p: Any) -> Any:
        return -log(n + k) - betaln(n, k + 1) + n * log(p) + xlog1py(k, -p)

    def _cdf(self, k: Any, n: Any, p: Any) -> Any:
        return betainc(n, k + 1, p)

    def _sf(self, k: Any, n: Any, p: Any) -> Any:
        return betaincc(n, k + 1, p)

    def _logcdf(self, k: Any, n: Any, p: Any) -> Any:
        return log_betainc(n, k + 1, p)

    def _logsf(self, k: Any, n: Any, p: Any) -> Any:
        return log_betaincc(n, k + 1, p)

    def _draw(self, source: Any, n: Any, p: Any) -> Any:
        n, p = source.fixed("n", n), source.fixed("p", p)
        return source.of(source.rng.negative_binomial(n, p, source.shape))


class Poisson(Discrete):
    """Events of which ``mu`` are expected."""

    name = "poisson"
    shapes: ClassVar[Mapping[str, float]] = {"mu": 1.0}
    lacks = _NO_PPF

    def _valid(self, mu: Any) -> Any:
        return mu >= 0

    def _support(self, mu: Any) -> Any:
        return 0.0, None

    def _inside(self, *_: Any) -> Any:
        return 0.0

    def _logpmf(self, k: Any, mu: Any) -> Any:
        return xlogy(k, mu) - mu - gammaln(k + 1)

    def _cdf(self, k: Any, mu: Any) -> Any:
        return gammaincc(k + 1, mu)

    def _sf(self, k: Any, mu: Any) -> Any:
        return gammainc(k + 1, mu)

    def _logcdf(self, k: Any, mu: Any) -> Any:
        return log_gammaincc(k + 1, mu)

    def _logsf(self, k: Any, mu: Any) -> Any:
        return log_gammainc(k + 1, mu)

    def _draw(self, source: Any, mu: Any) -> Any:
        return source.of(source.rng.poisson(source.fixed("mu", mu), source.shape))
