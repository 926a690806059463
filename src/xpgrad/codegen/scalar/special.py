"""The normal distribution and its kin, log gamma, and x log y.

Everything about the normal distribution comes from ``erfcx(a) = exp(a^2) erfc(a)``, a >= 0: a polynomial in
``(a - k) / (a + k)`` gives ``(1 + 1.125 a) erfcx(a)`` for all a, which hardly changes about 0. ``exp(-a^2)``
is taken of the square in two parts, so that the tails keep their digits down to 0. About 0 a polynomial for
erf takes over, which is more accurate.

log gamma: ``(x - 1/2) (log x - 1)``, a constant and a polynomial in ``1 / x^2`` from 7.5 on; below, a
polynomial about 2, after ``gamma(x + 1) = x gamma(x)`` has been applied as often as it takes; for x < 0 by
reflection.
"""

from __future__ import annotations

from xpgrad.codegen.scalar import polynomials as poly
from xpgrad.codegen.scalar.exponential import (
    EXP_RANGE,
    exp,
    exp_of_two,
    log,
    log1p,
    log_edges,
    log_of_parts,
    lowered,
    of_kind,
    reduced_with,
    scaled,
    sum_parts,
)
from xpgrad.codegen.scalar.ir import (
    INF,
    MANTISSA,
    TINY,
    Value,
    at_least,
    at_most,
    called,
    copysign,
    eq,
    fabs,
    fma,
    horner,
    isnan,
    own,
    roundeven,
    select,
    two_power,
)
from xpgrad.codegen.scalar.trigonometric import sin

ROOT_2 = 1.4142135623730951
DENSITY = 0.3989422804014327  # 1 / sqrt(2 pi)
# The tails have rounded to 0 from here on.
ERFC_BOUND = {"float": 10.5, "double": 28.0}
NDTR_BOUND = {"float": 15.0, "double": 39.0}
ERFCX_BOUND = {"float": 9.5, "double": 26.7}  # below minus this, infinity


SLOPE = 1.125
PIVOT = {"float": 2.5, "double": 4.0}


def _erfcx(a: Value, unit: float = 1.0, factor: float = 1.0, tail: bool = False) -> Value:
    """``factor exp(u^2) erfc(u)``, u = a unit >= 0; ``tail``: for u up to 10.7 in float32."""
    if "erfcx" in a.block.own:
        return called("erfcx", a * unit) * factor
    k = PIVOT[a.kind] / unit
    finite = a if tail else at_most(a, 2.0**60)
    q = (finite - k) / (finite + k)
    single = poly.ERFCX_TAIL_F32 if tail else poly.ERFCX_F32
    return horner(q, of_kind(a, single, poly.ERFCX_F64)) / fma(a, SLOPE * unit / factor, 1.0 / factor)


def _gauss(a: Value, factor: float) -> tuple[Value, Value]:
    """``exp(-factor a^2)`` as ``p 2^n``, factor a power of two, |a| within the bounds above."""
    h = a * factor
    square = a * h
    b, low, n = reduced_with(at_least(-square, EXP_RANGE[a.kind][0]), fma(-a, h, square))
    return exp_of_two(b, low), n


def _erfc_positive(a: Value) -> Value:
    a = at_most(a, ERFC_BOUND[a.kind])
    p, n = _gauss(a, 1.0)
    return lowered(p * _erfcx(a, tail=True), n)


def _ndtr_negative(a: Value) -> Value:
    """The normal distribution function at -a, a >= 0."""
    a = at_most(a, NDTR_BOUND[a.kind])
    p, n = _gauss(a, 0.5)
    return lowered(p * _erfcx(a, ROOT_2 / 2, 0.5, tail=True), n)


@own("erf")
def _erf_central(x: Value) -> Value:
    """erf(x), |x| < 0.65."""
    return fma(horner(x * x, of_kind(x, poly.ERF_F32, poly.ERF_F64)), x, x)


def erf(x: Value) -> Value:
    a = fabs(x)
    return copysign(select(a < 0.65, _erf_central(a), 1.0 - _erfc_positive(a)), x)


def erfc(x: Value) -> Value:
    a = fabs(x)
    tail = _erfc_positive(a)
    return select(a < 0.5, 1.0 - _erf_central(x), select(x < 0.0, 2.0 - tail, tail))


def erfcx(x: Value) -> Value:
    a = fabs(x)
    right = 0.5 * _erfcx(a, factor=2.0)  # where the denominator would overflow, the quotient is a number yet
    bound = at_most(a, ERFCX_BOUND[x.kind])
    square = bound * bound
    b, low, n = reduced_with(square, fma(bound, bound, -square))
    p = exp_of_two(b, low)
    central = p * two_power(n) * (1.0 - _erf_central(x))
    left = scaled(2.0 * p, n) - right
    return select(a < 0.5, central, select(x < 0.0, left, right))


# Within this of 0 the distribution function comes from erf, on the left of it from Mills' ratio.
CENTRAL = 0.7


