"""xg.stats beside scipy.stats: values at every kind of point, shapes, names of parameters, edges and errors."""

import inspect
import itertools
import warnings

import numpy as np
import pytest
import scipy.stats

import xpgrad as xg
from stats.table import PAGE, page
from xpgrad.stats._base import Distribution

PARAMETERS = {
    "norm": [(), (1.5, 2.0)],
    "t": [(0.5,), (3.0,), (30.0, -1.0, 0.5)],
    "gamma": [(0.3,), (1.0,), (4.5, 1.0, 2.0)],
    "beta": [(0.5, 0.5), (1.0, 3.0), (7.0, 2.5, -1.0, 3.0)],
    "chi2": [(1.0,), (5.0, 0.0, 2.0)],
    "expon": [(), (1.0, 3.0)],
    "uniform": [(), (-1.0, 4.0)],
    "laplace": [(), (1.0, 2.0)],
    "logistic": [(), (1.0, 0.5)],
    "lognorm": [(0.5,), (2.0, 1.0, 3.0)],
    "weibull_min": [(0.5,), (1.0,), (3.0, 1.0, 2.0)],
    "cauchy": [(), (1.0, 2.0)],
    "halfnorm": [(), (1.0, 2.0)],
    "truncnorm": [(-1.0, 2.0), (3.0, 8.0), (-30.0, -20.0), (-np.inf, 1.0), (2.0, np.inf, 1.0, 3.0)],
    "pareto": [(1.0,), (3.5, 1.0, 2.0)],
    "invgamma": [(0.5,), (3.0, 1.0, 2.0)],
    "vonmises": [(0.5,), (30.0, 1.0)],
    "poisson": [(0.7,), (30.0,)],
    "binom": [(10, 0.3), (1, 0.999), (50, 0.02)],
    "nbinom": [(0.5, 0.4), (7.0, 0.9)],
    "bernoulli": [(0.3,), (0.0,), (1.0,)],
}
LINE = sorted(n for n in xg.stats.__all__ if isinstance(getattr(xg.stats, n), Distribution))
DISCRETE = [n for n in LINE if hasattr(getattr(xg.stats, n), "pmf")]
X = np.array(
    [-np.inf, -300.0, -25.0, -3.0, -1.0, -1e-3, 0.0, 1e-12, 1e-3, 0.1, 0.5, 1.0, 1.3, 2.0, 2.5, 3.0, 4.0, 5.0]
    + [7.0, 9.99, 10.0, 30.0, 49.0, 50.0, 100.0, 1e5, np.inf, np.nan]
)
Q = np.array([-0.1, 0, 1e-3, 0.1, 0.4, 0.5, 0.6, 0.9, 0.999, 1 - 1e-10, 1, 1.5, np.nan])
# Where SciPy goes by the logarithm of the function itself, its digits end; see test_mpmath for these.
LOGARITHMS = ("logcdf", "logsf")


def expected(name, method, *args):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return getattr(getattr(scipy.stats, name), method)(*args)


def test_every_distribution_has_parameters_here():
    assert set(PARAMETERS) == set(LINE)


CASES = [(n, k, m) for n, ps in PARAMETERS.items() for k in range(len(ps)) for m in dir(getattr(xg.stats, n))]
VALUES = [c for c in CASES if c[2] != "rvs"]


@pytest.mark.parametrize(("name", "k", "method"), VALUES)
def test_values_are_scipys(name, k, method):
    parameters = PARAMETERS[name][k]
    x = Q if method == "ppf" else X
    got, theirs = (
        getattr(getattr(xg.stats, name), method)(x, *parameters),
        expected(name, method, x, *parameters),
    )
    if method in LOGARITHMS:
        by = expected(name, method[3:], x, *parameters)
        kept = np.isnan(by) | ((by > 1e-280) & (by < 0.999)) | (by == np.round(by)) & np.isinf(x)
    else:
        kept = np.isfinite(theirs) | np.isfinite(x)
        kept &= ~(np.isneginf(theirs) & np.isfinite(got) & (got < -700))  # the logarithm of an underflow
    assert got.shape == theirs.shape
    assert kept.sum() >= 3
    np.testing.assert_allclose(got[kept], theirs[kept], rtol=1e-10, atol=1e-300 if method != "ppf" else 1e-15)


