"""xg.nn: activations, functions along an axis, initial parameters."""

from math import prod

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import xpgrad as xg
from xpgrad import DataError, DTypeError, ShapeError, nn
from xpgrad.testing import check_grads, close, tolerance

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)
BOUND = tolerance(F64).value
X = np.array([[-4.0, -2.2, -0.7, 0.4], [0.9, 2.1, 4.5, 7.0]])

# What each is, where it has kinks, and the derivative that is stated there.
ACTIVATIONS = {
    "relu": (lambda x: max(x, 0), {0: 0}),
    "relu6": (lambda x: min(max(x, 0), 6), {0: 0, 6: 0}),
    "leaky_relu": (lambda x: x if x > 0 else 0.01 * x, {0: 0.01}),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), {}),
    "celu": (lambda x: x if x > 0 else mp.expm1(x), {}),
    "selu": (
        lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * mp.expm1(x)),
        {0: 1.7580993408473766},
    ),
    "gelu": (lambda x: x * mp.ncdf(x), {}),
    "silu": (lambda x: x / (1 + mp.exp(-x)), {}),
    "swish": (lambda x: x / (1 + mp.exp(-x)), {}),
    "mish": (lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), {}),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), {}),
    "softsign": (lambda x: x / (1 + abs(x)), {}),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), {}),
    "log_sigmoid": (lambda x: -mp.log1p(mp.exp(-x)), {}),
    "hard_tanh": (lambda x: min(max(x, -1), 1), {-1: 0, 1: 0}),
    "hard_sigmoid": (lambda x: min(max(x / 6 + 0.5, 0), 1), {-3: 0, 3: 0}),
}


def slopes(f, x):
    return xg.vjp(f, x)[1](np.ones_like(x))[0]


# ── activations ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_what_its_formula_says(name, put):
    x = put(X)
    with mp.workdps(50):
        expected = np.array([[float(ACTIVATIONS[name][0](mp.mpf(v))) for v in row] for row in X])
    assert close(xg.asnumpy(getattr(nn, name)(x)), expected, BOUND)
    assert close(getattr(nn, name)(X.tolist()), expected, BOUND)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_an_activation_agree_with_differences(name, put):
    check_grads(getattr(nn, name), [put(X)])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_backend_gives_the_same_activation(backend, name):
    f = getattr(nn, name)
    assert close(backend.run(f, X), f(X), BOUND)
    assert close(backend.pull(f, np.ones_like(X), X)[0], slopes(f, X), BOUND)


@pytest.mark.parametrize("name", [n for n, (_, kinks) in ACTIVATIONS.items() if kinks])
def test_at_a_kink_the_derivative_is_the_one_stated(name):
    kinks = ACTIVATIONS[name][1]
    at = np.array(list(kinks), float)
    assert close(slopes(getattr(nn, name), at), list(kinks.values()), BOUND)


@pytest.mark.parametrize("dtype", [F64, F32], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_stable_and_keeps_its_dtype_at_extreme_inputs(name, dtype):
    f = getattr(nn, name)
    x = np.array([-1e8, -1000, -89, -20, 20, 89, 1000, 1e8], dtype)
    with mp.workdps(60):
        exact = [mp.mpf(float(v)) for v in x]
        value = np.array([float(ACTIVATIONS[name][0](v)) for v in exact])
        slope = np.array([float(mp.diff(ACTIVATIONS[name][0], v)) for v in exact])
    out, got = f(x), slopes(f, x)
    curve = slopes(lambda x: slopes(f, x), x)
    assert out.dtype == got.dtype == curve.dtype == dtype
    for a, b in [*zip(out, value, strict=True), *zip(got, slope, strict=True)]:
        assert close(a, b.astype(dtype), tolerance(dtype).value)
    assert np.all(np.isfinite(curve))


def test_the_tanh_form_of_gelu_is_near_the_exact_one_and_stable():
    x = np.linspace(-6, 6, 101)
    approximate = nn.gelu(x, approximate=True)
    assert np.max(np.abs(approximate - nn.gelu(x))) < 5e-4
    formula = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    assert close(approximate, formula, BOUND)
    check_grads(lambda x: nn.gelu(x, approximate=True), [x[::10]])
    ends = np.array([-1e30, -50, 50, 1e30], np.float32)
    assert np.array_equal(nn.gelu(ends, approximate=True), [0, 0, 50, np.float32(1e30)])
    assert np.array_equal(slopes(lambda x: nn.gelu(x, approximate=True), ends), [0, 0, 1, 1])


def test_parameters_of_activations_are_used():
    x = np.array([-2.0, 3.0])
    assert close(nn.leaky_relu(x, 0.3), [-0.6, 3], BOUND)
    assert close(nn.elu(x, 2.0), [2 * np.expm1(-2), 3], BOUND)
    assert close(nn.celu(x, 2.0), [2 * np.expm1(-1), 3], BOUND)


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "hard_tanh", "hard_sigmoid", "sigmoid"])
def test_nan_is_not_hidden(name):
    assert np.isnan(getattr(nn, name)(np.array([np.nan]))[0])


