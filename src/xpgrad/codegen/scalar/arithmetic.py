"""Powers and roots, choice, rounding and division with remainder.

power: ``exp(y log |x|)``. float32 takes float64 for it; float64 takes the logarithm as a sum of two, to 2^-65
of its size, so that of a product of up to 745 no more than 2^-55 is wrong.

cbrt: ``m^(-1/3)`` by a polynomial and one step of third order, then ``m y^2`` and a step on its exact residual.

remainder: ``x - n y`` is exact as a fused multiply-add if n is the quotient rounded towards 0, or next to it; a
quotient of 2^52 or more first loses multiples of ``2^52 y``. From 2^104 on it is the C library's (`library`).
"""

from __future__ import annotations

from xpgrad.codegen.scalar import polynomials as poly
from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.exponential import (
    EXP_RANGE,
    clamp,
    exp,
    exp_of_two,
    log,
    log_edges,
    normal_parts,
    reduced_with,
    scaled,
)
from xpgrad.codegen.scalar.floats import INF, NAN, horner, nearest, two_power
from xpgrad.codegen.scalar.ir import (
    Value,
    bits,
    called,
    convert,
    copysign,
    eq,
    fabs,
    floor,
    fma,
    isnan,
    library,
    narrow,
    own,
    select,
    sqrt,
    trunc,
    widen,
)

# ln 2 with 41 bits, so that its product with an exponent is exact, and the rest.
LN2_SHORT, LN2_REST = 0.693147180559663, 2.8235290563031577e-13
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def log_in_two(a: Value) -> tuple[Value, Value]:
    """log(a), a > 0 finite, as a sum of two: wrong by 2^-65 of its size."""
    k, f = normal_parts(a)
    d = f + 2.0
    d_low = f - (d - 2.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = (fma(-s, d, f) - s * d_low) * inverse
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * (s * s_low)
    # w = 2/3 + z (2/5 + ..), and v = s z w, each as a sum of two.
    more = horner(z, poly.ATANH5_F64) * z
    w = more + TWO_THIRDS[0]
    w_low = (TWO_THIRDS[0] - w) + more + TWO_THIRDS[1]
    cube = s * z
    cube_low = fma(s, z, -cube) + fma(s, z_low, s_low * z)
    v = cube * w
    v_low = fma(cube, w, -v) + fma(cube, w_low, cube_low * w)
    whole = k * LN2_SHORT
    twice = s + s
    first = whole + twice
    second = first + v
    low = ((first - second) + v) + ((whole - first) + twice) + fma(k, LN2_REST, fma(s_low, 2.0, v_low))
    high = second + low
    return high, (second - high) + low


@bounded(0.51, 1.0)
@own("power")
def power(x: Value, y: Value) -> Value:
    if x.kind == "float":
        wide_x, wide_y = widen(x), widen(y)
        size = narrow(exp(wide_y * log(fabs(wide_x))))
    else:
        size = _power_of_size(fabs(x), y)
    whole = eq(trunc(y), y)
    half = y * 0.5
    odd = whole & ~eq(trunc(half), half)
    signed = select(odd, copysign(size, x), size)
    undefined = (x < 0.0) & (x > -INF) & ~whole
    result = select(undefined, NAN, signed)
    one = eq(y, 0.0) | eq(x, 1.0) | (eq(x, -1.0) & eq(fabs(y), INF))
    return select(one, 1.0, result)


def _power_of_size(a: Value, y: Value) -> Value:
    """``a^y``, a >= 0, in float64."""
    high, low = log_in_two(a)
    high = log_edges(a, high)
    t = y * high
    rest = fma(y, high, -t) + y * low
    return exp_in_two(t, rest)


def exp_in_two(t: Value, rest: Value) -> Value:
    """exp(t + rest), rest a rounding error of t, in float64."""
    # Of an infinite or undefined sum there is no rest.
    b, low, n = reduced_with(clamp(t, EXP_RANGE["double"]), select(fabs(t) < 1000.0, rest, 0.0))
    return scaled(exp_of_two(b, low), n)


@bounded_in_double(0.51)
def cbrt(x: Value) -> Value:
    a = fabs(x)
    k, f = normal_parts(a)
    third, n = nearest(k, 1.0 / 3.0)
    r = fma(third, -3.0, k)
    low, high = r < 0.0, r > 0.0
    m = (f + 1.0) * select(low, 0.5, select(high, 2.0, 1.0, like=x))
    start = select(low, 1.2599210498948732, select(high, 0.7937005259840998, 1.0, like=x))
    y = horner(f, poly.RCBRT_F64) * start
    h = fma(-(m * y * y), y, 1.0)
    y = fma(y * h, fma(h, 2.0 / 9.0, 1.0 / 3.0), y)
    square = y * y
    c = m * square
    cc = c * c
    residual = fma(-cc, c, m) - fma(c, c, -cc) * c
    c = fma(residual, square * (1.0 / 3.0), c)
    return select((a > 0.0) & (a < INF), copysign(c * two_power(n), x), x)


@bounded(0.51, 1.5)
def hypot(x: Value, y: Value) -> Value:
    a, b = fabs(x), fabs(y)
    if x.kind == "float":
        wide, other = widen(a), widen(b)
        size = narrow(sqrt(fma(wide, wide, other * other)))
    else:
        larger = select(a > b, a, b)
        big, small = larger > 2.0**500, larger < 2.0**-400
        scale = select(big, 2.0**-600, select(small, 2.0**600, 1.0, like=x))
        back = select(big, 2.0**600, select(small, 2.0**-600, 1.0, like=x))
        a, b = a * scale, b * scale
        size = sqrt(fma(a, a, b * b)) * back
    return select(eq(fabs(x), INF) | eq(fabs(y), INF), INF, size)


@bounded(0.0, 0.0)
def sign(x: Value) -> Value:
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, select(isnan(x), x, 0.0)))


