"""Bessel functions, and a few others with a series about 0 (DLMF chapters 6, 10).

Derivatives in the order are not known. At 0 the scaled functions have the kink of ``exp(-abs(x))``;
the derivative there is the mean of the two sides.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from math import log as ln
from typing import Any

from xpgrad.ops.elementwise import exp, sign, sin, where
from xpgrad.ops.special import special

_positive = (0.5, 3.0)
_order = (0.5, 2.5)


def _near_zero(x: Any, series: Callable[[Any], Any], otherwise: Callable[[Any], Any]) -> Any:
    """``series(x)`` for abs(x) < 1, where ``otherwise(x)`` would cancel or divide by 0."""
    near = abs(x) < 1
    return where(near, series(where(near, x, 0)), otherwise(where(near, 1, x)))


def _horner(coefficients: list[float], x: Any) -> Any:
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = c + x * total
    return total


def _half_over(sign_: int) -> Callable[[Any], Any]:
    """The series of j1(x) / x (sign -1) or i1(x) / x (sign 1): DLMF 10.2.2, 10.25.2."""
    terms = [sign_**k / (2 * 4**k * factorial(k) * factorial(k + 1)) for k in range(9)]
    return lambda x: _horner(terms, x * x)


def _j1_over(x: Any) -> Any:
    return _near_zero(x, _half_over(-1), lambda x: j1(x) / x)


def _i1_over(x: Any) -> Any:
    return _near_zero(x, _half_over(1), lambda x: i1(x) / x)


def _i1e_over(x: Any) -> Any:
    series = _half_over(1)
    return _near_zero(x, lambda x: exp(-abs(x)) * series(x), lambda x: i1e(x) / x)


j0 = special("j0", lambda t, _z, x: -t * j1(x))
j1 = special("j1", lambda t, _z, x: t * (j0(x) - _j1_over(x)))
jv = special(
    "jv", None, lambda t, _z, v, x: (0.5 * t) * (jv(v - 1, x) - jv(v + 1, x)), domain=(_order, _positive)
)
y0 = special("y0", lambda t, _z, x: -t * y1(x), domain=_positive)
y1 = special("y1", lambda t, z, x: t * (y0(x) - z / x), domain=_positive)
yn = special(
    "yn", None, lambda t, _z, n, x: (0.5 * t) * (yn(n - 1, x) - yn(n + 1, x)), domain=((1, 1), _positive)
)
yv = special(
    "yv", None, lambda t, _z, v, x: (0.5 * t) * (yv(v - 1, x) - yv(v + 1, x)), domain=(_order, _positive)
)
i0 = special("i0", lambda t, _z, x: t * i1(x))
i0e = special("i0e", lambda t, z, x: t * (i1e(x) - sign(x) * z), domain=_positive)
i1 = special("i1", lambda t, _z, x: t * (i0(x) - _i1_over(x)))
i1e = special("i1e", lambda t, z, x: t * (i0e(x) - sign(x) * z - _i1e_over(x)), domain=_positive)
iv = special(
    "iv", None, lambda t, _z, v, x: (0.5 * t) * (iv(v - 1, x) + iv(v + 1, x)), domain=(_order, _positive)
)
ive = special(
    "ive",
    None,
    lambda t, z, v, x: t * (0.5 * (ive(v - 1, x) + ive(v + 1, x)) - sign(x) * z),
    domain=(_order, _positive),
)
k0 = special("k0", lambda t, _z, x: -t * k1(x), domain=_positive)
k0e = special("k0e", lambda t, z, x: t * (z - k1e(x)), domain=_positive)
k1 = special("k1", lambda t, z, x: -t * (k0(x) + z / x), domain=_positive)
k1e = special("k1e", lambda t, z, x: t * (z - k0e(x) - z / x), domain=_positive)
kn = special(
    "kn", None, lambda t, _z, n, x: (-0.5 * t) * (kn(n - 1, x) + kn(n + 1, x)), domain=((1, 1), _positive)
)
kv = special(
    "kv", None, lambda t, _z, v, x: (-0.5 * t) * (kv(v - 1, x) + kv(v + 1, x)), domain=(_order, _positive)
)
kve = special(
    "kve",
    None,
    lambda t, z, v, x: t * (z - 0.5 * (kve(v - 1, x) + kve(v + 1, x))),
    domain=(_order, _positive),
)

# ── exponentials ─────────────────────────────────────────────────────────────────────────────
_exprel_terms = [(k + 1) / factorial(k + 2) for k in range(18)]


def _exprel(t: Any, z: Any, x: Any) -> Any:
    """(exp(x) - z) / x, written without exp, which overflows before z does."""
    near = abs(x) < 1
    return t * where(near, _horner(_exprel_terms, where(near, x, 0)), z + (1 - z) / where(near, 1, x))


exprel = special("exprel", _exprel)
exp10 = special("exp10", lambda t, z, _x: (ln(10) * t) * z)
cosm1 = special("cosm1", lambda t, _z, x: -t * sin(x))
expi = special("expi", lambda t, _z, x: t * exp(x) / x, domain=_positive)
exp1 = special("exp1", lambda t, _z, x: -t * exp(-x) / x, domain=_positive)
