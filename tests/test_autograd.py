"""Programs for HIPS autograd run with their imports changed, and give the derivatives that mathematics says."""

import numpy
import pytest
import xpgrad.autograd.scipy.stats.norm as norm

import xpgrad as xg
import xpgrad.autograd.numpy as np
import xpgrad.autograd.numpy.random as npr
from xpgrad.autograd import (
    checkpoint,
    deriv,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    holomorphic_grad,
    isinstance,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    type,
    value_and_grad,
)
from xpgrad.autograd.extend import (
    def_linear,
    defjvp,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
)
from xpgrad.autograd.misc import flatten
from xpgrad.autograd.misc.fixed_points import fixed_point
from xpgrad.autograd.misc.flatten import flatten_func
from xpgrad.autograd.misc.optimizers import adam, rmsprop, sgd
from xpgrad.autograd.scipy import integrate, linalg, misc, signal, special, stats
from xpgrad.autograd.test_util import check_grads, combo_check
from xpgrad.testing import close, tolerance

EXACT = tolerance(numpy.float64).value
A = numpy.array([[2.0, 0.5], [0.5, 1.0]])
X = numpy.array([0.3, -0.7])


def quadratic(x, scale=1.0):
    return scale * x @ A @ x


def test_first_derivatives_have_autograds_names():
    assert close(grad(quadratic)(X), 2 * A @ X, EXACT)
    assert close(grad(quadratic)(X, scale=3.0), 6 * A @ X, EXACT)
    value, g = value_and_grad(quadratic)(X)
    assert close(value, X @ A @ X, EXACT)
    assert close(g, 2 * A @ X, EXACT)
    assert close(grad(lambda a, b: np.sum(a * b), 1)(X, 2 * X), X, EXACT)
    ga, gb = grad(lambda a, b: np.sum(a * b), argnum=(0, 1))(X, 2 * X)
    assert close(ga, 2 * X, EXACT)
    assert close(gb, X, EXACT)
    assert close(elementwise_grad(np.tanh)(X), 1 - numpy.tanh(X) ** 2, EXACT)
    assert close(deriv(np.sin)(0.3), numpy.cos(0.3), EXACT)
    assert close(jacobian(lambda x: A @ x)(X), A, EXACT)
    assert close(grad_named(lambda a, b: a * b**2, "b")(2.0, 3.0), 12.0, EXACT)
    found = multigrad_dict(lambda a, b: a * b**2)(2.0, b=3.0)
    assert close(found["a"], 9.0, EXACT)
    assert close(found["b"], 12.0, EXACT)
    g, aux = grad_and_aux(lambda x: (np.sum(x**2), 7))(X)
    assert close(g, 2 * X, EXACT)
    assert aux == 7
    assert close(holomorphic_grad(lambda z: z**3)(1.0 + 2.0j), 3 * (1.0 + 2.0j) ** 2, EXACT)
    with pytest.raises(xg.DTypeError, match="complex numbers"):
        elementwise_grad(lambda x: 1j * x)(X)


def test_products_and_second_derivatives_have_autograds_names():
    f = lambda x: np.exp(x @ A)
    J = numpy.diag(numpy.exp(X @ A)) @ A
    pull, value = make_vjp(f)(X)
    assert close(value, numpy.exp(X @ A), EXACT)
    assert close(pull(X), X @ J, EXACT)
    value, along = make_jvp(f)(X)(A[0])
    assert close(along, J @ A[0], EXACT)
    assert close(hessian(quadratic)(X), 2 * A, EXACT)
    assert close(hessian_vector_product(quadratic)(X, A[0]), 2 * A @ A[0], EXACT)
    assert close(hessian_tensor_product(quadratic)(X, A[0], scale=2.0), 4 * A @ A[0], EXACT)
    product, g = make_hvp(quadratic)(X)
    assert close(g, 2 * A @ X, EXACT)
    assert close(product(A[0]), 2 * A @ A[0], EXACT)
    assert close(tensor_jacobian_product(f)(X, A[0]), A[0] @ J, EXACT)
    assert close(make_ggnvp(f)(X)(A[0]), J.T @ J @ A[0], EXACT)
    assert close(grad(checkpoint(quadratic))(X), 2 * A @ X, EXACT)


