"""Incomplete gamma and beta functions in their shapes, and logarithms of tails: by 40 digits of mpmath."""

import itertools
from functools import cache

import mpmath as mp
import numpy as np
import pytest

import xpgrad as xg
from cases.special_ops import F32, F64
from xpgrad.core import OPS
from xpgrad.ops import tails
from xpgrad.testing import tolerance

DIGITS = 40
BOUND = (
    2e-12  # of the scores, relative; a quotient of two functions of SciPy's where the tail is the larger part
)
A = (1e-3, 0.5, 1.0, 3.0, 40.0, 3000.0)
RATIOS = (1e-6, 0.3, 0.999, 1.0, 1.1, 2.0, 30.0)  # of the point to the mode
BETA_A, BETA_B = (1e-2, 0.5, 1.0, 10.0, 300.0), (0.05, 1.0, 2.5, 1000.0)
BETA_X = (1e-8, 0.01, 0.3, 0.5, 0.9, 0.999)


def gamma_tail(upper):
    def tail(a, x):
        return mp.gammainc(a, *((x, mp.inf) if upper else (0, x)), regularized=True)

    return tail


def beta_tail(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


@cache
def slope(f, k, *at):
    """The derivative of ``f`` in its operand ``k``, and ``f`` itself, as mpmath's numbers."""
    with mp.workdps(DIGITS):
        at = [mp.mpf(x) for x in at]
        return mp.diff(lambda t: f(*at[:k], t, *at[k + 1 :]), at[k]), f(*at)


def relative(got, expected):
    return float(abs((mp.mpf(float(got)) - expected) / expected))


GAMMA = {"below": gamma_tail(False), "above": gamma_tail(True)}
OF_GAMMA = {"below": ("gammainc", "log_gammainc"), "above": ("gammaincc", "log_gammaincc")}


@pytest.mark.parametrize("a", A)
@pytest.mark.parametrize("side", GAMMA)
def test_tails_of_gamma_have_their_derivatives_in_the_shape(side, a):
    plain, log = OF_GAMMA[side]
    for ratio in RATIOS:
        x = a * ratio
        change, value = slope(GAMMA[side], 0, a, x)
        if value < 1e-300 or abs(change) < 1e-30:
            continue
        assert relative(OPS[f"gamma_score_{side}"](a, x), change / value) < BOUND
        assert relative(xg.grad(OPS[log])(a, x), change / value) < BOUND
        assert relative(xg.grad(OPS[plain])(a, x), change) < 1e-11
        with mp.workdps(DIGITS):
            assert abs(float(OPS[log](a, x) - mp.log(value))) < 1e-12 * max(1.0, abs(float(mp.log(value))))


@pytest.mark.parametrize("a", A[:-1])
@pytest.mark.parametrize("side", GAMMA)
def test_tails_of_gamma_have_their_second_derivatives_in_the_shape(side, a):
    for ratio in RATIOS:
        x = a * ratio
        with mp.workdps(DIGITS):
            tail, at = GAMMA[side], mp.mpf(x)
            if not 1e-300 < tail(mp.mpf(a), at) < 1 - mp.mpf(10) ** -20:
                continue
            expected = mp.diff(lambda a, tail=tail, at=at: mp.log(tail(a, at)), mp.mpf(a), 2)
        assert relative(OPS[f"gamma_curvature_{side}"](a, x), expected) < 1e-9
        assert relative(xg.grad(xg.grad(OPS[OF_GAMMA[side][1]]))(a, x), expected) < 1e-9


@pytest.mark.parametrize("a", BETA_A)
def test_tails_of_beta_have_their_derivatives_in_the_shapes(a):
    for b, x in itertools.product(BETA_B, BETA_X):
        (by_a, value), (by_b, _) = slope(beta_tail, 0, a, b, x), slope(beta_tail, 1, a, b, x)
        if value < 1e-300 or abs(by_a) < 1e-30:
            continue
        for op, change in (("beta_score_a", by_a), ("beta_score_b", by_b)):
            # What 1 / a and digamma(a) have in common cancels.
            assert relative(OPS[op](a, b, x), change / value) < 1e-10
        got = xg.grad(OPS["betainc"], (0, 1))(a, b, x)
        complement = xg.grad(OPS["betaincc"], (0, 1))(a, b, x)
        for mine, other, change in zip(got, complement, (by_a, by_b), strict=True):
            assert relative(mine, change) < 1e-10
            assert mine == -other
        with mp.workdps(DIGITS):
            assert abs(float(OPS["log_betainc"](a, b, x) - mp.log(value))) < 1e-12 * max(
                1.0, abs(float(mp.log(value)))
            )


def far_gamma(a, x, upper):
    """The logarithm of a tail that is no double."""
    with mp.workdps(DIGITS):
        return float(mp.log(mp.gammainc(a, *((x, mp.inf) if upper else (0, x)), regularized=True)))


@pytest.mark.parametrize(("a", "x"), [(2.0, 1e-200), (300.0, 1e-3), (5000.0, 40.0)])
def test_a_lower_tail_that_is_no_double_has_a_logarithm(a, x):
    assert np.isclose(tails.log_gammainc(a, x), far_gamma(a, x, False), rtol=1e-13)
    assert np.isclose(xg.grad(tails.log_gammainc, 1)(a, x), a / x, rtol=2 * x / a + 1e-12)


@pytest.mark.parametrize(("a", "x"), [(0.3, 1e3), (2.0, 800.0), (500.0, 1e4)])
def test_an_upper_tail_that_is_no_double_has_a_logarithm(a, x):
    assert np.isclose(tails.log_gammaincc(a, x), far_gamma(a, x, True), rtol=1e-13)
    assert -1 < xg.grad(tails.log_gammaincc, 1)(a, x) < -1 + a / x or a < 1


@pytest.mark.parametrize(("a", "b", "x"), [(500.0, 2.0, 1e-3), (1e4, 1e4, 0.3), (40.0, 0.5, 1e-9)])
def test_a_tail_of_beta_that_is_no_double_has_a_logarithm(a, b, x):
    with mp.workdps(DIGITS):
        expected = float(mp.log(mp.hyp2f1(a + b, 1, a + 1, x)) + a * mp.log(x) + b * mp.log1p(-x) - mp.log(a))
        expected -= float(mp.log(mp.beta(a, b)))  # DLMF 8.17.8
    assert np.isclose(tails.log_betainc(a, b, x), expected, rtol=1e-12)


def student(df, x):
    square = x * x
    half = mp.betainc(df / 2, 0.5, 0, df / (df + square), regularized=True) / 2
    return half if x < 0 else 1 - half


@pytest.mark.parametrize("df", [0.3, 1.0, 4.0, 1e3, 1e6])
def test_students_distribution_has_its_derivatives(df):
    for x in (-1e10, -40.0, -3.0, -1.0, -1e-3, 1e-9, 0.5, 2.0, 20.0):
        by_df, value = slope(student, 0, df, x)
        if not 1e-300 < value < 1:
            continue
        assert relative(tails.stdtr(df, x), value) < 1e-12
        cancels = 4e-14 / np.sqrt(df)  # of two terms
        assert abs(float(xg.grad(tails.stdtr)(df, x) - by_df)) <= 1e-10 * abs(float(by_df)) + cancels
        p = float(tails.stdtr(df, x))
        if df < 1e4 and 1e-8 < p < 0.9 and abs(p - 0.5) > 1e-3:
            density = slope(student, 1, df, x)[0]
            assert relative(xg.grad(tails.stdtrit)(df, p), -by_df / density) < 1e-6
            assert relative(xg.grad(tails.stdtrit, 1)(df, p), 1 / density) < 1e-6


def test_the_middle_of_students_distribution_does_not_move():
    assert tails.stdtr(3.0, 0.0) == 0.5
    assert xg.grad(tails.stdtr)(3.0, 0.0) == 0
    assert np.isclose(xg.grad(tails.stdtr, 1)(1.0, 0.0), 1 / np.pi)


def test_quantiles_move_with_the_shapes_as_the_distribution_does():
    q = np.array([1e-6, 0.1, 0.5, 0.9, 0.999])
    for a in (0.4, 2.0, 50.0):
        for name in ("gammaincinv", "gammainccinv"):
            xg.check_grads(lambda a, name=name: OPS[name](a, q), (a,), order=1)
    xg.check_grads(lambda a, b: OPS["betaincinv"](a, b, q), (0.7, 3.0), order=1)


def test_ends_are_limits_without_nan():
    for op, a, x, expected in (
        (tails.log_gammainc, 2.0, 0.0, -np.inf),
        (tails.log_gammainc, 2.0, np.inf, 0.0),
        (tails.log_gammaincc, 2.0, 0.0, 0.0),
        (tails.log_gammaincc, 2.0, np.inf, -np.inf),
        (tails.gamma_score_above, 2.0, 0.0, 0.0),
        (tails.gamma_score_below, 2.0, np.inf, 0.0),
    ):
        assert op(a, x) == expected
        assert np.isnan(op(-1.0, 1.0))
    assert tails.log_betainc(1.0, 2.0, np.array([0.0, 1.0])).tolist() == [-np.inf, 0]
    assert xg.grad(tails.gammainc)(2.0, 0.0) == 0
    assert xg.grad(tails.betainc)(2.0, 1.0, 0.0) == 0
    assert tails.stdtr(2.0, np.array([-np.inf, np.inf])).tolist() == [0, 1]


def test_float32_is_computed_in_float64():
    a, x = np.float32(1.5), np.array([1e-3, 1.0, 90.0], F32)
    for op in (tails.log_gammainc, tails.log_gammaincc, tails.gamma_score_below, tails.gamma_score_above):
        wide = op(1.5, x.astype(F64))
        assert op(a, x).dtype == F32
        assert np.allclose(op(a, x), wide, rtol=tolerance(F32).value)


def test_students_distribution_with_infinite_degrees_of_freedom_is_normal():
    x = np.array([-2.0, 0.0, 1.0])
    out, pull = xg.vjp(tails.stdtr, np.inf, x)
    assert np.allclose(out, xg.special.ndtr(x), rtol=1e-15)
    by_df, by_x = pull(np.ones(3))
    assert by_df == 0
    assert np.allclose(by_x, np.exp(-x * x / 2) / np.sqrt(2 * np.pi), rtol=1e-14)
