"""stabilise: each form that people write, against 50 digits where NumPy's would have lost them."""

import mpmath
import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends import reference
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.stabilise import stabilise

PASSES = [cse, stabilise, dead]
WIDE = np.array(
    [-1000.0, -745.0, -100.0, -37.0, -5.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 5.0, 37.0, 100.0, 710.0, 1000.0]
)
EDGES = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan])
mp = mpmath.mp.clone()
mp.dps = 50
# Relative to the true value: a few units in the last place.
CLOSE = {np.float64: 1e-14, np.float32: 2e-6}


def softplus(z):
    return mp.log1p(mp.exp(z))


def expit(z):
    return 1 / (1 + mp.exp(-z))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slope(z):
    return expit(z) * expit(-z)


def both(z):
    return mp.log(mp.exp(z) + mp.exp(z / 2))


def near_one(z):
    return mp.log1p(-mp.tanh(z / 500))


def squared(z):
    return 2 * mp.log(abs(z - 2000))


def odds(z):
    a = sigmoid(z)
    return a / (1 - a)


FORMS = [
    (lambda z: 1 / (1 + np.exp(-z)), expit, {"expit"}),
    (lambda z: 1.0 / (np.exp(-z) + 1), expit, {"expit"}),
    (lambda z: np.divide(1, 1 + np.exp(-z)), expit, {"expit"}),
    (lambda z: np.reciprocal(1 + np.exp(-z)), expit, {"expit"}),
    (lambda z: np.power(1 + np.exp(-z), -1.0), expit, {"expit"}),
    (lambda z: (1 + np.exp(-z)) ** -1, expit, {"expit"}),
    (lambda z: np.ones_like(z) / (1 + np.exp(-z)), expit, {"expit"}),
    (lambda z: 1 / (1 + np.exp(-1 * z)), expit, {"expit"}),
    (lambda z: 1 / (1 + np.e**-z), expit, {"expit"}),
    (lambda z: 1 / (1 + 1 / np.exp(z)), expit, {"expit"}),
    (lambda z: np.exp(z) / (1 + np.exp(z)), expit, {"expit"}),
    (lambda z: np.exp(z) / (np.exp(z) + 1), expit, {"expit"}),
    (lambda z: 0.5 * (1 + np.tanh(z / 2)), expit, {"expit"}),
    (lambda z: (np.tanh(0.5 * z) + 1) / 2, expit, {"expit"}),
    (lambda z: 1 - sigmoid(z), lambda z: expit(-z), {"negative", "expit"}),
    (lambda z: -sigmoid(z) + 1, lambda z: expit(-z), {"negative", "expit"}),
    (lambda z: sigmoid(z) - 1, lambda z: -expit(-z), {"negative", "expit"}),
    (lambda z: 1 / (1 + np.exp(z)), lambda z: expit(-z), {"negative", "expit"}),
    (lambda z: 3 / (1 + np.exp(-z)), lambda z: 3 * expit(z), {"multiply", "expit"}),
    (lambda z: z / (1 + np.exp(-z)), lambda z: z * expit(z), {"multiply", "expit"}),
    (lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2, slope, {"negative", "expit", "multiply"}),
    (odds, mp.exp, {"exp"}),
    (lambda z: np.log(sigmoid(z)), lambda z: -softplus(-z), {"negative", "softplus"}),
    (lambda z: np.log(1 - sigmoid(z)), lambda z: -softplus(z), {"negative", "softplus"}),
    (lambda z: np.log1p(-sigmoid(z)), lambda z: -softplus(z), {"negative", "softplus"}),
    (lambda z: np.log(1 / (1 + np.exp(z))), lambda z: -softplus(z), {"negative", "softplus"}),
    (lambda z: np.log(odds(z)), lambda z: z, set()),
    (lambda z: np.log(1 + np.exp(z)), softplus, {"softplus"}),
    (lambda z: np.log1p(np.exp(z)), softplus, {"softplus"}),
    (lambda z: np.log(np.exp(z) + 1), softplus, {"softplus"}),
    (lambda z: np.logaddexp(0, z), softplus, {"softplus"}),
    (lambda z: np.log(np.exp(z) + np.exp(0.5 * z)), both, {"multiply", "logaddexp"}),
    (lambda z: np.log2(sigmoid(z)), lambda z: -softplus(-z) / mp.log(2), {"negative", "softplus", "multiply"}),
    (lambda z: np.log10(sigmoid(z)), lambda z: -softplus(-z) / mp.ln10, {"softplus", "multiply"}),
    (lambda z: np.exp(-np.log(1 + np.exp(-z))), expit, {"expit"}),
    (lambda z: np.log(np.exp(z)), lambda z: z, set()),
    (lambda z: np.exp(z / 2) - 1, lambda z: mp.expm1(z / 2), {"divide", "expm1"}),
    (lambda z: 1 - np.exp(z / 2), lambda z: -mp.expm1(z / 2), {"divide", "expm1", "negative"}),
    (lambda z: np.log(1 + z * z), lambda z: mp.log1p(z * z), {"multiply", "log1p"}),
    (lambda z: np.log(1 - np.tanh(z / 500)), near_one, {"divide", "tanh", "log1p"}),
    (lambda z: np.log((z - 2000) ** 2), squared, {"subtract", "absolute", "log", "multiply"}),
    (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), mp.tanh, {"tanh"}),
    (lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1), mp.tanh, {"tanh"}),
    (lambda z: (1 - np.exp(-2 * z)) / (1 + np.exp(-2 * z)), mp.tanh, {"tanh", "multiply", "negative"}),
    (lambda z: 2 / (1 + np.exp(-2 * z)) - 1, mp.tanh, {"tanh"}),
]  # fmt: skip


