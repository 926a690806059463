"""What is wrong with the data is named: the estimator, the column, the row, and what to write instead."""

import os
import stat

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import xpgrad as xg
from xpgrad import learn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = np.exp(X[:, 0])
CLASSES = (X[:, 0] > 0).astype(int)
TABLE = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": pd.Categorical(list("uvw") * 10)})


def squared(w, X, y):
    return (X @ w - y) ** 2


def line(w, X):
    return X @ w


ESTIMATORS = {
    "LogisticRegression": (learn.LogisticRegression(), CLASSES),
    "LinearRegression": (learn.LinearRegression(), Y),
    "Ridge": (learn.Ridge(), Y),
    "PoissonRegressor": (learn.PoissonRegressor(), Y),
    "GammaRegressor": (learn.GammaRegressor(), Y),
    "TweedieRegressor": (learn.TweedieRegressor(power=1.5), Y),
    "NegativeBinomialRegressor": (learn.NegativeBinomialRegressor(), Y),
    "HuberRegressor": (learn.HuberRegressor(), Y),
    "QuantileRegressor": (learn.QuantileRegressor(), Y),
    "MLPClassifier": (learn.MLPClassifier((2,)), CLASSES),
    "MLPRegressor": (learn.MLPRegressor((2,)), Y),
    "Model": (learn.Model(squared, np.zeros(3), line), Y),
}


def with_entry(at, value):
    x = X.copy()
    x[at] = value
    return x


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_names_what_is_wrong(name):
    model, y = ESTIMATORS[name]
    said = rf"(?s){name}: Input X contains NaN.*'x1'.*1 of 30 entries, the first in row 4.*leave out the rows"
    with pytest.raises(xg.DataError, match=said):
        model.fit(with_entry((4, 1), np.nan), y)
    with pytest.raises(xg.DataError, match=rf"(?s){name}: Input X contains infinity.*'x2'"):
        model.fit(with_entry((0, 2), -np.inf), y)
    with pytest.raises(xg.DataError, match=r"(?s)'x0'.*all 30 entries"):
        model.fit(with_entry((slice(None), 0), np.nan), y)
    with pytest.raises(xg.DTypeError, match=rf"(?s){name}: column 'x1' holds no numbers.*'b'"):
        model.fit(np.array([[1.0, "b", 2.0]] * 30, dtype=object), y)
    with pytest.raises(ValueError, match="0 sample"):
        model.fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.where(np.arange(30) == 3, np.nan, y))


@pytest.mark.parametrize("name", ["LogisticRegression", "PoissonRegressor"])
def test_tables_and_sparse_numbers_name_their_columns(name):
    model, y = ESTIMATORS[name]
    with pytest.raises(xg.DataError, match=rf"(?s){name}: Input X contains NaN.*'b'.*all 30 entries"):
        model.fit(TABLE.assign(b=np.nan), y)
    x = sparse.csr_array(np.where(X > 0, X, 0))
    x.data[0] = np.nan
    with pytest.raises(xg.DataError, match=r"(?s)Input X contains NaN.*the first in row 0"):
        model.fit(x, y)


def test_a_network_says_that_it_takes_numbers_alone():
    with pytest.raises(xg.DTypeError, match=r"(?s)column 'kind' holds no numbers.*OneHotEncoder"):
        learn.MLPRegressor((2,)).fit(TABLE, Y)
    with pytest.raises(ValueError, match="only one class: 1"):
        learn.MLPClassifier((2,)).fit(X, np.ones(30, int))


@pytest.mark.parametrize("name", ["LogisticRegression", "Ridge", "PoissonRegressor", "HuberRegressor"])
def test_columns_whose_squares_overflow_are_refused(name):
    model, y = ESTIMATORS[name]
    with (
        np.errstate(all="ignore"),
        pytest.raises(xg.DataError, match=r"(?s)overflow.*standard deviations"),
    ):
        model.fit(X * 1e200, y)


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    """As root a rename would put a file in the place of /dev/null; a pipe shows it without such rights."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        learn.Ridge().fit(X, Y).save(pipe)
        assert stat.S_ISFIFO(os.stat(pipe).st_mode)
        again = tmp_path / "model"
        again.write_bytes(os.read(reader, 1 << 20))
    finally:
        os.close(reader)
    assert learn.load(again).coef_.shape == (3,)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "pipe"]
