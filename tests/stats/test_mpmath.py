"""Distributions on the line by mpmath: the logarithms of tails, and derivatives in every parameter."""

from functools import cache

import mpmath as mp
import numpy as np
import pytest

import xpgrad as xg
from cases.distributions import CASES, COUNTS

LOC, SCALE = 0.25, 1.5
DIGITS = 50
MANY = 90  # for what a sum of probabilities lacks of 1
BOUND = 2e-11
SETS = [(name, k) for name, case in CASES.items() for k in range(len(case.shapes))]
COUNT_SETS = [(name, k) for name, case in COUNTS.items() for k in range(len(case.shapes))]


def with_scale(f, log):
    """``f`` in standard form as a function of x, shapes, location and scale, which a log-density has too."""

    def of(x, *parameters):
        *shapes, loc, scale = parameters
        z = (x - loc) / scale
        return f(z, *shapes) - mp.log(scale) if log == "density" else mp.log(f(z, *shapes))

    return of


def derivatives(f, at, digits=DIGITS):
    with mp.workdps(digits):
        at = [mp.mpf(x) for x in at]
        slopes = [mp.diff(lambda t, i=i: f(*at[:i], t, *at[i + 1 :]), at[i]) for i in range(len(at))]
        return float(f(*at)), [float(s) for s in slopes]


@cache
def expected(name, k, x, which):
    case = CASES[name]
    return derivatives(with_scale(getattr(case, which), which), (x, *case.shapes[k], LOC, SCALE))


def agree(got, wanted, scale=1.0):
    """Relative to the value, or to the size of the terms that it is a sum of."""
    assert np.allclose(got, wanted, rtol=BOUND, atol=1e-14 * scale), (got, wanted)


def points(name, k):
    """The case's points that lie within this support, as users give them."""
    low, high = CASES[name].shapes[k] if name == "truncnorm" else (-np.inf, np.inf)
    return [LOC + SCALE * z for z in CASES[name].points if low < z < high]


@pytest.mark.parametrize(("name", "k"), SETS)
@pytest.mark.parametrize(("method", "which"), [("logpdf", "density"), ("logcdf", "below"), ("logsf", "above")])
def test_logarithms_and_their_derivatives_in_every_parameter(name, k, method, which):
    f = getattr(getattr(xg.stats, name), method)
    shapes = CASES[name].shapes[k]
    for x in points(name, k):
        value, slopes = expected(name, k, x, which)
        at = (x, *shapes, LOC, SCALE)
        agree(f(*at), value)
        got = xg.grad(f, tuple(range(len(at))))(*at)
        agree(got, slopes, max(1.0, *map(abs, slopes)))
        tangents = [xg.jvp(f, at, tuple(float(i == j) for j in range(len(at))))[1] for i in range(len(at))]
        agree(tangents, slopes, max(1.0, *map(abs, slopes)))


@pytest.mark.parametrize(("name", "k"), SETS)
@pytest.mark.parametrize(("method", "which"), [("cdf", "below"), ("sf", "above"), ("pdf", "density")])
def test_functions_and_their_derivatives_are_those_of_their_logarithms(name, k, method, which):
    f = getattr(getattr(xg.stats, name), method)
    shapes = CASES[name].shapes[k]
    for x in points(name, k):
        log, slopes = expected(name, k, x, which)
        if log < -600:
            continue
        at = (x, *shapes, LOC, SCALE)
        value = np.exp(log)
        assert np.isclose(f(*at), value, rtol=1e-10)
        got = np.array(xg.grad(f, tuple(range(len(at))))(*at))
        scaled = np.array(slopes) * value
        assert np.allclose(got, scaled, rtol=1e-9, atol=max(1e-13 * abs(scaled).max(), 1e-45 * value)), (
            got,
            scaled,
        )


@pytest.mark.parametrize(("name", "k"), COUNT_SETS)
def test_probabilities_of_counts_and_their_derivatives(name, k):
    ours, case = getattr(xg.stats, name), COUNTS[name]
    shapes = case.shapes[k]
    free = [i for i, p in enumerate(shapes) if not (name == "binom" and i == 0)]

    def upto(count):
        return lambda *ps: mp.fsum(case.probability(j, *ps) for j in range(count + 1))

    for count in case.points:
        for method, f in (
            ("logpmf", lambda *ps, c=count: mp.log(case.probability(c, *ps))),
            ("logcdf", lambda *ps, c=count: mp.log(upto(c)(*ps))),
            ("logsf", lambda *ps, c=count: mp.log(1 - upto(c)(*ps))),
            ("pmf", lambda *ps, c=count: case.probability(c, *ps)),
            ("cdf", lambda *ps, c=count: upto(c)(*ps)),
            ("sf", lambda *ps, c=count: 1 - upto(c)(*ps)),
        ):
            if name == "bernoulli" and count == 1 and method.endswith(("cdf", "sf")):
                continue  # 1 and 0: see the tests of the support
            value, slopes = derivatives(f, shapes, MANY)
            g = getattr(ours, method)
            assert np.isclose(g(count, *shapes), value, rtol=1e-11, atol=1e-300)
            got = xg.grad(lambda *ps, g=g, c=count: g(c, *ps), tuple(free))(*shapes)
            wanted = [slopes[i] for i in free]
            assert np.allclose(got, wanted, rtol=1e-10, atol=1e-12 * max(map(abs, wanted)))


def test_the_von_mises_density_and_its_derivatives():
    def density(z, kappa):
        return kappa * mp.cos(z) - mp.log(2 * mp.pi * mp.besseli(0, kappa))

    for kappa in (0.1, 4.0, 1e5):
        for z in (-3.0, -0.001, 0.4, 2.0):
            at = (LOC + SCALE * z, kappa, LOC, SCALE)
            value, slopes = derivatives(with_scale(density, "density"), at)
            assert np.isclose(xg.stats.vonmises.logpdf(*at), value, rtol=1e-12)
            got = xg.grad(xg.stats.vonmises.logpdf, (0, 1, 2, 3))(*at)
            assert np.allclose(got, slopes, rtol=1e-10)
