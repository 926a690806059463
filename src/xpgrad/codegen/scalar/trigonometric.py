"""Circular and hyperbolic functions and their inverses.

sin, cos, tan: ``x = n pi/2 + r`` with ``|r|`` little more than pi/4; pi/2 is subtracted in three parts of 53
bits by fused multiply-adds, the first exactly, and what the rounding of r loses is kept. float32 is reduced in
float64; where ``|x| >= 2^45`` it first becomes ``y c``, with an integer ``y = x 2^-22j`` and
``c = 2^22j mod 2 pi``, which has the same sine. Beyond `LIMIT` the C library reduces float64 (`library`).

sinh, cosh: ``x = n ln 2 + b``; ``sinh x = p cosh b + q sinh b``, ``cosh x = q cosh b + p sinh b`` with
``p, q = (2^n -+ 2^-n) / 2``.

arctan2: of the quotient of the smaller by the larger; above tan(pi/8) the angle less pi/4 is taken.
arcsin, arccos: above 1/2 by ``arcsin x = pi/2 - 2 arcsin sqrt((1 - x) / 2)``.
"""

from __future__ import annotations

from xpgrad.codegen.scalar import polynomials as poly
from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.exponential import log1p, log_of_parts, normal_parts, of_kind, reduced
from xpgrad.codegen.scalar.floats import (
    HUGE,
    INF,
    NAN,
    at_least,
    at_most,
    horner,
    literal_bits,
    nearest,
    two_power,
)
from xpgrad.codegen.scalar.ir import (
    Number,
    Value,
    bits,
    called,
    copysign,
    eq,
    fabs,
    fma,
    from_bits,
    isnan,
    library,
    narrow,
    own,
    roundeven,
    select,
    sqrt,
    widen,
)

# From here on the polynomials in r would be left, for x / (pi / 2) is not rounded to the nearest integer.
LIMIT = 2.0**49
TWO_OVER_PI = 0.6366197723675814
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
PI = {
    "float": (3.1415927410125732, -8.742278000372485e-08),
    "double": (3.141592653589793, 1.2246467991473532e-16),
}
# 2^22j less a multiple of 2 pi, in two parts, for j = 1 .. 4.
TURNS = (
    (1.3473041101248473, 8.79909131076527e-17),
    (0.4008153755084947, 2.0728621145807084e-17),
    (-0.09440280299163137, 1.8945303711101e-18),
    (-0.2825111682257627, 8.835098824050243e-18),
)


def quadrant(x: Value) -> tuple[Value, Value, Value]:
    """``r``, what its rounding has lost, and the integer n of ``x = n pi/2 + r``, in float64."""
    x = select(fabs(x) < LIMIT, x, NAN)
    n, i = nearest(x, TWO_OVER_PI)
    first = fma(n, -HALF_PI[0], x)
    w = n * HALF_PI[1]
    w_low = fma(n, HALF_PI[1], -w)
    r = first - w
    # Both orders of size occur: the difference is taken back without assuming one.
    back = first - r
    lost = (back - w) + (first - (r + back))
    return r, fma(n, -HALF_PI[2], lost - w_low), i


def quadrant_of_float(x: Value) -> tuple[Value, Value]:
    """``r`` and n of a float32 x, |x| < 2^128, as float64."""
    wide = widen(x)
    size = fabs(wide)
    scale, high, low = (Value(x.block, "double", Number(0.0)),) * 3
    for j, (turn, rest) in enumerate(TURNS, 1):
        beyond = size >= 2.0 ** (22 * j + 23)
        scale = select(beyond, 2.0 ** (-22 * j), 1.0 if j == 1 else scale, like=wide)
        high = select(beyond, turn, 1.0 if j == 1 else high, like=wide)
        low = select(beyond, rest, 0.0 if j == 1 else low, like=wide)
    y = wide * scale
    whole = y * high
    part = fma(y, low, fma(y, high, -whole))
    n, i = nearest(whole, TWO_OVER_PI)
    return fma(n, -HALF_PI[1], fma(n, -HALF_PI[0], whole)) + part, i


def sin_cos(x: Value) -> tuple[Value, Value, Value]:
    """The sine and the cosine of r, in float64, and n."""
    if x.kind == "float":
        r, i = quadrant_of_float(x)
        return *_of_angle(r), i
    r, low, i = quadrant(x)
    return *_of_angle_in_two(r, low), i


def _of_angle(r: Value) -> tuple[Value, Value]:
    """Sine and cosine, |r| little more than pi/4, in float64 for results in float32."""
    z = r * r
    sine = fma(horner(z, poly.SIN_MID_F64) * z, r, r)
    return sine, fma(fma(horner(z, poly.COS_MID_F64), z, -0.5), z, 1.0)


