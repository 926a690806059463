"""Bessel functions of order 0 and 1.

j, y: below 4 polynomials in x^2, of j beside its first root, of y beside its logarithm; from 4 on
``sqrt(2 / (pi x)) (P cos c - Q sin c)``, ``c = x - pi/4`` or ``x - 3 pi/4``, with polynomials P and Q x in
``1 / x^2`` (DLMF 10.17).

i: below 7.75 polynomials in x^2, from there on of ``sqrt(x) exp(-x) i(x)`` in ``1 / x``.
"""

from __future__ import annotations

from xpgrad.codegen.scalar import bessel_polynomials as poly
from xpgrad.codegen.scalar.bounds import bounded_in_double
from xpgrad.codegen.scalar.exponential import exp, log
from xpgrad.codegen.scalar.floats import INF, NAN, horner
from xpgrad.codegen.scalar.gamma import is_even
from xpgrad.codegen.scalar.ir import (
    Value,
    called,
    convert,
    copysign,
    eq,
    fabs,
    fma,
    isnan,
    own,
    same,
    select,
    sqrt,
    trunc,
)
from xpgrad.codegen.scalar.trigonometric import cos, sin

PI = 3.141592653589793
TWO_OVER_PI = 0.6366197723675814
NEAR = 4.0  # of j and y
ROOT_0, ROOT_1 = (
    (2.404825557695773, -1.176691651530894e-16),
    (3.8317059702075125, -1.5269184090088067e-16),
)  # the first of j0 and of j1, each in two parts
SCALED = 7.75  # of i, the polynomials in 1 / x from here on


def _without_root(a: Value, root: tuple[float, float]) -> Value:
    return ((a - root[0]) - root[1]) * (a + root[0])


def _j0_near(a: Value) -> Value:
    return _without_root(a, ROOT_0) * horner(a * a, poly.J0_F64)


def _j1_near(a: Value) -> Value:
    return a * (_without_root(a, ROOT_1) * horner(a * a, poly.J1_F64))


def _far(a: Value, order: int) -> tuple[Value, Value, Value, Value]:
    """P and Q, and the sine plus and minus the cosine, divided by ``sqrt(pi a)``."""
    u = 1.0 / a
    z = u * u
    p, q = ((poly.P0_F64, poly.Q0_F64), (poly.P1_F64, poly.Q1_F64))[order]
    s, c = sin(a), cos(a)
    scale = 1.0 / sqrt(a * PI)
    return fma(horner(z, p), z, 1.0), horner(z, q) * u, (s + c) * scale, (s - c) * scale


def _own(name: str, x: Value, defined: Value) -> Value:
    """In float64: CUDA's in float32 are off by 2e-6 for |x| > 8, of values that go down to 0."""
    wide = called(name, x if x.kind == "double" else convert(x, "double"))
    return select(defined, convert(wide, x.kind) if x.kind != "double" else wide, NAN)


# Those of j and y are relative to what they swing between.
@bounded_in_double(4.0)
def j0(x: Value) -> Value:
    a = fabs(x)
    if "bessel_j0" in x.block.own:
        return _own("bessel_j0", x, a < INF)
    p, q, plus, minus = _far(a, 0)
    return select(a < NEAR, _j0_near(a), p * plus - q * minus)


@bounded_in_double(4.0)
def j1(x: Value) -> Value:
    a = fabs(x)
    if "bessel_j1" in x.block.own:
        return _own("bessel_j1", x, a < INF)
    p, q, plus, minus = _far(a, 1)
    y = select(a < NEAR, _j1_near(a), fma(p, minus, q * plus))
    return y * copysign(same(x, 1.0), x)


@bounded_in_double(4.0)
def y0(x: Value) -> Value:
    if "bessel_y0" in x.block.own:
        return _own("bessel_y0", x, (x >= 0.0) & (x < INF))
    p, q, plus, minus = _far(x, 0)
    near = fma(log(x) * TWO_OVER_PI, _j0_near(x), horner(x * x, poly.Y0_F64))
    return select(x < NEAR, near, fma(p, minus, q * plus))


@bounded_in_double(4.0)
def y1(x: Value) -> Value:
    if "bessel_y1" in x.block.own:
        return _own("bessel_y1", x, (x >= 0.0) & (x < INF))
    p, q, plus, minus = _far(x, 1)
    pole = fma(log(x), _j1_near(x), -1.0 / x)
    near = select(eq(x, 0.0), -INF, fma(pole, TWO_OVER_PI, x * horner(x * x, poly.Y1_F64)))
    return select(x < NEAR, near, fma(q, minus, -(p * plus)))


def yn(n: Value, x: Value) -> Value:
    """By the target's own; there is no other."""
    order = convert(fabs(n), "i32")
    wide = called("yn", order, x if x.kind == "double" else convert(x, "double"))
    y = convert(wide, x.kind) if x.kind != "double" else wide
    y = select((n < 0.0) & ~is_even(trunc(n)), -y, y)
    return select((x >= 0.0) & ~isnan(n), y, NAN)


def _i0_near(a: Value) -> Value:
    z = a * a
    return fma(horner(z, poly.I0_F64), z, 1.0)


def _i1_near(a: Value) -> Value:
    return horner(a * a, poly.I1_F64) * a


def _scaled_far(a: Value, order: int) -> Value:
    return horner(1.0 / a, (poly.I0_FAR_F64, poly.I1_FAR_F64)[order]) / sqrt(a)


def _unscaled_far(a: Value, order: int) -> Value:
    """The exponential in two factors: it overflows before the product does. NaN at infinity, as SciPy's."""
    half = exp(a * 0.5)
    return (half * _scaled_far(a, order)) * half


@bounded_in_double(4.5)
@own("i0")
def i0(x: Value) -> Value:
    a = fabs(x)
    return select(a < SCALED, _i0_near(a), _unscaled_far(a, 0))


@bounded_in_double(4.5)
@own("i1")
def i1(x: Value) -> Value:
    a = fabs(x)
    return copysign(select(a < SCALED, _i1_near(a), _unscaled_far(a, 1)), x)


@bounded_in_double(3.0)
def i0e(x: Value) -> Value:
    a = fabs(x)
    return select(a < SCALED, exp(-a) * _i0_near(a), _scaled_far(a, 0))


@bounded_in_double(3.0)
def i1e(x: Value) -> Value:
    a = fabs(x)
    return copysign(select(a < SCALED, exp(-a) * _i1_near(a), _scaled_far(a, 1)), x)
