"""vmap as a user meets it: axes, trees, nesting with every transform, code in place, errors."""

import dataclasses
from collections import namedtuple

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import close, tolerance

EXACT = tolerance(np.float64).value
RNG = np.random.default_rng(8)
X, W, V = RNG.normal(size=(5, 3)), RNG.normal(size=3), RNG.normal(size=(5, 4))


def eager(f):
    return f


@pytest.fixture(params=[eager, xg.compile])
def way(request):
    return request.param


def looped(f, *args):
    return np.stack([f(*row) for row in zip(*args, strict=True)])


def loss(w, x):
    return np.sum(np.tanh(w * x) ** 2) + np.exp(x @ w)


# ── axes ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_the_axis_of_the_samples_is_any_counted_from_either_end(axis, way):
    x = np.moveaxis(RNG.normal(size=(5, 3, 2)), 0, axis)
    found = way(xg.vmap(lambda x: np.cumsum(x, axis=0), axis, axis))(x)
    expected = np.stack([np.cumsum(np.take(x, i, axis), axis=0) for i in range(5)], axis)
    assert close(found, expected, EXACT)


def test_none_is_an_argument_that_all_samples_share(way):
    found = way(xg.vmap(loss, in_axes=(None, 0)))(W, X)
    assert close(found, np.stack([loss(W, x) for x in X]), EXACT)


def test_out_axes_are_a_prefix_of_the_result_and_none_is_a_result_that_no_sample_decides(way):
    def f(w, x):
        return {"x": (x * w, x), "w": 2 * w}

    found = way(xg.vmap(f, (None, 0), {"x": (1, 0), "w": None}))(W, X)
    assert close(found["x"][0], (X * W).T, EXACT)
    assert close(found["x"][1], X, EXACT)
    assert close(found["w"], 2 * W, EXACT)


def test_a_result_that_no_sample_decides_is_repeated(way):
    found = way(xg.vmap(lambda x: (np.zeros_like(x), 1.5, np.ones(2)), out_axes=(0, 0, 1)))(X)
    assert [part.shape for part in found] == [(5, 3), (5,), (2, 5)]
    assert np.all(found[1] == 1.5)
    found[2][0, 0] = 3.0  # an array of the caller's own
    assert found[2].sum() == 12.0


Pair = namedtuple("Pair", ["w", "b"])


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray


@pytest.mark.parametrize("make", [Pair, Layer, lambda w, b: {"w": w, "b": b}])
def test_in_axes_are_a_tree_prefix_of_the_arguments(make, way):
    def f(p, x):
        w, b = (p["w"], p["b"]) if isinstance(p, dict) else (p.w, p.b)
        return np.tanh(w * x) + b

    found = way(xg.vmap(f, in_axes=(make(None, 0), 0)))(make(W, V[:, 0]), X)
    assert close(found, np.tanh(W * X) + V[:, :1], EXACT)


def test_keyword_arguments_are_mapped_over_their_first_axis(way):
    found = way(xg.vmap(lambda x, *, scale: x * scale))(X, scale=V[:, 0])
    assert close(found, X * V[:, :1], EXACT)


def test_no_samples_are_no_rows(way):
    assert way(xg.vmap(lambda x: np.tanh(x) @ W))(X[:0]).shape == (0,)


# ── nesting ──────────────────────────────────────────────────────────────────────────────────
def test_gradients_of_each_sample(way):
    found = way(xg.vmap(xg.grad(loss), (None, 0)))(W, X)
    assert close(found, np.stack([xg.grad(loss)(W, x) for x in X]), EXACT)
    value, g = way(xg.vmap(xg.value_and_grad(loss, 1), (None, 0)))(W, X)
    assert close(value, np.stack([loss(W, x) for x in X]), EXACT)
    assert close(g, np.stack([xg.grad(loss, 1)(W, x) for x in X]), EXACT)