def _of_angle_in_two(r: Value, low: Value) -> tuple[Value, Value]:
    """Sine and cosine of ``r + low``, |r| little more than pi/4, in float64."""
    z = r * r
    # sin(r + low) = sin r + low cos r, and low cos r = low (1 - z / 2) to its own accuracy.
    sine = r + fma(horner(z, poly.SIN_F64) * z, r, fma(z * -0.5, low, low))
    half = z * 0.5
    one = 1.0 - half
    return sine, one + fma(horner(z, poly.COS_F64), z * z, ((1.0 - one) - half) - r * low)


def sin_cos_pi(x: Value) -> tuple[Value, Value]:
    """The sine and the cosine of ``pi x``; a zero of either is exact."""
    if {"sinpi", "cospi"} <= x.block.own:
        return called("sinpi", x), called("cospi", x)
    turn = fma(roundeven(x * 0.5), -2.0, x)
    n, i = nearest(turn, 2.0)
    part = fma(n, -0.5, turn)
    high, low = PI["double"]
    if x.kind == "float":
        sine, cosine = map(narrow, _of_angle(widen(part) * high))
    else:
        r = part * high
        sine, cosine = _of_angle_in_two(r, fma(part, low, fma(part, high, -r)))
    odd = _odd(i)
    return _negated(select(odd, cosine, sine), i), _negated(select(odd, sine, cosine), i + 1)


def _odd(i: Value) -> Value:
    return eq(i & 1, 1)


def _negated(y: Value, i: Value) -> Value:
    """``-y`` where bit 1 of i is set."""
    shift = 62 if y.kind == "double" else 30
    return from_bits(bits(y) ^ ((i & 2) << shift))


def _of(x: Value, y: Value) -> Value:
    return narrow(y) if x.kind == "float" else y


def _far(name: str, x: Value, y: Value) -> Value:
    return y if x.kind == "float" else library(name, y, x)


@bounded(0.51, 1.0)
@own("sin")
def sin(x: Value) -> Value:
    sine, cosine, i = sin_cos(x)
    y = _far("sin", x, _of(x, _negated(select(_odd(i), cosine, sine), i)))
    # The reduction turns -0 into 0.
    return select(eq(x, 0.0), x, y)


@bounded(0.51, 1.0)
def cos(x: Value) -> Value:
    sine, cosine, i = sin_cos(x)
    return _far("cos", x, _of(x, _negated(select(_odd(i), sine, cosine), i + 1)))


@bounded(0.51, 2.5)
def tan(x: Value) -> Value:
    sine, cosine, i = sin_cos(x)
    odd = _odd(i)
    y = select(odd, cosine, sine) / select(odd, -sine, cosine)
    return select(eq(x, 0.0), x, _far("tan", x, _of(x, y)))


@bounded(2.0, 2.5)
def sinc(x: Value) -> Value:
    """``sin(y) / y``, ``y = pi x`` rounded as NumPy does it."""
    y = x * PI[x.kind][0]
    zero = eq(x, 0.0)
    return select(zero, 1.0, sin(y) / select(zero, 1.0, y))


@bounded_in_double(2.5)
def cosm1(x: Value) -> Value:
    s = sin(x * 0.5)
    return 0.0 - (s + s) * s


# ── hyperbolic ───────────────────────────────────────────────────────────────────────────────
HYPERBOLIC_BOUND = {"float": 90.0, "double": 711.0}


def _hyperbolic(x: Value) -> tuple[Value, Value, Value, Value, Value]:
    """``sinh b``, ``cosh b - 1`` and what the rounding of b has lost; p / 4 and q / 4, of x >= 0."""
    b, low, n = reduced(at_most(x, HYPERBOLIC_BOUND[x.kind]))
    z = b * b
    sinh_b = fma(horner(z, of_kind(x, poly.SINH_F32, poly.SINH_F64)) * z, b, low) + b
    cosh_b = fma(horner(z, of_kind(x, poly.COSH_F32, poly.COSH_F64)), z, b * low)
    # 2^-n counts for nothing where it is not normal.
    up = two_power(n - 3)
    down_bits = 2 * literal_bits(x.kind, 0.125) - bits(up)
    down = select(x < HYPERBOLIC_BOUND[x.kind] / 2, from_bits(down_bits), 0.0)
    return sinh_b, cosh_b, low, up - down, up + down


@bounded(2.5, 2.5)
def sinh(x: Value) -> Value:
    a = fabs(x)
    s, c, _, p, q = _hyperbolic(a)
    return copysign(fma(q, s, fma(p, c, p)) * 4.0, x)


@bounded(2.0, 2.0)
def cosh(x: Value) -> Value:
    s, c, _, p, q = _hyperbolic(fabs(x))
    return (fma(p, s, q * c) + q) * 4.0


@bounded_in_double(2.5)
def arcsinh(x: Value) -> Value:
    """``log(a + sqrt(a^2 + 1))`` as log1p; log(2 a) where the square would overflow."""
    a = fabs(x)
    large = a > 2.0**60
    small = select(large, 1.0, a)
    square = small * small
    near = log1p(small + square / (sqrt(square + 1.0) + 1.0))
    return copysign(select(large, _log_of_double(a), near), x)


