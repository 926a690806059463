"""xg.optimize against SciPy, closed forms and finite differences."""

import sys

import numpy as np
import pytest
import scipy.optimize as so

import xpgrad as xg
from xpgrad import DependencyError, NumericsError, ShapeError, TraceError
from xpgrad.testing import check_grads, close, tolerance

BOUND = tolerance(np.float64).value
A = np.array([2.0, 3.0])


def equations(x, a, b):
    """Of x = (u, v): shapes (1,) and ()."""
    return np.exp(x["u"]) + x["v"] - a[0], x["u"] ** 3 + a[1] * x["v"] - b


START = {"u": np.array([0.1]), "v": 0.1}


def flat_equations(x, a, b):
    return [np.exp(x[0]) + x[1] - a[0], x[0] ** 3 + a[1] * x[1] - b]


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov"])
def test_a_root_is_scipys(method):
    ours = xg.optimize.root(equations, START, (A, 1.5), method=method, tol=1e-12)
    theirs = so.root(flat_equations, [0.1, 0.1], (A, 1.5), tol=1e-12)
    assert ours.success
    assert ours.x["u"].shape == (1,)
    assert type(ours.x["v"]) is float
    np.testing.assert_allclose([ours.x["u"][0], ours.x["v"]], theirs.x, rtol=1e-9)


def test_our_jacobian_saves_scipys_differences():
    ours = xg.optimize.root(equations, START, (A, 1.5))
    theirs = so.root(flat_equations, [0.1, 0.1], (A, 1.5))
    assert 0 < ours.nfev < theirs.nfev
    assert ours.njev > 0


def test_a_root_has_derivatives_in_args_to_second_order():
    def f(a, b):
        return xg.optimize.root(equations, START, (a, b), tol=1e-13).x

    check_grads(f, [A, 1.5])
    stacked = np.array([1.0, 1.5, 2.0])
    each = np.array([xg.grad(lambda b: f(A, b)["v"])(b) for b in stacked])
    assert close(xg.vmap(xg.grad(lambda b: f(A, b)["v"]))(stacked), each, BOUND)


def test_the_start_of_a_root_has_no_derivative():
    def f(x0):
        return xg.optimize.root(lambda x, a: x**2 - a, x0, 2.0).x * x0

    assert close(np.asarray(xg.grad(f)(1.5)), np.sqrt(2.0), 1e-9)


def test_a_root_on_a_device(put):
    a = put(A)
    x0 = put(np.array([1.0, 1.0]))
    x = xg.optimize.root(lambda x, a: x**3 - a, x0, a, tol=1e-13).x
    assert xg.device_of(x) == xg.device_of(a)
    assert close(xg.asnumpy(x), np.cbrt(A), BOUND)
    g = xg.grad(lambda a: np.sum(xg.optimize.root(lambda x, a: x**3 - a, x0, a, tol=1e-13).x))(a)
    assert close(xg.asnumpy(g), A ** (-2 / 3) / 3, BOUND)


def test_float32_stays_float32():
    x = xg.optimize.root(lambda x, a: x**2 - a, np.float32([1.0]), np.float32(2)).x
    assert x.dtype == np.float32
    assert close(x, np.sqrt(np.float32([2.0])), tolerance(np.float32).value)


def test_no_root_is_said_and_has_no_derivative():
    def fun(x, a):
        return x**2 + a

    assert not xg.optimize.root(fun, 1.0, 1.0).success
    with pytest.raises(NumericsError, match="root: method 'hybr' found none"):
        xg.grad(lambda a: xg.optimize.root(fun, 1.0, a).x)(1.0)


def test_scipy_is_not_compiled():
    with pytest.raises(TraceError, match="the solver looks at numbers"):
        xg.compile(lambda a: xg.optimize.root(lambda x, a: x - a, 1.0, a).x)(2.0)
    with pytest.raises(TraceError):
        xg.grad(lambda a: xg.optimize.root(lambda x: x - a, 1.0).x)(2.0)


def test_as_many_equations_as_unknowns():
    with pytest.raises((ShapeError, ValueError, TypeError)):
        xg.optimize.root(lambda x: np.sum(x), np.ones(2))


# ── fixed points ─────────────────────────────────────────────────────────────────────────────
def test_a_fixed_point_is_scipys_with_derivatives():
    def f(x, c1, c2):
        return np.sqrt(c1 / (x + c2))

    c1, c2 = np.array([10.0, 12.0]), np.array([3.0, 5.0])
    ours = xg.optimize.fixed_point(f, np.array([1.2, 1.3]), (c1, c2), xtol=1e-13)
    assert close(ours, so.fixed_point(f, [1.2, 1.3], (c1, c2), xtol=1e-13), BOUND)
    check_grads(lambda a, b: xg.optimize.fixed_point(f, np.array([1.2, 1.3]), (a, b), xtol=1e-13), [c1, c2])


