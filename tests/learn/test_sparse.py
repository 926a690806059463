"""Sparse X stays sparse, and gives what the same numbers give as an array."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model

import xpgrad as xg
from xpgrad import learn

N, P = 500, 12


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = sparse.random_array((N, P), density=0.2, rng=rng, format="csr")
    eta = 2 * (X @ rng.normal(size=P))
    return X, eta, rng


def targets(name, data):
    _, eta, rng = data
    if name == "LogisticRegression":
        return rng.integers(0, 3, N)
    if name == "PoissonRegressor":
        return rng.poisson(np.exp(eta) * rng.gamma(1.0, 1.0, N))
    return np.exp(eta) * rng.gamma(2.0, 0.5, N)


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("LogisticRegression", "newton"),
        ("LogisticRegression", "lbfgs"),
        ("Ridge", "newton"),
        ("PoissonRegressor", "lbfgs"),
        ("HuberRegressor", "lbfgs"),
        ("HuberRegressor", "newton"),
    ],
)
def test_a_fit_to_sparse_numbers_is_that_to_an_array(name, solver, data):
    X, y = data[0], targets(name, data)
    w = 0.5 + np.arange(N) % 3
    make = getattr(learn, name)
    sparsely, densely = make(solver=solver, tol=1e-9, max_iter=500), make(solver=solver, tol=1e-9, max_iter=500)
    if (name, solver) == ("HuberRegressor", "newton"):
        with pytest.raises(xg.DataError, match="scale or dispersion"):
            sparsely.fit(X, y, sample_weight=w)
        return
    sparsely.fit(X, y, sample_weight=w)
    densely.fit(X.toarray(), y, sample_weight=w)
    scale = np.abs(densely.coef_).max()
    np.testing.assert_allclose(sparsely.coef_, densely.coef_, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(sparsely.intercept_, densely.intercept_, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(sparsely.predict(X), densely.predict(X.toarray()), rtol=1e-6)


@pytest.mark.parametrize("form", ["csc", "coo", "lil", "dok"])
def test_every_format_of_scipy_is_taken(form, data):
    X, y = data[0], targets("Ridge", data)
    as_csr = learn.Ridge().fit(X, y)
    other = learn.Ridge().fit(X.asformat(form), y)
    np.testing.assert_array_equal(other.coef_, as_csr.coef_)
    assert other.coef_.shape == (P,)


def test_sparse_coefficients_are_scikit_learns(data):
    X, y = data[0], targets("LogisticRegression", data) == 1
    theirs = linear_model.LogisticRegression(tol=1e-10, solver="lbfgs", max_iter=5000).fit(X, y)
    ours = learn.LogisticRegression(tol=1e-10, max_iter=500).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    lasso = learn.LogisticRegression(l1_ratio=1.0, C=0.1, tol=1e-9).fit(X, y)
    dense = learn.LogisticRegression(l1_ratio=1.0, C=0.1, tol=1e-9).fit(X.toarray(), y)
    np.testing.assert_allclose(lasso.coef_, dense.coef_, atol=1e-9)
    assert (lasso.coef_ == 0).any()


@pytest.mark.parametrize("covariance", ["nonrobust", "HC0", "HC3", "cluster"])
def test_standard_errors_of_sparse_columns(covariance, data):
    X, y = data[0], targets("PoissonRegressor", data)
    given = {"covariance": covariance}
    if covariance == "cluster":
        given["groups"] = np.arange(N) % 50
    model = learn.PoissonRegressor(alpha=0, tol=1e-9).fit(X, y)
    sparsely, densely = model.inference(X, y, **given), model.inference(X.toarray(), y, **given)
    np.testing.assert_allclose(sparsely.bse, densely.bse, rtol=1e-9)


def test_a_matrix_that_would_not_fit_into_memory_is_fitted():
    """As an array it has 160 GB."""
    n, p = 100_000, 200_000
    rng = np.random.default_rng(0)
    places = rng.integers(0, 50, n) * (p // 50)
    X = sparse.csr_array((np.ones(n), (np.arange(n), places)), shape=(n, p))
    y = (rng.random(n) < np.where(places < p // 2, 0.2, 0.8)).astype(int)
    tracemalloc.start()
    model = learn.LogisticRegression(C=1.0, max_iter=20, tol=1e-3).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 8 * p
    assert model.score(X, y) == pytest.approx(0.8, abs=0.01)
    assert np.count_nonzero(model.coef_) == 50


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_network_of_sparse_numbers_is_that_of_an_array(solver, data):
    X, y = data[0], targets("LogisticRegression", data)
    given = {"hidden_layer_sizes": (4,), "solver": solver, "random_state": 0, "max_iter": 5}
    given["early_stopping"] = solver == "adam"
    sparsely, densely = learn.MLPClassifier(**given).fit(X, y), learn.MLPClassifier(**given).fit(X.toarray(), y)
    np.testing.assert_allclose(sparsely.predict_proba(X), densely.predict_proba(X.toarray()), rtol=1e-9)


def test_float32_stays_float32(data):
    X, y = data[0].astype(np.float32), targets("PoissonRegressor", data)
    model = learn.PoissonRegressor(alpha=0.1).fit(X, y)
    assert model.coef_.dtype == np.float32
    wide = learn.PoissonRegressor(alpha=0.1).fit(X.astype(float), y)
    np.testing.assert_allclose(model.coef_, wide.coef_, atol=1e-4)


def test_what_sparse_numbers_cannot_be_is_refused_with_what_to_do(data):
    X, y = data[0], targets("Ridge", data)
    with pytest.raises(xg.DTypeError, match=r"(?s)columns of numbers alone.*one column of codes"):
        learn.Ridge(categorical_features=[0]).fit(X, y)
    with pytest.raises(xg.DTypeError, match=r"(?s)sparse X is not supported.*toarray"):
        learn.Model(lambda w, X, y: (y - X @ w) ** 2, np.zeros(P), lambda w, X: X @ w).fit(X, y)
    X = X.copy()
    X.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        learn.Ridge().fit(X, y)
