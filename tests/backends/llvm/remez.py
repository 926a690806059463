"""The polynomials of the scalar functions, computed; as a script it prints a file that holds them.

In:  the functions, intervals, degrees and weights of `TABLES`, of which the argument names one.
Out: ``polynomials.py``, ``special_polynomials.py`` or ``bessel_polynomials.py`` of ``codegen/scalar``, each
     polynomial with its error.
Holds: the error stated is that of the rounded coefficients, in exact arithmetic.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.dps = 50
GRID = 40  # points for each coefficient
LEADING = 3  # up to so many low coefficients are rounded one by one, the rest fitted again


@dataclass(frozen=True)
class Spec:
    """Approximate ``f`` on ``[lo, hi]`` by a polynomial; the error counts times ``weight``."""

    name: str
    what: str
    f: Callable[[Any], Any]
    lo: float
    hi: float
    degree: int
    weight: Callable[[Any], Any]
    single: bool


def rounded(c: Any, single: bool) -> float:
    return float(np.float32(float(c))) if single else float(c)


def chebyshev(lo: float, hi: float, n: int) -> list[Any]:
    a, b = mpf(lo), mpf(hi)
    return [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def fit(
    points: list[Any], targets: list[Any], weights: list[Any], known: list[float], degree: int
) -> list[Any]:
    """The coefficients after ``known`` that minimise the largest weighted error on the points (Remez)."""
    low = len(known)
    unknown = degree + 1 - low
    shifted = []
    for x, t in zip(points, targets, strict=True):
        shifted.append(t - sum((mpf(c) * x**k for k, c in enumerate(known)), mpf(0)))
    n = len(points)
    at = [round((2 * i + 1) * n / (2 * (unknown + 1))) for i in range(unknown + 1)]
    best: list[Any] = []
    for _ in range(30):
        a = mp.matrix(unknown + 1, unknown + 1)
        b = mp.matrix(unknown + 1, 1)
        for row, i in enumerate(at):
            for k in range(unknown):
                a[row, k] = points[i] ** (low + k)
            a[row, unknown] = (-1) ** row / weights[i]
            b[row] = shifted[i]
        solution = mp.lu_solve(a, b)
        best = [solution[k] for k in range(unknown)]
        errors = []
        for x, t, w in zip(points, shifted, weights, strict=True):
            p = mpf(0)
            for c in reversed(best):
                p = p * x + c
            errors.append(w * (t - p * x**low))
        # The largest error of each run of one sign; neighbours alternate by construction.
        peaks: list[int] = []
        for i, e in enumerate(errors):
            if peaks and (errors[peaks[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > unknown + 1:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if len(peaks) < unknown + 1:
            break
        level = abs(solution[unknown])
        at = peaks
        if max(abs(e) for e in errors) < 1.001 * level:
            break
    return best


def solve(spec: Spec) -> tuple[list[float], float]:
    """The rounded coefficients and their error; some low ones are rounded before the rest is fitted."""
    points = chebyshev(spec.lo, spec.hi, GRID * (spec.degree + 2))
    targets = [spec.f(x) for x in points]
    weights = [abs(spec.weight(x)) for x in points]
    tried = []
    known: list[float] = []
    for _ in range(min(LEADING, spec.degree) + 1):
        rest = fit(points, targets, weights, known, spec.degree)
        coefficients = known + [rounded(c, spec.single) for c in rest]
        tried.append((error_of(coefficients, points, targets, weights), coefficients))
        known.append(coefficients[len(known)])
    error, coefficients = min(tried)
    return coefficients, error


def error_of(coefficients: list[float], points: list[Any], targets: list[Any], weights: list[Any]) -> float:
    worst = mpf(0)
    for x, t, w in zip(points, targets, weights, strict=True):
        p = mpf(0)
        for c in reversed(coefficients):
            p = p * x + mpf(c)
        worst = max(worst, abs(w * (p - t)))
    return float(worst)


def series(z: Any) -> Any:
    """(log((1 + s) / (1 - s)) - 2 s) / s^3 of z = s^2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / (s * z)


HALF = float(mp.log(2) / 2) * 1.0001
LOW, HIGH = float(1 / mp.sqrt(2) - 1) * 1.0001, float(mp.sqrt(2) - 1) * 1.0001


def erfcx_scaled(k: Any) -> Callable[[Any], Any]:
    """(1 + 1.125 a) exp(a^2) erfc(a) of q = (a - k) / (a + k)."""

    def f(q: Any) -> Any:
        a = k * (1 + q) / (1 - q)
        return (1 + mpf(1.125) * a) * mp.exp(a * a) * mp.erfc(a)

    return f


