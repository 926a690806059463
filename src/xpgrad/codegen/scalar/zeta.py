"""Hurwitz's zeta function, and the derivatives of digamma, which are made of it.

For q > 0 nine terms, and for the rest Euler's and Maclaurin's formula (DLMF 25.11.5). For q < 0 the terms left
of 0 are those of another such sum.
"""

from __future__ import annotations

from xpgrad.codegen.scalar.arithmetic import power
from xpgrad.codegen.scalar.bounds import bounded_in_double
from xpgrad.codegen.scalar.floats import HUGE, INF, NAN, at_most
from xpgrad.codegen.scalar.gamma import digamma, gamma, is_even, is_pole
from xpgrad.codegen.scalar.ir import Value, ceil, eq, floor, library, repeat, same, select, where_needed

TERMS = 9
# B_2k / (2 k)!, k = 1 to 8.
FACTORS = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
)
FAR = 1e8  # two terms of the formula are enough


def _zeta_right(s: Value, q: Value) -> Value:
    """s > 1, q > 0."""
    far = q > FAR
    total, last = repeat(TERMS, [0.0, q], lambda total, q: [total + power(q, -s), q + 1.0])
    last = select(far, q, last)
    term = power(last, select(far, 1.0 - s, -s))
    inverse = 1.0 / last
    square = inverse * inverse
    rest = term * last / (s - 1.0) + 0.5 * term
    part = term * inverse * s
    for k, factor in enumerate(FACTORS):
        rest = rest + part * factor
        part = part * ((s + (2.0 * k + 1.0)) * (s + (2.0 * k + 2.0)) * square)
    near = total + select(eq(term, 0.0), 0.0, rest)
    return select(far, (1.0 / (s - 1.0) + 0.5 * inverse) * term, near)


@bounded_in_double(5.0)
def zeta(s: Value, q: Value) -> Value:
    left, pole = q < 0.0, is_pole(q)
    right = _zeta_right(s, select(left, q - floor(q), q))
    found = library("zeta_left", select(left, NAN, right), s, q, at_most(right, HUGE[s.kind]))
    return select(eq(s, 1.0), INF, select(s < 1.0, NAN, select(pole, INF, found)))


NEAR = 16
"""So many terms left of 0 at most are added up one by one."""


def zeta_left(s: Value, q: Value, right: Value) -> Value:
    """For q < 0, no whole number; ``right``: the terms right of 0. Those left of it are real for a whole s."""

    def near() -> Value:
        total, _ = repeat(
            NEAR,
            [same(s, 0.0), q],
            lambda total, at: [total + power(at, -s), at + 1.0],
            lambda _total, at: at < 0.0,
        )
        return total

    def far() -> Value:
        size = _zeta_right(s, ceil(q) - q) - _zeta_right(s, 1.0 - q)
        return select(is_even(s), size, -size)

    few = q > -float(NEAR)
    total = where_needed(~few, far, where_needed(few, near, same(s, 0.0)))
    return select(eq(s, floor(s)), right + total, NAN)


@bounded_in_double(4.0)
def polygamma(n: Value, x: Value) -> Value:
    def higher() -> Value:
        size = gamma(n + 1.0) * zeta(n + 1.0, x)
        return select(eq(n, floor(n)), select(is_even(n), -size, size), NAN)

    return where_needed(eq(n, 0.0), lambda: digamma(x), higher())
