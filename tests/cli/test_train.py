"""`xpgrad train` from end to end: what is fitted is what scikit-learn fits to the same prepared data."""

import json
import os
import re
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import linear_model as theirs
from sklearn import metrics

from cli.tabular import coefficients, mixed, numbers, run, trained, write
from xpgrad.cli.frames import read_table
from xpgrad.cli.models.targets import read_target
from xpgrad.cli.sources import source_of
from xpgrad.devices import gpu_status

FEATURES = ["a", "b", "c"]
FIRST = slice(0, 240)  # of 300 rows, with --split last
LAST = slice(240, 300)


def standardised(frame, names=FEATURES, rows=FIRST):
    values = frame[names].to_numpy()
    return (values - values[rows].mean(0)) / values[rows].std(0)


def only(frame, target):
    return frame[[*FEATURES, target]]


def close(got, expected, rtol=1e-5):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-7)


# ── values ───────────────────────────────────────────────────────────────────────────────────
def test_logistic_regression_is_scikit_learns_and_so_are_its_metrics(tmp_path):
    frame = numbers()
    record = trained(tmp_path, only(frame, "two"), "--target", "two", "--split", "last")
    Z, y = standardised(frame), frame.two.to_numpy()
    fit = theirs.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(Z[FIRST], y[FIRST])
    close(list(coefficients(record).values()), fit.coef_[0], rtol=1e-4)
    close(record["coefficients"]["intercept"]["coef"], fit.intercept_, rtol=1e-4)
    p = fit.predict_proba(Z[LAST])[:, 1]
    found = record["test"]["metrics"]
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y[LAST], p), rel=1e-4)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(y[LAST], p), rel=1e-6)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y[LAST], p > 0.5))
    assert record["test"]["confusion"] == metrics.confusion_matrix(y[LAST], p > 0.5).tolist()


def test_intervals_of_logistic_regression_are_those_of_the_fisher_information(tmp_path):
    frame = numbers()
    record = trained(tmp_path, only(frame, "two"), "--target", "two", "--split", "last")
    Z = np.column_stack([np.ones(240), standardised(frame)[FIRST]])
    beta = np.r_[record["coefficients"]["intercept"]["coef"], list(coefficients(record).values())]
    p = 1 / (1 + np.exp(-Z @ beta))
    se = np.sqrt(np.diag(np.linalg.inv(Z.T @ (Z * (p * (1 - p))[:, None]))))[1:]
    spread = frame[FEATURES].to_numpy()[FIRST].std(0)
    rows = record["coefficients"]["rows"]
    close([row["std_err"] for row in rows], se / spread)
    close([row["low"] for row in rows], (beta[1:] - stats.norm.ppf(0.975) * se) / spread)
    close([row["high"] for row in rows], (beta[1:] + stats.norm.ppf(0.975) * se) / spread)
    close([row["p"] for row in rows], 2 * stats.norm.sf(np.abs(beta[1:]) / se), rtol=1e-4)


def test_linear_regression_is_least_squares_with_students_intervals(tmp_path):
    frame = numbers()
    record = trained(tmp_path, only(frame, "y"), "--target", "y", "--split", "last")
    assert record["model"]["name"] == "linear"
    X = np.column_stack([np.ones(240), frame[FEATURES].to_numpy()[FIRST]])
    y = frame.y.to_numpy()
    beta, left, *_ = np.linalg.lstsq(X, y[FIRST])
    variance = left[0] / (240 - 4)
    se = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))[1:]
    rows = record["coefficients"]["rows"]
    close([row["coef"][0] for row in rows], beta[1:])
    width = stats.t.ppf(0.975, 236) * se
    close([(row["low"], row["high"]) for row in rows], np.stack([beta[1:] - width, beta[1:] + width], 1))
    predicted = np.column_stack([np.ones(60), frame[FEATURES].to_numpy()[LAST]]) @ beta
    found = record["test"]["metrics"]
    assert found["r2"] == pytest.approx(metrics.r2_score(y[LAST], predicted))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y[LAST], predicted))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y[LAST], predicted))