def lgamma_rest(w: Any) -> Any:
    """(log gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2) x of w = 1 / x^2."""
    x = 1 / mp.sqrt(w)
    return (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x


def odd(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """(f(x) - x) / x^3 of z = x^2, for an odd f with derivative 1 at 0."""
    return lambda z: (f(mp.sqrt(z)) - mp.sqrt(z)) / (mp.sqrt(z) * z)


def relative_odd(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda z: mp.sqrt(z) * z / f(mp.sqrt(z))


S = (HIGH / (2 + HIGH)) ** 2
QUARTER = 0.83**2  # pi / 4, and what the rounding of a large x / (pi / 2) adds
ATAN = 0.41422**2
NEAR = 1e-12
ERF = 0.66**2


def cosine(z: Any) -> Any:
    """(cos(r) - 1 + r^2 / 2) / r^4 of z = r^2."""
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def digamma_rest(w: Any) -> Any:
    """(log x - 1 / (2 x) - digamma(x)) x^2 of w = 1 / x^2."""
    x = 1 / mp.sqrt(w)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / w


def erfcinv_scaled(u: Any) -> Any:
    """erfcinv(exp(-t^2)) / t of u = (t - 2) / (t + 2)."""
    t = 2 * (1 + u) / (1 - u)
    x = t * 0.8
    for _ in range(20):
        e = mp.exp(x * x) * mp.erfc(x)
        x += (mp.log(e) - x * x + t * t) * e * mp.sqrt(mp.pi) / 2
    return x / t


DIGAMMA_ROOT = mp.findroot(mp.digamma, 1.46)
J0_ROOT, J1_ROOT = mp.besseljzero(0, 1), mp.besseljzero(1, 1)


def digamma_of(d: Any) -> Any:
    """digamma(x) / (x - its root) of d = x - 1.5."""
    return mp.digamma(d + 1.5) / (d + 1.5 - DIGAMMA_ROOT)


def j0_of(z: Any) -> Any:
    return mp.besselj(0, mp.sqrt(z)) / (z - J0_ROOT**2)


def j1_of(z: Any) -> Any:
    return mp.besselj(1, mp.sqrt(z)) / mp.sqrt(z) / (z - J1_ROOT**2)


def y0_of(z: Any) -> Any:
    x = mp.sqrt(z)
    return mp.bessely(0, x) - 2 / mp.pi * mp.log(x) * mp.besselj(0, x)


def y1_of(z: Any) -> Any:
    x = mp.sqrt(z)
    return (mp.bessely(1, x) - 2 / mp.pi * (mp.log(x) * mp.besselj(1, x) - 1 / x)) / x


def modulus(order: int, z: Any) -> tuple[Any, Any]:
    """P and Q (DLMF 10.17) of z = 1 / x^2."""
    x = 1 / mp.sqrt(z)
    angle, scale = x - (2 * order + 1) * mp.pi / 4, mp.sqrt(mp.pi * x / 2)
    j, y = mp.besselj(order, x) * scale, mp.bessely(order, x) * scale
    return j * mp.cos(angle) + y * mp.sin(angle), y * mp.cos(angle) - j * mp.sin(angle)


def i_scaled(order: int) -> Callable[[Any], Any]:
    """sqrt(x) exp(-x) i(x) of u = 1 / x."""
    return lambda u: mp.besseli(order, 1 / u) * mp.exp(-1 / u) / mp.sqrt(u)


# name, what of which variable, function, low, high, degree in float32 and in float64 (0: none), weight.
ELEMENTARY: list[tuple[Any, ...]] = [
    ("EXP", "(exp(b) - 1 - b) / b^2 of b, relative to exp(b)",
     lambda b: (mp.expm1(b) - b) / b**2, -HALF, HALF, 4, 9, lambda b: b**2 / mp.exp(b)),
    ("EXP2", "(2^b - 1) / b of b, relative to 2^b",
     lambda b: mp.expm1(b * mp.log(2)) / b, -0.50001, 0.50001, 6, 11, lambda b: b / mp.exp(b * mp.log(2))),
    ("EXPM1", "(exp(b) - 1 - b) / b^2 of b, relative to exp(b) - 1",
     lambda b: (mp.expm1(b) - b) / b**2, -HALF, HALF, 5, 10, lambda b: b**2 / mp.expm1(b)),
    ("LOG1P", "(log(1 + f) - f + f^2 / 2) / f^3 of f, relative to log(1 + f)",
     lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, LOW, HIGH, 8, 0, lambda f: f**3 / mp.log1p(f)),
    ("ATANH", "(2 atanh(s) - 2 s) / s^3 of s^2, relative to 2 s", series, 1e-9, S, 0, 6, lambda z: z / 2),
    ("ATANH5", "(2 atanh(s) - 2 s - 2 s^3 / 3) / s^5 of s^2, relative to 2 s",
     lambda z: (series(z) - mpf(2) / 3) / z, 1e-9, S, 0, 6, lambda z: z**2 / 2),
    ("SINH", "(sinh(b) - b) / b^3 of b^2, relative to sinh(b)",
     odd(mp.sinh), NEAR, HALF**2, 2, 4, relative_odd(mp.sinh)),
    ("COSH", "(cosh(b) - 1) / b^2 of b^2, relative to cosh(b)",
     lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z, NEAR, HALF**2, 2, 4, lambda z: z),
    ("SIN", "(sin(r) - r) / r^3 of r^2, relative to sin(r)",
     odd(mp.sin), NEAR, QUARTER, 0, 6, relative_odd(mp.sin)),
    ("COS", "(cos(r) - 1 + r^2 / 2) / r^4 of r^2, relative to cos(r)",
     cosine, NEAR, QUARTER, 0, 5, lambda z: z**2 / mp.cos(mp.sqrt(z))),
    ("SIN_MID", "(sin(r) - r) / r^3 of r^2, relative to sin(r)",
     odd(mp.sin), NEAR, QUARTER, 0, 3, relative_odd(mp.sin)),
    ("COS_MID", "(cos(r) - 1 + r^2 / 2) / r^4 of r^2, relative to cos(r)",
     cosine, NEAR, QUARTER, 0, 2, lambda z: z**2 / mp.cos(mp.sqrt(z))),
    ("ASIN", "(arcsin(x) - x) / x^3 of x^2, relative to arcsin(x)",
     odd(mp.asin), NEAR, 0.25, 4, 11, relative_odd(mp.asin)),
    ("ATAN", "(arctan(t) - t) / t^3 of t^2, relative to arctan(t)",
     odd(mp.atan), NEAR, ATAN, 4, 10, relative_odd(mp.atan)),
    ("RCBRT", "(1 + f)^(-1/3) of f, relative", lambda f: (1 + f) ** (mpf(-1) / 3), LOW, HIGH, 0, 6,
     lambda f: (1 + f) ** (mpf(1) / 3)),
    ("ERF", "erf(x) / x - 1 of x^2, relative to erf(x)",
     lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, NEAR, ERF, 5, 9,
     lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z))),
    ("ERFCX", "(1 + 1.125 a) exp(a^2) erfc(a) of (a - 2.5) / (a + 2.5), relative",
     erfcx_scaled(mpf(2.5)), -1.0, 0.999999, 11, 0, lambda q: 1 / erfcx_scaled(mpf(2.5))(q)),
    ("ERFCX_TAIL", "(1 + 1.125 a) exp(a^2) erfc(a) of (a - 2.5) / (a + 2.5), a up to 10.7, relative",
     erfcx_scaled(mpf(2.5)), -1.0, 8.2 / 13.2, 9, 0, lambda q: 1 / erfcx_scaled(mpf(2.5))(q)),
    ("ERFCX", "(1 + 1.125 a) exp(a^2) erfc(a) of (a - 4) / (a + 4), relative",
     erfcx_scaled(mpf(4)), -1.0, 0.999999, 0, 24, lambda q: 1 / erfcx_scaled(mpf(4))(q)),
]  # fmt: skip
SPECIAL: list[tuple[Any, ...]] = [
    ("LGAMMA", "log gamma(2 + d) / d of d, relative",
     lambda d: mp.loggamma(2 + d) / d, -0.50001, 0.50001, 0, 18, lambda d: d / mp.loggamma(2 + d)),
    ("STIRLING", "x times the error of Stirling's formula for log gamma(x), of 1 / x^2, relative",
     lgamma_rest, NEAR, 1 / 7.5**2, 0, 6, lambda w: mpf(10)),
    ("RGAMMA", "1 / gamma(2 + d) of d, relative",
     lambda d: 1 / mp.gamma(2 + d), -0.50001, 0.50001, 0, 15, lambda d: mp.gamma(2 + d)),
    ("PSI", "digamma(x) / (x - its root) of x - 1.5, relative",
     digamma_of, -0.50001, 0.50001, 8, 22, lambda d: 1 / digamma_of(d)),
    ("PSI_FAR", "(log x - 1 / (2 x) - digamma(x)) x^2 of 1 / x^2, relative to digamma(x)",
     digamma_rest, NEAR, 1 / 100, 1, 5, lambda w: w / mp.digamma(1 / mp.sqrt(w))),
    ("ERFINV", "erfinv(y) / y of y^2, relative",
     lambda z: mp.erfinv(mp.sqrt(z)) / mp.sqrt(z), NEAR, 0.25001, 0, 13,
     lambda z: mp.sqrt(z) / mp.erfinv(mp.sqrt(z))),
    ("ERFCINV", "erfcinv(exp(-t^2)) / t of (t - 2) / (t + 2), t up to 27.4, relative",
     erfcinv_scaled, -0.415, 0.8641, 0, 14, lambda u: 1 / erfcinv_scaled(u)),
]  # fmt: skip
BESSEL: list[tuple[Any, ...]] = [
    ("J0", "j0(x) / (x^2 - r^2) of x^2, r its first root, relative",
     j0_of, NEAR, 16, 0, 10, lambda z: 1 / j0_of(z)),
    ("J1", "j1(x) / x / (x^2 - r^2) of x^2, r its first root, relative",
     j1_of, NEAR, 16, 0, 10, lambda z: 1 / j1_of(z)),
    ("Y0", "y0(x) - 2 / pi log(x) j0(x) of x^2", y0_of, NEAR, 16, 0, 12, lambda z: mpf(1)),
    ("Y1", "(y1(x) - 2 / pi (log(x) j1(x) - 1 / x)) / x of x^2, times x", y1_of, NEAR, 16, 0, 11, mp.sqrt),
    ("P0", "(P - 1) x^2 of order 0 of 1 / x^2, divided by x^2",
     lambda z: (modulus(0, z)[0] - 1) / z, 1e-7, 1 / 16, 0, 17, lambda z: z),
    ("Q0", "Q x of order 0 of 1 / x^2, divided by x",
     lambda z: modulus(0, z)[1] / mp.sqrt(z), 1e-7, 1 / 16, 0, 17, mp.sqrt),
    ("P1", "(P - 1) x^2 of order 1 of 1 / x^2, divided by x^2",
     lambda z: (modulus(1, z)[0] - 1) / z, 1e-7, 1 / 16, 0, 17, lambda z: z),
    ("Q1", "Q x of order 1 of 1 / x^2, divided by x",
     lambda z: modulus(1, z)[1] / mp.sqrt(z), 1e-7, 1 / 16, 0, 17, mp.sqrt),
    ("I0", "(i0(x) - 1) / x^2 of x^2, relative to i0(x)",
     lambda z: (mp.besseli(0, mp.sqrt(z)) - 1) / z, NEAR, 7.75**2, 0, 14,
     lambda z: z / mp.besseli(0, mp.sqrt(z))),
    ("I1", "i1(x) / x of x^2, relative",
     lambda z: mp.besseli(1, mp.sqrt(z)) / mp.sqrt(z), NEAR, 7.75**2, 0, 15,
     lambda z: mp.sqrt(z) / mp.besseli(1, mp.sqrt(z))),
    ("I0_FAR", "sqrt(x) exp(-x) i0(x) of 1 / x, relative",
     i_scaled(0), 1e-4, 1 / 7.75, 0, 22, lambda u: 1 / i_scaled(0)(u)),
    ("I1_FAR", "sqrt(x) exp(-x) i1(x) of 1 / x, relative",
     i_scaled(1), 1e-4, 1 / 7.75, 0, 22, lambda u: 1 / i_scaled(1)(u)),
]  # fmt: skip
TABLES = {"elementary": ELEMENTARY, "special": SPECIAL, "bessel": BESSEL}


def specs(table: str) -> list[Spec]:
    found = []
    for name, what, f, lo, hi, single, double, weight in TABLES[table]:
        if single:
            found.append(Spec(f"{name}_F32", what, f, lo, hi, single, weight, True))
        if double:
            found.append(Spec(f"{name}_F64", what, f, lo, hi, double, weight, False))
    return found


def text(spec: Spec) -> str:
    """The lines of one polynomial."""
    c, e = solve(spec)
    where = f"[{spec.lo:.6g}, {spec.hi:.6g}]"
    print(spec.name, spec.degree, float(mp.log(e, 2)), file=sys.stderr)
    rows = "".join(f"    {x!r},\n" for x in c)
    return f"# {spec.what},\n# on {where}: 2**{float(mp.log(e, 2)):.1f}\n{spec.name} = (\n{rows})\n"


HEADER = '''"""Minimax polynomials of the {} functions, lowest coefficient first.

Written by tests/backends/llvm/remez.py: Remez exchange in 50 digits, the leading coefficients rounded one by
one and the rest fitted again where that is better. Before each: what it approximates, where, and the largest
error of the rounded coefficients. MID: in float64 arithmetic, for results in float32.
"""

'''

if __name__ == "__main__":
    table = sys.argv[1]
    print(HEADER.format(table.replace("bessel", "Bessel")) + "\n".join(map(text, specs(table))), end="")
