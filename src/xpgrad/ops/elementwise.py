"""Elementwise operations: one statement each, serving both modes and every order.

``t`` is a tangent on the way forward and a cotangent on the way back: multiplying by a partial
is its own transpose. Constants meet ``t`` first, for it is often a scalar.
"""

from __future__ import annotations

from math import log as ln
from math import pi
from typing import Any

import numpy as np

from xpgrad.core import OPS, Aval, aval_of
from xpgrad.core.scalars import raised
from xpgrad.ops._define import constant, elementwise, promote, zero

_positive = (0.3, 3.0)

# ── arithmetic ───────────────────────────────────────────────────────────────────────────────
add = elementwise("add", lambda t, _z, _x, _y: t, lambda t, _z, _x, _y: t, traits="cheap")
subtract = elementwise("subtract", lambda t, _z, _x, _y: t, lambda t, _z, _x, _y: -t, traits="cheap")
multiply = elementwise("multiply", lambda t, _z, _x, y: t * y, lambda t, _z, x, _y: t * x, traits="cheap")
divide = elementwise(
    "divide", lambda t, _z, _x, y: t / y, lambda t, z, _x, y: -(t / y) * z, domain=((-2.0, 2.0), (0.5, 2.0))
)
negative = elementwise("negative", lambda t, _z, _x: -t, traits="cheap")
positive = elementwise("positive", lambda t, _z, _x: t, traits="same")
square = elementwise("square", lambda t, _z, x: (2 * t) * x, traits="cheap")
reciprocal = elementwise("reciprocal", lambda t, z, _x: -t * z * z, domain=_positive)


def _power_base(t: Any, _z: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float)):
        if y == 2:
            return (2 * t) * x
        return (y * t) * raised(x, y - 1) if y != 0 else zero()
    # 0 * x**-1 at x = 0 would be NaN where the derivative of x**0 is 0. Elsewhere y = 0 is no exception: the
    # next derivative in y is not 0 there.
    exponent = where((x == 0) & (y == 0), 1, y - 1)
    # x**(y - 2), which the next derivative has, may overflow where y * x**(y - 2) does not. For |y| < 1 neither
    # x**y nor y / x does, unless x is subnormal.
    size = OPS["absolute"](x)
    split = (OPS["absolute"](y) < 1) & (size >= np.finfo(aval_of(x).dtype).tiny) & (size < np.inf)
    return t * (x ** where(split, y, exponent) * (y / where(split, x, 1)))


def _power_exponent(t: Any, z: Any, x: Any, _y: Any) -> Any:
    return t * (z * log(where(x == 0, 1, x)))


power = elementwise("power", _power_base, _power_exponent, domain=(_positive, (-2.0, 2.0)))
float_power = elementwise("float_power", _power_base, _power_exponent, domain=(_positive, (-2.0, 2.0)))


def _whole(t: Any, z: Any, x: Any, y: Any) -> Any:
    """``-t n`` where ``z = x - n y``. The quotient ``x / y`` itself may have been rounded to the next ``n``."""
    return -t * rint((x - z) / y)


# remainder has the sign of the divisor, fmod that of the dividend.
remainder = elementwise(
    "remainder",
    lambda t, _z, _x, _y: t,
    _whole,
    domain=((0.2, 0.9), (1.0, 2.0)),
    holomorphic=False,
)
fmod = elementwise(
    "fmod",
    lambda t, _z, _x, _y: t,
    _whole,
    domain=((0.2, 0.9), (1.0, 2.0)),
    holomorphic=False,
)

# ── exponentials and logarithms ──────────────────────────────────────────────────────────────
exp = elementwise("exp", lambda t, z, _x: t * z)
exp2 = elementwise("exp2", lambda t, z, _x: (ln(2) * t) * z)
expm1 = elementwise("expm1", lambda t, _z, x: t * exp(x))
log = elementwise("log", lambda t, _z, x: t / x, domain=_positive)
log2 = elementwise("log2", lambda t, _z, x: (t / ln(2)) / x, domain=_positive)
log10 = elementwise("log10", lambda t, _z, x: (t / ln(10)) / x, domain=_positive)
log1p = elementwise("log1p", lambda t, _z, x: t / (1 + x), domain=(-0.7, 2.0))
sqrt = elementwise("sqrt", lambda t, z, _x: (0.5 * t) / z, domain=_positive)
cbrt = elementwise("cbrt", lambda t, z, _x: (t / 3) / (z * z), domain=_positive, holomorphic=False)
# The share of x is not exp(x - z): z has lost the digits of x that are small beside it.
logaddexp = elementwise(
    "logaddexp",
    lambda t, _z, x, y: t * OPS["expit"](_minus(x, y)),
    lambda t, _z, x, y: t * OPS["expit"](_minus(y, x)),
    holomorphic=False,
)
logaddexp2 = elementwise(
    "logaddexp2",
    lambda t, _z, x, y: t * OPS["expit"](ln(2) * _minus(x, y)),
    lambda t, _z, x, y: t * OPS["expit"](ln(2) * _minus(y, x)),
    holomorphic=False,
)


