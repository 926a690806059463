"""L-BFGS within bounds: minima are SciPy's, and the Karush-Kuhn-Tucker conditions hold."""

import numpy as np
import pytest
from scipy import optimize

import xpgrad as xg

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(30, 8)), RNG.normal(size=30)
X, Y = RNG.normal(size=(200, 6)), RNG.poisson(2.0, 200).astype(float)


def squares(w):
    return np.sum((A @ w - B) ** 2)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rates(w):
    mean = np.exp(X @ w)
    return np.mean(mean - Y * np.log(mean))


def logarithms(w):
    return np.sum(w - np.log(w) * np.arange(w.size))


PROBLEMS = {
    "non-negative least squares": (squares, np.ones(8), (0, None)),
    "least squares in a box": (squares, np.zeros(8), (-0.05, 0.1)),
    "Rosenbrock, the minimum inside": (rosenbrock, np.full(6, -0.5), (-2, 2)),
    "Rosenbrock, the minimum outside": (rosenbrock, np.full(6, -0.5), (-2, 0.8)),
    "Rosenbrock, half of the entries": (rosenbrock, np.zeros(4), (None, np.array([0.5, np.inf, 0.7, np.inf]))),
    "Poisson, one entry fixed": (rates, np.zeros(6), ([0.3, *[-1] * 5], [0.3, *[1] * 5])),
    "a logarithm that has no value below 0": (logarithms, np.full(5, 3.0), (1e-8, None)),
    "a start outside": (squares, np.full(8, -7.0), (0, 2)),
}


def sides(bounds, n):
    return [
        np.broadcast_to(np.asarray(none if b is None else b, float), n)
        for b, none in zip(bounds, (-np.inf, np.inf), strict=True)
    ]


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_minimum_is_scipys(name):
    f, start, bounds = PROBLEMS[name]
    low, high = sides(bounds, start.size)
    bounds = tuple(np.asarray(b, float) if isinstance(b, list) else b for b in bounds)
    fit = xg.minimize(f, start, method="lbfgs", bounds=bounds, tol=1e-8)
    theirs = optimize.minimize(
        f,
        np.clip(start, low, high),
        jac=xg.grad(f),
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 0, "gtol": 1e-10, "maxiter": 10_000},
    )
    assert fit.converged, fit.message
    assert np.all((low <= fit.params) & (fit.params <= high))
    np.testing.assert_allclose(fit.params, theirs.x, rtol=0, atol=1e-6)
    g = xg.grad(f)(fit.params)
    inside = (fit.params > low) & (fit.params < high)
    assert abs(g[inside]).max(initial=0) < 1e-6
    assert np.all(g[(fit.params == low) & (low < high)] >= -1e-8)
    assert np.all(g[(fit.params == high) & (low < high)] <= 1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_are_a_tree_like_the_parameters(dtype):
    target = np.array([[1.0, -2.0], [3.0, 0.5]], dtype)

    def far(p):
        return np.sum((p["a"] - target) ** 2) + (p["b"] - 5.0) ** 2 + (p["c"][0] + 1) ** 2

    start = {"a": np.zeros((2, 2), dtype), "b": 1.0, "c": (np.float32(0),)}
    bounds = ({"a": np.array([0.0, -1.0]), "b": None, "c": (0,)}, {"a": None, "b": 2.5, "c": None})
    fit = xg.minimize(far, start, method="lbfgs", bounds=bounds)
    np.testing.assert_allclose(fit.params["a"], [[1, -1], [3, 0.5]], rtol=1e-5)
    assert (fit.params["a"].dtype, fit.params["a"].shape) == (np.dtype(dtype), (2, 2))
    assert fit.params["b"] == 2.5
    assert type(fit.params["b"]) is float
    assert type(fit.params["c"][0]) is np.float32
    assert fit.params["c"][0] == 0


def test_without_a_bound_that_holds_it_is_lbfgs():
    free = xg.minimize(rosenbrock, np.zeros(5), method="lbfgs", tol=1e-10)
    boxed = xg.minimize(rosenbrock, np.zeros(5), method="lbfgs", bounds=(None, None), tol=1e-10)
    np.testing.assert_allclose(boxed.params, free.params, atol=1e-9)
    assert boxed.n_iter < 3 * free.n_iter


def test_a_linear_loss_ends_in_a_corner():
    fit = xg.minimize(lambda w: np.sum(w * np.array([1.0, -2.0])), np.zeros(2), method="lbfgs", bounds=(-1, 3))
    assert fit.converged
    assert fit.params.tolist() == [-1, 3]


def test_a_fit_within_bounds_goes_on_from_its_checkpoint(tmp_path):
    options = {"method": "lbfgs", "bounds": (-2, 0.8), "tol": 1e-9, "checkpoint": tmp_path / "fit"}
    for n in (3, 7, 500):
        fit = xg.minimize(rosenbrock, np.full(6, -0.5), max_iter=n, **options)
    whole = xg.minimize(rosenbrock, np.full(6, -0.5), max_iter=500, **(options | {"checkpoint": None}))
    assert fit.params.tobytes() == whole.params.tobytes()
    assert fit.n_iter == whole.n_iter


REFUSED = {
    "adam": ({"method": "adam", "bounds": (0, 1)}, ValueError, "takes no bounds"),
    "one side": ({"bounds": 0}, xg.ShapeError, "pair"),
    "crossed": ({"bounds": (1, 0)}, xg.DataError, r"lower bound is above .*params"),
    "NaN": ({"bounds": (np.nan, 0)}, xg.DataError, "or NaN"),
    "shape": ({"bounds": (np.zeros(3), None)}, xg.ShapeError, "lower bound does not broadcast"),
    "tree": ({"bounds": (None, {"a": 1})}, xg.ShapeError, "the upper bound must be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bounds_that_make_no_sense_are_refused(name):
    options, error, said = REFUSED[name]
    with pytest.raises(error, match=said.replace("params", "")):
        xg.minimize(squares, np.zeros(8), **({"method": "lbfgs"} | options))


def test_complex_parameters_have_no_bounds():
    with pytest.raises(xg.DataError, match="real parameters"):
        xg.minimize(lambda z: np.sum(abs(z) ** 2), np.ones(2, complex), method="lbfgs", bounds=(0, 1))
