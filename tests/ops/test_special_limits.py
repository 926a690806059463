"""Special functions at the ends of their domains, against 50 digits."""

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from cases.special_ops import F32, F64, derivatives
from xpgrad.core import OPS
from xpgrad.ops import bessel, special, tails
from xpgrad.testing import close, tolerance


def _mills(x):
    return mp.npdf(x) / mp.ncdf(x)


EXTREMES = {
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), [-1000, -700, -40, 0, 40, 700, 1000]),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), [-1000, -40, 0, 40, 1000]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [-1000, -40, 0, 40, 1000]),
    "logit": (lambda x: mp.log(x / (1 - x)), [2**-30, 0.25, 0.5 - 2**-20, 0.5, 0.75, 1 - 2**-20]),
    "entr": (lambda x: -x * mp.log(x), [2**-60, 1, 2**60]),
    "erf": (mp.erf, [-30, -1e-5, 0, 30]),
    "erfc": (mp.erfc, [-30, 5, 25]),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [-4, 0, 5, 100, 1e4]),
    "dawsn": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), [-1000, 0, 10]),
    "ndtr": (mp.ncdf, [-30, -8, 0, 30]),
    "normal_density": (mp.npdf, [-30, -8, 0, 30]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [-1e4, -1000, -30, -5.5, -4.5, 0, 5, 30, 100]),
    "inv_mills": (_mills, [-30, -5.5, -4.5, 0, 5, 30]),
    "inv_mills_excess": (lambda x: x + _mills(x), [-30, -5.5, -4.5, 0, 5]),
    "gammaln": (mp.loggamma, [2**-20, 1, 2, 1e6, 1e10]),
    "digamma": (mp.digamma, [2**-8, 1, 1e6, 1e10]),
    "rgamma": (mp.rgamma, [-3, -2, -1, 0, 1, 30]),
    "exprel": (lambda x: mp.expm1(x) / x if x else mp.mpf(1), [-700, -1, -0.5, 0, 2**-30, 0.5, 1, 80]),
    "j0": (lambda x: mp.besselj(0, x), [0, 2**-20, 0.5, 1, 1000]),
    "j1": (lambda x: mp.besselj(1, x), [0, 2**-20, 0.5, 1, -2, 1000]),
    "i1": (lambda x: mp.besseli(1, x), [0, 2**-20, 0.5, 1, -2, 20]),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), [-800, -2, 0.5, 1e4]),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), [-800, -2, 0.5, 1e4]),
    "k0e": (lambda x: mp.exp(x) * mp.besselk(0, x), [0.01, 1, 1000]),
}


def fifty_digits(f, x):
    """Value, first and second derivative."""
    with mp.workdps(50):
        x = mp.mpf(float(x))
        return [float(mp.diff(f, x, n)) if n else float(f(x)) for n in range(3)]


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", EXTREMES)
def test_value_and_two_derivatives_have_their_digits_at_the_ends(name, dtype):
    f, points = EXTREMES[name]
    x = np.array(points, dtype)
    expected = np.array([fifty_digits(f, p) for p in x]).T
    for actual, right in zip(derivatives(OPS[name], x), expected, strict=True):
        for a, b in zip(actual, right, strict=True):
            assert close(a, b.astype(dtype), 4 * tolerance(dtype).value), (name, actual, right)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("expit", [-300, -40, 30]),
        ("log_expit", [-20, 40, 300]),
        ("softplus", [-300, -40]),
        ("erfcx", [100, 1e5]),
        ("log_ndtr", [-1e6, -1e3, 8]),
        ("inv_mills", [-1e6, -6, -5.01, -4.99]),
        ("exprel", [-300, -1e-9]),
    ],
)
def test_first_derivatives_keep_relative_digits_in_the_tails(name, points):
    x = np.array(points, float)
    expected = np.array([fifty_digits(EXTREMES[name][0], p)[1] for p in x])
    assert np.max(np.abs(derivatives(OPS[name], x)[1] / expected - 1)) < tolerance(F64).value


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
def test_what_the_mills_ratio_has_beyond_its_asymptote_goes_to_zero(dtype):
    x = np.array([-np.inf, -1e30, np.nan], dtype)
    found = special.inv_mills_excess(x)
    assert found.dtype == dtype
    assert found[0] == 0
    assert close(found[1] * 1e30, np.ones(()), tolerance(dtype).value)
    assert np.isnan(found[2])


def test_where_x_is_zero_x_log_y_and_its_slopes_are_limits():
    x, y = np.zeros(3), np.array([0.0, 2.0, np.inf])
    out, pullback = xg.vjp(special.xlogy, x, y)
    dx, dy = pullback(np.ones(3))
    assert np.array_equal(out, np.zeros(3))
    assert np.array_equal(dx, [-np.inf, np.log(2.0), np.inf])
    assert np.array_equal(dy, np.zeros(3))
    assert np.array_equal(xg.vjp(special.xlogy, x, y)[1](np.zeros(3))[0], np.zeros(3))


