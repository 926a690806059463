"""`xpgrad race` from end to end, and everything it refuses."""

import json
import os
import sys

import numpy as np
import pandas as pd
import pytest

from xpgrad.cli import main, race
from xpgrad.devices import gpu_status


@pytest.fixture
def table(tmp_path):
    """A CSV with 600 rows whose target follows two of its three columns."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(600, 3)) * (1, 10, 0.1) + (0, 50, 0)
    z = X[:, 0] - 0.1 * (X[:, 1] - 50) - 0.3
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
        y=(rng.random(600) < 1 / (1 + np.exp(-z))).astype(int)
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def run(*words):
    return main(["race", "--repeats", "1", *map(str, words)])


def refused(capsys, *words):
    """What is printed when a command ends with status 2 and no traceback."""
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_the_users_races_trains_and_reports(suffix, table, tmp_path, capsys):
    data = tmp_path / f"data{suffix}"
    frame = pd.read_csv(table)
    frame.to_csv(data, index=False) if suffix == ".csv" else frame.to_parquet(data)
    page, numbers = tmp_path / "r.html", tmp_path / "r.json"
    assert run("--data", data, "--target", "y", "--json", numbers, "--html", page) == 0

    printed = capsys.readouterr().out
    for words in (
        "480 rows to train on",
        "Python loop",
        "NumPy by hand",
        "xpgrad from the loss",
        "ROC AUC",
        "xpgrad compiled",
    ):
        assert words in printed

    record = json.loads(numbers.read_text())
    assert [step["key"] for step in record["race"]["steps"]][:4] == [
        "loop",
        "numpy",
        "xpgrad-cpu",
        "xpgrad-compiled",
    ]
    assert all(step["agrees"] for step in record["race"]["steps"])
    assert record["data"]["columns"] == ["a", "b", "c"]
    assert record["machine"]["cpu"]["cores"] == os.cpu_count()
    assert record["training"]["loss"][0] == pytest.approx(np.log(2))
    assert record["training"]["loss"][-1] < 0.6
    assert record["test"]["roc_auc"] > 0.7
    assert record["test"]["log_loss"] < record["test"]["base"]["log_loss"]

    assert page.read_text("utf-8").count("<svg ") == 4
    assert sorted(os.listdir(tmp_path)) == sorted({data.name, "t.csv", "r.html", "r.json"})


def test_the_model_is_the_one_of_scikit_learn(table, tmp_path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    from xpgrad.cli import tables

    assert run("--data", table, "--target", "y", "--json", tmp_path / "r.json") == 0
    problem = tables.load(table, "y")
    theirs = LogisticRegression(C=1e9, tol=1e-8).fit(problem.X.T, problem.Y[0])
    expected = log_loss(problem.Y_test[0], theirs.predict_proba(problem.X_test.T)[:, 1])
    assert json.loads((tmp_path / "r.json").read_text())["test"]["log_loss"] == pytest.approx(
        expected, rel=1e-3
    )


@pytest.mark.slow
def test_the_flights_of_the_year_are_ranked_with_an_auc_above_069(tmp_path, capsys):
    assert run("--json", tmp_path / "r.json") == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["data"]["train_rows"] + record["data"]["test_rows"] == 327_346
    assert record["test"]["roc_auc"] > 0.69
    assert record["test"]["log_loss"] < record["test"]["base"]["log_loss"]
    assert record["test"]["accuracy"] > record["test"]["base"]["accuracy"]


@pytest.mark.skipif(gpu_status().available, reason="there is a GPU")
def test_without_a_gpu_a_line_says_so_and_why(table, capsys):
    assert run("--data", table, "--target", "y") == 0
    assert f"GPU: not run, {gpu_status().reason}" in capsys.readouterr().out


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_status().available, reason=f"no GPU: {gpu_status().reason}")
def test_with_a_gpu_it_races_and_trains_there(table, tmp_path):
    assert run("--data", table, "--target", "y", "--device", "gpu", "--json", tmp_path / "r.json") == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["race"]["steps"][-1]["key"] == "xpgrad-gpu"
    assert record["training"]["device"] == "gpu"


def test_a_contender_that_disagrees_ends_the_race_with_status_1(table, tmp_path, capsys, monkeypatch):
    from xpgrad.cli import contenders

    right = contenders.by_hand
    monkeypatch.setattr(contenders, "by_hand", lambda *args: (right(*args)[0] * 1.01, right(*args)[1]))
    assert run("--data", table, "--target", "y", "--json", tmp_path / "r.json") == 1
    out, err = capsys.readouterr()
    assert "DISAGREES" in out
    assert "NumPy by hand" in err
    assert not (tmp_path / "r.json").exists()


def test_interrupted_it_leaves_with_130_and_no_file(table, tmp_path, capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(race, "train", interrupted)
    outputs = ("--json", tmp_path / "r.json", "--html", tmp_path / "r.html")
    assert run("--data", table, "--target", "y", *outputs) == 130
    assert os.listdir(tmp_path) == ["t.csv"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_page_that_cannot_be_made_writes_no_numbers_either(table, tmp_path, monkeypatch):
    def interrupted(record):
        raise KeyboardInterrupt

    monkeypatch.setattr(race.report, "render", interrupted)
    outputs = ("--json", tmp_path / "r.json", "--html", tmp_path / "r.html")
    assert run("--data", table, "--target", "y", *outputs) == 130
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.fixture
def no_reading(monkeypatch):
    """Fail if the data are read: what is refused must be refused before."""

    def read(args):
        pytest.fail("the data were read first")

    monkeypatch.setattr(race, "_load", read)


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_an_output_in_a_missing_folder_is_refused_before_the_work(option, tmp_path, capsys, no_reading):
    err = refused(capsys, option, tmp_path / "no" / "r")
    assert f"{option}: there is no folder" in err


def test_one_file_for_both_outputs_is_refused(tmp_path, capsys, no_reading):
    assert "both name" in refused(capsys, "--json", tmp_path / "r", "--html", tmp_path / "r")


def test_an_unknown_device_is_refused(capsys, no_reading):
    assert "tpu" in refused(capsys, "--device", "tpu")


@pytest.mark.skipif(gpu_status().available, reason="there is a GPU")
def test_a_missing_gpu_that_is_asked_for_is_refused(capsys, no_reading):
    assert gpu_status().reason in refused(capsys, "--device", "gpu")


def test_data_without_a_target_is_refused(table, capsys, no_reading):
    assert "--target COL" in refused(capsys, "--data", table)


@pytest.mark.parametrize("option", ["--target", "--drop"])
def test_options_about_a_table_without_a_table_are_refused(option, capsys, no_reading):
    assert "--data FILE" in refused(capsys, option, "y")


def test_without_matplotlib_the_page_is_refused_before_the_work(tmp_path, capsys, monkeypatch, no_reading):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    err = refused(capsys, "--html", tmp_path / "r.html")
    assert 'pip install "xpgrad[demo]"' in err


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.assign(a="JFK"), ("column 'a'", "'JFK' in row 1", "--drop a")),
        (lambda frame: frame.assign(y=1), ("target 'y'", "constant")),
        (lambda frame: frame[:0], ("has no rows",)),
        (lambda frame: frame.drop(columns="y"), ("has no column 'y'",)),
        (lambda frame: frame.assign(y=frame.y * 2), ("must hold 0 and 1 only",)),
        (lambda frame: frame.assign(b=np.nan), ("column 'b'", "600 of 600")),
    ],
    ids=["text", "constant target", "empty", "no target", "labels", "missing values"],
)
def test_bad_tables_are_refused_and_nothing_is_written(spoil, words, table, tmp_path, capsys):
    spoil(pd.read_csv(table)).to_csv(table, index=False)
    err = refused(capsys, "--data", table, "--target", "y", "--json", tmp_path / "r.json")
    for word in (str(table), *words):
        assert word in err
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_missing_file_is_refused(tmp_path, capsys):
    assert "no such file" in refused(capsys, "--data", tmp_path / "gone.csv", "--target", "y")


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_rows_that_is_none_is_a_usage_error(number, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("--rows", number)
    assert "--rows" in capsys.readouterr().err
