"""Loops that are rolled back before they are differentiated: derivatives beside those of the Python loop."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.testing import assert_agrees

N = 60
RNG = np.random.default_rng(7)
X, W, XS = RNG.normal(size=3), RNG.normal(size=(3, 3)) * 0.4, RNG.normal(size=(N, 3))


def one_carry(x, w, xs):
    for _ in range(N):
        x = np.sin(x) * 0.9 + 0.1 * x
    return np.sum(x) + w[0, 0] * 0 + xs[0, 0]


def an_invariant(x, w, xs):
    for _ in range(N):
        x = np.tanh(x * w[1] + 0.3)
    return np.sum(x**2) + xs[0, 0]


def a_product(x, w, xs):
    for i in range(N):
        x = np.tanh(w @ x + xs[i])
    return np.sum(x)


def slices_and_stacked_results(x, w, xs):
    ys = []
    for i in range(N):
        x = np.cos(x) * xs[i] + 0.2 * x
        ys.append(x * 1.5 + np.sum(x) * w[0, 1])
    return np.mean(np.stack(ys) ** 2)


def slices_from_the_end(x, w, xs):
    for i in range(N):
        x = np.cos(x) * xs[N - 1 - i] + w[2]
    return np.sum(x)


def a_total_beside_the_state(x, w, xs):
    total = 0.0
    for i in range(N):
        x = np.sin(x + xs[i])
        total = total + np.sum(x**2) * w[0, 0]
    return total + x[0]


def two_states_that_change_places(x, w, xs):
    y = x * 2
    for i in range(N):
        x, y = np.sin(y) + 0.1 * xs[i], x * 0.9 + w[0]
    return np.sum(x * y)


def a_write_in_place(x, w, xs):
    u = np.copy(xs[:5])
    for _ in range(N):
        u[1:-1] += 0.1 * w[0, 0] * (u[2:] + u[:-2] - 2 * u[1:-1])
    return np.sum(u * u) + np.sum(x)


def a_constant_state(x, w, xs):
    state = np.zeros(3)
    for i in range(N):
        state = 0.5 * state + x * np.array([1.0, 2.0, 3.0]) * xs[i]
    return np.sum(state**2) * w[1, 1]


def nested_loops(x, w, xs):
    for i in range(12):
        for _ in range(10):
            x = np.sin(x) * w[1, 1] + 0.5 * x
        x = x + xs[i]
    return np.sum(x)


def only_half_of_it_counts(x, w, xs):
    y = x
    for i in range(N):
        x, y = np.sin(x) + xs[i], np.cos(y) * w[0, 2] + np.where(x > 0, y, 0.5 * y)
    return np.sum(y)


LOOPS = [
    one_carry,
    an_invariant,
    a_product,
    slices_and_stacked_results,
    slices_from_the_end,
    a_total_beside_the_state,
    two_states_that_change_places,
    a_write_in_place,
    a_constant_state,
    nested_loops,
    only_half_of_it_counts,
]
loops = pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)


def agrees(got, expected):
    for a, b in zip(flatten(got)[0], flatten(expected)[0], strict=True):
        assert_agrees(a, b, np.float64)


@pytest.mark.rotated("definition", "llvm")
@loops
def test_gradients_are_those_of_the_python_loop(f, compiler):
    if compiler.name == "cuda":
        return
    step = xg.value_and_grad(f, argnums=(0, 1, 2))
    agrees(compiler.compile(step)(X, W, XS), step(X, W, XS))


def a_counter_in_formulas(x, w, k):
    return np.sin(x) * (k / 7) + x / (k + 1) + w[0] * k**2 * 1e-2


def a_counter_that_chooses(x, w, k):
    return np.where(k < 8.5 + w[0, 0], 0.5 * np.sin(x) + w[1], x)


def a_counter_beside_a_product_of_stacks(x, w, k):
    y = np.stack([x, x + w[1]])[..., None] * w
    return np.where(k < np.array([4.5, 9.0])[:, None, None], y @ y, k * y)[0, 1]


@pytest.mark.rotated
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [5, 14])
@pytest.mark.parametrize(
    "body", [a_counter_in_formulas, a_counter_that_chooses, a_counter_beside_a_product_of_stacks]
)
def test_the_counter_of_a_loop_is_a_number(body, n, dtype, compiler):
    """Native, or one iteration after the other from Python; first values, then gradients."""
    x, w = X.astype(dtype), W.astype(dtype)

    def f(x, w):
        for k in range(n):
            x = body(x, w, k)
        return np.sum(x)

    for step in (f, xg.value_and_grad(f, argnums=(0, 1))):
        for a, b in zip(flatten(compiler.compile(step)(x, w))[0], flatten(step(x, w))[0], strict=True):
            assert_agrees(a, b, dtype)


@loops
def test_the_loop_is_one_node_before_it_is_differentiated(f):
    text = xg.compile(xg.grad(f, argnums=(0, 1, 2))).explain(X, W, XS)
    before = text[text.index("within transforms") : text.index("fold ")]
    assert "nodes -> a loop with" in before


@loops
def test_second_derivatives_agree(f):
    def of_x(x):
        return f(x, W, XS)

    v = np.array([0.3, -1.0, 0.5])
    agrees(xg.compile(xg.hvp(of_x))(X, v), xg.hvp(of_x)(X, v))
    twice = xg.grad(lambda x: np.sum(xg.grad(of_x)(x) ** 2))
    agrees(xg.compile(twice)(X), twice(X))


def test_gradients_agree_with_differences():
    gradient = xg.compile(xg.grad(a_product, argnums=1))(X, W, XS)
    for i, j in ((0, 1), (2, 2)):
        h = np.zeros_like(W)
        h[i, j] = 1e-6
        slope = (a_product(X, W + h, XS) - a_product(X, W - h, XS)) / 2e-6
        assert_agrees(gradient[i, j], slope, np.float32)


def test_an_array_of_an_outer_transform_is_differentiated_through_the_loop():
    def outer(k):
        def inner(x):
            for _ in range(N):
                x = np.sin(x) * k + 0.1 * x
            return np.sum(x)

        return np.sum(xg.grad(inner)(X) * X)

    agrees(xg.compile(xg.value_and_grad(outer))(0.9), xg.value_and_grad(outer)(0.9))


@pytest.mark.parametrize("f", [one_carry, a_product, slices_and_stacked_results], ids=lambda f: f.__name__)
def test_batches_tangents_and_jacobians_of_gradients(f):
    def of_x(x):
        return f(x, W, XS)

    xs = np.stack([X, 2 * X, -X])
    each = np.stack([xg.grad(of_x)(x) for x in xs])
    agrees(xg.compile(xg.vmap(xg.grad(of_x)))(xs), each)
    forward = xg.jvp(of_x, (X,), (xs[1],))
    agrees(xg.compile(lambda x, t: xg.jvp(of_x, (x,), (t,)))(X, xs[1]), forward)
    agrees(xg.compile(xg.hessian(of_x))(X), xg.hessian(of_x)(X))


def test_float32_and_python_numbers_stay_what_they_are():
    x, xs = X.astype(np.float32), XS.astype(np.float32)

    def f(x, k, xs):
        for i in range(N):
            x = np.sin(x) * k + xs[i]
        return np.sum(x)

    step = xg.value_and_grad(f, argnums=(0, 1, 2))
    for a, b in zip(flatten(xg.compile(step)(x, 0.5, xs))[0], flatten(step(x, 0.5, xs))[0], strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert_agrees(a, b, np.float32)


def test_equal_states_and_complex_states():
    def f(x):
        a, b = x, x
        for _ in range(N):
            a, b = np.sin(a) * 0.9, np.sin(b) * 0.9
        return np.sum(a * b)

    agrees(xg.compile(xg.grad(f))(X), xg.grad(f)(X))

    def g(z):
        for _ in range(N):
            z = z * np.exp(0.05j) + 0.1 * np.sin(z)
        return np.sum(abs(z) ** 2)

    z = X + 1j * X[::-1]
    agrees(xg.compile(xg.grad(g))(z), xg.grad(g)(z))
