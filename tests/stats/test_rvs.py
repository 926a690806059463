"""Random numbers: of the distribution, the same for a seed, and differentiable by their path."""

import mpmath as mp
import numpy as np
import pytest
import scipy.stats

import xpgrad as xg
from stats.test_stats import DISCRETE, LINE, PARAMETERS
from xpgrad import DataError, ShapeError, TraceError

N = 4000
A = np.array([[1.0, 0.2], [0.5, 1.5]])
COV = A @ A.T


@pytest.mark.parametrize("name", LINE)
def test_draws_have_the_distribution(name):
    for parameters in PARAMETERS[name]:
        x = getattr(xg.stats, name).rvs(*parameters, size=N, rng=1)
        assert x.shape == (N,)
        theirs = getattr(scipy.stats, name)(*parameters)
        if name in DISCRETE:
            for k in np.unique(x)[:5]:
                p = theirs.pmf(k)
                assert abs(np.mean(x == k) - p) < 5 * np.sqrt(p * (1 - p) / N) + 1e-12
        else:
            u = theirs.cdf(x)
            if name == "vonmises":
                u = u - np.floor(u)
            assert scipy.stats.kstest(u, "uniform").pvalue > 1e-4


def test_a_seed_gives_the_same_draws_and_a_generator_goes_on():
    draws = xg.stats.norm.rvs(size=3, rng=7)
    np.testing.assert_array_equal(draws, xg.stats.norm.rvs(size=3, rng=np.random.default_rng(7)))
    rng = np.random.default_rng(7)
    assert not np.array_equal(xg.stats.norm.rvs(size=3, rng=rng), xg.stats.norm.rvs(size=3, rng=rng))
    assert np.ndim(xg.stats.norm.rvs()) == 0


def test_the_shape_is_that_of_the_parameters_or_size():
    loc, a = np.zeros((2, 1)), np.ones(3)
    assert xg.stats.gamma.rvs(a, loc, rng=0).shape == (2, 3)
    assert xg.stats.gamma.rvs(a, loc, size=(4, 2, 3), rng=0).shape == (4, 2, 3)
    with pytest.raises(ShapeError, match=r"do not broadcast to size=\(2,\)"):
        xg.stats.gamma.rvs(a, size=2)
    with pytest.raises(DataError, match=r"gamma.rvs: a parameter is out of its domain"):
        xg.stats.gamma.rvs(-1.0)


# Those that are functions of their parameters and of noise that the parameters do not change.
BY_DIFFERENCES = ["norm", "lognorm", "halfnorm", "truncnorm", "uniform", "expon", "laplace", "logistic"]
BY_DIFFERENCES += ["cauchy", "weibull_min", "pareto"]


@pytest.mark.parametrize("name", BY_DIFFERENCES)
def test_draws_move_as_differences_do(name):
    ours = getattr(xg.stats, name)
    shapes = (0.5, 3.0) if name == "truncnorm" else tuple(1.5 * v for v in ours.shapes.values())
    xg.check_grads(lambda *p: ours.rvs(*p, size=5, rng=3), (*shapes, 0.5, 2.0))


def slope_of_quantile(below, density, z, shapes, k):
    with mp.workdps(30):
        at = [mp.mpf(float(s)) for s in shapes]
        change = mp.diff(lambda t: below(mp.mpf(float(z)), *at[:k], t, *at[k + 1 :]), at[k])
        return float(-change / mp.exp(density(mp.mpf(float(z)), *at)))


