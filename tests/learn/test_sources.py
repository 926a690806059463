"""Estimators fitted to sources have the bits of those fitted to the same samples in memory."""

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone

import xpgrad as xg
from xpgrad import learn
from xpgrad.backends.cpu.llvm.build import available

pytestmark = pytest.mark.skipif(available() is not None, reason=str(available()))

M, NAMES = 60_001, ["x0", "x1", "x2"]
CITIES = np.array(["Bern", "Lima", "Oslo", "Rome"])


class Data:
    """Samples in memory, in columns as files of tables hold them, and a table in two files."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.X = np.asfortranarray(rng.normal(size=(M, 3)) * [1, 2, 0.5])
        self.city = rng.integers(0, 4, M)
        eta = self.X @ [0.5, -0.25, 1.0] + np.array([0.0, 0.3, -0.3, 0.5])[self.city]
        self.late = rng.random(M) < 1 / (1 + np.exp(-eta))
        self.count = rng.poisson(np.exp(0.3 * eta)).astype(float)
        self.amount = rng.gamma(2.0, np.exp(0.3 * eta) / 2)
        self.value = eta + rng.normal(size=M)
        self.kind = np.array(["a", "b", "c"])[np.digitize(self.value, [-1.0, 1.0])]
        self.weight = rng.uniform(0.5, 2.0, M)
        columns = {n: getattr(self, n) for n in ("late", "count", "amount", "value", "kind", "weight")}
        names = pa.array(CITIES[self.city]).dictionary_encode()
        table = pa.table({**dict(zip(NAMES, self.X.T, strict=True)), "city": names, **columns})
        for k, (begin, end) in enumerate([(0, 30_011), (30_011, M)]):
            pq.write_table(table.slice(begin, end - begin), folder / f"{k}.parquet", row_group_size=7_777)
        self.table = xg.data.parquet(str(folder / "*.parquet"))
        self.frame = table.to_pandas()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Data(tmp_path_factory.mktemp("sources"))


def bits(model):
    return np.asarray(model.coef_).tobytes(), np.asarray(model.intercept_).tobytes(), model.n_iter_


FITS = [
    (learn.LogisticRegression(tol=1e-8), "late"),
    (learn.LogisticRegression(tol=1e-6, solver="lbfgs", class_weight="balanced"), "late"),
    (learn.PoissonRegressor(tol=1e-8), "count"),
]
MORE = [
    (learn.LogisticRegression(tol=1e-6), "kind"),
    (learn.LinearRegression(), "value"),
    (learn.Ridge(solver="lbfgs"), "value"),
    (learn.GammaRegressor(tol=1e-8), "amount"),
    (learn.TweedieRegressor(power=1.5), "count"),
    (learn.NegativeBinomialRegressor(), "count"),
    (learn.QuantileRegressor(alpha=0.01, smoothing=0.1), "value"),
    (learn.HuberRegressor(), "value"),
]


@pytest.mark.parametrize(
    ("model", "target"), [*FITS, *(pytest.param(*x, marks=pytest.mark.slow) for x in MORE)], ids=repr
)
def test_the_bits_are_those_of_the_fit_in_memory(model, target, data):
    y = getattr(data, target)
    expected = clone(model).fit(data.X, y)
    found = clone(model).set_params(memory_limit="16MB").fit(data.table[NAMES], data.table[target])
    assert bits(found) == bits(expected)
    np.testing.assert_allclose(found.predict(data.table[NAMES])[:50] == expected.predict(data.X)[:50], True)
    assert list(found.feature_names_in_) == NAMES


@pytest.mark.parametrize(
    ("model", "target"),
    [(learn.LogisticRegression(None, tol=1e-8), "late"), (learn.HuberRegressor(max_iter=9), "value")],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:HuberRegressor did not converge")
def test_targets_in_memory_stand_beside_a_source(model, target, data):
    y = getattr(data, target)
    found, expected = (clone(model).fit(X, y) for X in (data.table[NAMES], data.X))
    assert bits(found) == bits(expected)
    if target == "value":
        assert (found.outliers_ == expected.outliers_).all()


def test_texts_are_categories_of_a_table_and_y_may_be_a_name(data):
    frame = data.frame[NAMES].assign(city=pandas.Categorical(CITIES[data.city]))
    X = data.table.only([*NAMES, "city", "late"])
    found = learn.LogisticRegression(tol=1e-8).fit(X, "late", sample_weight=data.table["weight"])
    expected = learn.LogisticRegression(tol=1e-8).fit(frame, data.late, sample_weight=data.weight)
    assert found.coef_names == expected.coef_names == [*NAMES, *(f"city[{c}]" for c in CITIES)]
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-10)
    p = found.predict_proba(X)
    np.testing.assert_allclose(p, found.predict_proba(frame), rtol=1e-12)
    assert found.score(X, data.table["late"]) == pytest.approx(expected.score(frame, data.late))


def test_wide_numbers_take_hessians_of_some_samples_as_in_memory(tmp_path):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200_000, 30)).astype(np.float32)
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-X[:, :3].sum(1)))).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    expected = learn.LogisticRegression(tol=1e-6).fit(X, y)
    found = learn.LogisticRegression(tol=1e-6, memory_limit="100MB").fit(xg.data.npy(tmp_path / "X.npy"), y)
    assert found.coef_.dtype == np.float32
    assert bits(found) == bits(expected)


def test_a_model_of_your_own_loss_reads_sources(data):
    def loss(w, X, y):
        return np.log(np.cosh(y - X @ w))

    model = learn.Model(loss, init=np.zeros(3), predict=lambda w, X: X @ w)
    expected = clone(model).fit(data.X, data.value)
    found = clone(model).set_params(memory_limit="16MB").fit(data.table[NAMES], data.table["value"])
    assert found.params_.tobytes() == expected.params_.tobytes()
    np.testing.assert_allclose(found.predict(data.table[NAMES]), expected.predict(data.X), rtol=1e-12)


def test_what_is_wrong_names_the_column_and_the_row(tmp_path):
    x = np.ones(M)
    x[123] = np.nan
    pq.write_table(
        pa.table({"good": np.arange(M) % 7.0, "bad": x, "y": np.arange(M) % 2}), tmp_path / "t.parquet"
    )
    table = xg.data.parquet(tmp_path / "t.parquet")
    with pytest.raises(xg.DataError, match=r"(?s)LogisticRegression: Input X contains NaN.*'bad'.*in row 123"):
        learn.LogisticRegression().fit(table, "y")
    negative, one = (xg.data.from_chunks(lambda _, y=y: y, [M]) for y in (-(np.arange(M) % 2.0), np.zeros(M)))
    with pytest.raises(xg.DataError, match=r"PoissonRegressor: targets must be 0 or more; y\[1\] is -1.0"):
        learn.PoissonRegressor().fit(table[["good"]], negative)
    with pytest.raises(ValueError, match="only one class"):
        learn.LogisticRegression().fit(table[["good"]], one)
    with pytest.raises(xg.DeviceError, match="sources are read on the CPU"):
        learn.LogisticRegression(device="gpu").fit(table[["good"]], table["y"])
    with pytest.raises(ValueError, match="a cluster reads sources"):
        learn.LinearRegression(cluster=object()).fit(np.eye(3), np.arange(3.0))
    with pytest.raises(xg.DataError, match="no column 'nothing'"):
        learn.LinearRegression().fit(table, "nothing")


def test_a_fit_of_a_frame_predicts_a_table_by_names(data):
    X = data.frame[["x1", "x0"]]
    model = learn.LinearRegression().fit(X, data.value)
    assert isinstance(X, pandas.DataFrame)
    np.testing.assert_allclose(model.predict(data.table.only(["x0", "x1"])), model.predict(X), rtol=1e-12)