@bounded_in_double(2.5)
def arccosh(x: Value) -> Value:
    large = x > 2.0**60
    t = select(large, 1.0, x) - 1.0
    near = log1p(t + sqrt(fma(t, t, t + t)))
    return select(x < 1.0, NAN, select(large, _log_of_double(x), near))


def _log_of_double(a: Value) -> Value:
    """log(2 a), 2^60 < a."""
    k, f = normal_parts(a)
    return select(a < INF, log_of_parts(f, k + 1.0), a)


@bounded_in_double(2.5)
def arctanh(x: Value) -> Value:
    a = fabs(x)
    y = 0.5 * log1p((a + a) / (1.0 - a))
    return copysign(select(a > 1.0, NAN, y), x)


# ── inverse circular ─────────────────────────────────────────────────────────────────────────
def _arcsin_parts(a: Value) -> tuple[Value, Value, Value, Value]:
    """Whether a > 1/2; s and what it lacks, and arcsin(s) - s: s is a, or there sqrt((1 - a) / 2)."""
    far = a > 0.5
    z = select(far, fma(a, -0.5, 0.5), a * a)
    root = sqrt(z)
    s = select(far, root, a)
    # The rounding error of the root: (z - s^2) / (2 s).
    lost = select(far, fma(-s, s, z) / at_least(s + s, 1e-30), 0.0)
    return far, s, lost, horner(z, of_kind(a, poly.ASIN_F32, poly.ASIN_F64)) * z * s


@bounded(1.5, 1.5)
def arcsin(x: Value) -> Value:
    a = fabs(x)
    far, s, lost, rest = _arcsin_parts(a)
    pi, low = PI[x.kind]
    folded = pi / 2 - (2.0 * s - (low / 2 - 2.0 * (rest + lost)))
    y = select(far, folded, s + rest)
    return copysign(select(a > 1.0, NAN, y), x)


@bounded(1.5, 1.5)
def arccos(x: Value) -> Value:
    a = fabs(x)
    far, s, lost, rest = _arcsin_parts(a)
    pi, low = PI[x.kind]
    negative = x < 0.0
    near = pi / 2 - (copysign(s, x) - (low / 2 - copysign(rest, x)))
    tail = rest + lost
    twice = 2.0 * (s + tail)
    y = select(far, select(negative, pi - (2.0 * s - (low - 2.0 * tail)), twice), near)
    return select(a > 1.0, NAN, y)


def _angle(small: Value, large: Value) -> tuple[Value, Value]:
    """arctan(small / large), 0 <= small <= large, as a sum of two."""
    folded = small > large * 0.41421356237309503
    t = select(folded, small - large, small) / select(folded, small + large, large)
    z = t * t
    rest = horner(z, of_kind(small, poly.ATAN_F32, poly.ATAN_F64)) * z * t
    pi, low = PI[small.kind]
    base = select(folded, pi / 4, 0.0, like=small)
    high = base + t
    return high, ((base - high) + t) + (rest + select(folded, low / 4, 0.0, like=small))


@bounded(2.0, 2.0)
def arctan(x: Value) -> Value:
    a = fabs(x)
    steep = a > 1.0
    # 1 / infinity: the angle of (0, 1).
    high, low = _angle(select(steep, 1.0, a), select(steep, a, 1.0))
    pi, pi_low = PI[x.kind]
    y = select(steep, pi / 2 - (high - (pi_low / 2 - low)), high + low)
    return copysign(select(eq(a, INF), pi / 2, y), x)


@bounded(2.5, 2.5)
def arctan2(y: Value, x: Value) -> Value:
    a, b = fabs(x), fabs(y)
    steep = b > a
    large, small = select(steep, b, a), select(steep, a, b)
    # Near overflow both are made smaller; two infinities enclose pi / 4, two zeros 0.
    scale = select(large > HUGE[x.kind] / 4, 0.25, 1.0, like=x)
    both = eq(small, INF)
    large = select(both, 1.0, select(eq(large, 0.0), 1.0, large * scale))
    high, low = _angle(select(both, 1.0, small * scale), large)
    pi, pi_low = PI[x.kind]
    # pi / 2 - angle where steep, then pi - angle where x is negative; the signs of both combine.
    negative = bits(x) < 0
    turn = select(steep, select(negative, -1.0, 1.0, like=x), select(negative, 1.0, 0.0, like=x), like=x)
    base = select(steep, 0.5, select(negative, 1.0, 0.0, like=x), like=x)
    flip = select(steep, turn * -1.0, select(negative, -1.0, 1.0, like=x))
    first = flip * high
    whole = base * pi
    total = whole + first
    angle = total + (((whole - total) + first) + fma(base, pi_low, flip * low))
    angle = select(isnan(x), x, select(isnan(y), y, angle))
    return copysign(angle, y)
