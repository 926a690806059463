"""Linear estimators beside scikit-learn's, at the same objective."""

import warnings

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from xpgrad import learn
from xpgrad.optim.linear import objective, weighted_gram

RTOL = 1e-6


def everything(model):
    return np.concatenate([np.ravel(model.coef_), np.ravel(model.intercept_)])


def assert_same(ours, theirs, X, y, **fit):
    ours.fit(X, y, **fit)
    theirs.fit(X, y, **fit)
    a, b = everything(ours), everything(theirs)
    np.testing.assert_allclose(a, b, rtol=0, atol=RTOL * np.abs(b).max())
    assert ours.coef_.shape == theirs.coef_.shape
    assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-7)


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression_of_two_classes(cancer, weighted):
    X, y = cancer
    fit = {"sample_weight": 0.5 + np.arange(len(y)) % 3} if weighted else {}
    ours = learn.LogisticRegression(C=0.3, class_weight="balanced", tol=1e-9, max_iter=2000)
    theirs = linear_model.LogisticRegression(
        C=0.3, class_weight="balanced", tol=1e-10, solver="newton-cholesky"
    )
    assert_same(ours, theirs, X, y, **fit)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-7)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.predict_log_proba(X), np.log(ours.predict_proba(X)), atol=1e-9)


def test_logistic_regression_of_ten_classes():
    X, y = load_digits(return_X_y=True)
    X, y = X[:600] / 16, y[:600].astype(str)
    ours = learn.LogisticRegression(tol=1e-9, max_iter=2000)
    assert_same(ours, linear_model.LogisticRegression(tol=1e-10, solver="newton-cholesky"), X, y)
    np.testing.assert_allclose(ours.predict_proba(X).sum(axis=1), 1)
    assert set(ours.predict(X)) == set(map(str, range(10)))


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
def test_penalties_on_absolute_values(cancer, l1_ratio):
    X, y = cancer
    ours = learn.LogisticRegression(C=0.1, l1_ratio=l1_ratio, tol=1e-9).fit(X, y)
    theirs = linear_model.LogisticRegression(C=0.1, l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=100000)
    theirs.fit(X, y)
    np.testing.assert_allclose(everything(ours), everything(theirs), atol=1e-6 * np.abs(theirs.coef_).max())
    assert ((ours.coef_ == 0) == (theirs.coef_ == 0)).all()
    assert (ours.coef_ == 0).any()


def test_penalties_by_name_are_those_of_the_ratio(cancer):
    X, y = cancer
    for penalty, l1_ratio in {"l1": 1.0, "l2": 0.0, "elasticnet": 0.5}.items():
        by_name = learn.LogisticRegression(penalty, C=0.1, l1_ratio=l1_ratio).fit(X, y)
        by_ratio = learn.LogisticRegression(C=0.1, l1_ratio=l1_ratio).fit(X, y)
        np.testing.assert_array_equal(by_name.coef_, by_ratio.coef_)
    without = learn.LogisticRegression(None, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        a = without.fit(X, y).coef_
    with pytest.warns(ConvergenceWarning):
        b = learn.LogisticRegression(C=np.inf, max_iter=5).fit(X, y).coef_
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_quantile_regression_is_near_the_minimum_of_the_pinball_loss(diabetes, quantile, alpha):
    X, y = diabetes
    X = X * 20
    ours = learn.QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    theirs = linear_model.QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)

    def objective(model):
        r = y - model.predict(X)
        return np.mean(np.maximum(quantile * r, (quantile - 1) * r)) + alpha * np.abs(model.coef_).sum()

    assert objective(theirs) * (1 - 1e-9) <= objective(ours) <= objective(theirs) * (1 + 2e-4)
    assert np.mean(y <= ours.predict(X)) == pytest.approx(quantile, abs=0.02)


def test_collinear_columns_have_coefficients_of_minimum_norm(diabetes):
    X, y = diabetes
    twice = np.c_[X, X[:, :2]]
    ours = learn.LinearRegression().fit(twice, y)
    np.testing.assert_allclose(ours.coef_, linear_model.LinearRegression().fit(twice, y).coef_, rtol=1e-6)


