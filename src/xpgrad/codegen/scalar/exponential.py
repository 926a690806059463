"""Exponentials and logarithms.

exp: ``x = n ln 2 + b`` with integer n and ``|b| <= ln 2 / 2``; n ln 2 is subtracted in two parts by fused
multiply-adds, the first of them exactly. ``2^n`` is applied as two factors, so that results pass through the
subnormal numbers to 0, and past the largest number to infinity, rounded once. The integer comes out of the low
bits of ``x / ln 2 + 1.5 2^23`` (2^52 in float64).

log: ``x = 2^k (1 + f)`` with ``1 + f`` in ``[sqrt(1/2), sqrt(2))``, taken from the bits. float32 has a
polynomial in f; float64 one in ``s^2``, ``s = f / (2 + f)``, where ``log(1 + f) = 2 atanh(s)`` is written as
``f - f^2 / 2 + s (f^2 / 2 + R(s^2))``.
"""

from __future__ import annotations

from collections.abc import Sequence

from xpgrad.codegen.scalar import polynomials as poly
from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.floats import (
    INF,
    MANTISSA,
    NAN,
    TINY,
    at_least,
    at_most,
    horner,
    ldexp,
    literal_bits,
    nearest,
    to_float,
    two_power,
)
from xpgrad.codegen.scalar.ir import Value, bits, copysign, eq, fabs, fma, from_bits, own, select

LOG2E = 1.4426950408889634
# Numbers in two parts. The first part of log10 2 has 41 bits, so that its product with an exponent is exact.
LN2 = {
    "float": (0.6931471824645996, -1.904654299957768e-09),
    "double": (0.6931471805599453, 2.3190468138462996e-17),
}
LOG10_2 = (0.30102999566383914, 1.42050232272661e-13)
INV_LN2 = (1.4426950408889634, 2.0355273740931033e-17)
INV_LN10 = (0.4342944819032518, 1.098319650216765e-17)
LN10 = (2.302585092994046, -2.1707562233822494e-16)

# Outside, exp has rounded to 0 or infinity.
EXP_RANGE = {"float": (-104.0, 89.0), "double": (-746.0, 710.0)}
EXP2_RANGE = {"float": (-151.0, 128.0), "double": (-1076.0, 1024.0)}
EXP10_RANGE = {"float": (-46.0, 39.0), "double": (-325.0, 309.0)}


def of_kind(x: Value, single: Sequence[float], double: Sequence[float]) -> Sequence[float]:
    """The coefficients for the type of ``x``."""
    return single if x.kind == "float" else double


def clamp(x: Value, bounds: tuple[float, float]) -> Value:
    """``x`` within the bounds; a NaN stays."""
    return at_least(at_most(x, bounds[1]), bounds[0])


def reduced(x: Value) -> tuple[Value, Value, Value]:
    """``b``, what its rounding has lost, and n, of ``x = n ln 2 + b``."""
    n, i = nearest(x, LOG2E)
    high, low = LN2[x.kind]
    exact = fma(n, -high, x)
    b = fma(n, -low, exact)
    return b, fma(n, -low, exact - b), i


def reduced_with(x: Value, rest: Value) -> tuple[Value, Value, Value]:
    """As `reduced`, of ``x + rest``, where rest is a rounding error of x."""
    b, low, n = reduced(x)
    low = low + rest
    total = b + low
    return total, (b - total) + low, n


def scaled(x: Value, n: Value) -> Value:
    """``2^n x``, rounded once; n may be twice as large as an exponent."""
    if x.block.scales:
        return ldexp(x, n)
    half = n >> 1
    return x * two_power(half) * two_power(n - half)


def lowered(x: Value, n: Value) -> Value:
    """``2^n x``, rounded once, n <= 0."""
    if x.block.scales:
        return ldexp(x, n)
    lift = 64 if x.kind == "float" else 128
    return x * two_power(n + lift) * 2.0**-lift


def exp_of_reduced(b: Value) -> Value:
    """exp(b), |b| <= ln(2) / 2, to an ulp."""
    return fma(horner(b, of_kind(b, poly.EXP_F32, poly.EXP_F64)), b * b, b) + 1.0