def test_a_fixed_point_that_is_not_reached_is_an_error():
    with pytest.raises(NumericsError, match="fixed_point: Failed to converge"):
        xg.optimize.fixed_point(lambda x: x + 1.0, 0.0, maxiter=5)


# ── minima ───────────────────────────────────────────────────────────────────────────────────
def rosenbrock(x, a=100.0):
    return np.sum(a * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


X0 = np.array([-1.2, 1.0, 0.8])
WITH_GRADIENT = "CG BFGS Newton-CG L-BFGS-B TNC SLSQP dogleg trust-ncg trust-exact trust-krylov".split()


@pytest.mark.parametrize("method", [None, *WITH_GRADIENT, "trust-constr", "Nelder-Mead", "Powell", "COBYQA"])
def test_a_minimum_is_found_by_every_method_of_scipys(method):
    x0 = np.array([0.9, 0.8]) if method == "dogleg" else X0  # for it needs a positive definite Hessian
    options, tol = None, 1e-9
    if method == "TNC":  # which stops early by its own defaults
        options, tol = {"maxfun": 5000, "ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-10}, None
    if method == "trust-krylov":  # which warns of rounding
        tol = 1e-6
    result = xg.optimize.minimize_scipy(rosenbrock, x0, method=method, tol=tol, options=options)
    np.testing.assert_allclose(result.x, 1.0, atol=1e-3)


@pytest.mark.parametrize("method", ["BFGS", "Newton-CG", "trust-exact"])
def test_the_path_is_that_of_scipy_with_exact_derivatives(method):
    ours = xg.optimize.minimize_scipy(rosenbrock, X0, method=method)
    theirs = so.minimize(
        so.rosen,
        X0,
        method=method,
        jac=so.rosen_der,
        hess=so.rosen_hess if method == "trust-exact" else None,
        hessp=so.rosen_hess_prod if method == "Newton-CG" else None,
    )
    assert ours.nit == theirs.nit
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6)


@pytest.mark.parametrize("method", ["BFGS", "trust-ncg", "trust-exact"])
@pytest.mark.parametrize("compiled", [False, True])
def test_trees_are_flattened_and_restored(method, compiled):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)

    def loss(p, X, y):
        return np.sum((X @ p["w"] + p["b"] - y) ** 2)

    start = {"w": np.zeros(3), "b": 0.0}
    told = []
    result = xg.optimize.minimize_scipy(
        loss, start, (X, y), method=method, compile=compiled, callback=told.append, options={"gtol": 1e-8}
    )
    expected = np.linalg.lstsq(np.column_stack([np.ones(50), X]), y)[0]
    np.testing.assert_allclose([result.x["b"], *result.x["w"]], expected, rtol=1e-6)
    assert result.x["w"].shape == (3,)
    assert told[-1]["w"].shape == (3,)


def test_complex_parameters_are_two_real_ones():
    result = xg.optimize.minimize_scipy(lambda z: np.abs(z - (1 + 2j)) ** 2 + np.abs(z) ** 2, 0j, method="BFGS")
    np.testing.assert_allclose(result.x, 0.5 + 1j, rtol=1e-6)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_constraints_get_the_tree_and_our_jacobian(method):
    def loss(p):
        return np.sum((p["w"] - 2) ** 2) + (p["b"] - 2) ** 2

    constraint = {"type": "ineq", "fun": lambda p, c: c - np.sum(np.exp(p["w"])) - np.exp(p["b"])}
    constraint["args"] = (3 * np.e,)
    start = {"w": np.array([0.7, 0.8]), "b": 0.5}
    result = xg.optimize.minimize_scipy(loss, start, method=method, constraints=[constraint])
    np.testing.assert_allclose([result.x["b"], *result.x["w"]], 1.0, rtol=1e-4)  # convex and symmetric


def test_bounds_are_scipys():
    result = xg.optimize.minimize_scipy(rosenbrock, X0, bounds=[(-2, 0.5)] * 3)
    expected = so.minimize(so.rosen, X0, jac=so.rosen_der, bounds=[(-2, 0.5)] * 3)
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-5)


def test_a_minimum_is_not_differentiated_silently():
    with pytest.raises(TraceError, match=r"xg\.implicit"):
        xg.grad(lambda a: xg.optimize.minimize_scipy(lambda x: (x - a) ** 2, 0.0, method="BFGS").fun)(1.0)
    with pytest.raises(TraceError, match=r"xg\.implicit"):
        xg.grad(lambda a: xg.optimize.minimize_scipy(lambda x, a: (x - a) ** 2, 0.0, a).x)(1.0)


def test_without_scipy_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(DependencyError, match="root: needs SciPy: pip install scipy"):
        xg.optimize.root(lambda x: x, 1.0)