def test_lbfgs_comes_to_the_same_coefficients(cancer):
    X, y = cancer
    newton = learn.LogisticRegression(tol=1e-9).fit(X, y)
    lbfgs = learn.LogisticRegression(tol=1e-9, max_iter=2000, solver="lbfgs").fit(X, y)
    np.testing.assert_allclose(lbfgs.coef_, newton.coef_, atol=1e-6)
    with pytest.raises(ValueError, match="l1 penalty has corners"):
        learn.LogisticRegression(l1_ratio=1.0, solver="lbfgs").fit(X, y)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (learn.LinearRegression(), linear_model.LinearRegression()),
        (learn.LinearRegression(fit_intercept=False), linear_model.LinearRegression(fit_intercept=False)),
        (learn.Ridge(alpha=0.3), linear_model.Ridge(alpha=0.3)),
        (learn.PoissonRegressor(alpha=1e-3), linear_model.PoissonRegressor(alpha=1e-3)),
        (learn.GammaRegressor(alpha=0.01), linear_model.GammaRegressor(alpha=0.01)),
        (learn.TweedieRegressor(power=1.5, alpha=0.1), linear_model.TweedieRegressor(power=1.5, alpha=0.1)),
        (learn.TweedieRegressor(power=3, alpha=0.1), linear_model.TweedieRegressor(power=3, alpha=0.1)),
        (
            learn.TweedieRegressor(power=1.5, link="identity", alpha=0.1),
            linear_model.TweedieRegressor(power=1.5, link="identity", alpha=0.1),
        ),
    ],
    ids=lambda model: f"{type(model).__module__.split('.')[0]}-{type(model).__name__}",
)
@pytest.mark.parametrize("weighted", [False, True])
def test_regressors(diabetes, ours, theirs, weighted):
    X, y = diabetes
    fit = {"sample_weight": 0.5 + np.arange(len(y)) % 3} if weighted else {}
    if "newton-cholesky" in str(theirs._parameter_constraints.get("solver")):
        theirs.set_params(solver="newton-cholesky")
    theirs.set_params(tol=1e-10)
    assert_same(ours.set_params(tol=1e-9), theirs, X * 20, y, **fit)


def test_huber_regression_has_a_lower_objective_than_scikit_learns(diabetes):
    X, y = diabetes
    X, epsilon, alpha = X * 20, 1.35, 0.1
    ours = learn.HuberRegressor(alpha=alpha, tol=1e-9, max_iter=2000).fit(X, y)
    theirs = linear_model.HuberRegressor(alpha=alpha, tol=1e-9, max_iter=20000).fit(X, y)

    def objective(model):
        r = np.abs(y - model.predict(X)) / model.scale_
        each = model.scale_ * (1 + np.where(r < epsilon, r * r, 2 * epsilon * r - epsilon**2))
        return each.sum() + alpha * (model.coef_**2).sum()

    assert objective(ours) <= objective(theirs) * (1 + 1e-9)
    assert ours.scale_ == pytest.approx(theirs.scale_, rel=1e-4)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3)
    assert (ours.outliers_ == (np.abs(y - ours.predict(X)) > epsilon * ours.scale_)).all()


def test_negative_binomial_regression_finds_the_dispersion():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 2))
    mean = np.exp(0.4 * X[:, 0] - 0.3 * X[:, 1] + 1)
    y = rng.poisson(mean * rng.gamma(2.0, 0.5, size=len(mean)))
    model = learn.NegativeBinomialRegressor(alpha=0, tol=1e-8).fit(X, y)
    np.testing.assert_allclose([*model.coef_, model.intercept_], [0.4, -0.3, 1], atol=0.04)
    assert model.dispersion_ == pytest.approx(0.5, rel=0.08)
    held = learn.NegativeBinomialRegressor(alpha=0, dispersion=model.dispersion_, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(held.coef_, model.coef_, rtol=1e-5)


def test_counts_without_excess_variance_have_no_dispersion():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 2))
    y = rng.binomial(20, 0.4, size=500)
    model = learn.NegativeBinomialRegressor(alpha=0).fit(X, y)
    assert model.dispersion_ == 0
    np.testing.assert_allclose(model.coef_, learn.PoissonRegressor(alpha=0).fit(X, y).coef_, rtol=1e-12)


def test_exposure_is_an_offset_of_its_logarithm():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 3))
    exposure = rng.uniform(0.1, 3, size=400)
    y = rng.poisson(exposure * np.exp(0.5 * X[:, 0] - 1))
    by_exposure = learn.PoissonRegressor(alpha=0, tol=1e-9).fit(X, y, exposure=exposure)
    by_offset = learn.PoissonRegressor(alpha=0, tol=1e-9).fit(X, y, offset=np.log(exposure))
    np.testing.assert_allclose(everything(by_exposure), everything(by_offset), rtol=1e-12)
    # A rate weighted by its exposure has the same likelihood.
    rates = linear_model.PoissonRegressor(alpha=0, tol=1e-10, solver="newton-cholesky")
    rates.fit(X, y / exposure, sample_weight=exposure)
    np.testing.assert_allclose(everything(by_exposure), everything(rates), rtol=RTOL)
    np.testing.assert_allclose(
        by_exposure.predict(X, exposure=exposure), exposure * rates.predict(X), rtol=1e-5
    )


def test_an_offset_shifts_the_logits(cancer):
    X, y = cancer
    ours = learn.LogisticRegression(tol=1e-9, max_iter=2000).fit(X, y, offset=np.full(len(y), 0.7))
    plain = learn.LogisticRegression(tol=1e-9, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, plain.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, plain.intercept_ - 0.7, atol=1e-6)


def test_a_warm_start_begins_where_the_last_fit_ended(cancer):
    X, y = cancer
    model = learn.LogisticRegression(tol=1e-6, max_iter=2000, warm_start=True).fit(X, y)
    first = model.n_iter_
    coef = model.coef_.copy()
    model.fit(X, y)
    assert first > 5
    assert model.n_iter_ == 1
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6)