# ── along an axis ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("axis", [0, 1, None])
def test_softmax_and_its_logarithms_are_scipys(axis):
    for name in ("softmax", "log_softmax", "logsumexp"):
        f = getattr(nn, name)
        assert close(f(X, axis=axis), getattr(scipy.special, name)(X, axis=axis), BOUND)
        check_grads(lambda x, f=f: f(x, axis=axis), [X])
        with pytest.raises(TypeError, match="axis"):
            f(X)


def test_logsumexp_keeps_its_axes_when_asked():
    assert nn.logsumexp(X, axis=1, keepdims=True).shape == (2, 1)


def test_glu_gates_the_first_half_by_the_second():
    out = nn.glu(X, axis=1)
    assert close(out, X[:, :2] / (1 + np.exp(-X[:, 2:])), BOUND)
    check_grads(lambda x: nn.glu(x, axis=0), [X])
    with pytest.raises(ShapeError, match="glu: axis 0 cannot be halved, its length is 3"):
        nn.glu(np.ones((3, 2)), axis=0)


def test_one_hot_puts_classes_where_axis_says(put):
    labels = put(np.array([2, 0, 1, 2]))
    assert np.array_equal(xg.asnumpy(nn.one_hot(labels, 3, axis=0)), np.eye(3)[[2, 0, 1, 2]].T)
    rows = nn.one_hot(labels, 4, axis=-1, dtype=np.float32)
    assert rows.dtype == F32
    assert np.array_equal(xg.asnumpy(rows), np.eye(4)[[2, 0, 1, 2]])
    assert np.array_equal(nn.one_hot([[0, 1]], 2, axis=1), [[[1, 0], [0, 1]]])
    assert np.array_equal(nn.one_hot(1, 3, axis=0), [0, 1, 0])


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([0, 3], DataError, r"one_hot: labels must be classes 0 \.\.\. 2, got 3 at \[1\]"),
        ([-1, 2], DataError, r"one_hot: labels must be classes 0 \.\.\. 2, got -1 at \[0\]"),
        ([0.0, 1.0], DTypeError, "one_hot: labels must be integers"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, error, says):
    with pytest.raises(error, match=says):
        nn.one_hot(labels, 3, axis=0)
    with pytest.raises(ShapeError, match="one_hot: axis 2 does not fit"):
        nn.one_hot([0, 1], 3, axis=2)


def test_standardize_gives_mean_zero_and_variance_one():
    out = nn.standardize(X, axis=1, eps=0)
    assert close(out.mean(axis=1), [0, 0], BOUND)
    assert close(out.var(axis=1), [1, 1], BOUND)
    check_grads(lambda x: nn.standardize(x, axis=0), [X])
    assert np.array_equal(nn.standardize(np.full((2, 3), 5.0), axis=1), np.zeros((2, 3)))


def test_normalize_gives_norm_one_without_overflow():
    assert close(np.linalg.norm(nn.normalize(X, axis=0), axis=0), np.ones(4), BOUND)
    check_grads(lambda x: nn.normalize(x, axis=1), [X])
    check_grads(lambda x: nn.normalize(x, axis=None, eps=100.0), [X])
    assert close(nn.normalize([3e200, 4e200], axis=0), [0.6, 0.8], BOUND)
    assert close(nn.normalize([3e-170, 4e-170], axis=0, eps=1e-300), [0.6, 0.8], BOUND)


def test_normalize_at_zero_is_zero_with_the_slope_of_the_guard():
    out, pullback = xg.vjp(lambda x: nn.normalize(x, axis=0, eps=0.5), np.zeros(2))
    assert np.array_equal(out, [0, 0])
    assert np.array_equal(pullback(np.ones(2))[0], [2, 2])


