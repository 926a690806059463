"""The (init, update) pairs, step by step against their formulas."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from xpgrad import DTypeError, asnumpy, device_of, grad
from xpgrad.optim import adam, adamw, clipped, minimize, momentum, sgd
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value
GRADIENTS = [np.array([1.0, -2.0]), np.array([0.5, 4.0]), np.array([-3.0, 0.25])]
START = np.array([1.0, -1.0])


def run(optimizer, params, gradients):
    state = optimizer.init(params)
    for g in gradients:
        params, state = optimizer.update(g, state, params)
    return params


def test_sgd_goes_down_the_gradient(put):
    p = run(sgd(0.1), put(START), put(GRADIENTS))
    assert close(asnumpy(p), START - 0.1 * sum(GRADIENTS), EXACT)


def test_a_schedule_is_asked_for_the_rate_of_each_step(put):
    asked = []

    def rate(step):
        asked.append(step)
        return 1 / (1 + step)

    p = run(sgd(rate), put(START), put(GRADIENTS))
    assert asked == [0, 1, 2]
    assert close(asnumpy(p), START - sum(g / (1 + k) for k, g in enumerate(GRADIENTS)), EXACT)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_follows_its_formula(put, nesterov):
    p, v = START, np.zeros(2)
    for g in GRADIENTS:
        v = 0.8 * v + g
        p = p - 0.1 * (g + 0.8 * v if nesterov else v)
    assert close(asnumpy(run(momentum(0.1, 0.8, nesterov), put(START), put(GRADIENTS))), p, EXACT)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_adam_and_adamw_follow_their_formula(put, weight_decay):
    p, m, v = START, np.zeros(2), np.zeros(2)
    for t, g in enumerate(GRADIENTS, 1):
        m = 0.7 * m + 0.3 * g
        v = 0.9 * v + 0.1 * g**2
        p = p - 0.1 * (m / (1 - 0.7**t) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3) + weight_decay * p)
    method = adamw(0.1, 0.7, 0.9, 1e-3, weight_decay) if weight_decay else adam(0.1, 0.7, 0.9, 1e-3)
    assert close(asnumpy(run(method, put(START), put(GRADIENTS))), p, EXACT)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_scale():
    p = run(adam(0.01), np.zeros(3), [np.array([1e-3, -7.0, 1e6])])
    np.testing.assert_allclose(p, [-0.01, 0.01, -0.01], rtol=2e-5)  # eps is not nothing beside 1e-3


@dataclass
class Layer:
    W: object
    b: object


class Pair(NamedTuple):
    left: object
    right: object


TREES = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"W": a, "b": b},
    "namedtuple": Pair,
    "dataclass": Layer,
    "nested": lambda a, b: {"one": Layer(a, None), "two": (b, [])},
}
OPTIMIZERS = {"sgd": sgd(0.1), "momentum": momentum(0.1), "adam": adam(), "adamw": adamw()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_parameters_keep_their_structure(optimizer, tree):
    W, b, g = np.ones((2, 1)), np.zeros(1), np.full((2, 1), 0.5)
    params, gradient = tree(W, b), tree(g, np.ones(1))
    new, _ = optimizer.update(gradient, optimizer.init(params), params)
    alone, _ = optimizer.update(g, optimizer.init(W), W)
    assert type(new) is type(params)
    assert repr(new) == repr(tree(alone, optimizer.update(np.ones(1), optimizer.init(b), b)[0]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(
    "leaf",
    [
        np.ones(2, np.float32),
        np.array(1.0, np.float32),
        np.float32(1),
        np.float64(1),
        1.0,
        1 + 1j,
        np.ones(2, np.complex64),
        np.ones(0),
        np.ones(2, np.float16),
    ],
    ids=repr,
)
def test_parameters_keep_their_type_dtype_and_shape(optimizer, leaf, put):
    leaf = put(leaf)
    gradient = grad(lambda p: np.sum(np.abs(p) ** 2))(leaf)
    new, state = optimizer.update(gradient, optimizer.init(leaf), leaf)
    new, state = optimizer.update(gradient, state, new)
    assert type(new) is type(leaf)
    if hasattr(leaf, "shape"):
        assert (new.dtype, new.shape, device_of(new)) == (leaf.dtype, leaf.shape, device_of(leaf))
        assert not new.size or asnumpy(new).flat[0] != asnumpy(leaf).flat[0]
    else:
        assert new != leaf


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_complex_parameter_goes_downhill(optimizer, put):
    target = put(np.array([1 + 2j, -3j]))
    f = lambda z: np.sum(np.abs(z - target) ** 2)
    z = put(np.zeros(2, complex))
    new, _ = optimizer.update(grad(f)(z), optimizer.init(z), z)
    assert f(new) < f(z)


def test_adam_does_not_depend_on_the_phase_of_a_complex_gradient():
    gradients, turn = [np.array([1 + 2j]), np.array([-0.5j])], np.exp(0.7j)
    z = run(adam(0.1), np.zeros(1, complex), gradients)
    turned = run(adam(0.1), np.zeros(1, complex), [g * np.conj(turn) for g in gradients])
    assert close(turned, z * turn, EXACT)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_update_is_pure(optimizer, put):
    p, g = put(np.ones(3)), put(np.arange(3.0))
    state = optimizer.init(p)
    first, _ = optimizer.update(g, state, p)
    again, _ = optimizer.update(g, state, p)
    assert np.array_equal(asnumpy(first), asnumpy(again))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: sgd(0.0), "sgd: learning_rate must be positive and finite, got 0.0"),
        (lambda: sgd(float("nan")), "sgd: learning_rate must be positive and finite, got nan"),
        (lambda: momentum(-1.0), "momentum: learning_rate must be positive"),
        (lambda: momentum(0.1, decay=1.0), "momentum: decay must be at least 0 and below 1, got 1.0"),
        (lambda: adam(b1=-0.1), "adam: b1 must be"),
        (lambda: adam(b2=1.5), "adam: b2 must be"),
        (lambda: adamw(weight_decay=-1), "adamw: weight_decay must be finite and not negative, got -1"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_integer_parameters_are_refused_with_their_place(optimizer):
    with pytest.raises(DTypeError, match=r"must be float or complex\n  params\['k'\] int64\[2\]"):
        optimizer.init({"a": 1.0, "k": np.arange(2)})


def test_a_long_gradient_is_scaled_to_the_norm_over_all_parameters():
    p, g = {"a": np.zeros(2), "b": 0.0, "c": np.zeros(1, np.complex128)}, {"a": np.array([3.0, 0]), "b": 4.0}
    g["c"] = np.array([12j])
    moved = run(clipped(sgd(1.0), 6.5), p, [g])  # the norm is 13
    assert close(moved["a"], [-1.5, 0], EXACT)
    assert close(moved["b"], -2.0, EXACT)
    assert close(moved["c"], [6j], EXACT)  # against the conjugate
    same = run(clipped(sgd(1.0), 13.5), p, [g])
    assert same["a"].tolist() == [-3.0, 0.0]


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_norm_of_huge_and_tiny_gradients_neither_overflows_nor_vanishes(size):
    g = np.array([3.0, 4.0]) * size
    assert close(run(clipped(sgd(1.0), size), np.zeros(2), [g]) / size, [-0.6, -0.8], EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 5}, {"compile": False}, {"batch_size": 5, "compile": False}]
)
def test_minimize_clips_as_the_optimizer_does(dtype, options):
    rng = np.random.default_rng(0)
    X, start = rng.normal(size=(3, 5)).astype(dtype), (np.zeros(3, dtype), 0.0)

    def loss(p, X):
        return np.mean((10 * (p[0] @ X) + p[1] - 1) ** 2) + 5 * p[1]

    fit = minimize(loss, start, (X,), method="momentum", clip_norm=0.5, max_iter=4, tol=0, **options)
    params, optimizer = start, clipped(momentum(0.01), 0.5)
    state = optimizer.init(params)
    for _ in range(4):
        params, state = optimizer.update(grad(loss)(params, X), state, params)
    assert fit.params[0].dtype == dtype
    assert close(fit.params[0], params[0], tolerance(dtype).value)
    assert close(fit.params[1], params[1], tolerance(dtype).value)


def test_a_norm_out_of_range_or_without_use_is_refused():
    with pytest.raises(ValueError, match="clip_norm must be positive and finite, got 0"):
        clipped(sgd(1.0), 0)
    with pytest.raises(ValueError, match="no clip_norm"):
        minimize(lambda w: w**2, 1.0, method="lbfgs", clip_norm=1.0)