@pytest.mark.parametrize(
    ("name", "shapes"), [("gamma", (0.3,)), ("gamma", (30.0,)), ("chi2", (3.0,)), ("invgamma", (2.0,))]
)
def test_draws_of_the_gamma_family_move_with_the_shape_as_quantiles_do(name, shapes):
    from cases.distributions import CASES

    ours, case = getattr(xg.stats, name), CASES[name]
    draws = ours.rvs(*shapes, size=6, rng=2)
    traced, tangent = xg.jvp(lambda a: ours.rvs(a, size=6, rng=2), shapes, (1.0,))
    np.testing.assert_allclose(traced, draws, rtol=1e-9)
    expected = [slope_of_quantile(case.below, case.density, z, shapes, 0) for z in draws]
    np.testing.assert_allclose(tangent, expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "shapes", "mean"),
    [
        ("beta", (2.0, 3.0), lambda a, b: a / (a + b)),
        ("gamma", (0.7,), lambda a: a),
        ("chi2", (5.0,), lambda k: k),
        ("invgamma", (6.0,), lambda a: 1 / (a - 1)),
    ],
)
def test_the_mean_of_draws_has_the_derivative_of_the_mean(name, shapes, mean):
    got = xg.grad(
        lambda *p: np.mean(getattr(xg.stats, name).rvs(*p, size=40_000, rng=5)), tuple(range(len(shapes)))
    )
    for a, b in zip(got(*shapes), xg.grad(mean, tuple(range(len(shapes))))(*shapes), strict=True):
        assert abs(a - b) < 0.05 * abs(b)


def test_the_second_moment_of_students_draws_has_its_derivative():
    got = xg.grad(lambda df: np.mean(xg.stats.t.rvs(df, size=200_000, rng=5) ** 2))(12.0)
    assert abs(got - (1 / 10 - 12 / 100)) < 4e-3


@pytest.mark.parametrize("name", ["vonmises", *DISCRETE])
def test_a_traced_parameter_without_a_path_is_refused(name):
    ours = getattr(xg.stats, name)
    shapes = list(map(float, PARAMETERS[name][0]))
    with pytest.raises(TraceError, match=rf"{name}.rvs: .* is not known(?s:.*)stop_gradient"):
        xg.grad(lambda p: ours.rvs(*shapes[:-1], p, size=2).sum())(shapes[-1])


@pytest.mark.parametrize("transform", [xg.compile, xg.vmap])
def test_draws_of_parameters_without_numbers_of_their_own_are_refused(transform):
    with pytest.raises(TraceError, match=r"norm.rvs: draws would be the same(?s:.*)draw the noise outside"):
        transform(lambda m: xg.stats.norm.rvs(m, rng=0))(np.ones(3))


def test_moments_of_multivariate_draws():
    s = xg.stats
    x = s.multivariate_normal.rvs([1.0, 2.0], COV, N, 0)
    assert x.shape == (N, 2)
    np.testing.assert_allclose(np.cov(x.T), COV, atol=0.3)
    np.testing.assert_allclose(x.mean(axis=0), [1, 2], atol=0.1)
    t = s.multivariate_t.rvs([1.0, 2.0], COV, 9.0, N, 0)
    np.testing.assert_allclose(np.cov(t.T), COV * 9 / 7, atol=0.4)
    w = s.wishart.rvs(5.0, COV, N, 0)
    assert w.shape == (N, 2, 2)
    np.testing.assert_allclose(w.mean(axis=0), 5 * COV, rtol=0.05)
    np.testing.assert_allclose(w[:, 0, 0].var(), 2 * 5 * COV[0, 0] ** 2, rtol=0.15)
    d = s.dirichlet.rvs([1.0, 2.0, 5.0], N, 0)
    np.testing.assert_allclose(d.sum(axis=1), 1)
    np.testing.assert_allclose(d.mean(axis=0), [1 / 8, 2 / 8, 5 / 8], atol=0.02)
    k = s.multinomial.rvs(10, [0.2, 0.8], N, 0)
    assert np.all(k.sum(axis=1) == 10)
    np.testing.assert_allclose(k.mean(axis=0), [2, 8], atol=0.1)


def test_multivariate_draws_are_differentiable():
    s = xg.stats
    xg.check_grads(lambda m, a: s.multivariate_normal.rvs(m, a @ a.T, 3, 0), (np.ones(2), A))
    xg.check_grads(lambda a: s.wishart.rvs(5.0, a @ a.T, 2, 0), (A,))
    # E[w] = df scale; E[parts] = alpha / sum(alpha).
    slope = xg.grad(lambda df: np.mean(s.wishart.rvs(df, COV, 40_000, 1)[:, 0, 0]))(5.0)
    np.testing.assert_allclose(slope, COV[0, 0], rtol=0.05)
    slope = xg.grad(lambda a: np.mean(s.dirichlet.rvs(a, 40_000, 1)[:, 0]))(np.array([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(slope, [7 / 64, -1 / 64, -1 / 64], rtol=0.1)
