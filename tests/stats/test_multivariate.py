"""Distributions of vectors and matrices beside scipy.stats, and their derivatives by differences."""

import numpy as np
import pytest
import scipy.stats

import xpgrad as xg
from xpgrad import DataError, ShapeError

rng = np.random.default_rng(0)
A = rng.normal(size=(3, 3))
COV = A @ A.T + np.eye(3)
MEAN = rng.normal(size=3)
X = rng.normal(size=(5, 3))
W = scipy.stats.wishart.rvs(7, COV, size=4, random_state=0)
PARTS = rng.dirichlet([1.0, 2.0, 3.0], size=4)
COUNTS = np.array([[1, 2, 3], [6, 0, 0]])
P = np.array([0.2, 0.3, 0.5])

CALLS = {
    "samples": ("multivariate_normal", "logpdf", (X, MEAN, COV)),
    "one": ("multivariate_normal", "logpdf", (X[0], MEAN, COV)),
    "stack": ("multivariate_normal", "pdf", (np.stack([X, 2 * X]), MEAN, COV)),
    "variances": ("multivariate_normal", "logpdf", (X, MEAN, [1.0, 2.0, 3.0])),
    "no mean": ("multivariate_normal", "logpdf", (X, None, COV)),
    "a variance": ("multivariate_normal", "logpdf", (X, MEAN, 2.0)),
    "a number": ("multivariate_normal", "logpdf", (1.5, 0.5, 2.0)),
    "numbers": ("multivariate_normal", "logpdf", (X[:, 0], 0.5, 2.0)),
    "far": ("multivariate_normal", "logpdf", (1e6 * X, MEAN, COV)),
    "t": ("multivariate_t", "logpdf", (X, MEAN, COV, 3.5)),
    "t, its density": ("multivariate_t", "pdf", (X[0], MEAN, COV, 0.5)),
    "wishart": ("wishart", "logpdf", (W[0], 7, COV)),
    "wishart, samples": ("wishart", "logpdf", (np.moveaxis(W, 0, -1), 6.5, COV)),
    "dirichlet": ("dirichlet", "logpdf", (PARTS[0], [1.0, 2.0, 0.5])),
    "dirichlet, samples": ("dirichlet", "pdf", (PARTS.T, [1.0, 2.0, 3.0])),
    "multinomial": ("multinomial", "logpmf", (COUNTS, 6, P)),
    "multinomial, one": ("multinomial", "pmf", (COUNTS[0], 6, P)),
}


@pytest.mark.parametrize("case", CALLS)
def test_values_are_scipys(case):
    name, method, args = CALLS[case]
    got = getattr(getattr(xg.stats, name), method)(*args)
    expected = getattr(getattr(scipy.stats, name), method)(*args)
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def spd(a):
    return a @ a.T + np.eye(3)


GRADIENTS = {
    "normal": (lambda x, m, a: xg.stats.multivariate_normal.logpdf(x, m, spd(a)), (X, MEAN, A)),
    "variances": (lambda m, v: xg.stats.multivariate_normal.logpdf(X, m, v**2), (MEAN, MEAN)),
    "t": (lambda x, m, a, df: xg.stats.multivariate_t.logpdf(x, m, spd(a), df), (X, MEAN, A, 3.5)),
    "wishart": (lambda b, df, a: xg.stats.wishart.logpdf(spd(b), df, spd(a)), (A + 1, 5.5, A)),
    "dirichlet": (lambda a: xg.stats.dirichlet.logpdf(PARTS.T, a), (np.array([0.5, 1.0, 3.0]),)),
    "multinomial": (lambda z: xg.stats.multinomial.logpmf(COUNTS, 6, xg.special.softmax(z)), (MEAN,)),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_derivatives_are_differences(case):
    f, args = GRADIENTS[case]
    xg.check_grads(f, args, order=2)


@pytest.mark.parametrize("case", GRADIENTS)
def test_compiled_is_eager(case):
    f, args = GRADIENTS[case]
    loss = xg.value_and_grad(lambda *a: np.sum(f(*a)), tuple(range(len(args))))
    value, grads = loss(*args)
    compiled_value, compiled = xg.compile(loss)(*args)
    np.testing.assert_allclose(compiled_value, value, rtol=1e-11)
    for a, b in zip(compiled, grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_the_normal_log_density_is_one_pass_over_the_samples():
    def loss(p, x):
        return -np.sum(xg.stats.multivariate_normal.logpdf(x, *p))

    x = rng.normal(size=(200_000, 3))
    text = xg.compile(xg.value_and_grad(loss)).explain((MEAN, COV), x)
    assert len([line for line in text.splitlines() if "over 200000" in line or "over 200,000" in line]) == 1, (
        text
    )


def test_float32_stays_float32():
    single = [np.float32(x) for x in (X, MEAN, COV)]
    for out in (
        xg.stats.multivariate_normal.logpdf(*single),
        xg.stats.multivariate_t.logpdf(*single, np.float32(3)),
        xg.stats.wishart.logpdf(single[2], np.float32(5), single[2]),
        xg.stats.dirichlet.logpdf(np.float32(PARTS[0]), np.float32([1, 2, 3])),
        xg.stats.multinomial.logpmf(COUNTS.astype(np.float32), np.float32(6), np.float32(P)),
        xg.stats.multivariate_normal.rvs(single[1], single[2], 3, 0),
    ):
        assert out.dtype == np.float32


@pytest.mark.parametrize(
    ("error", "said", "call"),
    [
        (ShapeError, "points of 3 entries", lambda s: s.multivariate_normal.logpdf(X, MEAN[:2], COV[:2, :2])),
        (ShapeError, "matrix of scale", lambda s: s.multivariate_normal.logpdf(X, MEAN, COV[:2, :2])),
        (np.linalg.LinAlgError, "positive definite", lambda s: s.multivariate_normal.logpdf(X, MEAN, -COV)),
        (DataError, "df must be positive", lambda s: s.multivariate_t.logpdf(X, MEAN, COV, -1.0)),
        (DataError, "df must be greater", lambda s: s.wishart.logpdf(COV, 1.5, COV)),
        (ShapeError, "3 rows", lambda s: s.wishart.logpdf(COV[:2, :2], 5.0, COV)),
        (DataError, "alpha must be positive", lambda s: s.dirichlet.logpdf(PARTS[0], [1.0, -2.0, 3.0])),
        (DataError, "parts must sum to 1", lambda s: s.dirichlet.logpdf(2 * PARTS[0], [1.0, 2.0, 3.0])),
        (ShapeError, "alpha", lambda s: s.dirichlet.logpdf(PARTS[0], [1.0, 2.0])),
        (DataError, "counts must sum", lambda s: s.multinomial.logpmf(COUNTS, 7, P)),
        (DataError, "whole numbers", lambda s: s.multinomial.logpmf(COUNTS + 0.5, 6, P)),
        (DataError, "probabilities must sum", lambda s: s.multinomial.logpmf(COUNTS, 6, 2 * P)),
        (ShapeError, "differ in number", lambda s: s.multinomial.logpmf(COUNTS, 6, [0.5, 0.5])),
    ],
)
def test_wrong_arguments_are_named(error, said, call):
    with pytest.raises(error, match=said):
        call(xg.stats)
