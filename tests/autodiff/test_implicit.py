"""Implicit derivatives against closed forms and finite differences, of solvers that no trace can follow."""

import numpy as np
import pytest
import scipy.optimize

import xpgrad as xg
from xpgrad import DTypeError, ShapeError, TraceError
from xpgrad.testing import check_grads, close, tolerance

BOUND = tolerance(np.float64).value


def bisected(p):
    """The square root, by a loop whose length depends on numbers."""
    assert not hasattr(p, "xpgrad_device")
    lo, hi = np.zeros_like(p), 1.0 + p
    while np.max(hi - lo) > 1e-15 * np.max(hi):
        mid = (lo + hi) / 2
        if np.all((mid == lo) | (mid == hi)):
            break
        low = mid**2 < p
        lo, hi = np.where(low, mid, lo), np.where(low, hi, mid)
    return (lo + hi) / 2


sqrt = xg.implicit(bisected, lambda x, p: x**2 - p)


def newton(p):
    """The square root, in as many steps as are enough."""
    x = 1.0 + 0.0 * p
    for _ in range(30):
        x = 0.5 * (x + p / x)
    return x


def solved(params):
    """The solution of two equations in a dict, by SciPy; ``params`` is a dict too."""

    def fun(x):
        a, b = params["a"], params["b"]
        return [np.exp(x[0]) + x[1] - a[0], x[0] ** 3 + a[1] * x[1] - b]

    x = scipy.optimize.root(fun, [0.1, 0.1], tol=1e-14).x
    return {"u": x[:1], "v": x[1]}


def equations(x, params):
    a, b = params["a"], params["b"]
    return np.exp(x["u"][0]) + x["v"] - a[0], x["u"] ** 3 + a[1] * x["v"] - b


PARAMS = {"a": np.array([2.0, 3.0]), "b": 1.5}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_value_and_gradient_are_those_of_the_closed_form(dtype):
    p = np.array([0.5, 2.0, 3.0], dtype)
    bound = tolerance(dtype).value
    value, pullback = xg.vjp(sqrt, p)
    (g,) = pullback(np.ones(3, dtype))
    _, t = xg.jvp(sqrt, (p,), (np.ones(3, dtype),))
    assert value.dtype == g.dtype == t.dtype == dtype
    assert close(value, np.sqrt(p), bound)
    assert close(g, 0.5 / np.sqrt(p), bound)
    assert close(t, 0.5 / np.sqrt(p), bound)


def test_derivatives_of_higher_order_are_those_of_the_closed_form():
    f = sqrt
    for expected in (0.5 * 2**-0.5, -0.25 * 2**-1.5, 0.375 * 2**-2.5, -0.9375 * 2**-3.5):
        f = xg.grad(f)
        assert close(np.asarray(f(2.0)), np.asarray(expected), BOUND)
    forward = xg.jvp(lambda p: xg.jvp(sqrt, (p,), (1.0,))[1], (2.0,), (1.0,))[1]
    assert close(np.asarray(forward), np.asarray(-0.25 * 2**-1.5), BOUND)
    assert close(xg.hessian(lambda p: np.sum(sqrt(p)))(np.array([2.0])), np.array([[-0.25 * 2**-1.5]]), BOUND)


def test_trees_are_solved_and_differentiated_to_second_order_in_every_mode():
    check_grads(xg.implicit(solved, equations), [PARAMS])


def test_third_order_agrees_with_differences():
    check_grads(sqrt, [np.array([0.7, 1.9])], order=3)


def test_integers_among_the_parameters_have_no_derivative():
    f = xg.implicit(lambda p: p[0] ** (1 / p[1]), lambda x, p: x ** p[1] - p[0])
    assert close(np.asarray(xg.grad(lambda a: f((a, 3)))(8.0)), np.asarray(1 / 12), BOUND)


def test_vmap_solves_each_sample_and_differentiates_them_at_once():
    p = np.array([[0.5, 2.0], [3.0, 1.0], [0.1, 9.0]])
    assert close(xg.vmap(sqrt)(p), np.sqrt(p), BOUND)
    assert close(xg.vmap(xg.vmap(sqrt))(p), np.sqrt(p), BOUND)
    assert close(xg.vmap(xg.grad(lambda q: np.sum(sqrt(q))))(p), 0.5 / np.sqrt(p), BOUND)
    assert close(xg.grad(lambda q: np.sum(xg.vmap(sqrt)(q)))(p), 0.5 / np.sqrt(p), BOUND)
    check_grads(xg.vmap(sqrt), [p])


def test_a_solver_that_can_be_traced_is_compiled_with_its_derivatives():
    f = xg.implicit(newton, lambda x, p: x**2 - p)
    p = np.array([0.5, 2.0, 3.0])
    assert close(xg.compile(f)(p), np.sqrt(p), BOUND)
    assert close(xg.compile(xg.grad(lambda q: np.sum(f(q) ** 3)))(p), 1.5 * np.sqrt(p), BOUND)
    assert close(xg.compile(xg.hessian(lambda q: np.sum(f(q))))(p), np.diag(-0.25 * p**-1.5), BOUND)


def test_a_solver_that_looks_at_numbers_is_not_compiled():
    looks = xg.implicit(lambda p: p if p > 0 else -p, lambda x, p: x - p)
    with pytest.raises(TraceError, match="the solver looks at numbers") as caught:
        xg.compile(looks)(2.0)
    assert "outside of what is compiled" in str(caught.value)


def test_the_numbers_of_an_equation_must_match_the_solution():
    with pytest.raises(ShapeError, match="one equation for each entry") as caught:
        xg.implicit(bisected, lambda x, p: np.sum(x**2 - p))(np.ones(3))
    assert "float64[3]" in str(caught.value)


def test_solutions_that_are_no_floats_are_refused():
    with pytest.raises(DTypeError, match="no real floats"):
        xg.implicit(lambda p: 3, lambda x, p: x - p)(3.0)
    with pytest.raises(DTypeError, match="real and imaginary parts"):
        xg.implicit(lambda p: 3j, lambda x, p: x - p)(3.0)


def test_a_traced_array_from_outside_is_refused_not_held_constant():
    def f(a):
        return xg.implicit(lambda p: p / 2.0, lambda x, p: x * a - p)(3.0)

    with pytest.raises(TraceError, match="reaches the condition from outside"):
        xg.grad(f)(2.0)


def test_a_singular_condition_is_an_error():
    with pytest.raises(np.linalg.LinAlgError):
        xg.grad(xg.implicit(lambda p: 0.0, lambda x, p: x**2 - p))(0.0)
