"""Gamma, beta, zeta, Bessel functions and their like, in both types, against mpmath."""

import numpy as np
import pytest
from mpmath import mp, mpf

from xpgrad.backends.cpu.llvm import build
from xpgrad.codegen.scalar import functions

if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.llvm.math_kernels import DTYPE, function


def sign(x):
    return mpf(1 if x > 0 else (-1) ** int(mp.floor(x)))


def one(*_):
    return 1.0


def modulus(x):
    """What a Bessel function swings between."""
    return min(1.0, np.sqrt(2 / (np.pi * x)))


# Function, interval of each operand; where the result goes through 0, what the bound is relative to at least.
SPECIAL = {
    "loggamma": (mp.loggamma, [(0, 300)], None),
    "gamma": (mp.gamma, [(-30, 35)], None),
    "rgamma": (mp.rgamma, [(-30, 34)], None),
    "gammasgn": (sign, [(-30, 30)], None),
    "digamma": (mp.digamma, [(0, 300)], None),
    "polygamma": (lambda n, x: mp.polygamma(int(n), x), [(0, 4), (0, 30)], None),
    "zeta": (mp.zeta, [(1, 20), (0, 30)], None),
    "beta": (mp.beta, [(0, 30), (0, 30)], None),
    "betaln": (lambda a, b: mp.log(mp.beta(a, b)), [(0, 80), (0, 80)], one),
    "gamma_kernel": (lambda p, x, c: mp.exp(p * mp.log(x) - x - c), [(0, 3), (0.1, 3), (0, 1)], None),
    "beta_kernel": (
        lambda p, q, x, c: mp.exp(p * mp.log(x) + q * mp.log1p(-x) - c),
        [(0, 3), (0, 3), (0.1, 0.9), (0, 1)],
        None,
    ),
    "erfinv": (mp.erfinv, [(-1, 1)], None),
    "erfcinv": (lambda p: mp.erfinv(1 - p), [(0, 2)], None),
    "ndtri": (lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), [(0, 1)], None),
    "inv_mills_excess": (lambda x: x + mp.npdf(x) / mp.ncdf(x), [(-60, 9)], None),
    "logaddexp2": (lambda x, y: mp.log(mpf(2) ** x + mpf(2) ** y, 2), [(-9, 9), (-9, 9)], one),
    "xlog_ratio": (lambda w, x, y: w * mp.log(x / y), [(-9, 9), (0, 9), (0, 9)], None),
    "rel_entr": (lambda x, y: x * mp.log(x / y), [(0, 9), (0, 9)], None),
    "kl_div": (lambda x, y: x * mp.log(x / y) - x + y, [(0, 9), (0, 9)], lambda x, y: x + y),
    "cosm1": (lambda x: mp.cos(x) - 1, [(-9, 9)], None),
    "exprel": (lambda x: mp.expm1(x) / x, [(-30, 80)], None),
    "j0": (lambda x: mp.besselj(0, x), [(0, 100)], modulus),
    "j1": (lambda x: mp.besselj(1, x), [(0, 100)], lambda x: min(x, modulus(x))),
    "y0": (lambda x: mp.bessely(0, x), [(0, 100)], modulus),
    "y1": (lambda x: mp.bessely(1, x), [(0, 100)], modulus),
    "i0": (lambda x: mp.besseli(0, x), [(0, 80)], None),
    "i1": (lambda x: mp.besseli(1, x), [(-80, 80)], None),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), [(0, 100)], None),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), [(-100, 100)], None),
}
IN_DOUBLE = {"gamma_kernel", "beta_kernel"}  # whatever the types of operands and result
WHOLE = {"polygamma": 0}  # the operand that is a whole number


def operands(name, kind, n=150):
    """Over the whole interval, and close to its nearer end."""
    rng = np.random.default_rng(0)
    xs = []
    for k, (low, high) in enumerate(SPECIAL[name][1]):
        close = low + (high - low) * 2.0 ** -rng.uniform(1, 20, n // 3)
        x = rng.permutation(np.concatenate([rng.uniform(low, high, n - n // 3), close]))
        xs.append((np.floor(x) if WHOLE.get(name) == k else x).astype(DTYPE[kind]))
    inside = [(x > low) & (x < high) for x, (low, high) in zip(xs, SPECIAL[name][1], strict=True)]
    kept = np.all(inside, axis=0)
    return [x[kept] for x in xs]


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_a_special_function_is_within_its_bound(name, kind):
    f, _, least = SPECIAL[name]
    xs = operands(name, kind)
    info = np.finfo(DTYPE[kind])
    given = [np.asarray(x, DTYPE["double"]) for x in xs] if name in IN_DOUBLE else xs
    y = function(name, "double" if name in IN_DOUBLE else kind)(*given).astype(DTYPE[kind])
    worst = 0.0, []
    with mp.workdps(40):
        for i, point in enumerate(zip(*xs, strict=True)):
            exact = f(*map(mpf, map(float, point)))
            size = max(abs(float(exact)), least(*map(float, point)) if least else 0)
            if size > 0.4 * float(info.max):
                continue
            unit = float(np.spacing(np.clip(size, info.tiny, info.max).astype(DTYPE[kind])))
            worst = max(worst, (float(abs(mpf(float(y[i])) - exact)) / unit, [float(x) for x in point]))
    assert worst[0] <= functions.ULP[name, kind], (name, worst)


def test_left_of_0_digamma_is_accurate_beside_its_terms():
    x = np.random.default_rng(0).uniform(-30, 0, 500)
    y = function("digamma", "double")(x)
    with mp.workdps(40):
        for got, at in zip(y, map(mpf, map(float, x)), strict=True):
            size = abs(mp.digamma(1 - at)) + abs(mp.pi * mp.cot(mp.pi * at))
            assert abs(mpf(float(got)) - mp.digamma(at)) <= functions.ULP["digamma", "double"] * size * 2.0**-52


def test_left_of_0_the_terms_of_zeta_are_added_up():
    q = np.random.default_rng(0).uniform(-20, 0, 40)
    s = np.resize([2.0, 3.0], 40)
    y = function("zeta", "double")(s, q)
    with mp.workdps(40):
        for got, *at in zip(y, s, q, strict=True):
            exponent, first = map(mpf, map(float, at))
            terms = [(first + k) ** -exponent for k in range(21)]
            exact = sum(terms) + mp.zeta(exponent, first + 21)
            bound = 9 * float(sum(map(abs, terms))) * 2.0**-52
            assert abs(mpf(float(got)) - exact) <= bound, at


def test_a_sum_of_large_operands_leaves_beta_its_digits():
    """Its logarithm is that of a quotient of gammas which overflow."""
    rng = np.random.default_rng(0)
    a, b = 10.0 ** rng.uniform(2, 6, (2, 200))
    y = function("betaln", "double")(a, b)
    with mp.workdps(60):
        for got, p, q in zip(y, map(mpf, map(float, a)), map(mpf, map(float, b)), strict=True):
            exact = mp.loggamma(p) + mp.loggamma(q) - mp.loggamma(p + q)
            assert abs(mpf(float(got)) - exact) <= 9 * 2.0**-52 * abs(exact), (p, q)