@pytest.mark.parametrize("penalty", [0.0, 7.0])
@pytest.mark.parametrize(
    ("model", "target", "expected", "power"),
    [
        ("poisson", "counts", theirs.PoissonRegressor, 1),
        ("gamma", "positive", theirs.GammaRegressor, 2),
        ("tweedie", "positive", lambda **options: theirs.TweedieRegressor(power=1.5, **options), 1.5),
    ],
)
def test_generalised_linear_models_are_scikit_learns(model, target, expected, power, penalty, tmp_path):
    frame = numbers()
    words = ("--target", target, "--model", model, "--split", "last", "--penalty", penalty)
    record = trained(tmp_path, only(frame, target), *words)
    Z, y = standardised(frame), frame[target].to_numpy()
    fit = expected(alpha=penalty / 240, tol=1e-10, max_iter=10_000).fit(Z[FIRST], y[FIRST])
    close(list(coefficients(record).values()), fit.coef_, rtol=1e-4)
    deviance = metrics.mean_tweedie_deviance(y[LAST], fit.predict(Z[LAST]), power=power)
    assert record["test"]["metrics"]["deviance"] == pytest.approx(deviance, rel=1e-4)
    assert (record["coefficients"]["inference"] is None) == (penalty > 0)


@pytest.mark.parametrize(
    ("model", "target", "fit"),
    [
        ("ridge", "y", lambda Z, y: theirs.Ridge(5.0).fit(Z, y).coef_),
        ("logistic", "two", lambda Z, y: theirs.LogisticRegression(C=0.2, tol=1e-10).fit(Z, y).coef_[0]),
    ],
)
def test_a_penalty_means_the_same_for_each_model(model, target, fit, tmp_path):
    frame = numbers()
    words = ("--target", target, "--model", model, "--split", "last", "--penalty", 5)
    record = trained(tmp_path, only(frame, target), *words)
    close(list(coefficients(record).values()), fit(standardised(frame)[FIRST], frame[target][FIRST]), rtol=1e-4)


def test_softmax_regression_is_scikit_learns(tmp_path):
    frame = numbers()
    record = trained(tmp_path, only(frame, "three"), "--target", "three", "--split", "last")
    assert record["model"]["name"] == "softmax"
    Z, y = standardised(frame), frame.three.to_numpy()
    fit = theirs.LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(Z[FIRST], y[FIRST])
    close(np.stack(list(coefficients(record).values()), 1), fit.coef_, rtol=1e-4)
    expected = metrics.log_loss(y[LAST], fit.predict_proba(Z[LAST]))
    assert record["test"]["metrics"]["log_loss"] == pytest.approx(expected, rel=1e-5)
    by_class = metrics.precision_recall_fscore_support(y[LAST], fit.predict(Z[LAST]), zero_division=0.0)
    assert [c["recall"] for c in record["test"]["by_class"]] == pytest.approx(by_class[1])


def prepared_by_hand(frame, rows):
    """What the columns of `mixed` become, stated once more with pandas alone."""
    weight = frame.weight.fillna(frame.weight[rows].mean())
    days = (frame.on - pd.Timestamp(0)) / pd.Timedelta(days=1)
    turn = 2 * np.pi * (days % 1)
    year = (
        2 * np.pi * (days - (pd.to_datetime(frame.on.dt.year.astype(str)) - pd.Timestamp(0)).dt.days) / 365.2425
    )
    columns = {"size": frame["size"], "weight": weight}
    columns |= {"days": days, "ys": np.sin(year), "yc": np.cos(year), "ds": np.sin(turn), "dc": np.cos(turn)}
    wide = pd.DataFrame({name: (v - v[rows].mean()) / v[rows].std(ddof=0) for name, v in columns.items()})
    # weight is taken at the mean and deviation of the values that are there.
    there = frame.weight[rows]
    wide["weight"] = (weight - there.mean()) / there.std(ddof=0)
    wide["weight is missing"] = frame.weight.isna().astype(float)
    wide["paid"] = frame.paid.astype(float)
    wide["kind[train]"] = (frame.kind == "train").astype(float)
    wide["kind[bus]"] = (frame.kind == "bus").astype(float)
    for day in ("Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"):
        wide[day] = (frame.on.dt.day_name() == day).astype(float)
    return wide