@pytest.mark.parametrize(("f", "true", "ops"), FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_people_write_is_computed_to_all_its_digits(through, f, true, ops, dtype):
    z = WIDE.astype(dtype)
    found = through(PASSES, f, z, agree=False)
    assert set(found.ops) <= ops | {"negative"}
    assert found.notes
    with np.errstate(all="ignore"):
        got = reference.run(found.graph, [z])[0]
    for x, y in zip(z, got, strict=True):
        exact = true(mp.mpf(float(x)))
        limits = np.finfo(dtype)
        if abs(exact) > float(limits.max):
            assert abs(y) == np.inf
        elif abs(exact) > 4 * float(limits.smallest_normal) / float(limits.eps):
            assert abs(mp.mpf(float(y)) - exact) <= CLOSE[dtype] * abs(exact), x
        else:
            assert abs(float(y)) <= 8 * float(limits.smallest_normal) / float(limits.eps)


@pytest.mark.parametrize(("f", "ops"), [(f, ops) for f, _, ops in FORMS])
def test_where_numpy_has_digits_nothing_changes(through, f, ops):
    through(PASSES, f, np.linspace(-3, 3, 13))
    through(PASSES, f, np.linspace(-3, 3, 13).reshape(1, 13).astype(np.float32))


@pytest.mark.parametrize("f", [f for f, _, _ in FORMS])
def test_nan_stays_nan(through, f):
    found = through(PASSES, f, EDGES, agree=False)
    with np.errstate(all="ignore"):
        assert np.isnan(reference.run(found.graph, [EDGES])[0][-1])


LOGITS = np.array([[1000.0, -1000.0, 0.0, 3.0], [1.0, 2.0, -3.0, 1.5], [-1000.0, -1001.0, -999.0, -1000.0]])


def top(x):
    return x.max(axis=1, keepdims=True)


SHIFTS = [
    None,
    top,
    lambda x: np.max(x),
    lambda x: x.max(axis=1)[:, None],
    lambda x: xg.stop_gradient(top(x)),
]
SOFTMAXES = [
    lambda e: e / e.sum(axis=1, keepdims=True),
    lambda e: e / e.sum(axis=-1)[:, None],
    lambda e: e / np.sum(e, axis=1).reshape(-1, 1),
    lambda e: (e.T / e.sum(axis=1)).T,
    lambda e: e * (1 / e.sum(axis=1, keepdims=True)),
    lambda e: e / np.expand_dims(e.sum(1), 1),
]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("normalised", SOFTMAXES)
@pytest.mark.parametrize("log", [False, True])
def test_softmax_and_its_logarithm(through, shift, normalised, log):
    def f(x):
        p = normalised(np.exp(x - shift(x)) if shift else np.exp(x))
        return np.log(p) if log else p

    wanted = "log_softmax" if log else "softmax"
    found = through(PASSES, f, LOGITS, agree=False)
    assert set(found.ops) <= {wanted, "transpose"}
    through(PASSES, f, LOGITS / 300)
    expected = getattr(xg.special, wanted)(LOGITS, axis=1)
    assert np.array_equal(reference.run(found.graph, [LOGITS])[0], expected)


def test_softmax_down_the_columns(through):
    assert through(PASSES, lambda x: np.exp(x) / np.exp(x).sum(axis=0), LOGITS / 300).ops == ["softmax"]
    assert through(PASSES, lambda x: np.exp(x) / np.exp(x).sum(), LOGITS[1]).ops == ["softmax"]


@pytest.mark.parametrize("f", [
    lambda e: e / e.sum(axis=1),  # the sums of the rows, along the columns
    lambda e: e / e.sum(axis=1)[::-1, None],
    lambda e: e / xg.stop_gradient(e.sum(axis=1, keepdims=True)),
    lambda e: e / e.max(axis=1, keepdims=True),
    lambda e: e / (1 + e.sum(axis=1, keepdims=True)),
    lambda e: e.T / e.sum(axis=0),
])  # fmt: skip
def test_what_only_looks_like_a_softmax_is_none(through, f):
    assert "softmax" not in through(PASSES, lambda x: f(np.exp(x)), LOGITS[:, :3] / 300).ops


def test_the_logarithm_of_the_picked_probability(through):
    def f(x):
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return np.log(p[np.arange(3), [0, 1, 2]])

    assert set(through(PASSES, f, LOGITS / 300).ops) == {"log_softmax", "getitem"}


@pytest.mark.parametrize("f", [
    lambda x: np.log(np.sum(np.exp(x), axis=1)),
    lambda x: np.log(np.exp(x).sum(axis=1, keepdims=True)),
    lambda x: np.log(np.sum(np.exp(x - top(x)), axis=1)) + x.max(axis=1),
    lambda x: x.max(axis=1)[:, None] + np.log(np.sum(np.exp(x - top(x)), axis=1, keepdims=True)),
])  # fmt: skip
def test_log_sum_exp(through, f):
    x = LOGITS / 300
    assert "logsumexp" in through(PASSES, f, x).ops
    found = through(PASSES, f, LOGITS, agree=False)
    assert np.all(np.isfinite(reference.run(found.graph, [LOGITS])[0]))


def test_the_maximum_taken_off_is_taken_off_once(through):
    f = lambda x: np.log(np.sum(np.exp(x - top(x)), axis=1, keepdims=True)) + top(x)
    assert through(PASSES, f, LOGITS / 300).ops == ["logsumexp"]
    f = lambda x: (x - top(x)) - np.log(np.sum(np.exp(x - top(x)), axis=1, keepdims=True))
    assert through(PASSES, f, LOGITS / 300).ops == ["log_softmax"]


def test_a_stop_on_one_side_alone_is_respected(through):
    """Its derivative is another than that of logsumexp(x)."""
    f = lambda x: np.log(np.sum(np.exp(x - xg.stop_gradient(top(x))), axis=1, keepdims=True)) + top(x)
    assert "add" in through(PASSES, f, LOGITS / 300).ops


@pytest.mark.parametrize("f", [
    lambda x: np.log(np.mean(np.exp(x), axis=1)),
    lambda x: np.log(1 + np.sum(np.exp(x), axis=1)),
    lambda x: np.log1p(np.sum(np.exp(x), axis=1)),
])  # fmt: skip
def test_sums_of_exponentials_with_something_beside(through, f):
    assert "logsumexp" in through(PASSES, f, LOGITS / 300).ops
    found = through(PASSES, f, LOGITS, agree=False)
    assert np.all(np.isfinite(reference.run(found.graph, [LOGITS])[0]))


@pytest.mark.parametrize("f", [
    lambda z: np.where(z >= 0, z, 0) + np.log1p(np.exp(-np.abs(z))),
    lambda z: np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))),
    lambda z: np.logaddexp(z, 1.0),
    lambda z: xg.special.expit(z),
    lambda z: np.log(np.clip(1 / (1 + np.exp(-z)), 1e-12, 1 - 1e-12)),
    lambda z: np.log(1 / (1 + np.exp(-z)) + 1e-12),
])  # fmt: skip
def test_correct_code_stays_correct(through, f):
    through(PASSES, f, WIDE)


