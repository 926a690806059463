"""The normal distribution, the error functions and their inverses.

Everything about the normal distribution comes from ``erfcx(a) = exp(a^2) erfc(a)``, a >= 0: a polynomial in
``(a - k) / (a + k)`` gives ``(1 + 1.125 a) erfcx(a)`` for all a, which hardly changes about 0. ``exp(-a^2)``
is taken of the square in two parts, so that the tails keep their digits down to 0. About 0 a polynomial for
erf takes over, which is more accurate.

Inverses: about the centre a polynomial; in the tails one in ``t = sqrt(-log q)``, and a step of Newton's.
"""

from __future__ import annotations

from xpgrad.codegen.scalar import polynomials as poly
from xpgrad.codegen.scalar import special_polynomials as special
from xpgrad.codegen.scalar.bounds import bounded, bounded_in_double
from xpgrad.codegen.scalar.exponential import (
    EXP_RANGE,
    exp,
    exp_of_two,
    log,
    log_of_parts,
    lowered,
    of_kind,
    reduced_with,
    scaled,
    sum_parts,
)
from xpgrad.codegen.scalar.floats import INF, at_least, at_most, horner, two_power
from xpgrad.codegen.scalar.ir import (
    Value,
    called,
    copysign,
    eq,
    fabs,
    fma,
    isnan,
    own,
    repeat,
    same,
    select,
    sqrt,
    where_needed,
)

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


@bounded(2.0, 2.0)
def erf(x: Value) -> Value:
    a = fabs(x)
    return copysign(select(a < 0.65, _erf_central(a), 1.0 - _erfc_positive(a)), x)


@bounded(3.5, 3.5)
def erfc(x: Value) -> Value:
    a = fabs(x)
    tail = _erfc_positive(a)
    return select(a < 0.5, 1.0 - _erf_central(x), select(x < 0.0, 2.0 - tail, tail))


@bounded(3.0, 3.0)
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


@bounded(3.0, 3.0)
def normal_density(x: Value) -> Value:
    return _exp_of_square(x) * DENSITY


@bounded(3.5, 3.5)
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


@bounded(4.0, 4.0)
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


@bounded(4.0, 4.0)
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


# ── inverses ─────────────────────────────────────────────────────────────────────────────────
ROOT_PI_HALF = 0.886226925452758  # sqrt(pi) / 2


def _erfinv_central(y: Value) -> Value:
    """erfinv(y), |y| <= 1/2."""
    return y * horner(y * y, special.ERFINV_F64)


def _erfcinv_tail(q: Value) -> Value:
    """erfcinv(q), 0 < q <= 1/2: a polynomial and one step of Newton's on the logarithm."""
    size = -log(q)
    t = sqrt(size)
    x = t * horner((t - 2.0) / (t + 2.0), special.ERFCINV_F64)
    e = _erfcx(x)
    better = fma((log(e) + fma(-x, x, size)) * e, ROOT_PI_HALF, x)
    return select(eq(q, 0.0), INF, better)


@bounded_in_double(2.5)
@own("erfinv")
def erfinv(y: Value) -> Value:
    a = fabs(y)
    return select(a < 0.5, _erfinv_central(y), copysign(_erfcinv_tail(1.0 - a), y))


@bounded_in_double(2.5)
@own("erfcinv")
def erfcinv(p: Value) -> Value:
    rest = 1.0 - p
    tail = _erfcinv_tail(select(rest < 0.0, 2.0 - p, p))
    return select(fabs(rest) < 0.5, _erfinv_central(rest), select(rest < 0.0, -tail, tail))


@bounded_in_double(3.5)
@own("ndtri")
def ndtri(p: Value) -> Value:
    return -ROOT_2 * erfcinv(p + p)


@bounded_in_double(80.0)
def inv_mills_excess(x: Value) -> Value:
    """What `inv_mills` has over -x. Left of -5 the sum would cancel: a continued fraction (DLMF 7.9.3)."""

    def fraction() -> Value:
        q, _ = repeat(26, [same(x, 0.0), same(x, 26.0)], lambda q, k: [k / (q - x), k - 1.0])
        return q

    return where_needed(x < -5.0, fraction, x + inv_mills(x))