def test_numbers_gaps_truth_values_texts_and_dates_become_what_a_person_expects(tmp_path):
    frame = mixed().drop(columns=["late", "count"])
    record = trained(tmp_path, frame, "--target", "cost", "--split", "last", name="t.parquet")
    rows = np.arange(400) < 320
    wide = prepared_by_hand(frame, rows)
    X = np.column_stack([np.ones(400), wide.to_numpy()])
    beta = np.linalg.lstsq(X[rows], frame.cost.to_numpy()[rows])[0]
    expected = dict(zip(wide.columns, beta[1:], strict=True))
    found = coefficients(record)
    for ours, name in (
        ("size", "size"),
        ("weight", "weight"),
        ("weight is missing", "weight is missing"),
        ("paid", "paid"),
        ("kind[train]", "kind[train]"),
        ("kind[bus]", "kind[bus]"),
        ("on: days", "days"),
        ("on: time of year, sine", "ys"),
        ("on: time of year, cosine", "yc"),
        ("on: time of day, sine", "ds"),
        ("on: time of day, cosine", "dc"),
        ("on: weekday[Sunday]", "Sunday"),
    ):
        close(found[ours], expected[name])
    assert found["kind[car]"] == 0  # the most frequent level is the reference
    error = frame.cost - X @ beta
    assert record["test"]["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(error[~rows] ** 2)))
    assert record["imputed"] == {"weight": int(frame.weight.isna().sum())}


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_status().available, reason=f"no GPU: {gpu_status().reason}")
@pytest.mark.parametrize(
    ("target", "model"), [("two", "logistic"), ("three", "softmax"), ("counts", "poisson")]
)
def test_with_a_gpu_the_model_is_the_same(target, model, tmp_path):
    frame = only(numbers(), target)
    words = ("--target", target, "--model", model)
    got = trained(tmp_path, frame, *words, "--device", "gpu")
    expected = trained(tmp_path, frame, *words, "--device", "cpu")
    assert got["fit"]["device"].startswith("gpu")
    for name, values in coefficients(expected).items():
        close(coefficients(got)[name], values)


# ── formats, input and output ────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.feather", "t.arrow"])
def test_each_format_gives_the_same_model(name, tmp_path):
    frame = mixed().drop(columns=["cost", "count"])
    got = trained(tmp_path, frame, "--target", "late", name=name)
    expected = trained(tmp_path, frame, "--target", "late", name="other.pq")
    assert coefficients(got) == pytest.approx(coefficients(expected), rel=1e-6)
    assert got["test"]["metrics"] == pytest.approx(expected["test"]["metrics"], rel=1e-6)


def test_arrays_in_an_npz_file_are_columns(tmp_path):
    frame = numbers()
    np.savez(tmp_path / "t.npz", X=frame[FEATURES].to_numpy(), y=frame.y.to_numpy())
    assert run("train", tmp_path / "t.npz", "--target", "y", "--json", tmp_path / "r.json") == 0
    got = json.loads((tmp_path / "r.json").read_text())
    expected = trained(tmp_path, only(frame, "y"), "--target", "y", name="t.parquet")
    assert list(coefficients(got)) == ["X0", "X1", "X2"]
    close(list(coefficients(got).values()), list(coefficients(expected).values()))


