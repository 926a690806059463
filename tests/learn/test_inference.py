"""Standard errors and tests beside those of statsmodels, which `reference.py` has written down."""

import json

import numpy as np
import pandas as pd
import pytest

import xpgrad as xg
from learn.reference import FILE, data
from xpgrad import learn

REFERENCE = json.loads(FILE.read_text(encoding="utf-8"))
MODELS = {
    "normal": learn.LinearRegression(),
    "bernoulli": learn.LogisticRegression(penalty=None, tol=1e-10),
    "poisson": learn.PoissonRegressor(alpha=0, tol=1e-10),
    "gamma": learn.GammaRegressor(alpha=0, tol=1e-10),
    "multinomial": learn.LogisticRegression(penalty=None, tol=1e-10, max_iter=500),
}
NAMES = ["intercept", "a", "b", "kind[1]", "kind[2]"]


def table():
    d = data()
    frame = pd.DataFrame({"a": d["X"][:, 0], "b": d["X"][:, 1], "kind": pd.Categorical(d["kind"])})
    return frame, d


@pytest.mark.parametrize("case", REFERENCE)
def test_standard_errors_are_those_of_statsmodels(case):
    family, covariance = case.split()
    X, d = table()
    expected = REFERENCE[case]
    model = MODELS[family].fit(X, d[family])
    found = model.inference(
        X, d[family], covariance=covariance, groups=d["groups"] if covariance == "cluster" else None
    )
    assert found.names == (
        [f"{k}: {name}" for k in (1, 2) for name in NAMES] if family == "multinomial" else NAMES
    )
    np.testing.assert_allclose(found.params, expected["params"], rtol=1e-6)
    np.testing.assert_allclose(found.bse, expected["bse"], rtol=1e-6)
    np.testing.assert_allclose(found.bse, np.sqrt(np.diag(found.cov_params())), rtol=1e-12)
    if (
        family != "normal" or covariance != "cluster"
    ):  # statsmodels has another number of degrees of freedom there
        np.testing.assert_allclose(found.pvalues, expected["pvalues"], rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(found.conf_int(), expected["conf_int"], rtol=1e-6)
    assert found.deviance == pytest.approx(expected["deviance"], rel=1e-6)
    assert found.scale == pytest.approx(expected["scale"], rel=1e-6)
    if covariance == "nonrobust":
        assert found.log_likelihood == pytest.approx(expected["llf"], rel=1e-6)
        assert found.aic == pytest.approx(expected["aic"], rel=1e-6)


def test_weights_count_samples():
    X, d = table()
    w = np.arange(len(X)) % 3
    again = X.loc[np.repeat(np.arange(len(X)), w)]
    for covariance in ("nonrobust", "HC0", "HC3"):
        weighted = learn.PoissonRegressor(alpha=0, tol=1e-10).fit(X, d["poisson"], sample_weight=w)
        repeated = learn.PoissonRegressor(alpha=0, tol=1e-10).fit(again, d["poisson"].repeat(w))
        a = weighted.inference(X, d["poisson"], sample_weight=w, covariance=covariance)
        b = repeated.inference(again, d["poisson"].repeat(w), covariance=covariance)
        np.testing.assert_allclose(a.bse, b.bse, rtol=1e-8)
        assert a.n == b.n
        assert a.bic == pytest.approx(b.bic)


def test_the_summary_has_a_row_for_each_coefficient():
    X, d = table()
    found = learn.LinearRegression().fit(X, d["normal"]).inference(X, d["normal"])
    text = found.summary()
    for name in found.names:
        assert any(line.startswith(name + " ") for line in text.splitlines())
    assert f"{found.params[1]:.6g}" in text
    assert found._repr_html_().count("<tr>") == 10 + 1 + len(found.names)


def test_collinear_columns_are_named():
    X, d = table()
    X = X.assign(again=X["a"] * 2)
    model = learn.LinearRegression().fit(X, d["normal"])
    with pytest.raises(xg.DataError, match="cannot be told apart: a, again"):
        model.inference(X, d["normal"])


def test_weights_count_samples_of_several_classes():
    X, d = table()
    w = 1 + np.arange(len(X)) % 3
    again = np.repeat(np.arange(len(X)), w)
    weighted = MODELS["multinomial"].fit(X, d["multinomial"], sample_weight=w)
    for covariance in ("nonrobust", "HC1"):
        found = weighted.inference(X, d["multinomial"], w, covariance=covariance)
        expected = weighted.inference(X.iloc[again], d["multinomial"][again], covariance=covariance)
        np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-8)
        assert found.bic == pytest.approx(expected.bic)
    with pytest.raises(ValueError, match="for more than two classes, got 'HC3'"):
        weighted.inference(X, d["multinomial"], covariance="HC3")
    with pytest.raises(ValueError, match="inference is of one target"):
        learn.LinearRegression().fit(X, np.c_[w, w]).inference(X, np.c_[w, w])


def test_a_penalised_fit_has_no_inference():
    X, d = table()
    with pytest.raises(ValueError, match="a penalty biases"):
        learn.Ridge().fit(X, d["normal"]).inference(X, d["normal"])
    with pytest.raises(ValueError, match="a penalty biases"):
        learn.LogisticRegression().fit(X, d["bernoulli"]).inference(X, d["bernoulli"])
    with pytest.raises(ValueError, match="no likelihood"):
        learn.HuberRegressor(alpha=0).fit(X, d["normal"]).inference(X, d["normal"])


def test_the_dispersion_of_the_negative_binomial_is_that_of_the_fit():
    X, d = table()
    model = learn.NegativeBinomialRegressor(alpha=0, dispersion=0.5, tol=1e-10).fit(X, d["poisson"])
    narrow = learn.PoissonRegressor(alpha=0, tol=1e-10).fit(X, d["poisson"]).inference(X, d["poisson"])
    assert (model.inference(X, d["poisson"]).bse > narrow.bse).all()
