"""Minibatches: each sample once in a pass, along the right axis, in an order that the seed gives."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import DataError, ShapeError
from xpgrad.optim import minimize, sgd
from xpgrad.optim.batches import Batches
from xpgrad.testing.tolerances import close, tolerance

EXACT = tolerance(np.float64).value


def columns(m):
    return np.arange(2.0 * m).reshape(2, m), np.arange(float(m))[None]


def passes(data, size, axis=-1, seed=0, n=1):
    batches = Batches(data, size, axis, seed)
    return [[xg.asnumpy(batch) for batch, _ in batches.epoch()] for _ in range(n)]


@pytest.mark.parametrize("size", [1, 3, 4, 10])
def test_each_pass_has_every_sample_once_and_its_label_with_it(size, put):
    X, Y = columns(10)
    for batches in passes(put((X, Y)), size, n=2):
        assert [Y.shape[1] for _, Y in batches] == [size] * (10 // size) + [10 % size] * (10 % size > 0)
        labels = np.concatenate([Y for _, Y in batches], axis=1)
        assert sorted(labels[0]) == list(range(10))
        assert np.array_equal(np.concatenate([X for X, _ in batches], axis=1), X[:, labels[0].astype(int)])


def test_the_shares_of_a_pass_are_those_of_the_samples():
    shares = [share for _, share in Batches(columns(10), 4, -1, 0).epoch()]
    assert shares == [0.4, 0.4, 0.2]


def test_samples_in_rows_are_cut_along_axis_0():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    for X_, y_ in passes((X, y), 3, axis=0)[0]:
        assert np.array_equal(X_, X[y_])


def test_scalars_and_arrays_without_axes_go_into_every_batch():
    data = ({"X": np.arange(4.0)}, 0.5, np.array(2.0), None)
    for batch in passes(data, 3)[0]:
        assert batch[1:] == (0.5, 2.0, None)


def test_the_order_is_new_in_each_pass_and_the_same_for_the_same_seed():
    def order(seed):
        return [
            tuple(np.concatenate([Y[0] for _, Y in batches]))
            for batches in passes(columns(50), 7, seed=seed, n=3)
        ]

    assert len(set(order(1))) == 3
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_minibatches_with_one_seed_give_the_same_bits_and_with_another_not(logistic):
    loss, start, data = logistic

    def weights(seed):
        return (
            minimize(loss, start, data, method="adam", batch_size=32, max_iter=2, seed=seed).params[0].tobytes()
        )

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)


def test_a_pass_of_minibatches_is_that_many_steps(put):
    X = np.arange(10.0)
    loss = lambda w, X: np.mean((X - w) ** 2)
    fit = minimize(
        loss, 0.0, (put(X),), method="gd", batch_size=4, learning_rate=0.1, max_iter=2, seed=5, tol=0.0
    )
    optimizer, w, records = sgd(0.1), 0.0, []
    batches = Batches((X,), 4, -1, 5)
    for _ in range(2):
        value = gradient = 0.0
        for (batch,), share in batches.epoch():
            v, g = loss(w, batch), -2 * np.mean(batch - w)
            value, gradient = value + share * v, gradient + share * g
            w = optimizer.update(g, 0, w)[0]
        records.append((value, abs(gradient)))
    assert close(fit.params, w, EXACT)
    assert close([(r.value, r.gradient_norm) for r in fit.history], records, EXACT)
    assert [(r.iteration, r.evaluations) for r in fit.history] == [(1, 3), (2, 6)]
    assert (fit.n_iter, fit.value) == (2, fit.history[-1].value)


NUMBERS = {
    "arrays without axes": (np.zeros((4, 1)), np.zeros(())),
    "Python's numbers": (np.zeros((4, 1)), 0.0),
    "NumPy's numbers": (np.zeros((4, 1), np.float32), np.float32(0)),
}


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("kind", NUMBERS)
def test_minibatches_of_adam_follow_its_formula(logistic, kind, compile):
    calls = []

    def loss(params, X, Y):
        calls.append(None)
        return logistic[0](params, X, Y)

    start, (X, Y) = NUMBERS[kind], logistic[2]
    runs = {"batch_size": 70, "max_iter": 3, "seed": 2, "tol": 0.0, "learning_rate": 0.02, "compile": compile}
    fit = minimize(loss, start, (X, Y), method="adam", **runs)
    w, m, v, t = np.zeros(5), np.zeros(5), np.zeros(5), 0
    rng, norms = np.random.default_rng(2), []
    for _ in range(3):
        order, mean = rng.permutation(300), np.zeros(5)
        for i in range(0, 300, 70):
            x, y = X[:, order[i : i + 70]], Y[0, order[i : i + 70]]
            d = (1 / (1 + np.exp(-(w[:4] @ x + w[4]))) - y) / y.size
            g, t = np.append(x @ d, d.sum()), t + 1
            mean += y.size / 300 * g
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - 0.02 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        norms.append(abs(mean).max())
    bound = tolerance(start[0].dtype).value * 100
    assert close(np.append(fit.params[0], fit.params[1]), w, bound)
    assert close([r.gradient_norm for r in fit.history], norms, bound)
    assert [type(x) for x in fit.params] == [type(x) for x in start]
    assert [np.asarray(x).dtype for x in fit.params] == [np.asarray(x).dtype for x in start]
    assert len(calls) == (2 if compile else 15)


def test_complex_parameters_go_by_minibatches_as_line_by_line():
    z = np.exp(1j * np.arange(12.0))
    loss = lambda p, z: np.mean(np.abs(p["a"] * z + p["b"] - 2) ** 2)
    start = {"a": np.array([1 + 1j]), "b": 0.5j}
    a, b = (
        minimize(loss, start, (z,), method="adam", batch_size=5, max_iter=4, compile=flag).params
        for flag in (True, False)
    )
    assert type(a["b"]) is type(b["b"]) is complex
    assert close([*a["a"], a["b"]], [*b["a"], b["b"]], 1e3 * EXACT)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("copied", [0, 1 << 30])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_has_its_samples_whatever_the_layout(monkeypatch, axis, copied, order):
    monkeypatch.setattr("xpgrad.optim.batches.COPIED", copied)
    x = np.arange(7 * 7 * 7.0).reshape(7, 7, 7).copy(order)
    chosen = np.random.default_rng(0).permutation(7)
    (batches,) = passes((x, x[::2, :, ::-1] if axis == 1 else x), 3, axis=axis)
    for k, (a, b) in enumerate(batches):
        i = chosen[3 * k : 3 * k + 3]
        assert np.array_equal(a, x.take(i, axis))
        assert np.array_equal(b, (x[::2, :, ::-1] if axis == 1 else x).take(i, axis))


def test_one_batch_of_all_samples_is_gradient_descent(logistic):
    loss, start, data = logistic
    whole = minimize(loss, start, data, method="gd", max_iter=5)
    batch = minimize(loss, start, data, method="gd", max_iter=5, batch_size=300)
    assert close(batch.params[0], whole.params[0], EXACT)


def test_minibatches_learn(logistic, put):
    loss, start, data = logistic
    fit = minimize(loss, put(start), put(data), method="adam", batch_size=32, learning_rate=0.01, max_iter=60)
    best = minimize(loss, start, data, method="lbfgs").value
    assert loss(xg.asnumpy(fit.params), *data) < best + 5e-3


def test_a_pass_that_diverges_gives_back_the_parameters_before_it(logistic):
    loss, start, data = logistic
    finite = []

    def callback(info):
        finite.append(info.params)

    def fragile(params, X, Y):
        return loss(params, X, Y) * np.where(len(finite) >= 2, np.nan, 1.0)

    with np.errstate(invalid="ignore"):
        fit = minimize(fragile, start, data, method="gd", batch_size=50, callback=callback)
    assert np.array_equal(fit.params[0], finite[1][0])
    assert fit.message.startswith(
        "diverged: the loss is nan after pass 3; the parameters are those after pass 2;"
    )
    assert fit.value == fit.history[1].value


def test_convergence_of_minibatches_is_of_the_mean_gradient_of_a_pass():
    X = np.array([-1.0, 1.0, -1.0, 1.0])
    loss = lambda w, X: np.mean(X) * 0.0 + w * np.mean(X)
    fit = minimize(loss, 0.0, (X,), method="gd", batch_size=1, tol=1e-3)
    assert (fit.converged, fit.n_iter) == (True, 1)


@pytest.mark.parametrize(
    ("data", "axis", "error", "text"),
    [
        (
            (np.ones((2, 5)), np.ones((1, 4))),
            -1,
            ShapeError,
            r"axis -1: 5 and 4\n  data\[0\] float64\[2, 5\]\n  data\[1\]",
        ),
        (
            (np.ones((6, 2)), np.ones(6)),
            -1,
            ShapeError,
            r"2 and 6[\s\S]*samples are in rows, write sample_axis=0",
        ),
        (
            (np.ones((2, 6)), np.ones(6)),
            1,
            ShapeError,
            r"not all data have the sample axis 1[\s\S]*data\[1\] float64\[6\]",
        ),
        ((np.ones((2, 5)),), -1, DataError, r"batch_size=6 is more than the 5 samples along axis -1"),
        ((), -1, DataError, "there are no data to cut into batches"),
        ((3.0,), -1, DataError, "there are no data to cut into batches"),
    ],
)
def test_data_that_cannot_be_cut_are_refused_by_name(data, axis, error, text):
    with pytest.raises(error, match=text):
        minimize(lambda w, *data: w**2, 1.0, data, method="adam", batch_size=6, sample_axis=axis)


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize(
    ("data", "axis"),
    [
        ((np.ones((3, 0)), np.ones((1, 0))), -1),
        ((np.ones((0, 3)), np.ones(0)), 0),
        ((np.ones((0, 3)), np.ones((0, 1))), -1),
        (({"X": np.ones((3, 0))},), -1),
    ],
)
def test_data_without_samples_are_refused(data, axis, batch_size):
    with pytest.raises(DataError, match=r"the data hold no samples\n  data\[0\]"):
        minimize(lambda w, *data: w**2, 1.0, data, method="gd", batch_size=batch_size, sample_axis=axis)


def test_no_features_are_no_error():
    fit = minimize(
        lambda b, X, Y: np.mean((b - Y) ** 2), 0.0, (np.ones((0, 3)), np.ones((1, 3))), method="lbfgs"
    )
    assert abs(fit.params - 1) < 1e-5