def _minus(x: Any, y: Any) -> Any:
    """``x - y``, and 0 where both are the same infinity: there each takes half."""
    # Where they tie and are finite the difference is 0 by itself, and has a derivative.
    same = (x == y) & isinf(x)
    return where(same, 0, x - where(same, 0, y))


# ── trigonometric and hyperbolic ─────────────────────────────────────────────────────────────
sin = elementwise("sin", lambda t, _z, x: t * cos(x))
cos = elementwise("cos", lambda t, _z, x: -t * sin(x))
tan = elementwise("tan", lambda t, z, _x: t * (1 + z * z), domain=(-1.0, 1.0))
arcsin = elementwise("arcsin", lambda t, _z, x: t / sqrt(_one_minus_square(x)), domain=(-0.8, 0.8))
arccos = elementwise("arccos", lambda t, _z, x: -t / sqrt(_one_minus_square(x)), domain=(-0.8, 0.8))
arctan = elementwise("arctan", lambda t, _z, x: t / (1 + x * x), domain=(-0.8, 0.8))
sinh = elementwise("sinh", lambda t, _z, x: t * cosh(x))
cosh = elementwise("cosh", lambda t, _z, x: t * sinh(x))
tanh = elementwise("tanh", lambda t, z, _x: t * (1 - z * z), domain=(-1.0, 1.0))
arcsinh = elementwise("arcsinh", lambda t, _z, x: t / _beside_one(x), domain=(-0.8, 0.8))
arccosh = elementwise("arccosh", lambda t, _z, x: t / (sqrt(x - 1) * sqrt(x - -1)), domain=(1.5, 3.0))
arctanh = elementwise("arctanh", lambda t, _z, x: t / ((1 - x) * (1 + x)), domain=(-0.8, 0.8))
degrees = elementwise("degrees", lambda t, _z, _x: t * (180 / pi), holomorphic=False)
radians = elementwise("radians", lambda t, _z, _x: t * (pi / 180), holomorphic=False)
rad2deg = elementwise("rad2deg", lambda t, _z, _x: t * (180 / pi), holomorphic=False)
deg2rad = elementwise("deg2rad", lambda t, _z, _x: t * (pi / 180), holomorphic=False)


# On a branch cut the sign of a zero says which side is meant. A difference from a constant keeps that of a
# part that is -0, where a sum with one, or a difference of one, has +0.
def _is_complex(x: Any) -> bool:
    return aval_of(x).dtype.kind == "c"


def _one_minus_square(x: Any) -> Any:
    """``1 - x^2``, also close to 1."""
    return -(x - 1) * (x - -1) if _is_complex(x) else (1 - x) * (1 + x)


def _beside_one(x: Any) -> Any:
    """``sqrt(x^2 + 1)``, for real x without the square, which overflows."""
    return sqrt(x * x - -1) if _is_complex(x) else hypot(x, 1)


def _unless_zero(z: Any) -> Any:
    """A divisor ``z``, with 1 for 0."""
    return where(z == 0, 1, z)


# At the origin both partials are 0: there hypot has a kink, for which 0 is a subgradient (as for the
# 2-norm and the complex modulus), and arctan2 a jump.
hypot = elementwise(
    "hypot",
    lambda t, z, x, _y: t * where(z == 0, 0, x / _unless_zero(z)),
    lambda t, z, _x, y: t * where(z == 0, 0, y / _unless_zero(z)),
    domain=_positive,
    holomorphic=False,
)


def _over_square(t: Any, x: Any, y: Any, of: Any) -> Any:
    """``t of / (x^2 + y^2)``, and 0 at the origin; no square is taken, which might underflow."""
    r = hypot(x, y)
    over = _unless_zero(r)
    return t * where(r == 0, 0, of / over) / over


arctan2 = elementwise(
    "arctan2",
    lambda t, _z, x, y: _over_square(t, x, y, y),
    lambda t, _z, x, y: _over_square(-t, x, y, x),
    domain=_positive,
    holomorphic=False,
)

# ── choice: where two operands tie, each takes half ──────────────────────────────────────────
where = elementwise(
    "where",
    zero,
    lambda t, _z, c, _x, _y: where(c, t, 0),
    lambda t, _z, c, _x, _y: where(c, 0, t),
    dtype=lambda _c, x, y: promote(x, y),
    traits="cheap",
)


def _wins(t: Any, mine: Any, other: Any) -> Any:
    """``t`` where the output is ``mine``, half of it where ``mine`` and ``other`` tie."""
    return where(mine, where(other, 0.5 * t, t), 0)


