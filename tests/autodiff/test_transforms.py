"""grad, vjp, jvp and the rest as a user meets them."""

import dataclasses
from collections import namedtuple

import numpy as np
import pytest
from scipy.optimize import rosen_der, rosen_hess

import xpgrad as xg
from xpgrad.testing import close, tolerance

EXACT = tolerance(np.float64).value


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def draw(*shape):
    return np.random.default_rng(5).normal(size=shape)


def test_the_gradient_of_rosenbrock_is_scipys():
    x = draw(10)
    value, g = xg.value_and_grad(rosenbrock)(x)
    assert value == rosenbrock(x)
    assert close(g, rosen_der(x), EXACT)


def test_the_hessian_and_its_products_are_scipys():
    x, v = draw(10), draw(11)[1:]
    assert close(xg.hessian(rosenbrock)(x), rosen_hess(x), EXACT)
    assert close(xg.hvp(rosenbrock)(x, v), rosen_hess(x) @ v, EXACT)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_loss_of_one_entry_is_a_scalar_loss(compiled):
    made = xg.compile if compiled else lambda f: f
    X, y, w = draw(20, 3), draw(21)[:20, None], draw(3, 1)

    def cost(w):
        r = X @ w - y
        return r.T @ r / 2  # (1, 1), as many courses write it

    slope, bend = X.T @ (X @ w - y), X.T @ X
    value, g = made(xg.value_and_grad(cost))(w)
    assert value.shape == (1, 1)
    assert close(value, cost(w), EXACT)
    assert close(g, slope, EXACT)
    assert close(made(xg.grad(lambda w: cost(w).ravel()))(w), slope, EXACT)
    assert close(made(xg.hessian(cost))(w).reshape(3, 3), bend, EXACT)
    assert close(made(xg.hvp(cost))(w, w), bend @ w, EXACT)


def test_the_value_of_a_loss_of_one_entry_is_an_array_of_its_own():
    x = np.array([3.0, 4.0])
    value, _ = xg.value_and_grad(lambda x: x[:1])(x)
    x[0] = 7.0
    assert value == [3.0]


@pytest.mark.parametrize("loss", [lambda x: x, lambda x: x[:0]])
def test_a_loss_of_no_entry_or_several_is_refused(loss):
    with pytest.raises(xg.ShapeError, match="must return a scalar"):
        xg.grad(loss)(np.ones(2))


def test_derivatives_nest_to_any_order():
    f = np.sin
    for k in range(1, 6):
        f = xg.grad(f)
        assert close(f(0.7), np.sin(0.7 + k * np.pi / 2), EXACT)


def test_forward_and_reverse_nest_in_each_other():
    def df(x):
        return xg.jvp(np.sin, (x,), (1.0,))[1]

    assert close(xg.grad(df)(0.7), -np.sin(0.7), EXACT)
    assert close(xg.jvp(xg.grad(np.sin), (0.7,), (1.0,))[1], -np.sin(0.7), EXACT)
    assert close(xg.jvp(df, (0.7,), (1.0,))[1], -np.sin(0.7), EXACT)


