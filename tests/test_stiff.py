"""Stiff equations and adjoint gradients, against SciPy at tight tolerances, closed forms and differences."""

import numpy as np
import pytest
import scipy.integrate as si

import xpgrad as xg
from xpgrad import NumericsError, TraceError
from xpgrad.testing import check_grads

RATES, TIMES = np.array([0.04, 3e7, 1e4]), np.array([0.3, 10.0])
START = np.array([1.0, 0.0, 0.0])


def robertson(t, y, k):
    slow, fast = k[0] * y[0] - k[2] * y[1] * y[2], k[1] * y[1] ** 2
    return np.stack([-slow, slow - fast, fast])


def pendulum(t, y, mu):
    return np.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def radau(f, span, y0, t_eval, args, tol=1e-8):
    return xg.integrate.solve_ivp(f, span, y0, "Radau", t_eval, args, rtol=tol, atol=tol * 1e-4)


def theirs(k):
    found = si.solve_ivp(robertson, (0.0, 10.0), START, "Radau", TIMES, args=(k,), rtol=1e-12, atol=1e-17)
    return found.y


def test_a_stiff_equation_is_solved_as_by_scipy():
    ours = radau(robertson, (0.0, 10.0), START, TIMES, (RATES,))
    np.testing.assert_allclose(ours.y, theirs(RATES), rtol=1e-8)
    np.testing.assert_array_equal(ours.t, TIMES)


def test_its_gradient_agrees_with_differences_of_scipys_solutions():
    g = xg.jacobian(lambda k: radau(robertson, (0.0, 10.0), START, TIMES[:1], (k,), 1e-4).y[:2, 0])(RATES)
    for i in range(3):
        step = 1e-4 * RATES * np.eye(3)[i]
        change = (theirs(RATES + step) - theirs(RATES - step))[:2, 0] / (2 * step[i])
        np.testing.assert_allclose(g[:, i], change, rtol=1e-2)


def test_steps_are_as_long_as_the_equation_allows_not_as_its_fastest_part():
    """y' = -1e6 (y - cos t): explicit steps to t = 10 would be more than three million."""
    calls = []

    def f(t, y):
        calls.append(t)
        return -1e6 * (y - np.cos(t))

    y = xg.integrate.solve_ivp(
        f, (0.0, 10.0), np.array([2.0]), "Radau", np.array([10.0]), rtol=1e-6, atol=1e-8
    ).y
    # The slow solution: (k^2 cos t + k sin t) / (1 + k^2) with k = 1e6.
    np.testing.assert_allclose(y[0, 0], np.cos(10.0) + 1e-6 * np.sin(10.0), rtol=1e-8)
    assert len(calls) < 5000


@pytest.mark.parametrize("steps", [None, 4])
def test_derivatives_of_three_orders_are_exact(steps):
    """y' = -k y: the solution at t is y0 exp(-k t)."""

    def last(k):
        options = {"rtol": 1e-7, "atol": 1e-9} if steps is None else {"steps": steps}
        return xg.integrate.solve_ivp(
            lambda t, y, k: -k * y, (0.0, 0.5), np.array([2.0]), "Radau", np.array([0.5]), (k,), **options
        ).y[0, 0]

    value = 2 * np.exp(-0.5 * 0.7)
    f = last
    for order in range(4):
        np.testing.assert_allclose(f(0.7), (-0.5) ** order * value, rtol=1e-6)
        f = xg.grad(f)
    np.testing.assert_allclose(xg.hvp(last)(0.7, 1.0), 0.25 * value, rtol=1e-6)


def test_start_times_and_what_the_function_closes_over_have_derivatives():
    def f(y0, ends, mu):
        got = xg.integrate.solve_ivp(
            lambda t, y: pendulum(t, y, mu), (ends[0], 0.5), y0, "Radau", ends[1:], rtol=1e-8, atol=1e-8
        )
        return got.y

    check_grads(f, [np.array([2.0, 0.0]), np.array([0.1, 0.4]), 3.0], order=1, modes=("rev",))


def test_complex_solutions_and_trees_are_solved():
    y = xg.integrate.solve_ivp(
        lambda t, y: 1j * y, (0.0, 1.0), np.array([1.0 + 0j]), "Radau", np.array([1.0]), rtol=1e-10, atol=1e-12
    ).y
    np.testing.assert_allclose(y[0, 0], np.exp(1j), rtol=1e-8)


