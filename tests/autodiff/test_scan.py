"""`scan`: the numbers of a Python loop, derivatives in both modes, and what it refuses."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.testing import tolerance
from xpgrad.testing.tolerances import close

X = np.linspace(-1.0, 1.0, 12).reshape(4, 3)
BOUND = tolerance(np.float64).value


def weighed(carry, x):
    total, n = carry
    total = np.sin(total) + x["a"] * n
    return (total, n * 0.5), {"total": total, "first": total[0]}


def both(reverse):
    def by_scan(total, a):
        return xg.scan(weighed, (total, 1.0), {"a": a}, reverse=reverse)

    def by_python(total, a):
        carry, ys = (total, 1.0), []
        for x in a[::-1] if reverse else a:
            carry, y = weighed(carry, {"a": x})
            ys.append(y)
        ys = ys[::-1] if reverse else ys
        return carry, {k: np.stack([y[k] for y in ys]) for k in ("total", "first")}

    return by_scan, by_python


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("how", [lambda f: f, xg.compile], ids=["eager", "compiled"])
def test_scan_is_the_loop_that_it_stands_for(reverse, how):
    by_scan, by_python = both(reverse)
    (total, n), ys = how(by_scan)(X[0], X)
    (expected, m), zs = by_python(X[0], X)
    assert close(total, expected, BOUND)
    assert n == m
    for k in zs:
        assert close(ys[k], zs[k], BOUND)


@pytest.mark.parametrize("checkpoint", [None, 1, 3, 100])
def test_derivatives_of_scan_agree_with_finite_differences(checkpoint):
    def loss(total, a):
        (total, _), ys = xg.scan(weighed, (total, 1.0), {"a": a}, checkpoint=checkpoint)
        return np.sum(total**2) + np.sum(ys["total"] * a) + np.sum(ys["first"])

    xg.check_grads(loss, (X[0], X), order=2 if checkpoint is None else 1)


def test_a_compiled_scan_of_many_iterations_is_one_loop_each_way():
    def loss(x, a):
        return np.sum(xg.scan(lambda x, a: (np.cos(x) * a, x), x, a)[1] ** 2)

    a = np.linspace(0.5, 1.0, 300).reshape(100, 3)
    step = xg.compile(xg.value_and_grad(loss, argnums=(0, 1)))
    value, grads = step(X[0], a)
    expected, others = xg.value_and_grad(loss, argnums=(0, 1))(X[0], a)
    assert close(value, expected, BOUND)
    assert all(close(g, h, BOUND) for g, h in zip(grads, others, strict=True))
    text = step.explain(X[0], a).split("\nprogram")[-1]
    assert text.count("a loop of ") == 2
    assert len(step.traces) == 1


def test_the_function_is_called_once_when_it_is_compiled():
    calls = []

    def f(x, _):
        calls.append(0)
        return np.sin(x), None

    xg.compile(lambda x: xg.scan(f, x, length=500)[0])(X[0])
    assert len(calls) == 1


def through_all_dtypes(x, a, k):
    (x, total, count), ys = xg.scan(
        lambda c, a: ((np.tanh(c[0] * k + a), c[1] + np.sum(c[0]), c[2] * 0.5), (c[0], 1.0)),
        (x, 0.0, 1.0),
        a,
    )
    return np.sum(x) * total + count + np.sum(ys[0] ** 2) + np.sum(ys[1])


@pytest.mark.parametrize("checkpoint", [None, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_compiled_derivatives_are_those_of_the_eager_loop(checkpoint, reverse):
    def loss(x, a, k):
        def step(c, a):
            x, total = c
            x = 1 / (1 + np.exp(-x * k)) + a
            return (x, total + np.sum(x**2) * k), x * total

        args = (step, (x, 0.0), a)
        (x, total), ys = xg.scan(*args, reverse=reverse, checkpoint=checkpoint)
        return np.sum(x) + total + np.sum(ys[1:] ** 2)

    if checkpoint is None:
        step = xg.value_and_grad(loss, argnums=(0, 1, 2))
        args = X[0], X, 0.7
    else:  # what is differentiated reaches it in the carry or in xs

        def step(x, a):
            return xg.value_and_grad(lambda x, a: loss(x, a, 0.7), argnums=(0, 1))(x, a)

        args = X[0], X
    for got, expected in zip(flatten(xg.compile(step)(*args))[0], flatten(step(*args))[0], strict=True):
        assert close(got, expected, BOUND)


def test_numbers_and_constants_in_carry_and_results():
    step = xg.value_and_grad(through_all_dtypes, argnums=(0, 1, 2))
    for got, expected in zip(
        flatten(xg.compile(step)(X[0], X, 0.3))[0], flatten(step(X[0], X, 0.3))[0], strict=True
    ):
        assert close(got, expected, BOUND)


def test_second_derivatives_and_batches_of_a_compiled_scan():
    def loss(x):
        return np.sum(xg.scan(lambda c, a: (np.sin(c) * a + 0.1 * c, None), x, X)[0] ** 2)

    assert close(xg.compile(xg.hessian(loss))(X[0]), xg.hessian(loss)(X[0]), BOUND)
    assert close(xg.compile(xg.vmap(xg.grad(loss)))(X), np.stack([xg.grad(loss)(x) for x in X]), BOUND)
    twice = xg.grad(lambda x: np.sum(xg.grad(loss)(x) ** 2))
    assert close(xg.compile(twice)(X[0]), twice(X[0]), BOUND)


def test_the_program_of_a_scan_does_not_grow_with_its_length():
    def nodes(n):
        def loss(x, a):
            return np.sum(xg.scan(lambda x, a: (np.cos(x) * a, x), x, a)[1] ** 2)

        a = np.linspace(0.5, 1.0, 3 * n).reshape(n, 3)
        text = xg.compile(xg.value_and_grad(loss, argnums=(0, 1))).explain(X[0], a)
        return text[: text.index("\npasses")].count(" = ")

    assert nodes(5) == nodes(5000) < 40


def test_a_number_that_becomes_an_array_and_one_that_changes_its_dtype():
    def f(a):
        total, _ = xg.scan(lambda t, a: (t + a, None), 0.0, a)
        count, _ = xg.scan(lambda t, a: (t + a, None), np.zeros(3, np.int64), a)
        return total, count

    for dtype in (np.float64, np.float32):
        for got, expected in zip(xg.compile(f)(X[:, 0].astype(dtype)), f(X[:, 0].astype(dtype)), strict=True):
            assert np.asarray(got).dtype == np.asarray(expected).dtype
            assert close(got, expected, tolerance(dtype).value)


def test_no_iterations_give_the_first_carry_and_arrays_without_entries():
    carry, ys = xg.scan(lambda c, x: (c + x, np.stack([c, x])), X[0], X[:0])
    assert np.array_equal(carry, X[0])
    assert ys.shape == (0, 2, 3)


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(xg.ShapeError, match="lengths differ"):
        xg.scan(lambda c, x: (c, None), 0.0, (X, X[1:]))
    with pytest.raises(xg.ShapeError, match="lengths differ"):
        xg.scan(lambda c, x: (c, None), 0.0, X, length=3)
    with pytest.raises(xg.TraceError, match="length=n"):
        xg.scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(xg.TraceError, match="not a pair"):
        xg.scan(lambda c, x: c, 0.0, X)
    with pytest.raises(xg.TraceError, match="another structure"):
        xg.scan(lambda c, x: ((c, c), None), 0.0, X)
    with pytest.raises(xg.ShapeError, match="another shape"):
        xg.scan(lambda c, x: (c + x, None), 0.0, X)