def test_nested_derivatives_of_different_variables_do_not_mix():
    # d/dx [ x * d/dy (x + y) ] = 1: an inner derivative must not see the outer variable.
    assert xg.grad(lambda x: x * xg.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert xg.jvp(lambda x: x * xg.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert xg.grad(lambda x: x * xg.jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0) == 6.0


def test_python_control_flow_follows_the_values():
    def f(x):
        while x < 100:
            x = x * x if x > 2 else 3 * x
        return x

    assert f(1.5) == 410.0625  # 1.5 -> 4.5 -> 20.25 -> 410.0625
    assert xg.grad(f)(1.5) == 4 * 1.5**3 * 81


Pair = namedtuple("Pair", ["w", "b"])


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: float


@pytest.mark.parametrize(
    "params",
    [
        (draw(3), 0.5),
        [draw(3), 0.5],
        {"w": draw(3), "b": 0.5},
        Pair(draw(3), 0.5),
        Layer(draw(3), 0.5),
        {"layers": [(draw(3), 0.5), Layer(draw(2), 1.5)], "none": None},
    ],
    ids=["tuple", "list", "dict", "namedtuple", "dataclass", "nested"],
)
def test_the_gradient_has_the_structure_of_the_parameters(params):
    def loss(p):
        def total(t):
            if t is None:
                return 0.0
            if isinstance(t, dict):
                return sum(total(v) for v in t.values())
            if isinstance(t, Layer):
                return total(t.w) + total(t.b)
            return sum(map(total, t)) if isinstance(t, (tuple, list)) else np.sum(t**2)

        return total(p)

    g = xg.grad(loss)(params)

    def doubled(a, b):
        if a is None:
            return b is None
        if isinstance(a, dict):
            return type(b) is dict and all(doubled(a[k], b[k]) for k in a)
        if isinstance(a, Layer):
            return type(b) is Layer and doubled(a.w, b.w) and doubled(a.b, b.b)
        if isinstance(a, (tuple, list)):
            return type(a) is type(b) and all(map(doubled, a, b))
        return np.array_equal(np.multiply(2, a), b)

    assert doubled(params, g)


def test_argnums_chooses_the_arguments():
    def f(x, y, z):
        return np.sum(x * y**2) + z["a"]

    x, y, z = draw(3), draw(3) + 2, {"a": 1.0}
    assert np.array_equal(xg.grad(f, 1)(x, y, z), 2 * x * y)
    gz, gx = xg.grad(f, (-1, 0))(x, y, z)
    assert gz == {"a": 1.0}
    assert np.array_equal(gx, y**2)


def test_has_aux_passes_the_rest_through():
    def f(x):
        return np.sum(x**2), {"x": x, "n": 3, "name": "kept"}

    x = draw(3)
    (value, aux), g = xg.value_and_grad(f, has_aux=True)(x)
    assert value == np.sum(x**2)
    assert type(aux["x"]) is np.ndarray
    assert aux["name"] == "kept"
    assert np.array_equal(g, 2 * x)
    assert np.array_equal(xg.grad(f, has_aux=True)(x)[0], 2 * x)


def test_keyword_arguments_are_passed_on():
    assert xg.grad(lambda x, scale: scale * x)(1.0, scale=3.0) == 3.0


def test_a_parameter_that_is_not_used_has_gradient_zero():
    g = xg.grad(lambda p: np.sum(p[0]))((draw(3), np.ones((2, 2), np.float32)))
    assert np.array_equal(g[1], np.zeros((2, 2)))
    assert g[1].dtype == np.float32


def test_a_constant_function_has_gradient_zero():
    assert np.array_equal(xg.grad(lambda x: 1.0)(draw(3)), np.zeros(3))


def test_gradients_are_arrays_of_their_own():
    x, y = draw(3), draw(4)[1:]
    gx, gy = xg.grad(lambda x, y: np.sum(x + y), (0, 1))(x, y)
    gx[0] = 100
    assert np.array_equal(gy, np.ones(3))
    _out, pullback = xg.vjp(lambda x: x.T, np.ones((2, 3)))
    g = np.ones((3, 2))
    pullback(g)[0][0, 0] = 100
    assert np.array_equal(g, np.ones((3, 2)))


def test_a_pullback_can_be_called_again():
    x, W = draw(3), draw(2, 3)
    out, pullback = xg.vjp(lambda x: np.exp(W @ x), x)
    first = pullback(np.ones(2))[0]
    assert close(pullback(2 * np.ones(2))[0], 2 * first, EXACT)
    assert np.array_equal(pullback(np.ones(2))[0], first)
    assert np.array_equal(out, np.exp(W @ x))


def test_the_jacobian_has_the_outputs_axes_then_the_inputs():
    x = draw(2, 3)
    J = xg.jacobian(lambda x: np.sin(x) @ np.ones((3, 4)))(x)
    assert J.shape == (2, 4, 2, 3)
    expected = np.einsum("ik,kl,ij->ijkl", np.eye(2), np.cos(x), np.ones((2, 4)))
    assert close(J, expected, EXACT)


def test_the_jacobian_in_a_tree_is_a_tree():
    J = xg.jacobian(lambda p: p["a"] * p["b"])({"a": draw(3), "b": 2.0})
    assert np.array_equal(J["a"], 2 * np.eye(3))
    assert J["b"].shape == (3,)


def test_stop_gradient_cuts_every_order_and_mode():
    assert xg.grad(lambda x: x * xg.stop_gradient(x))(3.0) == 3.0
    assert xg.grad(xg.grad(lambda x: x * xg.stop_gradient(x**2)))(3.0) == 0.0
    assert xg.jvp(lambda x: x * xg.stop_gradient(x), (3.0,), (1.0,))[1] == 3.0


def test_stop_gradient_gives_plain_arrays_to_look_at():
    seen = []

    def f(x):
        seen.append(float(xg.stop_gradient(x.sum())))
        return x.sum()

    xg.grad(xg.grad(lambda s: f(s * np.ones(3))))(2.0)
    assert seen == [6.0]


def test_complex_gradients_follow_the_stated_convention():
    # dL/dx - i dL/dy for L = |z|^2 = x^2 + y^2
    assert xg.grad(lambda z: np.real(z * np.conj(z)))(3.0 + 4.0j) == 6.0 - 8.0j
    assert close(xg.grad(lambda z: np.abs(z))(3.0 + 4.0j), 0.6 - 0.8j, EXACT)
    assert xg.grad(lambda z: np.imag(z**2))(3.0 + 4.0j) == 8.0 - 6.0j


def test_a_real_parameter_of_complex_code_has_a_real_gradient():
    g = xg.grad(lambda x: np.abs(np.sum(x * np.exp(1j * x))) ** 2)(draw(3))
    assert g.dtype == np.float64
    xg.check_grads(lambda x: np.abs(np.sum(x * np.exp(1j * x))) ** 2, (draw(3),))


def test_float32_parameters_with_a_python_scalar_stay_float32():
    g = xg.grad(lambda p, X: np.mean((p[0] @ X + p[1]) ** 2))(
        (draw(3).astype(np.float32), 0.5), draw(3, 4).astype(np.float32)
    )
    assert g[0].dtype == np.float32
    assert np.asarray(g[1]).dtype == np.float32


def test_checkpoint_gives_the_same_gradients_and_runs_the_function_again():
    calls = []

    def f(x):
        calls.append(1)
        return np.tanh(np.sin(x)) * x

    x = draw(3)
    g = xg.grad(lambda x: np.sum(xg.checkpoint(f)(x) ** 2))(x)
    assert len(calls) == 2
    assert close(g, xg.grad(lambda x: np.sum(f(x) ** 2))(x), EXACT)
    xg.check_grads(xg.checkpoint(f), (x,))


def test_checkpoint_keeps_nothing_of_the_inside():
    import gc
    import weakref

    inside = []

    class Probe(np.ndarray):
        pass

    def f(x):
        inner = np.sin(x)
        inside.append(weakref.ref(inner if isinstance(inner, np.ndarray) else inner._below))
        return inner * 2

    out, pullback = xg.vjp(xg.checkpoint(f), draw(3))
    gc.collect()
    assert inside[0]() is None
    pullback(out)


def test_checkpoint_refuses_a_closure_over_a_traced_array():
    with pytest.raises(xg.TraceError, match="pass it as an argument"):
        xg.grad(lambda x: xg.checkpoint(lambda y: np.sum(x * y))(x * 2))(draw(3))


@xg.custom_vjp
def doubled_slope(x, y):
    return np.sin(x) * y


doubled_slope.defvjp(
    lambda x, y: (np.sin(x) * y, (x, y)),
    lambda xy, g: (2 * g * np.cos(xy[0]) * xy[1], g * np.sin(xy[0])),
)


def test_custom_vjp_is_what_reverse_and_forward_mode_use():
    x, y = draw(3), draw(4)[1:]
    gx, gy = xg.grad(lambda x, y: np.sum(doubled_slope(x, y)), (0, 1))(x, y)
    assert close(gx, 2 * np.cos(x) * y, EXACT)
    assert close(gy, np.sin(x), EXACT)
    _, t = xg.jvp(doubled_slope, (x, y), (np.ones(3), np.zeros(3)))
    assert close(t, 2 * np.cos(x) * y, EXACT)
    assert np.array_equal(doubled_slope(x, y), np.sin(x) * y)


def test_custom_vjp_without_a_rule_says_so():
    with pytest.raises(xg.TraceError, match="defvjp"):
        xg.custom_vjp(np.sin)(1.0)


def test_custom_vjp_with_a_cotangent_of_the_wrong_shape_says_so():
    f = xg.custom_vjp(lambda x: 2 * x)
    f.defvjp(lambda x: (2 * x, None), lambda _, g: (np.sum(g) * np.ones(7),))
    with pytest.raises(xg.ShapeError, match="argument 0 does not match"):
        xg.grad(lambda x: np.sum(f(x)))(draw(3))


def test_check_grads_finds_a_wrong_derivative_in_either_mode_and_order():
    args = (draw(3), draw(3))
    for mode in ("rev", "fwd"):
        with pytest.raises(xg.NumericsError, match=f"check_grads: {mode}"):
            xg.check_grads(doubled_slope, args, order=1, modes=(mode,))
    right_once = xg.custom_vjp(lambda x: x**3)
    right_once.defvjp(lambda x: (x**3, x), lambda x, g: (g * 3 * xg.stop_gradient(x) ** 2,))
    xg.check_grads(right_once, (draw(3),), order=1)
    with pytest.raises(xg.NumericsError, match="rev of rev"):
        xg.check_grads(right_once, (draw(3),), order=2, modes=("rev",))


def test_many_additions_to_one_array_cost_one_array():
    import tracemalloc

    n = 100_000

    def f(x):
        return sum(np.sum(x[k:]) for k in range(50))

    tracemalloc.start()
    g = xg.grad(f)(np.ones(n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert g[0] == 1
    assert g[-1] == 50
    assert peak < 10 * 8 * n


@pytest.mark.parametrize("compiled", [False, True])
def test_the_hessian_of_a_tree_has_a_block_for_each_pair_of_leaves(compiled):
    X = np.random.default_rng(0).normal(size=(5, 3))

    def loss(params, X):
        return np.sum(np.tanh(X @ params["W"] + params["b"]) ** 2) * params["s"] ** 2

    params = {"W": np.arange(6.0).reshape(3, 2) / 7, "b": np.array([0.3, -0.2]), "s": 0.7}
    hessian = xg.compile(xg.hessian(loss)) if compiled else xg.hessian(loss)
    found = hessian(params, X)
    gradient, step = xg.grad(loss), 1e-6
    for name, leaf in params.items():
        for at in np.ndindex(np.shape(leaf)):
            there = [{**params, name: np.array(leaf)} for _ in range(2)]
            there[0][name][at] -= step
            there[1][name][at] += step
            before, after = gradient(there[0], X), gradient(there[1], X)
            for other in params:
                expected = (np.asarray(after[other]) - before[other]) / (2 * step)
                assert np.shape(found[other][name]) == np.shape(params[other]) + np.shape(leaf)
                assert close(np.asarray(found[other][name])[..., *at], expected, 1e-7)