def test_an_implicit_method_is_refused_where_no_numbers_are_known():
    def f(mu, **options):
        return xg.integrate.solve_ivp(
            pendulum, (0.0, 1.0), np.array([2.0, 0.0]), "Radau", np.array([1.0]), (mu,), **options
        ).y

    with pytest.raises(TraceError, match="the numbers are not known here"):
        xg.compile(lambda mu: f(mu, steps=3))(1.0)
    with pytest.raises(TraceError, match="depends on numbers"):
        xg.compile(f)(1.0)
    with pytest.raises(ValueError, match="method must be 'RK45' or 'Radau'"):
        xg.integrate.solve_ivp(pendulum, (0.0, 1.0), np.array([2.0, 0.0]), "BDF")
    with pytest.raises(NumericsError, match="the steps become too small at t = 1"):
        xg.integrate.solve_ivp(lambda t, y: y**2, (0.0, 2.0), np.array([1.0]), "Radau")


# ── the adjoint ──────────────────────────────────────────────────────────────────────────────
T = np.array([0.0, 0.4, 1.1, 2.0])
PARAMETERS = {"w": 1.3, "b": np.array([0.2, 0.7])}


def driven(y, t, p, k):
    return np.stack([y[1] * p["w"], -p["w"] * y[0] + p["b"][k] * np.sin(t)])


def loss(y0, t, p, adjoint=True, **options):
    options = options or {"rtol": 1e-8, "atol": 1e-8}
    y = xg.integrate.odeint(driven, y0, t, (p, 1), adjoint=adjoint, **options)
    return np.sum(np.cos(y) * np.arange(8.0).reshape(4, 2))


def test_the_adjoint_gradient_is_that_of_the_steps():
    y0 = np.array([0.3, 0.8])
    for options in ({}, {"steps": 40}):
        ours = xg.grad(lambda *a: loss(*a, **options), (0, 1, 2))(y0, T, PARAMETERS)  # noqa: B023
        steps = xg.grad(lambda *a: loss(*a, False, **options), (0, 1, 2))(y0, T, PARAMETERS)  # noqa: B023
        np.testing.assert_allclose(ours[0], steps[0], rtol=1e-5)
        np.testing.assert_allclose(ours[1], steps[1], rtol=1e-5)
        for name in PARAMETERS:
            np.testing.assert_allclose(ours[2][name], steps[2][name], rtol=1e-5)
    hessian = xg.hessian(lambda y0: loss(y0, T, PARAMETERS))(y0)
    np.testing.assert_allclose(hessian, xg.hessian(lambda y0: loss(y0, T, PARAMETERS, False))(y0), rtol=1e-5)


def test_the_adjoint_gradient_agrees_with_differences_and_compiles():
    y0 = np.array([0.3, 0.8])
    check_grads(lambda y0, t, p: loss(y0, t, p), [y0, T, PARAMETERS], order=1, modes=("rev",))
    compiled = xg.compile(xg.grad(lambda y0: loss(y0, T, PARAMETERS, steps=10)))(y0)
    np.testing.assert_allclose(compiled, xg.grad(lambda y0: loss(y0, T, PARAMETERS, steps=10))(y0), rtol=1e-9)


def test_the_adjoint_of_a_stiff_equation():
    def last(k, adjoint):
        return xg.integrate.solve_ivp(
            lambda t, y, k: -k * (y - np.cos(t)),
            (0.0, 0.3),
            np.array([2.0]),
            "Radau",
            np.array([0.3]),
            (k,),
            rtol=1e-6,
            atol=1e-8,
            adjoint=adjoint,
        ).y[0, 0]

    k = 5.0
    np.testing.assert_allclose(xg.grad(last)(k, True), xg.grad(last)(k, False), rtol=1e-4)


def test_the_adjoint_says_what_it_needs():
    with pytest.raises(ValueError, match="adjoint=True needs t_eval"):
        xg.integrate.solve_ivp(pendulum, (0.0, 1.0), np.ones(2), args=(1.0,), adjoint=True)
    with pytest.raises(TraceError):
        xg.grad(lambda a: np.sum(xg.integrate.odeint(lambda y, t: -a * y, a * np.ones(2), T, adjoint=True)))(
            1.0
        )