def exp_of_two(b: Value, low: Value) -> Value:
    """exp(b + low), |b| <= ln(2) / 2, to little more than half an ulp."""
    p = horner(b, of_kind(b, poly.EXP_F32, poly.EXP_F64))
    one = b + 1.0
    return one + fma(p, b * b, (1.0 - one) + b + low)


@bounded(1.0, 1.0)
@own("exp")
def exp(x: Value) -> Value:
    b, _, n = reduced(clamp(x, EXP_RANGE[x.kind]))
    return scaled(exp_of_reduced(b), n)


@own("exp")
def exp_negative(x: Value, precise: bool = False) -> Value:
    """exp(x) for x <= 0, to an ulp or to little more than half of one."""
    b, low, n = reduced(at_least(x, EXP_RANGE[x.kind][0]))
    return lowered(exp_of_two(b, low) if precise else exp_of_reduced(b), n)


@bounded(1.0, 1.0)
@own("exp2")
def exp2(x: Value) -> Value:
    x = clamp(x, EXP2_RANGE[x.kind])
    n, i = nearest(x, 1.0)
    b = x - n
    return scaled(fma(b, horner(b, of_kind(x, poly.EXP2_F32, poly.EXP2_F64)), 1.0), i)


@bounded_in_double(1.0)
def exp10(x: Value) -> Value:
    x = clamp(x, EXP10_RANGE[x.kind])
    n, i = nearest(x, 3.321928094887362)
    high, low = LOG10_2
    b = fma(n, -low, fma(n, -high, x))
    # b ln 10, in two parts.
    c = b * LN10[0]
    low_c = fma(b, LN10[0], -c) + b * LN10[1]
    return scaled(exp_of_two(c, low_c), i)


@bounded(1.2, 1.2)
@own("expm1")
def expm1(x: Value) -> Value:
    """``2^n (exp(b) - 1) + (2^n - 1)``, at half of its size while n is 1024."""
    lowest = -2.0 - MANTISSA[x.kind]
    b, low, n = reduced(clamp(x, (lowest, EXP_RANGE[x.kind][1])))
    p = horner(b, of_kind(x, poly.EXPM1_F32, poly.EXPM1_F64))
    half = two_power(n - 1)
    one = half - 0.5
    first = fma(b, half, one)
    rest = fma(b, half, one - first)
    y = first + fma(fma(p, b * b, low), half, rest)
    # The sign of zero is lost in b.
    return copysign(y + y, x)


def parts(x: Value) -> tuple[Value, Value]:
    """k as an integer, and f, of ``x = 2^k (1 + f)``, x > 0 normal."""
    mantissa = MANTISSA[x.kind]
    low = literal_bits(x.kind, 0.5**0.5)
    i = bits(x) - low
    return i >> mantissa, from_bits((i & ((1 << mantissa) - 1)) + low) - 1.0


def normal_parts(x: Value) -> tuple[Value, Value]:
    """k as a float, and f, of ``x = 2^k (1 + f)``, x > 0."""
    mantissa = MANTISSA[x.kind]
    small = x < TINY[x.kind]
    k, f = parts(select(small, x * 2.0**mantissa, x))
    return to_float(k) - select(small, float(mantissa), 0.0, like=x), f


def log_of_parts(f: Value, k: Value | None = None) -> Value:
    """``k ln 2 + log(1 + f)``, 1 + f in [sqrt(1/2), sqrt(2)]."""
    high, low = LN2[f.kind]
    square = 0.5 * f * f
    if f.kind == "float":
        cubed = 2.0 * square * f
        p = horner(f, poly.LOG1P_F32)
        tail = cubed * p if k is None else fma(cubed, p, k * low)
    else:
        s = f / (f + 2.0)
        z = s * s
        r = fma(z, horner(z, poly.ATANH_F64), square)
        tail = s * r if k is None else fma(s, r, k * low)
    y = f - (square - tail)
    return y if k is None else fma(k, high, y)