def test_complex_numbers_and_integers_are_left_alone(through):
    z = np.linspace(-1, 1, 5) + 0.5j
    for f in (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.log(1 + z), lambda z: np.exp(z) - 1):
        assert through(PASSES, f, z).notes == []
    assert through(PASSES, lambda n: 1 / (1 + np.exp(-n)), np.arange(3, dtype=np.uint32)).notes == []


def test_an_intermediate_that_is_used_elsewhere_stays(through):
    def f(z):
        e = np.exp(-z)
        return e, 1 / (1 + e)

    assert set(through(PASSES, f, np.linspace(-2, 2, 5)).ops) == {"negative", "exp", "expit"}


def test_the_derivative_of_the_logarithm_of_a_quotient_divides_once(through):
    weight, a, c = np.array([2.0, -3.0]), np.array([1e-200, 3.0]), np.array([1e200, 7.0])
    for loss, op in (
        (lambda a, c: np.sum(np.log(a / c)), "reciprocal"),
        (lambda a, c: np.sum(weight * np.log(a / c)), "divide"),
    ):
        found = through([cse, stabilise, cse, dead], xg.grad(loss), a, c, agree=False)
        assert any(note.startswith("x / (a / y) / y -> x / a") for note in found.notes)
        assert found.ops == [op]
        # NumPy's quotient has underflowed to 0.
        assert np.all(np.isfinite(reference.run(found.graph, [a, c])[0]))
