"""Gamma, its logarithm, and the derivative of that.

Below 7.5 the argument is moved to ``2 + d``, ``|d| <= 1/2``, by ``gamma(x + 1) = x gamma(x)``; there a
polynomial in d gives ``log gamma`` or ``1 / gamma``. From 7.5 on Stirling's formula, with a polynomial in
``1 / x^2``. For x < 0 by reflection.

digamma: below 10 the argument is moved to [1, 2], where ``(x - z) p(x)`` has the root z in two parts; from 10
on the asymptotic series (DLMF 5.11.2).
"""

from __future__ import annotations

from xpgrad.codegen.scalar import special_polynomials as poly
from xpgrad.codegen.scalar.arithmetic import exp_in_two, log_in_two
from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.exponential import exp, log, of_kind
from xpgrad.codegen.scalar.floats import INF, NAN, at_most, horner
from xpgrad.codegen.scalar.ir import (
    Value,
    called,
    copysign,
    eq,
    fabs,
    floor,
    fma,
    isnan,
    own,
    repeat,
    roundeven,
    same,
    select,
    where_needed,
)
from xpgrad.codegen.scalar.trigonometric import sin, sin_cos_pi

PI = 3.141592653589793
HALF_LOG_2PI = 0.9189385332046728
LOG_PI = 1.1447298858494002
LARGE = 7.5  # Stirling's formula from here on
DIGAMMA_ROOT = {
    "float": (1.4616321325302124, 1.243815006546356e-08),
    "double": (1.4616321449683622, 9.549995429965697e-17),
}


def is_pole(x: Value) -> Value:
    return (x <= 0.0) & eq(x, floor(x))


def _moved(a: Value) -> tuple[Value, Value, Value]:
    """d, whether a < 1.5, and f: gamma(a) = gamma(2 + d) f, or gamma(2 + d) / f there; 0 <= a < 7.5."""
    near, tiny = a < 1.5, a < 0.5
    k = roundeven(a) - 2.0
    product = a - 1.0
    factor = select(k >= 1.0, product, 1.0)
    for i in range(2, 6):
        factor = factor * select(k >= float(i), a - float(i), 1.0)
    d = select(near, select(tiny, a, a - 1.0), (a - 2.0) - k)
    return d, near, select(near, select(tiny, fma(a, a, a), a), factor)


def stirling(x: Value) -> Value:
    """What Stirling's formula lacks of log gamma(x), x >= 7.5."""
    r = 1.0 / x
    return horner(r * r, poly.STIRLING_F64) * r


# In float64 for x > 0: left of 0 it has zeros that the formula of reflection does not know. So has digamma.
@bounded_in_double(5.0)
def gammaln(x: Value) -> Value:
    if "log_gamma" in x.block.own:
        return select(eq(x, -INF), x, called("log_gamma", x))
    a = fabs(x)
    large = a >= LARGE
    d, near, factor = _moved(a)
    argument = select(large, a, factor)
    logarithm = log(argument)
    inner = d * horner(d, poly.LGAMMA_F64) + select(near, -logarithm, logarithm)
    r = 1.0 / a
    outer = fma(a - 0.5, logarithm - 1.0, fma(horner(r * r, poly.STIRLING_F64), r, HALF_LOG_2PI - 0.5))
    positive = select(large, outer, inner)
    fraction = select(eq(a, INF), 0.0, a - roundeven(a))
    sine = fabs(sin(fraction * PI))
    mirrored = LOG_PI - log(a * sine) - positive
    # So near 0 the reflection would underflow, and the sign makes no difference.
    y = select(x < -(2.0**-60), select(eq(fraction, 0.0), INF, mirrored), positive)
    return select(eq(a, INF), x, y)


@bounded_in_double(2.5)
def loggamma(x: Value) -> Value:
    return select(x < 0.0, NAN, gammaln(x))


def is_even(n: Value) -> Value:
    return eq(floor(n * 0.5) * 2.0, n)


@bounded(0.0, 0.0)
def gammasgn(x: Value) -> Value:
    down = floor(x)
    left = select(eq(down, x), NAN, select(is_even(down), 1.0, -1.0, like=x))
    right = select(eq(x, 0.0), copysign(same(x, 1.0), x), select(isnan(x), x, 1.0))
    return select(x < 0.0, left, right)


@bounded_in_double(4.0)
@own("gamma")
def gamma(x: Value) -> Value:
    """``(x - 1/2) log x - x`` as a sum of two, so that its exponential has all digits."""
    a = fabs(x)
    negative, large = x < 0.0, a >= LARGE
    # Beyond 180 gamma has long overflown.
    b = select(large, at_most(a, 180.0), LARGE)
    high, low = log_in_two(b)
    m = b - 0.5
    product = m * high
    lost = fma(m, high, -product) + m * low
    first = product - b
    more = stirling(b) + HALF_LOG_2PI
    total = first + more
    rest = ((product - first) - b) + ((first - total) + more) + lost
    outer = exp_in_two(select(negative, -total, total), select(negative, -rest, rest))
    # 1 / gamma(|x|) for negative x.
    d, near, factor = _moved(at_most(a, LARGE))
    reciprocal = horner(d, poly.RGAMMA_F64)
    top, bottom = select(near, 1.0, factor), reciprocal * select(near, factor, 1.0)
    inner = select(negative, bottom, top) / select(negative, top, bottom)
    size = select(large, outer, inner)
    sine, _ = sin_cos_pi(a)
    mirrored = select(a < 2.0**-60, 1.0 / x, size * (-PI / (a * sine)))
    y = select(negative, select(eq(a, floor(a)), NAN, mirrored), size)
    return select(eq(x, 0.0), copysign(same(x, INF), x), y)


@bounded_in_double(4.0)
def rgamma(x: Value) -> Value:
    """About 0 gamma may overflow."""
    return select(fabs(x) < 1e-20, x, select(is_pole(x), 0.0, 1.0 / gamma(x)))


@bounded_in_double(3.0)
def digamma(x: Value) -> Value:
    negative = x < 0.0
    a = select(negative, 1.0 - x, x)
    small, far = a < 1.0, a >= 10.0
    # The sum of 1 / (y + k) over the steps, as a quotient.
    start = select(far, 1.5, select(small, a + 1.0, a))
    y, top, bottom = repeat(
        8,
        [start, select(small, -1.0, 0.0, like=a), select(small, a, 1.0)],
        lambda y, top, bottom: [y - 1.0, fma(top, y - 1.0, bottom), bottom * (y - 1.0)],
        lambda y, _top, _bottom: y >= 2.0,
    )
    root, root_low = DIGAMMA_ROOT[x.kind]
    inner = ((y - root) - root_low) * horner(y - 1.5, of_kind(x, poly.PSI_F32, poly.PSI_F64)) + top / bottom
    u = 1.0 / a
    z = u * u
    series = horner(z, of_kind(x, poly.PSI_FAR_F32, poly.PSI_FAR_F64))
    right = select(far, log(a) - fma(z, series, 0.5 * u), inner)

    def reflected() -> Value:
        sine, cosine = sin_cos_pi(x)
        return select(eq(x, floor(x)), NAN, right - PI * cosine / sine)

    y = where_needed(negative, reflected, right)
    return select(eq(x, 0.0), copysign(same(x, INF), -x), y)


@bounded(0.51, 12.0)
def gamma_kernel(p: Value, x: Value, c: Value) -> Value:
    """``x^p exp(-x - c)``; the exponent is a difference of large numbers, computed in float64."""
    power = select(eq(p, 0.0), 0.0, p * log(x))
    return select(eq(x, INF), 0.0, exp(power - x - c))
