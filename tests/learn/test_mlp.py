"""Networks of dense layers."""

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from xpgrad import learn


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, random_state=0)


def test_digits_are_read(digits):
    X, test, y, expected = digits
    model = learn.MLPClassifier((50,), random_state=0, learning_rate_init=0.01, tol=1e-3, n_iter_no_change=5)
    model.fit(X, y)
    assert model.score(test, expected) >= 0.97
    np.testing.assert_allclose(model.predict_proba(test).sum(axis=1), 1)
    assert (model.predict(test) == model.classes_[model.predict_proba(test).argmax(axis=1)]).all()


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_the_network_is_scikit_learns(digits, activation):
    """The same weights give the same probabilities."""
    X, test, y, _ = digits
    theirs = neural_network.MLPClassifier((8, 5), activation, random_state=0).partial_fit(
        X, y, classes=range(10)
    )
    ours = learn.MLPClassifier((8, 5), activation).partial_fit(X, y, classes=range(10))
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(ours.predict_proba(test), theirs.predict_proba(test), rtol=1e-10)


def test_without_hidden_layers_it_is_logistic_regression(digits):
    X, _, y, _ = digits
    X, y = X[:300], y[:300] % 3
    n = len(y)
    net = learn.MLPClassifier((), solver="lbfgs", alpha=1.0, tol=1e-8, max_iter=3000, random_state=0).fit(X, y)
    linear = learn.LogisticRegression(C=1.0, tol=1e-8, max_iter=3000).fit(X, y)
    assert n == 300
    np.testing.assert_allclose(net.coefs_[0].T, linear.coef_, atol=1e-5)
    np.testing.assert_allclose(net.predict_proba(X), linear.predict_proba(X), atol=1e-6)


def test_a_regression_beats_a_line():
    X, y = load_diabetes(return_X_y=True)
    X = X * 20
    y = np.sin(2 * X[:, 2]) + 0.5 * X[:, 8] ** 2
    model = learn.MLPRegressor(
        (20,), "tanh", solver="lbfgs", alpha=1e-3, max_iter=400, tol=1e-3, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=150, tol=1e-9).fit(X, y)
    assert model.score(X, y) > 0.95 > learn.LinearRegression().fit(X, y).score(X, y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_same_seed_gives_the_same_bits(digits, solver):
    X, _, y, _ = digits
    fits = []
    for _ in range(2):
        model = learn.MLPClassifier((5,), solver=solver, max_iter=3, random_state=3, n_iter_no_change=1)
        with pytest.warns(ConvergenceWarning):
            fits.append(model.fit(X, y))
    for a, b in zip(fits[0].coefs_, fits[1].coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fits[0].loss_curve_[-1] < fits[0].loss_curve_[0]


def test_partial_fit_goes_on(digits):
    X, test, y, expected = digits
    model = learn.MLPClassifier((30,), learning_rate_init=0.01, random_state=0)
    for k in range(30):
        half = slice(k % 2, None, 2)
        model.partial_fit(X[half], y[half], classes=range(10))
    assert model.n_iter_ == 30
    assert model.score(test, expected) > 0.9
    with pytest.raises(ValueError, match="not among"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="classes must be given"):
        learn.MLPClassifier().partial_fit(X, y)


def test_early_stopping_keeps_the_weights_of_the_best_pass(digits):
    X, test, y, expected = digits
    model = learn.MLPClassifier(
        (40,), learning_rate_init=0.02, early_stopping=True, random_state=0, max_iter=150
    )
    model.fit(X, y)
    assert model.n_iter_ < 200
    assert model.score(test, expected) > 0.93


def test_a_loss_that_becomes_infinite_is_an_error():
    X = np.array([[1e200], [-1e200], [1.0]])
    with pytest.raises(ValueError, match="scale the data"), np.errstate(all="ignore"):
        learn.MLPRegressor((3,), solver="sgd", random_state=0).fit(X, [1.0, 2.0, 3.0])


def test_several_targets_are_scikit_learns_network(digits):
    X, test, *_ = digits
    Y = X[:, 20:23] + X[:, 30:33] ** 2
    theirs = neural_network.MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", random_state=0)
    theirs.partial_fit(X, Y)
    ours = learn.MLPRegressor((8,), "tanh", random_state=0, max_iter=40, learning_rate_init=0.01, tol=1e-9)
    with pytest.warns(ConvergenceWarning):
        ours.fit(X, Y)
    assert ours.score(X, Y) > 0.9
    assert ours.predict(test).shape == (len(test), 3)
    with pytest.raises(ValueError, match="y has 2 targets, and had 3"):
        ours.partial_fit(X, Y[:, :2])
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(ours.predict(test), theirs.predict(test), rtol=1e-10)


RATES = {
    "constant": ({"learning_rate": "constant", "warmup_iter": 3}, [1 / 3, 2 / 3, 1, 1, 1, 1]),
    "cosine": ({"learning_rate": "cosine"}, [(1 + np.cos(np.pi * k / 6)) / 2 for k in range(6)]),
    "invscaling": (
        {"learning_rate": "invscaling", "power_t": 0.3},
        [1 / (50 * k + 1) ** 0.3 for k in range(6)],
    ),
    "function": ({"learning_rate": lambda step: 0.1 * (step + 1)}, [1, 2, 3, 4, 5, 6]),
}


@pytest.mark.parametrize("name", RATES)
def test_the_rate_is_that_of_the_schedule(digits, name):
    """With the identity and one batch, a pass is a step of gradient descent."""
    given, rates = RATES[name]
    X, y = digits[0][:50, 20:22], digits[0][:50, 30]
    model = learn.MLPRegressor((), "identity", solver="sgd", momentum=0.0, nesterovs_momentum=False, **given)
    model.set_params(alpha=0.0, batch_size=50, learning_rate_init=0.1, random_state=0, max_iter=6, tol=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    bound = np.sqrt(6 / 3)
    random = np.random.RandomState(0)
    w, b = random.uniform(-bound, bound, (2, 1))[:, 0], random.uniform(-bound, bound, 1)[0]
    for rate in rates:
        residual = X @ w + b - y
        w, b = w - 0.1 * rate * X.T @ residual / 50, b - 0.1 * rate * residual.mean()
    np.testing.assert_allclose([*model.coefs_[0][:, 0], model.intercepts_[0][0]], [*w, b], rtol=1e-10)