# Of two zeros they give the second, as NumPy does (on x86; elsewhere by the sign).
def maximum(x: Value, y: Value) -> Value:
    return select((x > y) | isnan(x), x, y)


def minimum(x: Value, y: Value) -> Value:
    return select((x < y) | isnan(x), x, y)


# NumPy's fmax and fmin hand the operand on that is no NaN.
@bounded(0.0, 0.0)
@own("fmax")
def fmax(x: Value, y: Value) -> Value:
    return select((x >= y) | isnan(y), x, y)


@bounded(0.0, 0.0)
@own("fmin")
def fmin(x: Value, y: Value) -> Value:
    return select((x <= y) | isnan(y), x, y)


def nan_to_num(x: Value, of_nan: Value, above: Value, below: Value) -> Value:
    return select(isnan(x), of_nan, select(eq(x, INF), above, select(eq(x, -INF), below, x)))


def heaviside(x: Value, at_zero: Value) -> Value:
    return select(eq(x, 0.0), at_zero, select(x < 0.0, 0.0, select(x > 0.0, 1.0, x)))


def signbit(x: Value) -> Value:
    return bits(x) < 0


def angle(x: Value) -> Value:
    return select(isnan(x), x, select(signbit(x), 3.141592653589793, 0.0, like=x))


def scaled_by(x: Value, n: Value) -> Value:
    """``2^n x``, rounded once, for any integer n."""
    n = select(n > 5000, 5000, select(n < -5000, -5000, n))
    if "ldexp" in x.block.own:
        return called("ldexp", x, convert(n, "i32"))
    if x.kind == "float":
        # The product is exact in float64.
        n = select(n > 300, 300, select(n < -300, -300, n))
        return narrow(widen(x) * two_power(n))
    # Moved towards 1 first, the product of two powers is rounded by the second alone.
    size = fabs(x)
    tiny, huge = size < 2.0**-800, size > 2.0**800
    x = x * select(tiny, 2.0**200, select(huge, 2.0**-200, 1.0, like=x))
    n = n - select(tiny, 200, select(huge, -200, 0, like=n))
    n = select(n > 2000, 2000, select(n < -2000, -2000, n))
    half = n >> 1
    return x * two_power(half) * two_power(n - half)


# ── division with remainder ──────────────────────────────────────────────────────────────────
def _less_multiples(x: Value, y: Value) -> Value:
    """``x - n y`` for 0 <= x < 2^52 y, n the quotient rounded down."""
    r = fma(-trunc(x / y), y, x)
    # The quotient may have been rounded up to the next integer.
    return select(r < 0.0, r + y, r)


def _fmod_of_double(x: Value, y: Value) -> Value:
    a, b = fabs(x), fabs(y)
    # Near overflow 2^52 y would be infinite, near underflow the quotient of a tiny x inexact.
    far = b * 2.0**52
    once = select((a >= far) & (far < INF), _less_multiples(a, select(far < INF, far, 1.0)), a)
    r = select(once < b, once, _less_multiples(once, b))
    r = select(eq(b, INF) & (a < INF), a, r)
    r = select(a < b * 2.0**104, r, select(a < b, a, NAN))
    r = select(eq(b, 0.0) | eq(a, INF) | isnan(x) | isnan(y), NAN, r)
    return copysign(library("fmod", r, a, b), x)


# Of division with remainder the roundings are NumPy's, and so the results.
@bounded(0.0, 0.0)
@own("fmod")
def fmod(x: Value, y: Value) -> Value:
    if x.kind == "float":
        return narrow(_fmod_of_double(widen(x), widen(y)))
    return _fmod_of_double(x, y)


def _differs(m: Value, y: Value) -> Value:
    """Whether a remainder towards 0 has the sign that the divisor has not."""
    return ((m < 0.0) & (y > 0.0)) | ((m > 0.0) & (y < 0.0))


@bounded(0.0, 0.0)
def remainder(x: Value, y: Value) -> Value:
    m = fmod(x, y)
    shifted = select(_differs(m, y), m + y, m)
    return select(eq(m, 0.0), copysign(m, y), shifted)


@bounded(0.0, 0.0)
def floor_divide(x: Value, y: Value) -> Value:
    m = fmod(x, y)
    quotient = (x - m) / y
    quotient = select(_differs(m, y), quotient - 1.0, quotient)
    down = floor(quotient)
    down = select(quotient - down > 0.5, down + 1.0, down)
    plain = x / y
    down = select(eq(quotient, 0.0), copysign(quotient, plain), down)
    return select(eq(y, 0.0), plain, down)