def log_edges(x: Value, y: Value) -> Value:
    """``y``, and the logarithm of x where x is 0, negative, infinite or NaN."""
    y = select(x < INF, y, x)
    y = select(x < 0.0, NAN, y)
    return select(eq(x, 0.0), -INF, y)


@bounded(1.0, 1.0)
@own("log")
def log(x: Value) -> Value:
    k, f = normal_parts(x)
    return log_edges(x, log_of_parts(f, k))


def log_in_two(f: Value) -> tuple[Value, Value]:
    """log(1 + f) as a sum of two, in float64."""
    s = f / (f + 2.0)
    z = s * s
    half = 0.5 * f
    square = half * f
    r = fma(z, horner(z, poly.ATANH_F64), square)
    high = f - square
    return high, fma(s, r, ((f - high) - square) - fma(half, f, -square))


def _log_to_base(x: Value, k_high: float, k_low: float, factor: tuple[float, float]) -> Value:
    k, f = normal_parts(x)
    high, low = log_in_two(f)
    product = high * factor[0]
    rest = fma(high, factor[0], -product) + fma(low, factor[0], high * factor[1])
    if k_low:
        rest = fma(k, k_low, rest)
    whole = k * k_high
    total = whole + product
    return log_edges(x, total + (((whole - total) + product) + rest))


@bounded_in_double(1.0)
def log2(x: Value) -> Value:
    return _log_to_base(x, 1.0, 0.0, INV_LN2)


@bounded_in_double(1.0)
def log10(x: Value) -> Value:
    return _log_to_base(x, *LOG10_2, INV_LN10)


def sum_parts(u: Value, error: Value) -> tuple[Value, Value]:
    """k as a float and f of ``u + error = 2^k (1 + f)``, error a rounding error of u > 0."""
    k, f = parts(u)
    # 2^-k, and 0 where the error is far below f.
    scale = from_bits(literal_bits(u.kind, 1.0) - (k << MANTISSA[u.kind]))
    return to_float(k), fma(error, select(u < 2.0**60, scale, 0.0), f)


@bounded(1.5, 1.5)
@own("log1p")
def log1p(x: Value) -> Value:
    """log of ``1 + x`` together with what its rounding has lost."""
    u = x + 1.0
    back = u - x
    error = (x - (u - back)) + (1.0 - back)
    k, f = sum_parts(u, error)
    return copysign(log_edges(u, log_of_parts(f, k)), x)


@own("log1p")
def log1p_unit(e: Value) -> Value:
    """log(1 + e), 0 <= e <= 1: no exponent to take, and 1 + e is not rounded."""
    big = e > 2.0**0.5 - 1.0
    f = select(big, fma(e, 0.5, -0.5), e)
    return log_of_parts(f, select(big, 1.0, 0.0, like=e))


@bounded(2.5, 2.5)
def expit(x: Value) -> Value:
    e = exp_negative(-fabs(x), precise=True)
    return select(x < 0.0, e, 1.0) / (e + 1.0)


@bounded(2.0, 2.0)
def softplus(x: Value) -> Value:
    return at_least(x, 0.0) + log1p_unit(exp_negative(-fabs(x)))


@bounded_in_double(2.0)
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


# Relative to 1 at least.
@bounded_in_double(1.5)
def logaddexp2(x: Value, y: Value) -> Value:
    """The difference of two equal infinities is taken to be 0; of equal operands the product rounds to 1."""
    apart = select(eq(x, y), 0.0, x - y)
    return select(x > y, x, y) + log1p_unit(exp2(-fabs(apart))) * LOG2E


@bounded_in_double(1.5)
def exprel(x: Value) -> Value:
    return select(eq(x, 0.0), 1.0, select(eq(x, INF), x, expm1(x) / x))


@bounded(3.0, 3.0)
def tanh(x: Value) -> Value:
    """With ``e = exp(-2 |x|)``: ``(1 - e) / (1 + e)``, far from 0 ``1 - 2 e / (1 + e)``, which rounds less."""
    t = expm1(at_least(-2.0 * fabs(x), -50.0))
    far = t < -0.66
    quotient = select(far, fma(t, 2.0, 2.0), -t) / (t + 2.0)
    return copysign(select(far, 1.0 - quotient, quotient), x)