maximum = elementwise(
    "maximum",
    lambda t, _z, x, y: _wins(t, x >= y, x == y),
    lambda t, _z, x, y: _wins(t, y >= x, x == y),
    holomorphic=False,
    traits="cheap",
)
minimum = elementwise(
    "minimum",
    lambda t, _z, x, y: _wins(t, x <= y, x == y),
    lambda t, _z, x, y: _wins(t, y <= x, x == y),
    holomorphic=False,
    traits="cheap",
)
# fmax and fmin ignore NaN: the other operand wins.
fmax = elementwise(
    "fmax",
    lambda t, _z, x, y: _wins(t, (x >= y) | (y != y), x == y),
    lambda t, _z, x, y: _wins(t, (y >= x) | (x != x), x == y),
    holomorphic=False,
)
fmin = elementwise(
    "fmin",
    lambda t, _z, x, y: _wins(t, (x <= y) | (y != y), x == y),
    lambda t, _z, x, y: _wins(t, (y <= x) | (x != x), x == y),
    holomorphic=False,
)
# On its bounds clip lets the tangent of x through, as the one-sided derivative inside does. Where the
# bounds have changed places it is the upper one.
clip = elementwise(
    "clip",
    lambda t, _z, x, lo, hi: where((x >= lo) & (x <= hi), t, 0),
    lambda t, _z, x, lo, hi: where((x < lo) & (lo <= hi), t, 0),
    lambda t, _z, x, lo, hi: where((x > hi) | (lo > hi), t, 0),
    dtype=promote,
    domain=((-2.0, 2.0), (-1.0, -0.9), (0.9, 1.0)),
    holomorphic=False,
)
fabs = elementwise("fabs", lambda t, _z, x: t * sign(x), domain=_positive, holomorphic=False)
copysign = elementwise(
    "copysign", lambda t, _z, x, y: t * (sign(x) * copysign(1, y)), zero, domain=_positive, holomorphic=False
)
nan_to_num = elementwise(
    "nan_to_num",
    lambda t, _z, x, **_params: where(isfinite(x), t, 0),
    dtype=promote,
    holomorphic=False,
)


def _sinc(t: Any, z: Any, x: Any) -> Any:
    """(cos(pi x) - sinc(x)) / x, by its series about 0, where the quotient cancels."""
    near = abs(x) < 0.3
    s = where(near, x, 0)
    far = where(near, 1, x)
    series: Any = 0
    for k in range(9, 0, -1):
        # sum over k of (-1)^k 2k pi^2k s^(2k-1) / (2k+1)!, by Horner's rule.
        series = -(pi**2) / ((2 * k) * (2 * k + 1)) * (2 * k + s * s * series)
    return t * where(near, s * series, (cos(pi * far) - sinc(far)) / far)


sinc = elementwise(
    "sinc", _sinc, dtype=lambda x: promote(x, Aval((), np.dtype(float), weak=True)), holomorphic=False
)
# At 0 the output is the second operand.
heaviside = elementwise("heaviside", zero, lambda t, _z, x, _h: where(x == 0, t, 0), holomorphic=False)
nextafter = elementwise("nextafter", lambda t, _z, _x, _y: t, zero, holomorphic=False)
ldexp = elementwise("ldexp", lambda t, _z, _x, y: ldexp(t, y), None, holomorphic=False)

# ── no derivative, or none but zero ──────────────────────────────────────────────────────────
floor = constant("floor")
ceil = constant("ceil")
trunc = constant("trunc")
rint = constant("rint")
sign = constant("sign")
floor_divide = constant("floor_divide", domain=(0.5, 2.0))
round = constant(
    "round",
    lambda x, *, decimals=0: Aval(x.shape, np.dtype(np.float16) if x.dtype.kind == "b" else x.dtype),
    traits="pointwise",
)
equal = constant("equal", traits="cheap")
not_equal = constant("not_equal", traits="cheap")
less = constant("less", traits="cheap")
less_equal = constant("less_equal", traits="cheap")
greater = constant("greater", traits="cheap")
greater_equal = constant("greater_equal", traits="cheap")
logical_and = constant("logical_and")
logical_or = constant("logical_or")
logical_xor = constant("logical_xor")
logical_not = constant("logical_not")
bitwise_and = constant("bitwise_and")
bitwise_or = constant("bitwise_or")
bitwise_xor = constant("bitwise_xor")
invert = constant("invert")
left_shift = constant("left_shift")
right_shift = constant("right_shift")
gcd = constant("gcd")
lcm = constant("lcm")
isnan = constant("isnan", traits="bits")
isinf = constant("isinf", traits="bits")
isfinite = constant("isfinite", traits="bits")
signbit = constant("signbit", traits="bits")