def test_dropout_keeps_the_expectation_and_is_decided_by_its_generator(put):
    x = put(np.ones((200, 100), np.float32))
    out = xg.asnumpy(nn.dropout(x, 0.25, np.random.default_rng(0)))
    assert out.dtype == F32
    assert set(np.unique(out)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs(out.mean() - 1) < 0.02
    assert np.array_equal(out, xg.asnumpy(nn.dropout(x, 0.25, np.random.default_rng(0))))
    assert not np.array_equal(out, xg.asnumpy(nn.dropout(x, 0.25, np.random.default_rng(1))))


def test_dropout_passes_the_gradient_of_what_it_kept():
    def f(x):
        return nn.dropout(x, 0.5, np.random.default_rng(0))

    assert np.array_equal(slopes(f, X), (f(np.ones_like(X)) > 0) * 2.0)
    assert np.array_equal(nn.dropout(X, 0, np.random.default_rng(0)), X)
    with pytest.raises(ValueError, match=r"dropout: rate must be in \[0, 1\), not 1"):
        nn.dropout(X, 1, np.random.default_rng(0))


# ── initial parameters ───────────────────────────────────────────────────────────────────────
VARIANCES = {
    "glorot_uniform": lambda i, o: 2 / (i + o),
    "glorot_normal": lambda i, o: 2 / (i + o),
    "xavier_uniform": lambda i, o: 2 / (i + o),
    "xavier_normal": lambda i, o: 2 / (i + o),
    "he_uniform": lambda i, o: 2 / i,
    "he_normal": lambda i, o: 2 / i,
    "kaiming_uniform": lambda i, o: 2 / i,
    "kaiming_normal": lambda i, o: 2 / i,
    "lecun_uniform": lambda i, o: 1 / i,
    "lecun_normal": lambda i, o: 1 / i,
}
INITIALISERS = {
    **{name: {} for name in (*VARIANCES, "zeros", "ones", "normal", "uniform", "orthogonal")},
    "constant": {"value": 3.0},
}


@pytest.mark.parametrize("shape", [(200, 300), (5, 4, 30, 100)], ids=str)
@pytest.mark.parametrize("name", VARIANCES)
def test_an_initialiser_has_the_variance_of_its_fans(name, shape):
    kernel = prod(shape[:-2])
    W = getattr(nn, name)(0, shape)
    expected = VARIANCES[name](kernel * shape[-2], kernel * shape[-1])
    assert abs(W.mean()) < 5 * np.sqrt(expected / W.size)
    assert abs(W.var() / expected - 1) < 0.05
    if name.endswith("uniform"):
        assert 0.99 < np.max(np.abs(W)) / np.sqrt(3 * expected) <= 1


@pytest.mark.parametrize("name", INITIALISERS)
def test_an_initialiser_is_a_pure_function_of_its_seed(name, device):
    init, keywords = getattr(nn, name), INITIALISERS[name]
    W = init(7, (3, 4), np.float32, device, **keywords)
    assert (W.shape, W.dtype, xg.device_of(W)) == ((3, 4), F32, device)
    assert np.array_equal(xg.asnumpy(W), init(7, (3, 4), **keywords).astype(np.float32))
    assert init(7, (3, 4), **keywords).dtype == F64


@pytest.mark.parametrize("name", [*VARIANCES, "normal", "uniform", "orthogonal"])
def test_a_generator_is_advanced(name):
    rng = np.random.default_rng(0)
    first, second = getattr(nn, name)(rng, (3, 4)), getattr(nn, name)(rng, (3, 4))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, getattr(nn, name)(0, (3, 4)))


def test_simple_initialisers_are_what_they_say():
    assert np.array_equal(nn.zeros(0, (2,)), [0, 0])
    assert np.array_equal(nn.ones(0, (2,)), [1, 1])
    assert np.array_equal(nn.constant(0, (2,), value=0.5), [0.5, 0.5])
    assert abs(nn.normal(0, (10_000,), mean=3.0, std=0.1).mean() - 3) < 0.01
    draws = nn.uniform(0, (10_000,), low=-2.0, high=-1.0)
    assert -2 <= draws.min() < draws.max() < -1


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 4, 5)], ids=str)
def test_an_orthogonal_matrix_is_orthogonal(shape):
    W = nn.orthogonal(0, shape, gain=2.0).reshape(-1, shape[-1])
    W = W if W.shape[0] >= W.shape[1] else W.T
    assert close(W.T @ W, 4 * np.eye(W.shape[1]), BOUND)


def test_an_orthogonal_matrix_prefers_no_sign():
    corners = [nn.orthogonal(seed, (2, 2))[0, 0] for seed in range(40)]
    assert 8 < sum(c > 0 for c in corners) < 32


@pytest.mark.parametrize("name", INITIALISERS)
def test_what_an_initialiser_cannot_use_is_refused(name):
    init, keywords = getattr(nn, name), INITIALISERS[name]
    with pytest.raises(
        TypeError, match=r"rng must be a numpy\.random\.Generator or an integer seed, not tuple"
    ):
        init((3, 4), (3, 4), **keywords)
    with pytest.raises(DTypeError, match="parameters of dtype int64 have no gradient"):
        init(0, (3, 4), int, **keywords)
    if name in VARIANCES or name == "orthogonal":
        with pytest.raises(ShapeError, match="a weight has fan_in and fan_out"):
            init(0, (3,), **keywords)
