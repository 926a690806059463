"""An estimator of a loss of the user's own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.linear_model import QuantileRegressor, Ridge
from sklearn.model_selection import cross_val_score

import xpgrad as xg
from xpgrad import learn


def squared(params, X, y):
    return (y - X @ params["w"] - params["b"]) ** 2


def squares(params):
    return 0.01 * np.sum(params["w"] ** 2)


def begin(X, y):
    return {"w": np.zeros(X.shape[1]), "b": np.mean(y)}


def line(params, X):
    return X @ params["w"] + params["b"]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.normal(size=200)


def test_a_squared_loss_with_a_penalty_is_ridge_regression(data):
    X, y = data
    model = learn.Model(squared, begin, line, penalty=squares, tol=1e-10).fit(X, y)
    ridge = Ridge(alpha=0.01 * len(y)).fit(X, y)
    np.testing.assert_allclose(model.params_["w"], ridge.coef_, rtol=1e-7)
    np.testing.assert_allclose(model.predict(X), ridge.predict(X), rtol=1e-6, atol=1e-9)
    assert model.score(X, y) == pytest.approx(ridge.score(X, y))


def test_weights_are_those_of_the_samples(data):
    X, y = data
    w = np.arange(len(y)) % 3
    model = learn.Model(squared, begin, line, tol=1e-10).fit(X, y, sample_weight=w)
    repeated = learn.Model(squared, begin, line, tol=1e-10).fit(X.repeat(w, axis=0), y.repeat(w))
    np.testing.assert_allclose(model.params_["w"], repeated.params_["w"], rtol=1e-7)


def test_a_scalar_loss_is_the_mean_and_takes_no_weights(data):
    X, y = data
    model = learn.Model(lambda p, X, y: np.mean(squared(p, X, y)), begin, line, tol=1e-10)
    np.testing.assert_allclose(
        model.fit(X, y).params_["w"],
        learn.Model(squared, begin, line, tol=1e-10).fit(X, y).params_["w"],
        rtol=1e-8,
    )
    with pytest.raises(xg.DataError, match="sample_weight needs the loss of each sample"):
        model.fit(X, y, sample_weight=np.ones(len(y)))


def test_a_loss_of_another_shape_is_refused(data):
    X, y = data
    with pytest.raises(xg.ShapeError, match=r"a scalar or an array of shape \(200,\)"):
        learn.Model(lambda p, X, y: squared(p, X, y)[:, None], begin, line).fit(X, y)


def test_the_parameter_predict_is_kept_beside_the_method(data):
    X, y = data
    model = learn.Model(squared, begin, line)
    assert model.get_params()["predict"] is line
    assert clone(model).get_params()["predict"] is line
    assert learn.Model(squared, begin, squared).set_params(predict=line).get_params()["predict"] is line
    assert cross_val_score(model, X, y, cv=3).min() > 0.5


def test_minibatches_come_to_the_same_line(data):
    X, y = data
    model = learn.Model(
        squared,
        begin,
        line,
        method="adam",
        learning_rate=0.05,
        batch_size=20,
        max_iter=200,
        tol=0.2,
        random_state=0,
    )
    exact = np.linalg.lstsq(np.c_[X, np.ones(len(y))], y, rcond=None)[0]
    np.testing.assert_allclose(model.fit(X, y).params_["w"], exact[:3], atol=0.1)
    again = clone(model).fit(X, y).params_["w"]
    np.testing.assert_array_equal(again, model.params_["w"])


def test_a_smooth_median_regression_beside_scikit_learns(data):
    X, y = data

    def pinball(params, X, y):
        r = (y - line(params, X)) / 1e-3
        return 1e-3 * np.logaddexp(0, r) - 0.5e-3 * r

    model = learn.Model(pinball, begin, line, tol=1e-7, max_iter=3000).fit(X, y)
    exact = QuantileRegressor(quantile=0.5, alpha=0).fit(X, y)

    def objective(predictor):
        return np.mean(np.abs(y - predictor.predict(X))) / 2

    assert objective(model) == pytest.approx(objective(exact), rel=1e-4)


def cross_entropy(params, X, y):
    z = X.numbers @ params["w"] + params["t"][X.codes[0]]
    return xg.losses.cross_entropy(z, y, axis=1, reduction="none")


def begin_classes(X, y):
    k = int(y.max()) + 1
    levels = int(X.codes[0].max()) + 1
    return {"w": np.zeros((X.numbers.shape[1], k)), "t": np.zeros((levels, k))}


def probabilities(params, X):
    return xg.special.softmax(X.numbers @ params["w"] + params["t"][X.codes[0]], axis=1)


def ridge(params):
    return 0.5 / 400 * (np.sum(params["w"] ** 2) + np.sum(params["t"] ** 2))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": pd.Categorical(rng.choice(list("abc"), 400)), "size": rng.normal(size=400)})
    eta = 2 * frame["size"].to_numpy() + (frame["kind"] == "b").to_numpy()
    return frame, np.array(["low", "middle", "high"])[np.digitize(eta + rng.logistic(size=400), [-1, 1])]


def test_a_classification_of_a_table_is_logistic_regression(table):
    """Without an intercept, which the levels stand for."""
    frame, y = table
    w = 0.5 + np.arange(400) % 3
    w *= 400 / w.sum()
    model = learn.Model(
        cross_entropy, begin_classes, probabilities, task="classification", penalty=ridge, tol=1e-9
    )
    model.fit(frame, y, sample_weight=w)
    same = learn.LogisticRegression(fit_intercept=False, tol=1e-10, max_iter=500)
    same.fit(frame, y, sample_weight=w)
    assert list(model.classes_) == ["high", "low", "middle"]
    np.testing.assert_allclose(model.predict_proba(frame), same.predict_proba(frame), atol=1e-6)
    assert (model.predict(frame) == same.predict(frame)).all()
    assert model.score(frame, y) == same.score(frame, y) > 0.6
    assert is_classifier(model)
    # The order of the columns does not matter, an unseen category does.
    np.testing.assert_array_equal(model.predict_proba(frame[["size", "kind"]]), model.predict_proba(frame))
    with pytest.raises(xg.DataError, match=r"(?s)'kind' has categories that were not seen at fit: 'd'"):
        model.predict(frame.assign(kind=pd.Categorical(["d"] * 400)))


def test_a_regression_has_no_probabilities(data):
    X, y = data
    model = learn.Model(squared, begin, line).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert not is_classifier(model)
    assert model.score(X, y) == pytest.approx(
        1 - ((y - model.predict(X)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )


def test_probabilities_of_another_shape_are_refused(table):
    frame, y = table
    X = frame[["size"]].to_numpy()
    model = learn.Model(
        lambda w, X, y: (X @ w - y) ** 2, np.zeros(1), lambda w, X: X @ w, task="classification"
    ).fit(X, y)
    with pytest.raises(xg.ShapeError, match=r"probability of each of 3 classes, \(n, 3\)"):
        model.predict(X)
    with pytest.raises(ValueError, match="only one class: 'low'"):
        model.fit(X, np.full(400, "low"))
