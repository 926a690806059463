"""Tails of the gamma and beta distributions: logarithms, and derivatives in the shapes.

With s = log t (gamma) or s = log(t / (1 - t)) (beta) both densities are log-concave. On either side of its mode
the density falls from the point that is asked for. The integral over that tail, of the density and of what its
logarithm has for derivatives in the shapes, is a sum over Gauss-Legendre points; no term cancels another. The
other side has the complement.

A *score* is the derivative of the logarithm of a distribution function in a shape: the mean, over the tail, of
the derivative of the log-density. ``below`` is the distribution function, ``above`` the survival function.

Holds: float64 throughout, whatever the operands; a quotient of a tail and its density never overflows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DROP = 42.0  # the tail ends where the density has fallen by exp(-42), 6e-19
POINTS = 10
# Where panels end, as parts of the tail: equal ones for a fall that sets in late, halved toward the start.
PANELS = np.array([0.0, *(2.0 ** np.arange(-14, 0) / 10), *(np.arange(1, 11) / 10)])
_TERMS = 26  # of the series in x <= 1.5: 1.5**26 / 26! is 9e-23
SERIES = 1.5


def _nodes() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(POINTS)
    widths = np.diff(PANELS)
    return (PANELS[:-1, None] + widths[:, None] * (x + 1) / 2).ravel(), (widths[:, None] * w / 2).ravel()


_X, _W = _nodes()


def _length(xp: Any, fall: Callable[[Any], tuple[Any, Any]], start: Any) -> Any:
    """Where the convex function ``fall``, given with its derivative, reaches `DROP`: Newton from beyond it."""
    at = start
    for _ in range(24):
        value, slope = fall(at)
        step = (value - DROP) / slope
        at = xp.where(step > 0, at - step, at)
    return at


def _integrals(length: Any, fall: Callable[[Any], tuple[Any, Any]], *means: Callable[[Any], Any]) -> list[Any]:
    """The integral of exp(-fall), and with it as weight the means of further functions."""
    totals: list[Any] = [0.0] * (1 + len(means))
    for x, w in zip(_X.tolist(), _W.tolist(), strict=True):
        v = x * length
        weight = w * _exp(-fall(v)[0])
        totals[0] = totals[0] + weight
        for k, f in enumerate(means):
            totals[k + 1] = totals[k + 1] + weight * f(v)
    return [totals[0] * length, *[t / totals[0] for t in totals[1:]]]


def _exp(x: Any) -> Any:
    return np.exp(x)  # which calls CuPy's for its arrays


def gamma_tails(xp: Any, special: Any) -> dict[str, Callable[..., Any]]:
    """`log_gammainc`, its score and its curvature, and those of `log_gammaincc`, of the array module ``xp``."""

    def below(a: Any, x: Any) -> tuple[Any, Any, Any]:
        """Left of the mode, x < a: log of the mass over the density at x, score and curvature."""

        def fall(v: Any) -> tuple[Any, Any]:
            e = -xp.expm1(-v)
            return a * v - x * e, a - x * (1 - e)

        length = _length(xp, fall, xp.minimum((DROP + x) / a, DROP / xp.maximum(a - x, 1e-300)))
        mass, v, square = _integrals(length, fall, lambda v: v, lambda v: v * v)
        return xp.log(mass), xp.log(x) - v - special.digamma(a), square - v * v - special.zeta(2.0, a)

    def above(a: Any, x: Any) -> tuple[Any, Any, Any]:
        """Right of the mode, x >= a."""

        def fall(v: Any) -> tuple[Any, Any]:
            e = xp.expm1(v)
            return x * e - a * v, x * (e + 1) - a

        # x (exp(v) - 1) - a v >= x (exp(v) - 1 - v) >= x v^2 / 2, and beyond 3 it is more than x exp(v) / 2.
        start = xp.minimum(xp.sqrt(2 * DROP / x), xp.log1p(2 * DROP / x) + 3)
        mass, v, square = _integrals(_length(xp, fall, start), fall, lambda v: v, lambda v: v * v)
        return xp.log(mass), xp.log(x) + v - special.digamma(a), square - v * v - special.zeta(2.0, a)

    def series(a: Any, x: Any) -> tuple[Any, Any, Any]:
        """The same as `below` for x <= 1.5, by powers of x; what is 1 / a at small a is taken off digamma."""
        first, second, third, term = 0.0 * x, 0.0 * x, 0.0 * x, 1.0
        for k in range(1, _TERMS):
            term = term * (-x / k)
            first = first + term / (a + k)
            second = second + term / ((a + k) * (a + k))
            third = third + 2 * term / ((a + k) * (a + k) * (a + k))
        mass = 1 / a + first
        more = (second - first / a) / mass  # than 1 / a, of the mean
        curvature = (third - 2 * second / a) / mass - more * more - special.zeta(2.0, a + 1)
        return xp.log(mass) + x, xp.log(x) - special.digamma(a + 1) - more, curvature

    def tail(a: Any, x: Any) -> tuple[Any, Any, Any, Any]:
        """For each point the side that is a tail: what `below` gives of it; and whether it is below."""
        short, left = x <= SERIES, x < a
        u, v, w = short, ~short & left, ~short & ~left
        one = xp.ones_like(x)
        of_series = series(xp.where(u, a, 1.0), xp.where(u, x, 1.0))
        of_left = below(xp.where(v, a, 2.0), xp.where(v, x, 1.0)) if bool(v.any()) else (one,) * 3
        of_right = above(xp.where(w, a, 1.0), xp.where(w, x, 2.0)) if bool(w.any()) else (one,) * 3
        log_mass, score, curvature = (
            xp.where(u, p, xp.where(v, q, r)) for p, q, r in zip(of_series, of_left, of_right, strict=True)
        )
        return log_mass, score, curvature, short | left

    def derivative(a: Any, x: Any, wanted: bool, order: int) -> Any:
        a, x = _doubles(xp, a, x)
        good = (a > 0) & (x > 0) & (x < xp.inf) & (a < xp.inf)
        a, t = xp.where(good, a, 1.0), xp.where(good, x, 1.0)
        _, score, curvature, is_below = tail(a, t)
        p, q = special.gammainc(a, t), special.gammaincc(a, t)
        mine, other = (p, q) if wanted else (q, p)
        ratio = other / mine
        # The two functions add up to 1, and so their derivatives to 0.
        if order == 1:
            out, far = xp.where(is_below == wanted, score, -ratio * score), xp.inf
        else:
            rest = -ratio * (curvature + score * score) - (ratio * score) ** 2
            out, far = xp.where(is_below == wanted, curvature, rest), xp.nan
        at_zero, at_infinity = (-far, 0.0) if wanted else (0.0, far)
        outside = xp.where(x == 0, at_zero, xp.where(x == xp.inf, at_infinity, xp.nan))
        return xp.where(good, out, outside)

    def logarithm(a: Any, x: Any, wanted: bool) -> Any:
        a, x = _doubles(xp, a, x)
        good = (a > 0) & (x > 0) & (x < xp.inf) & (a < xp.inf)
        a, t = xp.where(good, a, 1.0), xp.where(good, x, 1.0)
        p, q = special.gammainc(a, t), special.gammaincc(a, t)
        mine, other = (p, q) if wanted else (q, p)
        out = xp.where(mine < 0.5, xp.log(mine), xp.log1p(-other))
        far = good & (mine < 1e-280)
        if bool(far.any()):
            b, y = xp.where(far, a, 2.0), xp.where(far, t, 1.0)
            log_mass, *_ = tail(b, y)
            out = xp.where(far, b * xp.log(y) - y - special.gammaln(b) + log_mass, out)
        outside = xp.where(
            x == 0, -xp.inf if wanted else 0.0, xp.where(x == xp.inf, 0.0 if wanted else -xp.inf, xp.nan)
        )
        return xp.where(good, out, outside)

    return {
        "gamma_score_below": lambda a, x: derivative(a, x, True, 1),
        "gamma_score_above": lambda a, x: derivative(a, x, False, 1),
        "gamma_curvature_below": lambda a, x: derivative(a, x, True, 2),
        "gamma_curvature_above": lambda a, x: derivative(a, x, False, 2),
        "log_gammainc": lambda a, x: logarithm(a, x, True),
        "log_gammaincc": lambda a, x: logarithm(a, x, False),
    }


def beta_tails(xp: Any, special: Any) -> dict[str, Callable[..., Any]]:
    """`beta_score_a`, `beta_score_b` and `log_betainc` of the array module ``xp``."""

    def below(a: Any, b: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """Left of the mode, x <= a / (a + b), y = 1 - x: log of the mass over the density, and both scores."""
        c = a + b

        def drop(v: Any) -> Any:
            """log of (1 - t) / (1 - x)'s reciprocal, at v below x."""
            e = xp.exp(-v)
            return xp.where(x < 0.5, xp.log1p(x * xp.expm1(-v)), xp.log(y + x * e))

        def fall(v: Any) -> tuple[Any, Any]:
            e = xp.exp(-v)
            return a * v + c * drop(v), a - c * x * e / (y + x * e)

        # The slope rises from its least value to a; the fall is a v + c log(y) at least.
        start = xp.minimum((DROP - c * xp.log(y)) / a, DROP / xp.maximum(a - c * x, 1e-300))
        mass, v, u = _integrals(_length(xp, fall, start), fall, lambda v: v, drop)
        total = special.digamma(c)
        of_a = xp.log(x) - v - u - (special.digamma(a) - total)
        return xp.log(mass), of_a, xp.log(y) - u - (special.digamma(b) - total)

    def tail(a: Any, b: Any, x: Any) -> tuple[Any, Any, Any, Any]:
        y = 1 - x
        left = x * (a + b) <= a
        log_mass, first, second = below(
            xp.where(left, a, b), xp.where(left, b, a), xp.where(left, x, y), xp.where(left, y, x)
        )
        return log_mass, xp.where(left, first, second), xp.where(left, second, first), left

    def score(a: Any, b: Any, x: Any, which: int) -> Any:
        a, b, x = _doubles(xp, a, b, x)
        good = (a > 0) & (b > 0) & (x > 0) & (x < 1) & (a < xp.inf) & (b < xp.inf)
        a, b, t = xp.where(good, a, 1.0), xp.where(good, b, 1.0), xp.where(good, x, 0.5)
        *found, left = tail(a, b, t)
        p, q = special.betainc(a, b, t), special.betainc(b, a, 1 - t)
        out = xp.where(left, found[1 + which], -(q / p) * found[1 + which])
        at_zero = special.digamma(a + b) - special.digamma(b) if which else -xp.inf
        return xp.where(good, out, xp.where(x == 0, at_zero, xp.where(x == 1, 0.0, xp.nan)))

    def log_betainc(a: Any, b: Any, x: Any) -> Any:
        a, b, x = _doubles(xp, a, b, x)
        good = (a > 0) & (b > 0) & (x > 0) & (x < 1) & (a < xp.inf) & (b < xp.inf)
        a, b, t = xp.where(good, a, 1.0), xp.where(good, b, 1.0), xp.where(good, x, 0.5)
        p, q = special.betainc(a, b, t), special.betainc(b, a, 1 - t)
        # q has the rounding of 1 - x, which shows where x is small and q is not.
        out = xp.where((p < 0.5) | ((t < 0.5) & (q > 1e-3)), xp.log(p), xp.log1p(-q))
        far = good & (p < 1e-280)
        if bool(far.any()):
            c, d, z = xp.where(far, a, 1.0), xp.where(far, b, 1.0), xp.where(far, t, 0.5)
            density = c * xp.log(z) + d * xp.log1p(-z) - special.betaln(c, d)
            out = xp.where(far, density + tail(c, d, z)[0], out)
        return xp.where(good, out, xp.where(x == 0, -xp.inf, xp.where(x == 1, 0.0, xp.nan)))

    def stdtr(df: Any, t: Any) -> Any:
        """Student's distribution function: the beta function of whichever of x and 1 - x is smaller."""
        df, t = _doubles(xp, df, t)
        normal = df == xp.inf
        square = t * t
        near = square < df
        x = xp.where(near, square, df) / (df + square)
        a, b = xp.where(near, 0.5, df / 2), xp.where(near, df / 2, 0.5)
        half = 0.5 * special.betainc(a, b, xp.where(xp.isnan(x), 0.0, x))
        lower = xp.where(near, 0.5 - half, half)
        out = xp.where(t > 0, 1 - lower, lower)
        return xp.where(xp.isnan(t) | ~(df > 0), xp.nan, xp.where(normal, special.ndtr(t), out))

    return {
        "beta_score_a": lambda a, b, x: score(a, b, x, 0),
        "beta_score_b": lambda a, b, x: score(a, b, x, 1),
        "log_betainc": log_betainc,
        "stdtr": stdtr,
    }


def _doubles(xp: Any, *xs: Any) -> list[Any]:
    """The operands in float64, broadcast."""
    return list(xp.broadcast_arrays(*[xp.asarray(x, dtype=np.float64) for x in xs]))