def test_the_gradient_of_a_batch(way):
    found = way(xg.grad(lambda w, X: np.sum(xg.vmap(loss, (None, 0))(w, X)), (0, 1)))(W, X)
    expected = xg.grad(lambda w, X: sum(loss(w, x) for x in X), (0, 1))(W, X)
    assert all(close(a, b, EXACT) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("outer", [xg.jacobian, xg.hessian])
def test_matrices_of_derivatives_of_each_sample_and_of_a_batch(outer, way):
    f = loss if outer is xg.hessian else (lambda w, x: np.sin(w * x[0]) * x)
    found = way(xg.vmap(outer(f), (None, 0)))(W, X)
    assert close(found, np.stack([outer(f)(W, x) for x in X]), EXACT)
    if outer is xg.hessian:

        def total(w):
            return np.sum(xg.vmap(loss, (None, 0))(w, X))

        assert close(way(outer(total))(W), found.sum(axis=0), EXACT)
    else:
        assert close(way(outer(lambda w: xg.vmap(f, (None, 0))(w, X)))(W), found, EXACT)


def test_products_with_derivatives_of_each_sample(way):
    t = np.cos(X)
    found = way(xg.vmap(lambda x, t: xg.jvp(lambda x: loss(W, x), (x,), (t,))[1]))(X, t)
    assert close(found, looped(lambda x, t: xg.grad(loss, 1)(W, x) @ t, X, t), EXACT)
    found = way(xg.vmap(lambda x, g: xg.vjp(lambda x: x * np.sin(W), x)[1](g)[0]))(X, t)
    assert close(found, t * np.sin(W), EXACT)
    found = way(xg.vmap(lambda x, t: xg.hvp(lambda x: loss(W, x))(x, t)))(X, t)
    assert close(found, looped(lambda x, t: xg.hessian(loss, 1)(W, x) @ t, X, t), EXACT)
    found = way(lambda X, t: xg.jvp(xg.vmap(lambda x: loss(W, x)), (X,), (t,))[1])(X, t)
    assert close(found, looped(lambda x, t: xg.grad(loss, 1)(W, x) @ t, X, t), EXACT)
    found = way(lambda X, g: xg.vjp(xg.vmap(lambda x: loss(W, x)), X)[1](g)[0])(X, V[:, 0])
    assert close(found, looped(lambda x, g: g * xg.grad(loss, 1)(W, x), X, V[:, 0]), EXACT)


def test_vmap_of_vmap_is_all_pairs(way):
    def kernel(x, y):
        return np.exp(-np.sum((x - y) ** 2))

    gram = xg.vmap(xg.vmap(kernel, (None, 0)), (0, None))
    Y = RNG.normal(size=(4, 3))
    expected = np.exp(-((X[:, None] - Y[None]) ** 2).sum(-1))
    assert close(way(gram)(X, Y), expected, EXACT)
    slopes = xg.vmap(xg.vmap(xg.grad(kernel), (None, 0)), (0, None))
    assert close(way(slopes)(X, Y), -2 * (X[:, None] - Y[None]) * expected[..., None], EXACT)


def test_a_checkpoint_within_and_around(way):
    f = xg.checkpoint(lambda w, x: loss(w, x))
    expected = np.stack([xg.grad(loss)(W, x) for x in X])
    assert close(way(xg.vmap(xg.grad(f), (None, 0)))(W, X), expected, EXACT)
    for total in (
        lambda w: np.sum(xg.vmap(f, (None, 0))(w, X)),
        lambda w: np.sum(xg.checkpoint(lambda w: xg.vmap(loss, (None, 0))(w, X))(w)),
    ):
        assert close(way(xg.grad(total))(W), expected.sum(axis=0), EXACT)
        assert close(
            way(xg.jvp)(total, (W,), (W,))[1] if way is eager else expected.sum(0) @ W,
            expected.sum(0) @ W,
            EXACT,
        )


@xg.custom_vjp
def doubled(w, x):
    return {"y": np.sin(w * x)}


# A derivative that is wrong on purpose, so that it is seen whether it is used.
doubled.defvjp(
    lambda w, x: ({"y": np.sin(w * x)}, (w, np.cos(w * x), x)),
    lambda r, g: (2 * g["y"] * r[1] * r[2], 3 * g["y"] * r[1] * r[0]),
)


def test_a_derivative_that_the_user_states_holds_within_and_around(way):
    def f(w, x):
        return np.sum(doubled(w, x)["y"])

    for argnum, factor, other in ((0, 2, X), (1, 3, W)):
        expected = factor * np.cos(W * X) * other
        assert close(way(xg.vmap(xg.grad(f, argnum), (None, 0)))(W, X), expected, EXACT)
        by_batch = way(xg.grad(lambda w, X: np.sum(xg.vmap(f, (None, 0))(w, X)), argnum))(W, X)
        assert close(by_batch, expected if argnum else expected.sum(axis=0), EXACT)


def test_a_second_derivative_goes_through_the_rule_that_the_user_states(way):
    def f(w, x):
        return np.sum(doubled(w, x)["y"])

    one = xg.grad(lambda x: np.sum(xg.grad(f, 1)(W, x)))
    assert close(way(xg.vmap(one))(X), np.stack([one(x) for x in X]), EXACT)
    assert close(
        way(xg.grad(lambda X: np.sum(xg.vmap(xg.grad(f, 1), (None, 0))(W, X))))(X), looped(one, X), EXACT
    )


def test_a_stopped_gradient_is_stopped_within_and_around(way):
    def f(x):
        return np.sum(x * xg.stop_gradient(x))

    assert close(way(xg.vmap(xg.grad(f)))(X), X, EXACT)
    assert close(way(xg.grad(lambda X: np.sum(xg.vmap(f)(X))))(X), X, EXACT)


def test_vmap_of_a_compiled_function():
    assert close(xg.vmap(xg.compile(lambda x: loss(W, x)))(X), looped(lambda x: loss(W, x), X), EXACT)


# ── code that writes in place, and loops ─────────────────────────────────────────────────────
def written(x):
    y = np.zeros_like(x, shape=(4,))
    y[1:] = x
    y[0] += x[2]
    y[y < 0] = 0
    z = y[::-1]
    z *= 2.0
    return y


def test_code_in_place(way):
    assert close(way(xg.vmap(written))(X), looped(written, X), EXACT)
    g = xg.grad(lambda x: np.sum(written(x) ** 2))
    assert close(way(xg.vmap(g))(X), looped(g, X), EXACT)
    assert not np.shares_memory(way(xg.vmap(lambda x: x))(X), X) or way is eager


def test_the_callers_array_is_not_written_to(way):
    def f(x):
        x *= 2
        x[0] = 0.0
        return x

    before = X.copy()
    assert close(way(xg.vmap(f))(X)[:, 1:], 2 * X[:, 1:], EXACT)
    assert np.array_equal(X, before)


def test_a_write_through_a_reshape_is_a_write_to_the_base():
    def f(x):
        y = x * 1.0
        y.reshape(-1)[::2] = 0.0
        return y

    x = RNG.normal(size=(5, 2, 3))
    assert np.array_equal(xg.vmap(f)(x), looped(f, x))


def test_python_may_branch_on_what_all_samples_share():
    def f(w, x):
        return x if w.sum() > 0 else -x

    assert np.array_equal(xg.vmap(f, (None, 0))(-abs(W), X), -X)
    assert np.array_equal(xg.vmap(lambda x: x if np.ones_like(x).sum() > 2 else -x)(X), X)


def test_a_loop_over_the_entries_of_a_sample(way):
    def f(x):
        total = 1.0
        for part in x:
            total = total * np.cos(part)
        return total

    assert close(way(xg.vmap(f))(X), np.prod(np.cos(X), axis=1), EXACT)


def decayed(start, xs):
    def step(carry, x):
        carry = np.tanh(0.9 * carry + x)
        return carry, 2 * carry

    carry, ys = xg.scan(step, start, xs)
    return carry + np.sum(ys * np.arange(1.0, 5.0))


def test_a_scan_over_each_sample(way):
    start = X[:, 0]
    assert close(way(xg.vmap(decayed))(start, V), looped(decayed, start, V), EXACT)
    slope = xg.grad(decayed)
    assert close(way(xg.vmap(slope))(start, V), looped(slope, start, V), EXACT)
    found = way(xg.grad(lambda start: np.sum(xg.vmap(decayed)(start, V))))(start)
    assert close(found, looped(slope, start, V), EXACT)


# ── errors ───────────────────────────────────────────────────────────────────────────────────
def refused(kind, f, *args):
    with pytest.raises(kind) as caught:
        f(*args)
    return str(caught.value)


def test_samples_that_differ_in_number_are_refused_by_name():
    text = refused(xg.ShapeError, xg.vmap(lambda p, x: p["w"] * x, (0, 1)), {"w": X}, V)
    assert "args[0]['w'] float64[5, 3], 5 along axis 0" in text
    assert "args[1]      float64[5, 4], 4 along axis 1" in text


def test_an_argument_without_the_axis_is_refused_by_name():
    assert "args[0] has no axis 2" in refused(xg.ShapeError, xg.vmap(np.sin, 2), X)
    assert "args[1] has no axes" in refused(xg.ShapeError, xg.vmap(lambda x, s: x * s), X, 2.0)
    assert "args[1] has no axes" in refused(xg.ShapeError, xg.vmap(lambda x, s: x), X, "text")


def test_in_axes_that_fit_nothing_are_refused():
    assert "maps no argument" in refused(xg.ShapeError, xg.vmap(np.sin, None), X)
    assert "2 entries for 1" in refused(xg.ShapeError, xg.vmap(np.sin, (0, 0)), X)
    assert "no tree prefix" in refused(xg.ShapeError, xg.vmap(np.sin, ({"a": 0},)), X)
    assert "an axis is an int or None" in refused(xg.TraceError, xg.vmap(np.sin, 0.5), X)
    assert "out_axes" in refused(xg.ShapeError, xg.vmap(lambda x: x, 0, (0, 0)), X)
    assert "has no axis 2" in refused(xg.ShapeError, xg.vmap(lambda x: x, 0, 2), X)


def test_a_result_of_each_sample_needs_an_axis():
    assert "differs from sample to sample" in refused(xg.ShapeError, xg.vmap(np.sin, out_axes=None), X)


def test_what_the_numbers_of_a_sample_decide_is_refused_with_the_line():
    def branch(x):
        return x if x[0] > 0 else -x

    text = refused(xg.TraceError, xg.vmap(branch), X)
    assert "each sample of vmap has its own" in text
    assert "return x if x[0] > 0 else -x" in text
    text = refused(xg.TraceError, xg.vmap(lambda x: np.sum(x[x > 0])), X)
    assert "mask" in text
    assert "np.sum(x[x > 0])" in text
    assert "each sample" in refused(xg.TraceError, xg.vmap(lambda x: np.nonzero(x)), X)


def test_shapes_in_an_error_are_those_of_one_sample():
    text = refused(xg.ShapeError, xg.vmap(lambda x: x @ np.ones((4, 2))), X)
    assert "inner axes differ, 3 and 4" in text
    assert "float64[3]" in text


def test_an_array_that_escapes_is_refused():
    kept = []
    xg.vmap(lambda x: kept.append(x) or x)(X)
    assert "escaped" in refused(xg.TraceError, lambda: kept[0] + 1)


def test_nans_are_found_with_the_line():
    with xg.debug(nans=True), pytest.raises(xg.NumericsError, match="log"), np.errstate(all="ignore"):
        xg.vmap(lambda x: np.log(x))(-abs(X))


# ── linearize ────────────────────────────────────────────────────────────────────────────────
def test_linearize_gives_the_value_and_the_pushforward(way):
    def f(x, t):
        out, push = xg.linearize(lambda x: np.sin(x) * W, x)
        return out, push(t), push(2 * t)

    out, one, two = way(f)(X[0], X[1])
    assert close(out, np.sin(X[0]) * W, EXACT)
    assert close(one, np.cos(X[0]) * W * X[1], EXACT)
    assert close(two, 2 * one, EXACT)
