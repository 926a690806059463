"""xg.integrate against SciPy and closed forms, its derivatives against finite differences."""

import numpy as np
import pytest
import scipy.integrate as si

import xpgrad as xg
from xpgrad import DataError, NumericsError, ShapeError, TraceError
from xpgrad.testing import check_grads, close, tolerance

BOUND = tolerance(np.float64).value
RNG = np.random.default_rng(0)


# ── samples ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128, np.int64])
def test_integrals_of_samples_are_scipys(n, axis, dtype):
    y = (10 * RNG.normal(size=(n, n))).astype(dtype)
    x = np.cumsum(RNG.uniform(0.5, 1.5, size=n)).astype(np.float32 if dtype == np.float32 else np.float64)
    for name in ("trapezoid", "simpson", "cumulative_trapezoid"):
        ours, theirs = getattr(xg.integrate, name), getattr(si, name)
        for keywords in ({}, {"dx": 0.5}, {"x": x}, {"x": np.broadcast_to(x, (n, n)) if axis else None}):
            a, b = ours(y, axis=axis, **keywords), theirs(y, axis=axis, **keywords)
            assert np.shape(a) == np.shape(b)
            np.testing.assert_allclose(a, b, rtol=2e-4 if dtype == np.float32 else 1e-12, atol=1e-4)


def test_a_cumulative_integral_may_begin_with_zero():
    y = RNG.normal(size=(3, 4))
    for axis in (0, 1):
        ours = xg.integrate.cumulative_trapezoid(y, axis=axis, initial=0)
        assert close(ours, si.cumulative_trapezoid(y, axis=axis, initial=0), BOUND)
    with pytest.raises(DataError, match="initial"):
        xg.integrate.cumulative_trapezoid(y, initial=1.0)


@pytest.mark.parametrize("name", ["trapezoid", "simpson", "cumulative_trapezoid"])
@pytest.mark.parametrize("n", [2, 4, 5])
def test_integrals_of_samples_have_derivatives_and_are_compiled(name, n, put):
    f = getattr(xg.integrate, name)
    y, x = put((RNG.normal(size=(2, n)), np.cumsum(RNG.uniform(0.5, 1.5, size=n))))
    check_grads(f, [y, x])
    check_grads(xg.compile(f), [y, x], order=1)


def test_samples_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match="simpson: x does not match"):
        xg.integrate.simpson(np.ones((2, 4)), np.ones(3))
    with pytest.raises(ShapeError, match="trapezoid: x does not match"):
        xg.integrate.trapezoid(np.ones((2, 4)), np.ones((2, 3)))


# ── differential equations ───────────────────────────────────────────────────────────────────
def pendulum(y, t, damping, gravity):
    return np.stack([y[1], -damping * y[1] - gravity * np.sin(y[0]) + 0.1 * np.cos(t)])


Y0, T = np.array([2.0, 0.1]), np.array([0.0, 0.3, 1.0, 2.5])