@pytest.mark.parametrize("name", LINE)
def test_a_number_gives_a_number_and_lists_are_arrays(name):
    ours, p = getattr(xg.stats, name), PARAMETERS[name][0]
    for method in dir(ours):
        if method == "rvs":
            continue
        f = getattr(ours, method)
        assert np.ndim(f(1, *p)) == 0
        np.testing.assert_array_equal(f([1, 1], *p), [f(1.0, *p)] * 2)


def given(name):
    """Shape parameters, location and scale, the latter of other axes."""
    ours = getattr(xg.stats, name)
    shapes = {n: np.full((2, 1), v) for n, v in ours.shapes.items()}
    return shapes | {"loc": np.array([0.0, 1.0, 2.0])} | ({"scale": 2.0} if ours.scaled else {})


@pytest.mark.parametrize("name", LINE)
def test_operands_broadcast_by_position_and_by_name(name):
    ours, parameters = getattr(xg.stats, name), given(name)
    for method in dir(ours):
        if method == "rvs":
            continue
        x = np.array([[[0.5]], [[0.25]]]) if method == "ppf" else np.array([[[2.0]], [[1.0]]])
        theirs = expected(name, method, x, *parameters.values())
        by_name = getattr(ours, method)(x, **parameters)
        assert by_name.shape == theirs.shape
        np.testing.assert_allclose(by_name, theirs, rtol=1e-11)
        np.testing.assert_array_equal(getattr(ours, method)(x, *parameters.values()), by_name)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.gamma.pdf(1.0), "gamma has the parameters a, loc, scale; a is missing"),
        (lambda s: s.gamma.pdf(1.0, 2.0, alpha=1), "alpha is none of them"),
        (lambda s: s.gamma.pdf(1.0, 2.0, a=1), "one is given twice"),
        (lambda s: s.norm.pdf(1.0, 2.0, 3.0, 4.0), "norm has the parameters loc, scale; 3 are given"),
        (lambda s: s.poisson.pmf(1, 2.0, scale=4.0), "poisson has the parameters mu, loc; scale is none"),
        (lambda s: s.norm.rvs(rng="a"), "rng must be"),
    ],
)
def test_wrong_parameters_are_named(call, said):
    with pytest.raises(TypeError, match=said):
        call(xg.stats)