def test_lists_of_traced_numbers_and_scipys_modules_are_there():
    rotated = lambda t: np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ X
    assert close(jacobian(rotated)(0.4) @ rotated(0.4), 0.0, EXACT)
    assert np.array([1.0, 2.0]).dtype == numpy.float64
    assert npr.RandomState(0).randn(3).shape == (3,)
    assert close(grad(norm.logpdf)(1.5, 0.5, 2.0), -0.25, EXACT)
    assert close(grad(lambda m: np.sum(stats.norm.logpdf(X, m, 1.0)))(0.0), X.sum(), EXACT)
    weights = numpy.exp(X) / numpy.exp(X).sum()
    assert close(grad(special.logsumexp)(X), weights, EXACT)
    assert close(grad(misc.logsumexp)(X), weights, EXACT)
    solved = lambda s: np.sum(linalg.solve_triangular(A * s, X))
    assert close(grad(solved)(1.0), -numpy.linalg.solve(numpy.triu(A), X).sum(), EXACT)
    decay = lambda k: integrate.odeint(lambda y, t, k: -k * y, np.array([1.0]), np.array([0.0, 1.0]), (k,))[
        1, 0
    ]
    assert abs(grad(decay)(0.7) + numpy.exp(-0.7)) < 1e-6
    assert np.linalg.norm(X) == numpy.linalg.norm(X)
    assert np.fft.fft(X).shape == (2,)
    kinds = []
    grad(lambda x: kinds.append((type(x), isinstance(x, np.ndarray), isinstance(x, list))) or np.sum(x))(X)
    assert kinds == [(numpy.ndarray, True, False)]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_is_scipys_over_the_axes_that_are_named(mode):
    scipy = pytest.importorskip("scipy.signal")
    rng = numpy.random.default_rng(0)
    a, b = rng.normal(size=(6, 5)), rng.normal(size=(3, 2))
    assert close(signal.convolve(a, b, mode=mode), scipy.convolve(a, b, mode=mode), EXACT)
    images, filters = rng.normal(size=(4, 3, 6, 5)), rng.normal(size=(3, 2, 3, 2))
    found = signal.convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
    expected = [
        [sum(scipy.convolve(image[k], filters[k, j], mode=mode) for k in range(3)) for j in range(2)]
        for image in images
    ]
    assert close(found, numpy.array(expected), EXACT)
    of = lambda f: signal.convolve(images, f, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
    xg.check_grads(of, (filters,), order=1)
    if mode == "valid":
        assert close(signal.convolve(b, a, mode=mode), scipy.convolve(b, a, mode=mode), EXACT)
        with pytest.raises(xg.ShapeError, match="at least as long"):
            signal.convolve(numpy.ones((2, 5)), numpy.ones((3, 2)), mode=mode)


def test_a_primitive_has_the_derivative_that_is_stated():
    @primitive
    def scaled_exp(x, y, how="plain"):
        return y * numpy.exp(x)

    defvjp(
        scaled_exp,
        lambda out, x, y, how: lambda g: g * out,
        lambda out, x, y, how: lambda g: np.sum(g * np.exp(x)),
    )
    f = lambda x, y: np.sum(scaled_exp(x, y, how="plain"))
    assert close(grad(f)(X, 2.0), 2 * numpy.exp(X), EXACT)
    assert close(grad(f, 1)(X, 2.0), numpy.exp(X).sum(), EXACT)
    assert close(hessian(f)(X, 2.0), numpy.diag(2 * numpy.exp(X)), EXACT)  # by the rule of the rule
    assert close(make_jvp(f)(X, 2.0)(X)[1], 2 * numpy.exp(X) @ X, EXACT)

    @primitive
    def opaque(x):
        return numpy.array([float(v) ** 2 for v in x])  # which no traced array would pass

    defvjp(opaque, lambda out, x: lambda g: g * 2 * x)
    assert close(grad(lambda x: np.sum(opaque(x)))(X), 2 * X, EXACT)

    undefined = primitive(lambda x, y: x * y)
    defvjp(undefined, None, lambda out, x, y: lambda g: g * x, argnums=(0, 1))
    assert close(grad(lambda x: np.sum(undefined(x, x)))(X), X, EXACT)  # the first argument has none
    with pytest.raises(xg.NotDifferentiableError, match="no derivative is stated in argument 0"):
        grad(lambda x: np.sum(primitive(lambda y: y)(x)))(X)
    with pytest.raises(xg.TraceError, match="is no primitive"):
        defvjp(numpy.sin, None)


def test_other_ways_to_state_a_derivative_are_autograds_too():
    together, each, forward, linear = (primitive(lambda x, y: x * y**2) for _ in range(4))
    defvjp_argnums(
        together,
        lambda places, out, args, kwargs: (
            lambda g: [g * (args[1] ** 2, 2 * args[0] * args[1])[i] for i in places]
        ),
    )
    defvjp_argnum(each, lambda i, out, args, kwargs: lambda g: g * (args[1] ** 2, 2 * args[0] * args[1])[i])
    defjvp(forward, "same", lambda t, out, x, y: 2 * x * y * t)
    for f in (together, each, forward):
        gx, gy = grad(lambda x, y, f=f: np.sum(f(x, y)), (0, 1))(X, 2 * X)
        assert close(gx, 4 * X**2, EXACT)
        assert close(gy, 4 * X**2, EXACT)
    linear = primitive(lambda x: A @ x)
    def_linear(linear)
    assert close(jacobian(linear)(X), A, EXACT)
    steps = notrace_primitive(lambda x: int(numpy.sum(x > 0)))
    assert close(grad(lambda x: np.sum(x) * steps(x))(X), numpy.ones(2), EXACT)


TREE = {"w": [numpy.ones((2, 2)), numpy.zeros(2)], "a": (numpy.array(3.0),)}


def test_trees_are_flattened_in_the_order_of_sorted_keys():
    vector, unflatten = flatten(TREE)
    assert close(vector, numpy.array([3.0, 1, 1, 1, 1, 0, 0]), EXACT)
    again = unflatten(2 * vector)
    assert list(again) == list(TREE)
    assert close(again["w"][0], 2 * numpy.ones((2, 2)), EXACT)
    loss = lambda tree: np.sum(tree["w"][0] ** 2) * tree["a"][0]
    of_vector, _, start = flatten_func(lambda tree: [loss(tree)], TREE)
    assert close(jacobian(of_vector)(start)[0], numpy.array([4.0, 6, 6, 6, 6, 0, 0]), EXACT)
    assert flatten([])[0].shape == (0,)


@pytest.mark.parametrize("optimizer", [adam, rmsprop, sgd])
def test_optimizers_take_the_steps_of_autograds(optimizer):
    loss = lambda tree, i: np.sum((tree["x"] - 1.0) ** 2) + np.sum(tree["y"] ** 2)
    start = {"x": numpy.array([3.0, -1.0]), "y": numpy.array(2.0)}
    seen = []
    end = optimizer(
        grad(loss), start, lambda x, i, g: seen.append((i, loss(x, i))), num_iters=400, step_size=0.05
    )
    assert [i for i, _ in seen] == list(range(400))
    assert seen[-1][1] < 1e-3 * seen[0][1]
    assert loss(end, 0) <= 1.001 * seen[-1][1]
    peer = pytest.importorskip("autograd.misc.optimizers")
    expected = getattr(peer, optimizer.__name__)(grad(loss), start, num_iters=20, step_size=0.05)
    found = optimizer(grad(loss), start, num_iters=20, step_size=0.05)
    assert close(found["x"], expected["x"], EXACT)


def test_a_fixed_point_is_differentiated_by_its_equation():
    root = lambda a: fixed_point(lambda a: lambda x: 0.5 * (x + a / x), a, 1.0, lambda x, y: abs(x - y), 1e-14)
    assert close(root(2.0), numpy.sqrt(2.0), EXACT)
    assert close(grad(root)(2.0), 0.5 / numpy.sqrt(2.0), EXACT)
    assert close(grad(grad(root))(2.0), -0.25 * 2.0**-1.5, EXACT)


def test_check_grads_is_called_as_autograds():
    check_grads(np.tanh, modes=["rev"], order=2)(X)
    check_grads(lambda a, b: a * np.sin(b), argnum=(0, 1))(X, 2 * X)
    combo_check(np.sum, order=1)([A, 2 * A], axis=[0, 1], keepdims=[True, False])
    wrong = primitive(lambda x: x**2)
    defvjp(wrong, lambda out, x: lambda g: g * x)
    with pytest.raises(xg.NumericsError):
        check_grads(wrong, modes=["rev"], order=1)(X)
