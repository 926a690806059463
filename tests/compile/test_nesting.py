"""Compiled functions within transforms, transforms within compiled functions."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.compiler import compile
from xpgrad.testing import check_grads
from xpgrad.trace import graph_of

x = np.linspace(0.2, 1.5, 6)
A = np.random.default_rng(0).normal(size=(4, 6))


def product(x):
    """``A @ x``, where ``x`` is."""
    return xg.to_device(A, xg.device_of(x)) @ x


def f(x):
    return np.sum(np.tanh(product(x)) ** 2) + np.sum(np.sin(x))


def g(x):
    return np.exp(product(x)) * x[0]


def _vjp(x, c):
    out, pullback = xg.vjp(g, x)
    return out, pullback(c)[0]


TRANSFORMS = {
    "grad": (xg.grad(f), (x,)),
    "value_and_grad": (xg.value_and_grad(f), (x,)),
    "has_aux": (xg.value_and_grad(lambda x: (f(x), {"y": x * 2, "n": 3}), has_aux=True), (x,)),
    "argnums": (xg.grad(lambda x, t: f(x) * t, argnums=(0, 1)), (x, 0.5)),
    "jacobian": (xg.jacobian(g), (x,)),
    "hessian": (xg.hessian(f), (x,)),
    "hvp": (xg.hvp(f), (x, x + 1)),
    "vjp": (_vjp, (x, np.ones(4))),
    "jvp": (lambda x, v: xg.jvp(g, (x,), (v,)), (x, x + 1)),
    "third order": (xg.grad(lambda x: np.sum(xg.hvp(f)(x, x))), (x,)),
    "forward over forward": (lambda x: xg.jvp(lambda y: xg.jvp(g, (y,), (y,))[1], (x,), (x,))[1], (x,)),
    "compile inside": (lambda x: compile(f)(x) * compile(g)(x), (x,)),
    "gradient of compiled": (xg.grad(compile(f)), (x,)),
    "gradient of compiled gradient": (xg.grad(lambda x: np.sum(compile(xg.grad(f))(x) ** 2)), (x,)),
    "checkpoint": (xg.value_and_grad(xg.checkpoint(f)), (x,)),
    "checkpoint inside": (xg.grad(lambda x: np.sum(xg.checkpoint(lambda y: np.exp(product(y)))(x) ** 2)), (x,)),
    "stop_gradient": (xg.grad(lambda x: np.sum(xg.stop_gradient(x) * np.exp(x))), (x,)),
    "stop_gradient alone": (lambda x: xg.stop_gradient(x) * 2, (x,)),
}


def _same(a, b):
    a, b = xg._trees.flatten(a)[0], xg._trees.flatten(b)[0]
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)
        assert np.shape(p) == np.shape(q)


@pytest.mark.rotated
@pytest.mark.sweep
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_compiled_transform_is_what_it_is_eagerly(compiler, name):
    transform, args = TRANSFORMS[name]
    run = compiler.compile(transform)
    for k in (1, 2):
        _same(run(args[0] * k, *args[1:]), transform(args[0] * k, *args[1:]))


@pytest.mark.parametrize("transform", [xg.grad, xg.hessian, xg.jacobian, xg.value_and_grad])
def test_a_compiled_function_is_transformed_eagerly(transform):
    compiled = compile(f)
    _same(transform(compiled)(x), transform(f)(x))
    assert compiled.traces == ()  # it was a part of what was traced
    compiled(x)
    _same(transform(compiled)(x), transform(f)(x))
    check_grads(compiled, (x,), order=2)


def test_a_compiled_function_that_closes_over_a_traced_array_is_a_part_of_the_trace():
    def outer(w, x):
        return np.sum(compile(lambda y: np.tanh(y) * w)(x))

    _same(xg.grad(outer)(x, x), xg.grad(lambda w, x: np.sum(np.tanh(x) * w))(x, x))
    _same(compile(xg.grad(outer))(x, x), np.tanh(x))
    _same(xg.grad(lambda w: np.sum(compile(lambda y: (w, y))(x)[0] ** 2))(x), 2 * x)


def test_a_rule_of_ones_own_is_used_compiled(compiler):
    @xg.custom_vjp
    def root(x):
        return np.sqrt(x)

    root.defvjp(lambda x: (np.sqrt(x), x), lambda x, g: (g * 7.0,))
    h = xg.grad(lambda x: np.sum(root(x) * 2))
    assert compiler.compile(h)(x).tolist() == h(x).tolist() == [14.0] * 6
    _same(compiler.compile(root)(x), np.sqrt(x))
    assert xg.grad(lambda x: np.sum(compile(root)(x)))(x).tolist() == [7.0] * 6


def test_the_pullback_of_a_compiled_function_is_called_twice():
    out, pullback = xg.vjp(compile(g), x)
    _same(out, g(x))
    for c in (np.ones(4), np.arange(4.0), np.ones(4)):
        _same(pullback(c), xg.vjp(g, x)[1](c))


def test_debug_names_the_op_and_the_line_of_a_compiled_function():
    h = compile(lambda x: np.sum(np.log(x)))
    zero = np.array([1.0, 0.0])
    assert h(zero) == -np.inf
    for _ in range(2):
        with xg.debug(nans=True), pytest.raises(xg.NumericsError) as error:
            h(zero)
    assert "log: infinity in the output" in str(error.value)
    assert "test_nesting.py:" in str(error.value)
    with xg.debug(nans=True):
        assert h(np.ones(2)) == 0


def test_a_derivative_in_the_graph_has_the_line_that_it_is_the_derivative_of():
    def back(z, g):
        return (np.cos(g),)  # the rule's

    rule = xg.custom_vjp(lambda x: x * 2)
    rule.defvjp(lambda x: (x * 2, None), back)

    def loss(x):
        y = np.tanh(x)  # the loss's
        return np.sum(np.linalg.slogdet(np.diag(y)).logabsdet + rule(y))

    for f in (xg.grad(loss), xg.hessian(loss)):
        graph, _ = graph_of(f, np.ones(3))
        lines = {name: {n.at for n in graph.nodes if n.op.name == name} for name in ("subtract", "inv", "cos")}
        for name, said in (("subtract", "the loss's"), ("inv", "logabsdet"), ("cos", "the rule's")):
            assert lines[name]
            assert all(said in line for line in lines[name])
