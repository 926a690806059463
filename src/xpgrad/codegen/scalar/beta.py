"""The beta function, its logarithm, and the beta density.

A quotient of gammas as long as none of them overflows. Beyond, where the logarithms of gamma cancel, what is
left of Stirling's formula is written down by itself.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.exponential import exp, log, log1p
from xpgrad.codegen.scalar.floats import INF
from xpgrad.codegen.scalar.gamma import HALF_LOG_2PI, gamma, gammaln, gammasgn, is_even, is_pole, stirling
from xpgrad.codegen.scalar.ir import Value, eq, fabs, floor, fma, same, select, where_needed

# Between these no gamma overflows.
LEAST = {"float": 1e-37, "double": 1e-300}
MOST = {"float": 34.0, "double": 170.0}


class Parts(NamedTuple):
    """``beta`` is ``sign value`` where it is short, and elsewhere ``sign exp(log)``."""

    short: Value
    value: Value
    log: Value
    sign: Value


def _quotient(large: Value, small: Value, total: Value) -> Value:
    value = gamma(large) / gamma(total) * gamma(small)
    # What the rounding of the sum has lost, by the logarithm that its digamma nearly is.
    lost = small - (total - large)
    better = fma(value, -lost * log(total), value)
    return select(is_pole(total), 0.0, select(small > 0.0, better, value))


def _log(large: Value, small: Value, total: Value) -> Value:
    of_large, of_small = gammaln(large), gammaln(small)
    plain = of_large + of_small - gammaln(total)
    rest = stirling(large) - stirling(total) - (large - 0.5) * log1p(small / large)
    one = of_small + rest + small * (1.0 - log(total))
    both = rest + stirling(small) - small * log1p(large / small) - 0.5 * log(small) + HALF_LOG_2PI
    positive = select(large < 10.0, plain, select(small < 10.0, one, both))
    infinite = eq(large, INF)
    return select(small > 0.0, select(infinite, -INF, positive), select(infinite, INF, plain))


def _parts(a: Value, b: Value) -> Parts:
    """Where one operand is a pole of gamma, beta is infinite, or finite by the quotient of two poles."""
    first = is_pole(a)
    of_pole = first | is_pole(b)
    pole, other = select(first, a, b), select(first, b, a)
    finite = (other > 0.0) & eq(other, floor(other)) & (pole + other < 1.0)
    u, v = select(of_pole, 1.0 - pole - other, a), select(of_pole, other, b)
    larger = u > v
    large, small, total = select(larger, u, v), select(larger, v, u), u + v
    infinite = of_pole & ~finite
    most, least = MOST[a.kind], LEAST[a.kind]
    inside = (fabs(large) < most) & (fabs(small) < most) & (fabs(total) < most)
    short = inside & (fabs(large) > least) & (fabs(small) > least) & ~infinite
    value = where_needed(short, lambda: _quotient(large, small, total), same(a, 0.0))
    log = where_needed(~short, lambda: select(infinite, INF, _log(large, small, total)), same(a, 0.0))
    known = short | is_pole(total)
    sign = select(known, 1.0, gammasgn(u) * gammasgn(v) * gammasgn(total))
    return Parts(short, value, log, select(of_pole, select(finite & ~is_even(other), -1.0, 1.0, like=a), sign))


# Relative to 1 at least.
@bounded_in_double(6.0)
def betaln(a: Value, b: Value) -> Value:
    parts = _parts(a, b)
    return select(parts.short, log(fabs(parts.value)), parts.log)


# For a + b < 170; beyond, it is the exponential of its logarithm.
@bounded_in_double(6.0)
def beta(a: Value, b: Value) -> Value:
    parts = _parts(a, b)
    return parts.sign * select(parts.short, parts.value, exp(parts.log))


@bounded(0.51, 12.0)
def beta_kernel(p: Value, q: Value, x: Value, c: Value) -> Value:
    """``x^p (1 - x)^q exp(-c)``; the exponent is a difference of large numbers, computed in float64."""
    left = select(eq(p, 0.0), 0.0, p * log(x))
    right = select(eq(q, 0.0), 0.0, q * log1p(-x))
    return exp(left + right - c)