def test_float32_stays_float32(cancer):
    X, y = cancer
    model = learn.LogisticRegression(max_iter=1000).fit(X.astype(np.float32), y)
    wide = learn.LogisticRegression(max_iter=1000).fit(X, y)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, wide.coef_, atol=0.02)
    assert learn.LogisticRegression(dtype="float32", max_iter=1000).fit(X, y).coef_.dtype == np.float32


def test_separable_classes_without_a_penalty_end_with_a_warning_that_says_so():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    with pytest.warns(ConvergenceWarning, match="the classes are separable"):
        model = learn.LogisticRegression(penalty=None, max_iter=200).fit(X, [0, 0, 1, 1])
    assert (model.predict(X) == [0, 0, 1, 1]).all()
    assert np.isfinite(model.coef_).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn.LogisticRegression(penalty=None).fit(np.vstack([X, [[1.5], [1.5]]]), [0, 0, 1, 1, 0, 1][:6])


def test_a_fit_that_is_cut_short_warns(cancer):
    X, y = cancer
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        learn.LogisticRegression(max_iter=3).fit(X, y)


@pytest.mark.parametrize(
    ("model", "y", "said"),
    [
        (learn.PoissonRegressor(), [1.0, -2.0, 0.0], r"0 or more; y\[1\] is -2.0"),
        (learn.GammaRegressor(), [1.0, 0.0, 0.0], r"positive; y\[1\] is 0.0, and 1 others"),
        (learn.TweedieRegressor(power=0.5), [1.0, 2.0, 3.0], "power between 0 and 1"),
        (learn.LogisticRegression(), [1, 1, 1], "only one class"),
        (learn.LogisticRegression(), [0.5, 1.2, 3.3], "continuous"),
        (learn.Ridge(), [1.0, np.nan, 1.0], "NaN"),
    ],
)
def test_targets_that_no_model_fits_are_refused(model, y, said):
    with pytest.raises(ValueError, match=said):
        model.fit(np.arange(6.0).reshape(3, 2), y)


def test_exposure_must_be_positive_and_needs_the_log_link():
    X, y = np.ones((2, 1)), [1.0, 2.0]
    with pytest.raises(ValueError, match="exposure must be positive"):
        learn.PoissonRegressor().fit(X, y, exposure=[1.0, 0.0])
    with pytest.raises(ValueError, match="log link"):
        learn.TweedieRegressor(power=0).fit(X, y, exposure=[1.0, 2.0])


@pytest.mark.parametrize("rows", [0, 1])
def test_zero_and_one_rows(rows):
    X, y = np.ones((rows, 2)), np.ones(rows)
    if rows == 0:
        with pytest.raises(ValueError, match="0 sample"):
            learn.Ridge().fit(X, y)
    else:
        assert learn.Ridge().fit(X, y).predict(X) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("model", "solver"), [("LinearRegression", "newton"), ("Ridge", "newton"), ("Ridge", "lbfgs")]
)
def test_several_targets_are_fitted_as_scikit_learn_does(diabetes, model, solver):
    X, y = diabetes
    X, Y = X * 20, np.c_[y, np.sqrt(y), X[:, 0] * y]
    w = 0.5 + np.arange(len(y)) % 3
    ours, theirs = getattr(learn, model)(tol=1e-10, solver=solver), getattr(linear_model, model)()
    assert_same(ours, theirs, X, Y, sample_weight=w)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)
    one = ours.fit(X, Y[:, :1])
    assert one.predict(X).shape == (len(y), 1)
    assert one.coef_.shape == (1, X.shape[1])


def test_several_targets_share_one_hessian(diabetes, monkeypatch):
    X, y = diabetes
    seen = []
    monkeypatch.setattr(objective, "weighted_gram", lambda *given: seen.append(given) or weighted_gram(*given))
    learn.Ridge().fit(X, np.c_[y, y**0.5, -y])
    assert len(seen) == 1


def test_an_offset_for_each_class_is_added_to_its_predictor():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300] % 3
    offset = np.sin(np.arange(900.0)).reshape(300, 3)
    ours = learn.LogisticRegression(tol=1e-9, max_iter=500).fit(X, y, offset=offset)
    plain = learn.LogisticRegression(tol=1e-9, max_iter=500).fit(X, y)
    assert np.abs(ours.coef_ - plain.coef_).max() > 0.01
    np.testing.assert_allclose(
        ours.decision_function(X, offset=offset), X @ ours.coef_.T + ours.intercept_ + offset, atol=1e-12
    )
    # The gradient of the penalised likelihood is 0 there.
    eta = X @ ours.coef_.T + ours.intercept_ + offset
    p = np.exp(eta - eta.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    residual = p - np.eye(3)[y]
    np.testing.assert_allclose(residual.T @ X + ours.coef_, 0, atol=1e-5)
    # One for all classes changes nothing.
    same = learn.LogisticRegression(tol=1e-9, max_iter=500).fit(X, y, offset=offset[:, 0])
    np.testing.assert_allclose(same.coef_, plain.coef_, atol=1e-6)
    with pytest.raises(ValueError, match=r"offset has shape \(300, 2\); it must be"):
        ours.fit(X, y, offset=offset[:, :2])