OUTSIDE = {
    "uniform": [-0.5, 1.5],
    "beta": [-0.5, 1.5],
    "truncnorm": [-2.0, 2.0],
    "pareto": [0.5, -3.0],
    **{n: [-0.5, -1e9] for n in "gamma chi2 expon lognorm weibull_min halfnorm invgamma".split()},
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_of_the_support_every_derivative_is_zero(name):
    ours = getattr(xg.stats, name)
    shapes = tuple(ours.shapes.values())
    at = (np.array(OUTSIDE[name]), *shapes, 0.0, 1.0)
    every = tuple(range(len(at)))
    for method in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"):
        f = getattr(ours, method)
        np.testing.assert_array_equal(f(*at), expected(name, method, *at))
        for g in xg.grad(lambda *a, f=f: np.sum(np.where(np.isfinite(f(*a)), f(*a), 0.0)), every)(*at):
            assert np.all(g == 0)
        # Even where the infinity itself is summed.
        for g in xg.vjp(f, *at)[1](np.ones(2)):
            assert np.all(g == 0)
        second = xg.hessian(lambda x, f=f: np.sum(f(x, *at[1:])))(at[0])
        assert np.all(second == 0)
    compiled = xg.compile(xg.grad(lambda *a: np.sum(ours.logpdf(*a)) + np.sum(ours.logcdf(*a)), every))
    assert all(np.all(g == 0) for g in compiled(*at))


def invalid(name):
    ours = getattr(xg.stats, name)
    return [-1.0 if n != "b" or name != "truncnorm" else -3.0 for n in ours.shapes]


@pytest.mark.parametrize("name", LINE)
def test_invalid_parameters_give_nan_and_no_other_derivative(name):
    ours = getattr(xg.stats, name)
    good = list(ours.shapes.values())
    for method in dir(ours):
        if method == "rvs":
            continue
        f, x = getattr(ours, method), 0.5 if method == "ppf" else 1.0 if name in DISCRETE else 0.75
        if ours.scaled:
            for scale in (0.0, -1.0, np.nan):
                assert np.isnan(f(x, *good, 0.0, scale))
        if not good:
            continue
        mixed = [np.array([b, g]) for b, g in zip(invalid(name), good, strict=True)]
        got = f(x, *mixed)
        assert np.isnan(got[0])
        assert got[1] == f(x, *good)
        free = tuple(1 + i for i, n in enumerate(ours.shapes) if n not in ours.whole)
        for g, alone in zip(
            xg.vjp(lambda *a, f=f: f(*a)[1], x, *mixed)[1](1.0),
            xg.vjp(f, x, *good)[1](1.0),
            strict=True,
        ):
            assert np.all(np.ravel(g)[-1] == alone)
            assert np.isfinite(g).all()
        assert free or name in ("binom",)


@pytest.mark.parametrize("name", LINE)
def test_float32_stays_float32(name):
    ours = getattr(xg.stats, name)
    shapes = [np.float32(v) for v in PARAMETERS[name][0]]
    for method in dir(ours):
        if method == "rvs":
            assert ours.rvs(*shapes, size=3, rng=0, loc=np.float32(1)).dtype == np.float32
            continue
        x = np.array([0.25, 0.5, 0.75], np.float32)
        x = x + 1 if name == "pareto" and method != "ppf" else np.round(x) if name in DISCRETE else x
        f = getattr(ours, method)
        out, pull = xg.vjp(f, x, *shapes)
        assert out.dtype == np.float32
        assert all(g.dtype == np.float32 for g in pull(np.ones(3, np.float32)))
        wide = f(x.astype(float), *[float(s) for s in shapes])
        np.testing.assert_allclose(out, wide, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", LINE)
def test_compiled_is_eager(name):
    ours, p = getattr(xg.stats, name), PARAMETERS[name][0]
    low, high = (0.2, 0.9) if name in ("beta", "uniform", "truncnorm", "bernoulli") else (1.0, 4.0)
    x = np.linspace(low, high, 50)
    x = np.round(x) if name in DISCRETE else x
    free = tuple(1 + i for i in range(len(p))) or (1, 2)
    p = tuple(map(float, p)) or (0.5, 2.0)
    for method in dir(ours):
        if method == "rvs":
            continue
        points = np.linspace(0.1, 0.9, 50) if method == "ppf" else x

        def loss(x, *p, method=method):
            out = getattr(ours, method)(x, *p)
            return np.sum(np.where(np.isfinite(out), out, 0.0))

        f = xg.value_and_grad(loss, (0, *free))
        value, grads = f(points, *p)
        compiled_value, compiled = xg.compile(f)(points, *p)
        np.testing.assert_allclose(compiled_value, value, rtol=1e-11, atol=1e-12)
        for a, b in zip(compiled, grads, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [n for n in LINE if n != "vonmises"])
def test_the_sum_of_log_densities_is_one_pass_over_the_samples(name):
    ours = getattr(xg.stats, name)
    method = "logpmf" if name in DISCRETE else "logpdf"
    p = {"truncnorm": (0.5, 3.0)}.get(name, tuple(ours.shapes.values()))
    p = (*p, 0.0, 1.0) if ours.scaled else p

    def loss(p, x):
        return -np.sum(getattr(ours, method)(x, *p))

    x = np.ones(200_000)
    text = xg.compile(xg.value_and_grad(loss)).explain(p, x)
    steps = [line for line in text.splitlines() if line.startswith("step ")]
    assert len(passes_over_samples(text)) == 1, (steps, text)


def passes_over_samples(text):
    return [line for line in text.splitlines() if "over 200000" in line or "over 200,000" in line]


def test_transforms_nest():
    x = np.array([0.3, 1.2, 2.5])

    def loss(p):
        return np.sum(xg.stats.gamma.logpdf(x, p[0], scale=np.exp(p[1])))

    p = np.array([1.7, 0.2])
    xg.check_grads(loss, (p,), order=2)
    batch = np.stack([p, p + 0.1])
    np.testing.assert_allclose(xg.vmap(loss)(batch), [loss(q) for q in batch])
    np.testing.assert_allclose(xg.vmap(xg.grad(loss))(batch), [xg.grad(loss)(q) for q in batch])
    xg.check_grads(lambda a: xg.stats.t.logpdf(x, a), (3.0,), order=2)
    for method in ("cdf", "logcdf", "logsf"):
        f = getattr(xg.stats.gamma, method)
        xg.check_grads(lambda p, f=f: np.sum(f(x, p[0], scale=np.exp(p[1]))), (p,), order=2)
    with pytest.raises(xg.NotDifferentiableError, match="beta_score_a: no derivative is known"):
        xg.hessian(lambda a: np.sum(xg.stats.beta.logcdf(x / 3, a, 2.0)))(1.5)
    xg.check_grads(lambda q: xg.stats.norm.ppf(q, 1.0, 2.0), (np.array([0.1, 0.7]),), order=2)


@pytest.mark.parametrize("name", [n for n in LINE if hasattr(getattr(xg.stats, n), "ppf")])
def test_quantiles_move_as_differences_do(name):
    ours = getattr(xg.stats, name)
    q = np.array([0.05, 0.4, 0.8])
    shapes = (
        tuple(s for s in PARAMETERS[name][-1] if np.isfinite(s))[: len(ours.shapes)]
        if name != "truncnorm"
        else (0.5, 3.0)
    )
    xg.check_grads(lambda q, *p: ours.ppf(q, *p), (q, *shapes, 0.5, 2.0), order=1)
    np.testing.assert_allclose(ours.cdf(ours.ppf(q, *shapes), *shapes), q, rtol=1e-11)


def test_what_a_distribution_lacks_says_why():
    for name in DISCRETE:
        with pytest.raises(AttributeError, match=rf"xpgrad.stats.{name} has no ppf: .* scipy.stats has it"):
            getattr(xg.stats, name).ppf  # noqa: B018
    assert not hasattr(xg.stats.vonmises, "cdf")
    assert not hasattr(xg.stats.multivariate_normal, "cdf")
    assert "ppf" not in dir(xg.stats.poisson)
    with pytest.raises(AttributeError):
        xg.stats.norm.pmf  # noqa: B018


def test_every_distribution_is_documented():
    for name in xg.stats.__all__:
        doc = inspect.getdoc(getattr(xg.stats, name))
        assert "Parameters\n----------" in doc
        assert f"scipy.stats.{name}" in doc
        assert all(len(line) <= 112 for line in doc.splitlines())
        for method in dir(getattr(xg.stats, name)):
            assert inspect.getdoc(getattr(getattr(xg.stats, name), method))


def test_integer_points_and_parameters():
    np.testing.assert_allclose(
        xg.stats.norm.logpdf(np.arange(3), 1, 2), scipy.stats.norm.logpdf(np.arange(3), 1, 2)
    )
    np.testing.assert_allclose(xg.stats.gamma.cdf(3, 2), scipy.stats.gamma.cdf(3, 2))
    for k, n in itertools.product((0, 1), (1, 2)):
        np.testing.assert_allclose(xg.stats.binom.pmf(k, n, 0.25), scipy.stats.binom.pmf(k, n, 0.25))


def test_values_and_gradients_on_the_device(device, put):
    x = put(np.array([0.2, 0.4, 0.9]))
    for name in ("norm", "gamma", "beta", "t", "poisson", "pareto", "laplace"):
        ours, p = getattr(xg.stats, name), PARAMETERS[name][0] or (0.0, 1.0)
        for method in dir(ours):
            if method == "rvs" or (method == "ppf" and name == "t" and device == "gpu"):
                continue
            f = getattr(ours, method)
            out, pull = xg.vjp(f, x, *p)
            plain, plain_pull = xg.vjp(f, xg.asnumpy(x), *p)
            np.testing.assert_allclose(xg.asnumpy(out), plain, rtol=1e-10, atol=1e-14)
            got = xg.asnumpy(pull(put(np.ones(3))))
            for a, b in zip(got, plain_pull(np.ones(3)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


def test_the_page_has_the_table_of_the_package():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "python -m tests.stats.table --write"