def test_a_solution_is_scipys():
    ours = xg.integrate.odeint(pendulum, Y0, T, (0.25, 5.0), rtol=1e-11, atol=1e-11)
    theirs = si.odeint(pendulum, Y0, T, (0.25, 5.0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    back = xg.integrate.odeint(pendulum, ours[-1], T[::-1].copy(), (0.25, 5.0), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(back[-1], Y0, rtol=1e-8)


def test_the_error_is_what_is_asked_for_and_costs_what_it_is_worth():
    calls = [0]

    def f(y, t):
        calls[0] += 1
        return -y

    errors, costs = [], []
    for tol in (1e-4, 1e-7, 1e-10):
        calls[0] = 0
        y = xg.integrate.odeint(f, 1.0, np.array([0.0, 3.0]), rtol=tol, atol=tol)
        errors.append(abs(y[-1] - np.exp(-3.0)) / tol)
        costs.append(calls[0])
    assert max(errors) < 10
    assert costs == sorted(costs)
    assert costs[-1] < 3000


def test_a_solution_by_equal_steps_has_derivatives_in_start_times_and_parameters():
    def f(y0, t, damping, gravity):
        return xg.integrate.odeint(pendulum, y0, t, (damping, gravity), steps=6)

    check_grads(f, [Y0, T[:3] / 4, 0.25, 5.0])


def test_a_solution_by_chosen_steps_has_the_derivatives_of_the_closed_form():
    def decay(y0, k, t=T):
        return xg.integrate.odeint(lambda y, t, k: -k * y, y0, t, k, rtol=1e-11, atol=1e-11)[-1]

    y0, k, end = 1.3, 0.7, np.exp(-0.7 * 2.5)
    g = xg.grad(decay, argnums=(0, 1))(y0, k)
    assert np.allclose(g, [end, -2.5 * y0 * end], rtol=1e-8)
    assert np.isclose(xg.grad(xg.grad(decay, argnums=1), argnums=1)(y0, k), 2.5**2 * y0 * end, rtol=1e-8)
    assert np.isclose(xg.jvp(lambda k: decay(y0, k), (k,), (1.0,))[1], -2.5 * y0 * end, rtol=1e-8)
    assert np.isclose(xg.grad(lambda t: decay(y0, k, t))(T)[-1], -k * y0 * end, rtol=1e-8)


def test_equal_steps_are_of_order_five():
    errors = [
        abs(xg.integrate.odeint(lambda y, t: -y, 1.0, np.array([0.0, 2.0]), steps=n)[-1] - np.exp(-2.0))
        for n in (5, 10, 20)
    ]
    assert 25 < errors[0] / errors[1] < 45
    assert 25 < errors[1] / errors[2] < 45


def test_equal_steps_are_compiled_and_batched():
    def f(y0, k):
        return xg.integrate.odeint(lambda y, t, k: -k * y, y0, T, k, steps=4)

    starts = np.array([[1.0, 2.0], [0.5, -1.0]])
    each = np.stack([f(y, 0.7) for y in starts])
    assert close(xg.vmap(lambda y: f(y, 0.7))(starts), each, BOUND)
    assert close(xg.compile(f)(starts[0], 0.7), each[0], BOUND)
    g = xg.grad(lambda k: np.sum(f(starts[0], k) ** 2))
    assert close(np.asarray(xg.compile(g)(0.7)), np.asarray(g(0.7)), BOUND)


def test_without_numbers_the_steps_must_be_given():
    with pytest.raises(TraceError, match="steps=n makes n equal steps"):
        xg.compile(lambda y: xg.integrate.odeint(lambda y, t: -y, y, T))(np.ones(2))


def test_trees_are_solved():
    def f(y, t):
        return {"x": y["v"], "v": -y["x"]}

    y = xg.integrate.odeint(f, {"x": np.ones(2), "v": np.zeros(2)}, T, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(y["x"], np.cos(T)[:, None] * np.ones(2), rtol=1e-8, atol=1e-9)
    with pytest.raises(ShapeError, match="no slope like y"):
        xg.integrate.odeint(lambda y, t: y[:1], np.ones(2), T)


def test_a_pole_is_said():
    with pytest.raises(NumericsError, match="the steps become too small at t = 1"):
        xg.integrate.odeint(lambda y, t: y**2, 1.0, np.array([0.0, 2.0]))


@pytest.mark.parametrize("t_eval", [None, np.linspace(0.0, 2.0, 5)])
def test_an_initial_value_problem_is_scipys(t_eval):
    def f(t, y, k):
        return np.stack([y[1], -k * y[0]])

    ours = xg.integrate.solve_ivp(f, (0.0, 2.0), Y0, "RK45", t_eval, (3.0,), rtol=1e-10, atol=1e-10)
    theirs = si.solve_ivp(f, (0.0, 2.0), Y0, t_eval=ours.t, args=(3.0,), rtol=1e-12, atol=1e-12)
    assert ours.y.shape == theirs.y.shape
    np.testing.assert_allclose(ours.y, theirs.y, atol=1e-8)
    g = xg.grad(
        lambda k: xg.integrate.solve_ivp(f, (0.0, 2.0), Y0, "RK45", t_eval, (k,), rtol=1e-10, atol=1e-10).y[
            0, -1
        ]
    )
    w = 3.0**0.5
    slope = (-Y0[0] * 2 * np.sin(2 * w) + Y0[1] * (2 * w * np.cos(2 * w) - np.sin(2 * w)) / w**2) / (2 * w)
    assert np.isclose(g(3.0), slope, rtol=1e-7)


def test_a_solution_is_on_its_device(put, device):
    y = xg.integrate.odeint(lambda y, t: -y, put(np.ones(2)), np.array([0.0, 1.0]))
    assert xg.device_of(y).startswith(device)