def _exp_of_square(x: Value) -> Value:
    """``exp(-x^2 / 2)``: what the rounding of the square has lost is multiplied in."""
    half = x * -0.5
    h = half * x
    e = exp(h)
    # Far out, where the squares are infinite, there is nothing left to correct: the exponential is 0.
    lost = at_least(fma(half, x, -at_least(h, EXP_RANGE[x.kind][0])), -1.0)
    return fma(e, lost, e)


def normal_density(x: Value) -> Value:
    return _exp_of_square(x) * DENSITY


def ndtr(x: Value) -> Value:
    """The density's exponential, which a derivative beside it shares, times Mills' ratio; or 1 less that."""
    mills = _erfcx(at_most(fabs(x), NDTR_BOUND[x.kind]), ROOT_2 / 2, 0.5, tail=True)
    tail = _exp_of_square(x) * mills
    return select(x > 0.0, 1.0 - tail, tail)


def _ndtr_in_two(x: Value, tail: Value) -> tuple[Value, Value]:
    """The distribution function as a sum of two, x > -0.7; tail is that at -x."""
    central = x < CENTRAL
    start = select(central, 0.5, 1.0, like=x)
    change = select(central, 0.5 * _erf_central(x * (ROOT_2 / 2)), -tail)
    u = start + change
    return u, (start - u) + change


def log_ndtr(x: Value) -> Value:
    """On the left ``-x^2 / 2`` and the logarithm of what multiplies its exponential."""
    a = fabs(x)
    left = x < -CENTRAL
    u, rest = _ndtr_in_two(x, _ndtr_negative(a))
    mills = _erfcx(a, ROOT_2 / 2, 0.5)
    k, f = sum_parts(select(left, mills, u), select(left, 0.0, rest))
    y = log_of_parts(f, k)
    # Of 0 the sign is that of the limit, -0.
    return select(isnan(x), x, -fabs(select(left, fma(a * -0.5, a, y), y)))


def inv_mills(x: Value) -> Value:
    """The normal density over the distribution function."""
    a = fabs(x)
    left = x < -CENTRAL
    p, n = _gauss(at_most(a, NDTR_BOUND[a.kind]), 0.5)
    mills = _erfcx(a, ROOT_2 / 2, 0.5)
    u, _ = _ndtr_in_two(x, lowered(p * mills, n))
    y = select(left, DENSITY, lowered(p * DENSITY, n)) / select(left, mills, u)
    # Far on the left the quotient is -x.
    return select(x < -(2.0**50), a, y)


def logit(x: Value) -> Value:
    """``log(x / (1 - x))``; from 0.3 on as log1p of ``(2 x - 1) / (1 - x)``, which is exact about 1/2."""
    far = x < 0.3
    below = 1.0 - x
    quotient = select(far, x, fma(x, 2.0, -1.0)) / below
    if "log1p" in x.block.own:
        return select(far, log(quotient), log1p(quotient))
    u = select(far, quotient, quotient + 1.0)
    back = u - quotient
    error = (quotient - (u - back)) + (1.0 - back)
    small = u < TINY[x.kind]
    lift = 1.0 * MANTISSA[x.kind]
    k, f = sum_parts(select(small, u * 2.0**lift, u), select(far, 0.0, error))
    return log_edges(u, log_of_parts(f, k - select(small, lift, 0.0, like=x)))


# ── log gamma ────────────────────────────────────────────────────────────────────────────────
HALF_LOG_2PI = 0.9189385332046728
LOG_PI = 1.1447298858494002


def gammaln(x: Value) -> Value:
    a = fabs(x)
    large = a >= 7.5
    # Below: a = 2 + d shifted by the factors of a product.
    near = a < 1.5
    tiny = a < 0.5
    k = roundeven(a) - 2.0
    product = a - 1.0
    factor = select(k >= 1.0, product, 1.0)
    for i in range(2, 6):
        factor = factor * select(k >= float(i), a - float(i), 1.0)
    d = select(near, select(tiny, a, a - 1.0), (a - 2.0) - k)
    argument = select(large, a, select(near, select(tiny, fma(a, a, a), a), factor))
    logarithm = log(argument)
    inner = d * horner(d, poly.LGAMMA_F64) + select(near, -logarithm, logarithm)
    r = 1.0 / a
    outer = fma(a - 0.5, logarithm - 1.0, fma(horner(r * r, poly.STIRLING_F64), r, HALF_LOG_2PI - 0.5))
    positive = select(large, outer, inner)
    fraction = select(eq(a, INF), 0.0, a - roundeven(a))
    sine = fabs(sin(fraction * 3.141592653589793))
    mirrored = LOG_PI - log(a * sine) - positive
    # So near 0 the reflection would underflow, and the sign makes no difference.
    y = select(x < -(2.0**-60), select(eq(fraction, 0.0), INF, mirrored), positive)
    return select(eq(a, INF), x, y)