def test_an_arrow_stream_is_read(tmp_path):
    import pyarrow as pa

    frame = only(numbers(), "y")
    table = pa.Table.from_pandas(frame)
    with pa.OSFile(str(tmp_path / "s.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    assert run("train", tmp_path / "s.arrow", "--target", "y", "--json", tmp_path / "r.json") == 0
    assert json.loads((tmp_path / "r.json").read_text())["data"]["rows"] == 300


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.arrow", "t.npz"])
def test_standard_input_is_known_by_its_first_bytes(name, tmp_path, monkeypatch, capsys):
    path = write(only(numbers(), "y"), tmp_path / name)
    with open(path, "rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert run("train", "-", "--target", "y", "--json", "-") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["data"]["source"] == "standard input"
    assert "R²" in printed.err  # what people read makes way for what programs read


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_read_once_and_known_by_its_first_bytes(tmp_path):
    path = write(only(numbers(), "y"), tmp_path / "t.parquet")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    assert run("train", tmp_path / "pipe", "--target", "y", "--json", tmp_path / "r.json") == 0
    writer.join()
    assert json.loads((tmp_path / "r.json").read_text())["data"]["source"] == str(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("values", "model", "reason"),
    [
        (["yes", "no"] * 20, "logistic", "the target has two values"),
        ([0, 1] * 20, "logistic", "the target has two values"),
        ([True, False] * 20, "logistic", "the target has two values"),
        ([0.5, 1.5] * 20, "logistic", "the target has two values"),
        (["a", "b", "c", "d"] * 10, "softmax", "the target has 4 different texts"),
        (
            [0, 1, 2, 3] * 10,
            "softmax",
            "the target has 4 different whole numbers; if they are amounts, --model linear",
        ),
        ([0.5, 1.5, 2.5, 3.5] * 10, "linear", "the target has 4 different numbers"),
        (list(range(40)), "linear", "the target has 40 different numbers"),
    ],
)
def test_the_model_is_chosen_by_the_target(values, model, reason, tmp_path):
    path = write(pd.DataFrame({"y": values}), tmp_path / "t.csv")
    _, _, chosen, why = read_target(read_table(source_of(path)), "y", "auto")
    assert chosen == model
    assert why.startswith(reason)


def test_the_reason_for_the_model_is_said(tmp_path, capsys):
    record = trained(tmp_path, only(numbers(), "three"), "--target", "three")
    assert record["model"]["reason"].startswith("the target has 3 different whole numbers")
    assert f"Softmax regression, penalty 1, because {record['model']['reason']}" in capsys.readouterr().out


@pytest.mark.parametrize(("target", "metric", "bound"), [("two", "roc_auc", 0.6), ("y", "r2", 0.2)])
def test_a_network_learns_classes_and_numbers(target, metric, bound, tmp_path):
    frame = only(numbers(600), target)
    if target == "y":
        frame["y"] = 5e4 + 1e3 * frame.y  # the network is fitted in units of the deviation
    words = ("--target", target, "--model", "mlp", "--hidden", "16,8", "--max-iter", "30")
    path = write(frame, tmp_path / "t.csv")
    assert run("train", path, *words, "--json", tmp_path / "r.json", "--penalty", "0.1") in (0, 1)
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["test"]["metrics"][metric] > bound
    assert record["fit"]["loss"][-1] < record["fit"]["loss"][0]
    assert record["model"]["hidden"] == [16, 8]


def test_the_rows_held_out_are_drawn_from_each_class_in_proportion(tmp_path):
    frame = numbers(1000).assign(y=["rare"] * 50 + ["often"] * 950)
    record = trained(tmp_path, frame[[*FEATURES, "y"]], "--target", "y", "--valid", "0.3")
    assert record["data"]["held_out"] == 300
    assert record["data"]["target_of_training"]["classes"] == [["often", 665], ["rare", 35]]
    assert [sum(row) for row in record["test"]["confusion"]] == [285, 15]


def test_without_held_out_rows_all_are_trained_on(tmp_path, capsys):
    record = trained(tmp_path, only(numbers(), "y"), "--target", "y", "--valid", "0")
    assert (record["data"]["train_rows"], record["test"]) == (300, None)
    assert "nothing says how good the model is" in capsys.readouterr().out


def test_the_seed_decides_which_rows_are_held_out(tmp_path):
    frame = only(numbers(), "y")
    one, same, other = (trained(tmp_path, frame, "--target", "y", "--seed", seed) for seed in (1, 1, 2))
    assert one["test"]["metrics"] == same["test"]["metrics"] != other["test"]["metrics"]


# ── the page ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("target", "svgs"), [("late", 5), ("cost", 3), ("kind", 2)])
def test_the_page_needs_nothing_else_and_serves_light_and_dark(target, svgs, tmp_path):
    frame = mixed().rename(columns={"size": "<script>alert(1)</script>"})
    page = tmp_path / "r.html"
    trained(
        tmp_path, frame.drop(columns={"late", "cost", "count"} - {target}), "--target", target, "--report", page
    )
    html = page.read_text("utf-8")
    assert html.count("<svg ") == svgs
    assert "prefers-color-scheme: dark" in html
    assert "<script" not in html
    outside = re.findall(r"(?:src|href)=[\"'](?!#)|url\((?!#)|@import", html)
    assert outside == []
    assert not re.search(r"(?:fill|stroke): #0", html)  # each colour is a variable of the page


# ── saving ───────────────────────────────────────────────────────────────────────────────────
def test_the_estimator_in_the_file_is_one_of_xg_learn(tmp_path):
    import xpgrad as xg

    frame = numbers()
    trained(tmp_path, only(frame, "y"), "--target", "y", "--split", "last", "--out", tmp_path / "m")
    model = xg.learn.load(tmp_path / "m")
    expected = theirs.LinearRegression().fit(standardised(frame)[FIRST], frame.y[FIRST])
    design = pd.DataFrame(standardised(frame), columns=FEATURES)
    close(model.predict(design), expected.predict(standardised(frame)))


def test_help_states_every_exit_status(capsys):
    for command in ("train", "predict", "explain"):
        with pytest.raises(SystemExit) as end:
            run(command, "--help")
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert all(f"  {status} " in printed for status in (0, 2, 130, 141))
