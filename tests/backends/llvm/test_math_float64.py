"""The float64 math functions against mpmath, and against the long double of the C library where it is wider."""

import numpy as np
import pytest
from mpmath import mp, mpf

from xpgrad.backends.cpu.llvm import build
from xpgrad.codegen.scalar import functions

if reason := build.available():
    pytest.skip(reason, allow_module_level=True)

from backends.llvm.math_kernels import function, ulps, worst

HALF = mpf(1) / 2


def _log_ndtr(x):
    return mp.log(mp.ncdf(x)) if x < 1 else mp.log1p(-mp.ncdf(-x))


def _sinc(x):
    y = mpf(float(np.float64(np.pi) * np.float64(float(x))))
    return mp.sin(y) / y


# The function in arbitrary precision, and the interval of the samples.
EXACT = {
    "exp": (mp.exp, -745, 710),
    "exp2": (lambda x: mpf(2) ** x, -1074, 1024),
    "exp10": (lambda x: mpf(10) ** x, -323, 308),
    "expm1": (mp.expm1, -40, 710),
    "log": (mp.log, 0, 100),
    "log2": (lambda x: mp.log(x) / mp.log(2), 0, 100),
    "log10": (mp.log10, 0, 100),
    "log1p": (mp.log1p, -1, 100),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), -745, 40),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), -745, 100),
    "logit": (lambda x: mp.log(x / (1 - x)), 0, 1),
    "sin": (mp.sin, -5e14, 5e14),
    "cos": (mp.cos, -5e14, 5e14),
    "tan": (mp.tan, -5e14, 5e14),
    "sinc": (_sinc, -1e6, 1e6),
    "sinh": (mp.sinh, -710, 710),
    "cosh": (mp.cosh, -710, 710),
    "tanh": (mp.tanh, -20, 20),
    "arcsin": (mp.asin, -1, 1),
    "arccos": (mp.acos, -1, 1),
    "arctan": (mp.atan, -100, 100),
    "arcsinh": (mp.asinh, -100, 100),
    "arccosh": (mp.acosh, 1, 100),
    "arctanh": (mp.atanh, -1, 1),
    "erf": (mp.erf, -6, 6),
    "erfc": (mp.erfc, -6, 27.2),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), -26.6, 300),
    "ndtr": (mp.ncdf, -38.4, 9),
    "normal_density": (mp.npdf, -38.4, 38.4),
    "log_ndtr": (_log_ndtr, -100, 38.4),
    "inv_mills": (lambda x: mp.npdf(x) / mp.ncdf(x), -100, 38.4),
    "gammaln": (mp.loggamma, 0, 300),
    "cbrt": (mp.cbrt, 0, 1e6),
}
TWO = {
    "power": (mp.power, 0, 40),
    "arctan2": (mp.atan2, -3, 3),
    "hypot": (mp.hypot, -3, 3),
}
LONG = """
exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh cbrt
"""


def samples(rng, low, high, n):
    """Over the whole interval, about 0 or the nearer end, and close to it."""
    near = min(max(0, low), high)
    inside = [rng.uniform(low, high, n), near + rng.uniform(max(low - near, -4), min(high - near, 4), n)]
    close = near + rng.uniform(max(low - near, -1), min(high - near, 1), n) * 2.0 ** -rng.integers(0, 40, n)
    return np.concatenate([*inside, close])


def precisely(f, *xs):
    """``f`` in 40 digits, as a sum of two float64 numbers, and in units of the last place."""
    with mp.workdps(40):
        return [f(*map(mpf, map(float, x))) for x in zip(*xs, strict=True)]


def error_of(y, exact, scale=None):
    """The largest distance in units of the last place of ``exact`` or of ``scale``, and its index."""
    sizes = np.array([abs(float(v)) for v in exact]) if scale is None else scale
    units = np.spacing(np.clip(sizes, np.finfo(float).tiny, np.finfo(float).max))
    with mp.workdps(40):
        errors = [
            float(abs(mpf(float(got)) - v) / mpf(float(u))) for got, v, u in zip(y, exact, units, strict=True)
        ]
    return worst(np.nan_to_num(errors, nan=np.inf))[0], int(np.argmax(errors))


@pytest.mark.parametrize("name", sorted(EXACT))
def test_a_unary_function_is_within_its_bound(name):
    f, low, high = EXACT[name]
    x = samples(np.random.default_rng(0), low, high, 700)
    y = function(name, "double")(x)
    kept = np.isfinite(y) & (x > low) & (x < high)
    error, i = error_of(y[kept], precisely(f, x[kept]))
    assert kept.mean() > 0.9
    assert error <= functions.ULP[name, "double"], (name, error, x[kept][i])


@pytest.mark.parametrize("name", sorted(TWO))
def test_a_binary_function_is_within_its_bound(name):
    f, low, high = TWO[name]
    rng = np.random.default_rng(0)
    x, y = samples(rng, low, high, 500), samples(rng, low, high, 500)
    if name == "power":
        y = rng.uniform(-100, 100, y.size)
        y[:300] = rng.integers(-20, 20, 300)
    z = function(name, "double")(x, y)
    kept = np.isfinite(z) & (z != 0)
    exact = precisely(f, x[kept], y[kept])
    error, i = error_of(z[kept], exact)
    assert kept.mean() > 0.8
    assert error <= functions.ULP[name, "double"], (name, error, x[kept][i], y[kept][i])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than float64 here")
@pytest.mark.parametrize("name", LONG.split())
def test_a_function_is_within_its_bound_on_many_numbers(name):
    rng = np.random.default_rng(1)
    any_number = rng.integers(0, 2**64, 100_000, dtype=np.uint64).view(np.float64)
    scattered = rng.uniform(-1, 1, 100_000) * 2.0 ** rng.integers(-12, 12, 100_000)
    x = np.concatenate([any_number, scattered, rng.uniform(-40, 40, 100_000)])
    with np.errstate(all="ignore"):
        y = function(name, "double")(x)
        error, where = worst(ulps(y, getattr(np, name)(x.astype(np.longdouble))), x)
    assert error <= functions.ULP[name, "double"], (name, error, where)


def test_left_of_zero_gammaln_is_accurate_beside_its_terms():
    x = np.random.default_rng(0).uniform(-30, 0, 1000)
    y = function("gammaln", "double")(x)
    exact = precisely(lambda v: mp.re(mp.loggamma(v)), x)
    right = np.array([float(v) for v in precisely(mp.loggamma, -x)])
    error, i = error_of(y, exact, np.maximum(np.abs(right), 4.0))
    assert error <= functions.ULP["gammaln", "double"], (error, x[i])


def test_powers_of_two_and_ten_have_exact_logarithms():
    n = np.arange(-1074, 1024)
    assert np.array_equal(function("log2", "double")(2.0**n), n)
    n = np.arange(0, 23)
    assert np.array_equal(function("log10", "double")([float(10**k) for k in n.tolist()]), n)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_a_circular_function_is_known_up_to_the_largest_number(name):
    rng = np.random.default_rng(0)
    ends = [2.0**49, np.nextafter(2.0**49, 0), 2.0**53 + 2, 1e300, -1e300, np.finfo(float).max]
    x = np.concatenate([ends, 10.0 ** rng.uniform(14, 308, 500), rng.uniform(-9, 9, 494)])
    rng.shuffle(x)
    with mp.workprec(1200):
        exact = np.array([getattr(mp, name)(mp.mpf(float(v))) for v in x])
    error, i = error_of(function(name, "double")(x), exact)
    assert error <= functions.ULP[name, "double"], (name, error, x[i])