def test_the_mixed_derivative_of_x_log_y_is_one_over_y_at_zero_too():
    def slope_in_y(x):
        return xg.vjp(lambda y: special.xlogy(x, y), np.array([2.0]))[1](np.ones(1))[0]

    assert xg.jvp(slope_in_y, (np.zeros(1),), (np.ones(1),))[1] == 0.5


def test_entropies_are_finite_at_zero_and_infinite_outside():
    x = np.array([0.0, 0.0, 0.0, 1.0, -1.0, np.nan])
    y = np.array([0.0, 2.0, -1.0, 0.0, 1.0, 1.0])
    assert np.array_equal(special.rel_entr(x, y), scipy.special.rel_entr(x, y), equal_nan=True)
    assert np.array_equal(special.kl_div(x, y), scipy.special.kl_div(x, y), equal_nan=True)
    assert np.array_equal(special.entr(x), scipy.special.entr(x), equal_nan=True)
    dx, dy = xg.vjp(special.rel_entr, x[:2], y[:2])[1](np.ones(2))
    assert np.array_equal(dy, [0, 0])
    assert np.array_equal(dx, [1, -np.inf])
    assert xg.vjp(special.entr, x[:1])[1](np.ones(1))[0] == np.inf


def test_the_logarithm_of_a_ratio_survives_its_overflow():
    x, y = np.array([1e200, 1e-200, 1 + 1e-12]), np.array([1e-200, 1e200, 1.0])
    with mp.workdps(50):
        right = [float(mp.mpf(a) * mp.log(mp.mpf(a) / mp.mpf(b))) for a, b in zip(x, y, strict=True)]
    assert np.max(np.abs(special.rel_entr(x, y) / right - 1)) < tolerance(F64).value


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize(("f", "base"), [(np.logaddexp, np.e), (np.logaddexp2, 2.0)])
def test_the_shares_of_a_log_sum_are_exact_at_ten_thousand_and_half_at_infinity(f, base, dtype):
    x, y = (
        np.array([1e4, -1e4, -np.inf, np.inf, -np.inf], dtype),
        np.array([1e4 - 1, 1e4, -np.inf, np.inf, 0], dtype),
    )
    dx, dy = xg.vjp(f, x, y)[1](np.ones_like(x))
    assert close(dx, np.array([base / (base + 1), 0, 0.5, 0.5, 0]), tolerance(dtype).value)
    assert close(dy, np.array([1 / (base + 1), 1, 0.5, 0.5, 1]), tolerance(dtype).value)


def test_logit_keeps_relative_digits_about_one_half():
    x = (0.5 + np.linspace(-2e-3, 2e-3, 31)[::2]).astype(F32)
    expected = [fifty_digits(EXTREMES["logit"][0], p)[0] for p in x]
    assert np.max(np.abs(special.logit(x) / expected - 1)) < tolerance(F32).value


@pytest.mark.parametrize("a", [1, np.array(1)], ids=["scalar", "array"])
def test_a_whole_parameter_needs_no_array(a):
    _, first, second = derivatives(lambda x: tails.gammainc(a, x), np.zeros(1))
    assert (first, second) == (1, -1)


def test_densities_have_their_limits_at_the_ends_of_the_support():
    a = np.array([1.0, 2.0, 3.0])
    _, first, second = derivatives(lambda x: tails.gammainc(a, x), np.zeros(3))
    assert np.array_equal(first, [1, 0, 0])
    assert np.array_equal(second, [-1, 1, 0])
    _, first, second = derivatives(lambda x: tails.betainc(a, 2.0, x), np.zeros(3))
    assert close(first, [2, 0, 0], tolerance(F64).value)
    assert close(second, [-2, 6, 0], tolerance(F64).value)
    _, first, second = derivatives(lambda x: tails.betainc(0.5, 0.5, x), np.array([0.5]))
    assert close(first, [2 / np.pi], tolerance(F64).value)
    assert close(second, [0], tolerance(F64).value)


def test_third_derivatives_at_removable_singularities():
    def third(f):
        x = np.zeros(1)
        return derivatives(lambda x: xg.vjp(f, x)[1](np.ones(1))[0], x)[2][0]

    bound = tolerance(F64).value
    assert close(third(bessel.j1), -3 / 8, bound)
    assert close(third(bessel.i1), 3 / 8, bound)
    assert close(third(bessel.exprel), 1 / 4, bound)
    assert close(third(special.rgamma), fifty_digits_third(mp.rgamma), bound)


def fifty_digits_third(f):
    with mp.workdps(50):
        return float(mp.diff(f, 0, 3))
