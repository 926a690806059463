"""Tables: categories as codes beside one-hot columns, names that decide, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn import linear_model
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import xpgrad as xg
from xpgrad import learn

N = 300
rng = np.random.default_rng(0)
KIND = rng.choice(["red", "green", "blue"], size=N)
SIZE = rng.normal(size=N)
GRADE = rng.integers(1, 5, size=N)
Y = rng.poisson(np.exp(0.5 * SIZE + (KIND == "red") - 0.2 * GRADE))
FRAME = pd.DataFrame({"kind": pd.Categorical(KIND), "size": SIZE, "grade": pd.Categorical(GRADE)})


def as_polars(frame):
    return pl.DataFrame(
        {
            "kind": pl.Series(frame["kind"].astype(str).to_list(), dtype=pl.Categorical),
            "size": frame["size"].to_numpy(),
            "grade": pl.Series(frame["grade"].astype(str).to_list(), dtype=pl.Enum(["1", "2", "3", "4"])),
        }
    )


def as_arrow(frame):
    kind = pa.array(frame["kind"].astype(str).to_list()).dictionary_encode()
    grade = pa.array(frame["grade"].astype(str).to_list()).dictionary_encode()
    return pa.table({"kind": kind, "size": pa.array(frame["size"].to_numpy()), "grade": grade})


def as_objects(frame):
    return frame.astype(object).to_numpy()


@pytest.mark.parametrize(
    ("convert", "options"),
    [
        (lambda frame: frame, {}),
        (as_polars, {}),
        (as_arrow, {}),
        (as_objects, {"categorical_features": [0, 2]}),
        (
            lambda f: f.assign(kind=f["kind"].astype(str), grade=GRADE),
            {"categorical_features": ["kind", "grade"]},
        ),
        (as_objects, {"categorical_features": [True, False, True]}),
    ],
    ids=["pandas", "polars", "arrow", "positions", "names", "mask"],
)
def test_categories_have_the_coefficients_of_their_one_hot_columns(convert, options):
    X = convert(FRAME)
    model = learn.PoissonRegressor(alpha=0.01, tol=1e-9, **options).fit(X, Y)
    one_hot = ColumnTransformer([("c", OneHotEncoder(), ["kind", "grade"]), ("n", "passthrough", ["size"])])
    dense = one_hot.fit_transform(FRAME)
    theirs = linear_model.PoissonRegressor(alpha=0.01, tol=1e-10, solver="newton-cholesky").fit(dense, Y)
    found = dict(
        zip([name.rpartition("[")[2].rstrip("]") for name in model.coef_names], model.coef_, strict=True)
    )
    names = [name.rpartition("_")[2] for name in one_hot.get_feature_names_out()]
    for name, expected in zip(names, theirs.coef_, strict=True):
        label = name if name in found else {"x1": "size"}.get(name, "x1" if options else name)
        assert found[label] == pytest.approx(expected, rel=1e-6, abs=1e-8)
    np.testing.assert_allclose(model.predict(X), theirs.predict(dense), rtol=1e-6)
    assert model.n_features_in_ == 3


def test_logistic_regression_of_three_classes_on_categories():
    X = FRAME[["kind", "size"]]
    y = np.array(["a", "b", "c"])[GRADE % 3]
    model = learn.LogisticRegression(tol=1e-9, max_iter=1000).fit(X, y)
    dense = np.c_[OneHotEncoder(sparse_output=False).fit_transform(FRAME[["kind"]]), SIZE]
    theirs = linear_model.LogisticRegression(tol=1e-10, solver="newton-cholesky").fit(dense, y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(dense), atol=1e-6)
    assert model.coef_names == ["kind[blue]", "kind[green]", "kind[red]", "size"]


def test_without_a_penalty_the_first_level_is_the_reference():
    model = learn.LinearRegression().fit(FRAME, Y)
    dense = np.c_[
        OneHotEncoder(drop="first", sparse_output=False).fit_transform(FRAME[["kind", "grade"]]), SIZE
    ]
    theirs = linear_model.LinearRegression().fit(dense, Y)
    named = dict(zip(model.coef_names, model.coef_, strict=True))
    assert named["kind[blue]"] == 0
    assert named["grade[1]"] == 0
    got = [named[k] for k in ("kind[green]", "kind[red]", "grade[2]", "grade[3]", "grade[4]", "size")]
    np.testing.assert_allclose(got, theirs.coef_, rtol=1e-8)
    assert model.intercept_ == pytest.approx(theirs.intercept_, rel=1e-8)


def test_names_decide_at_prediction():
    model = learn.Ridge().fit(FRAME, Y)
    moved = FRAME[["grade", "size", "kind"]].assign(other=1.0)
    np.testing.assert_array_equal(model.predict(moved), model.predict(FRAME))
    with pytest.raises(
        xg.DataError, match=r"columns seen at fit are missing: 'size'; .* 'breadth' were not seen"
    ):
        model.predict(FRAME.rename(columns={"size": "breadth"}))


def test_columns_of_numbers_alone_may_be_in_another_order_too():
    frame = pd.DataFrame({"a": SIZE, "b": GRADE})
    model = learn.Ridge().fit(frame, Y)
    np.testing.assert_allclose(model.predict(frame[["b", "a"]]), model.predict(frame), rtol=1e-14)
    assert list(model.feature_names_in_) == ["a", "b"]


def test_the_codes_of_later_tables_may_differ():
    model = learn.Ridge().fit(FRAME, Y)
    few = FRAME[FRAME["kind"] != "blue"].copy()
    few["kind"] = few["kind"].cat.remove_unused_categories()
    np.testing.assert_array_equal(model.predict(few), model.predict(FRAME)[FRAME["kind"] != "blue"])


def test_an_unseen_category_is_an_error_or_has_no_effect():
    model = learn.Ridge(alpha=0.1).fit(FRAME, Y)
    later = FRAME.assign(kind=pd.Categorical(["red", "pink"] * (N // 2)))
    with pytest.raises(xg.DataError, match="'kind' has categories that were not seen at fit: 'pink'"):
        model.predict(later)
    model.set_params(handle_unknown="ignore")
    named = dict(zip(model.coef_names, model.coef_, strict=True))
    without = [
        named[f"grade[{g}]"] + s * named["size"] + model.intercept_ for g, s in zip(GRADE, SIZE, strict=True)
    ]
    expected = np.array(without) + np.where(np.arange(N) % 2 == 0, named["kind[red]"], 0)
    np.testing.assert_allclose(model.predict(later), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("convert", [lambda f: f, as_polars, as_arrow], ids=["pandas", "polars", "arrow"])
def test_missing_categories_are_refused_by_name(convert):
    holed = FRAME.copy()
    holed.loc[[3, 5], "kind"] = np.nan
    if convert is as_polars:
        kind = [None if v != v else v for v in holed["kind"].tolist()]
        holed = as_polars(FRAME).with_columns(pl.Series("kind", kind, dtype=pl.Categorical))
    elif convert is as_arrow:
        kind = pa.array([None if v != v else v for v in holed["kind"].tolist()]).dictionary_encode()
        holed = as_arrow(FRAME).set_column(0, "kind", kind)
    with pytest.raises(xg.DataError, match="'kind' has 2 missing categories"):
        learn.Ridge().fit(holed, Y)


def test_text_is_refused_by_the_name_of_its_column():
    with pytest.raises(xg.DTypeError, match=r"(?s)column 'kind' holds no numbers.*categorical_features="):
        learn.Ridge().fit(FRAME.assign(kind=KIND.astype(object)), Y)


def test_missing_numbers_are_refused():
    for hole in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            learn.Ridge().fit(FRAME.assign(size=np.where(np.arange(N) == 7, hole, SIZE)), Y)
    nullable = FRAME.assign(size=pd.array([None, *SIZE[1:]], dtype="Float64"))
    with pytest.raises(ValueError, match="NaN"):
        learn.Ridge().fit(nullable, Y)


def test_a_column_that_is_not_there_cannot_be_categorical():
    with pytest.raises(
        xg.DataError, match="no column 'colour' for categorical_features; the columns are 'kind'"
    ):
        learn.Ridge(categorical_features=["colour"]).fit(FRAME, Y)


def test_two_columns_of_one_name_are_refused():
    twice = pd.concat([FRAME, FRAME[["size"]]], axis=1)
    with pytest.raises(xg.DataError, match="several columns have one name: 'size'"):
        learn.Ridge().fit(twice, Y)


def test_a_table_of_categories_alone():
    X = FRAME[["kind"]]
    model = learn.PoissonRegressor(alpha=0, tol=1e-10).fit(X, Y)
    for kind in ("red", "green", "blue"):
        assert model.predict(X)[kind == KIND][0] == pytest.approx(Y[kind == KIND].mean(), rel=1e-7)


def test_in_a_column_transformer():
    inner = ColumnTransformer([("n", StandardScaler(), ["size"])], remainder="passthrough")
    inner.set_output(transform="pandas")
    X = inner.fit_transform(FRAME)
    model = learn.Ridge().fit(X, Y)
    assert "remainder__kind[red]" in model.coef_names
