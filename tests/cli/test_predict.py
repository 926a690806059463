"""`xpgrad predict` and `xpgrad explain`: a saved model, on other tables."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model as theirs
from sklearn import metrics

from cli.tabular import mixed, numbers, refused, run, write

FEATURES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with a model of each kind of target, from `mixed`."""
    folder = tmp_path_factory.mktemp("models")
    frame = mixed()
    for target in ("late", "cost", "count"):
        model = ("--model", "poisson") if target == "count" else ()
        path = write(frame.drop(columns={"late", "cost", "count"} - {target}), folder / f"{target}.csv")
        assert run("train", path, "--target", target, "--out", folder / f"{target}.model", *model) == 0
    return folder


def predicted(folder, model, frame, *words, name="new.csv"):
    path = write(frame, folder / name)
    assert run("predict", model, path, "--out", folder / "out.csv", "--json", folder / "said.json", *words) == 0
    return pd.read_csv(folder / "out.csv"), json.loads((folder / "said.json").read_text())


# ── values ───────────────────────────────────────────────────────────────────────────────────
def test_predictions_are_scikit_learns(tmp_path):
    frame, new = numbers(), numbers(50, seed=9)
    Z = frame[FEATURES].to_numpy()
    mean, scale = Z.mean(0), Z.std(0)
    write(frame[[*FEATURES, "two"]], tmp_path / "t.csv")
    words = ("--target", "two", "--valid", 0, "--penalty", 2, "--out", tmp_path / "m")
    assert run("train", tmp_path / "t.csv", *words) == 0
    out, record = predicted(tmp_path, tmp_path / "m", new[[*FEATURES, "two"]])
    fit = theirs.LogisticRegression(C=0.5, tol=1e-10).fit((Z - mean) / scale, frame.two)
    expected = fit.predict_proba((new[FEATURES].to_numpy() - mean) / scale)
    np.testing.assert_allclose(out[["probability[0]", "probability[1]"]], expected, rtol=1e-4)
    np.testing.assert_array_equal(out.prediction, expected.argmax(1))
    assert record["test"]["metrics"]["log_loss"] == pytest.approx(metrics.log_loss(new.two, expected), rel=1e-4)
    constant = np.broadcast_to([1 - frame.two.mean(), frame.two.mean()], expected.shape)
    assert record["test"]["base"]["log_loss"] == pytest.approx(metrics.log_loss(new.two, constant))


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.feather", "out.npz"])
def test_each_format_of_the_result_holds_the_same(name, fitted, tmp_path):
    source = fitted / "late.csv"
    assert run("predict", fitted / "late.model", source, "--out", tmp_path / name, "--keep", "size") == 0
    assert (
        run("predict", fitted / "late.model", source, "--out", tmp_path / "expected.csv", "--keep", "size") == 0
    )
    path = tmp_path / name
    if name.endswith(".npz"):
        with np.load(path) as arrays:
            got = pd.DataFrame({k: arrays[k] for k in arrays.files})
    else:
        read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "feather": pd.read_feather}
        got = read[path.suffix[1:]](path)
    expected = pd.read_csv(tmp_path / "expected.csv")
    assert list(got.columns) == ["size", "prediction", "probability[no]", "probability[yes]"]
    pd.testing.assert_frame_equal(got, expected, check_dtype=False)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("late", ()),
        ("cost", ()),
        ("kind", ()),
        ("count", ("--model", "poisson")),
        ("late", ("--model", "mlp", "--max-iter", "3")),
        ("cost", ("--model", "mlp", "--max-iter", "3")),
    ],
)
def test_the_rows_held_out_are_judged_as_in_training_when_they_come_again(target, words, tmp_path):
    """Training wrote the metrics of the rows that it held out; predict finds them from the file alone."""
    frame = mixed().drop(columns={"late", "cost", "count"} - {target})
    files = ("--json", tmp_path / "r.json", "--out", tmp_path / "m")
    path = write(frame, tmp_path / "t.parquet")
    assert run("train", path, "--target", target, "--split", "last", *files, *words) in (0, 1)
    expected = json.loads((tmp_path / "r.json").read_text())["test"]
    _, record = predicted(tmp_path, tmp_path / "m", frame.tail(80))
    assert record["test"]["metrics"] == pytest.approx(expected["metrics"], rel=1e-9)
    assert record["test"]["base"] == pytest.approx(expected["base"], rel=1e-9)


# ── other tables ─────────────────────────────────────────────────────────────────────────────
def test_names_decide_which_column_is_which(fitted, tmp_path):
    frame = pd.read_csv(fitted / "cost.csv")
    expected, _ = predicted(tmp_path, fitted / "cost.model", frame)
    turned, record = predicted(tmp_path, fitted / "cost.model", frame[frame.columns[::-1]].assign(more=1))
    pd.testing.assert_frame_equal(turned, expected)
    assert record["ignored"] == ["more"]


def test_the_target_may_be_absent(fitted, tmp_path):
    frame = pd.read_csv(fitted / "late.csv")
    expected, _ = predicted(tmp_path, fitted / "late.model", frame)
    got, record = predicted(tmp_path, fitted / "late.model", frame.drop(columns="late"))
    pd.testing.assert_frame_equal(got, expected)
    assert record["test"] is None


def test_missing_columns_are_named_with_those_like_them(fitted, tmp_path, capsys):
    frame = pd.read_csv(fitted / "cost.csv").drop(columns=["kind"]).rename(columns={"weight": "Weight"})
    err = refused(capsys, "predict", fitted / "cost.model", write(frame, tmp_path / "n.csv"))
    assert "lacks columns that the model was trained on: 'weight', 'kind'" in err
    assert "'Weight' may be 'weight'" in err


def test_unseen_categories_are_counted_and_get_the_coefficient_of_the_reference(fitted, tmp_path, capsys):
    frame = pd.read_csv(fitted / "cost.csv").head(6)
    frame["kind"] = ["ferry", "ferry", "horse", "car", "bus", "train"]
    got, record = predicted(tmp_path, fitted / "cost.model", frame)
    assert record["unseen"] == {"kind": {"rows": 3, "values": {"ferry": 2, "horse": 1}}}
    assert "kind: 3 rows with values that are no level of the model" in capsys.readouterr().out
    as_reference, _ = predicted(
        tmp_path, fitted / "cost.model", frame.assign(kind=["car"] * 4 + ["bus", "train"])
    )
    pd.testing.assert_frame_equal(got, as_reference)


def test_a_rare_category_of_training_and_an_unseen_one_are_both_other(tmp_path):
    frame = mixed(600)[["size", "kind", "cost"]]
    frame.loc[:3, "kind"] = ["zeppelin", "airship", "zeppelin", "rocket"]
    write(frame, tmp_path / "t.csv")
    words = ("--target", "cost", "--valid", 0, "--out", tmp_path / "m", "--json", tmp_path / "r.json")
    assert run("train", tmp_path / "t.csv", *words) == 0
    (kind,) = [
        c
        for c in json.loads((tmp_path / "r.json").read_text())["preparation"]["columns"]
        if c["name"] == "kind"
    ]
    assert (kind["levels"][-1], kind["rows"][-1], kind["pooled"]) == ("(other)", 4, 3)
    rare = frame.head(2).assign(size=50.0, kind=["zeppelin", "balloon"])
    got, _ = predicted(tmp_path, tmp_path / "m", rare)
    assert got.prediction[0] == got.prediction[1]


def test_missing_values_become_the_mean_and_are_said(fitted, tmp_path, capsys):
    frame = pd.read_csv(fitted / "cost.csv").head(4)
    assert run("explain", fitted / "cost.model", "--json") == 0
    columns = json.loads(capsys.readouterr().out)["preparation"]["columns"]
    mean = next(c["mean"] for c in columns if c["name"] == "size")
    frame.loc[1, "size"] = np.nan
    got, record = predicted(tmp_path, fitted / "cost.model", frame)
    expected, _ = predicted(tmp_path, fitted / "cost.model", frame.fillna({"size": mean}))
    np.testing.assert_allclose(got.prediction, expected.prediction, rtol=1e-12)
    assert record["imputed"]["size"] == 1
    assert "size: 1 missing, taken as the mean of training" in capsys.readouterr().out


def test_a_column_that_is_all_missing_is_taken_as_the_mean(fitted, tmp_path):
    frame = pd.read_csv(fitted / "cost.csv").head(5)
    for gaps in ({"size": np.nan}, {"on": None}, {"kind": None}):
        got, _ = predicted(tmp_path, fitted / "cost.model", frame.assign(**gaps))
        assert np.isfinite(got.prediction).all()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("size", "big", "column 'size' of {path} is to hold numbers\n  got 'big' in row 3, line 4"),
        ("size", np.inf, "column 'size' of {path} has infinite values\n  count 1 of 5\n  first row 3, line 4"),
        ("on", "noon", "column 'on' of {path} is to hold dates\n  got 'noon' in row 3, line 4"),
    ],
)
def test_values_of_another_kind_are_refused_with_their_line(column, value, words, fitted, tmp_path, capsys):
    frame = pd.read_csv(fitted / "cost.csv").head(5).astype({column: object})
    frame.loc[2, column] = value
    path = write(frame, tmp_path / "n.csv")
    err = refused(capsys, "predict", fitted / "cost.model", path)
    assert " ".join(words.format(path=path).split()) in " ".join(err.split())


def test_dates_with_a_time_zone_are_no_dates_without(fitted, tmp_path, capsys):
    frame = pd.read_csv(fitted / "cost.csv").head(5)
    frame["on"] = frame["on"] + "+02:00"
    err = refused(capsys, "predict", fitted / "cost.model", write(frame, tmp_path / "n.csv"))
    assert "have a time zone, and those of training had none" in err


def test_classes_that_training_had_not_leave_the_metrics_out(fitted, tmp_path):
    frame = pd.read_csv(fitted / "late.csv").head(5).assign(late=["yes", "no", "maybe", "no", "no"])
    got, record = predicted(tmp_path, fitted / "late.model", frame)
    assert len(got) == 5
    assert record["why_no_test"] == "the target has classes that training had not: maybe"


# ── files ────────────────────────────────────────────────────────────────────────────────────
def test_a_model_from_standard_input_predicts_to_standard_output(fitted, tmp_path, monkeypatch, capsysbinary):
    with open(fitted / "late.model", "rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert run("predict", "-", fitted / "late.csv") == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert lines[0] == b"prediction,probability[no],probability[yes]"
    assert len(lines) == 401


@pytest.mark.parametrize("cut", [0, 5, 200, -1])
def test_a_truncated_model_is_an_error(cut, fitted, tmp_path, capsys):
    (tmp_path / "m").write_bytes((fitted / "late.model").read_bytes()[:cut])
    for words in (("explain", tmp_path / "m"), ("predict", tmp_path / "m", fitted / "late.csv")):
        assert "is no model of xpgrad, or is truncated" in refused(capsys, *words)


def test_an_altered_model_is_an_error(fitted, tmp_path, capsys):
    content = bytearray((fitted / "late.model").read_bytes())
    content[-3] ^= 1
    (tmp_path / "m").write_bytes(content)
    assert "was altered" in refused(capsys, "explain", tmp_path / "m")
    whole = (fitted / "late.model").read_bytes()
    changed = whole.replace(b'mean\\": 5', b'mean\\": 4', 1)  # of the column `size`
    assert changed != whole
    (tmp_path / "m").write_bytes(changed)
    assert "was altered" in refused(capsys, "explain", tmp_path / "m")


def test_a_newer_model_is_an_error_that_says_so(fitted, tmp_path, capsys, monkeypatch):
    from xpgrad.cli.models import stored, training

    monkeypatch.setattr(stored, "FORMAT", training.FORMAT + 1)
    monkeypatch.setattr(training, "__version__", "99.0")
    assert run("train", fitted / "late.csv", "--target", "late", "--out", tmp_path / "m") == 0
    monkeypatch.undo()
    capsys.readouterr()
    err = refused(capsys, "explain", tmp_path / "m")
    assert "was written by xpgrad 99.0" in err
    assert "pip install --upgrade xpgrad" in err


def test_an_estimator_saved_from_python_has_no_table(tmp_path, capsys):
    import xpgrad as xg

    frame = numbers()
    xg.learn.LinearRegression().fit(frame[FEATURES], frame.y).save(tmp_path / "m")
    err = refused(capsys, "explain", tmp_path / "m")
    assert "holds a LinearRegression, but not how a table becomes its columns" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-", "-"), "cannot both be standard input"),
        (("m", "d.csv", "--out", "-", "--json", "-"), "cannot both be standard output"),
        (("m", "d.csv", "--out", "d.csv"), "would be written over what is read"),
        (("m", "d.csv", "--out", "d.xlsx"), "has no ending that is known"),
        (("nowhere", "d.csv"), "no such file"),
    ],
)
def test_odd_options_are_refused(words, said, capsys):
    assert said in refused(capsys, "predict", *words)


# ── explain ──────────────────────────────────────────────────────────────────────────────────
def test_explain_says_what_the_model_is_and_what_it_was_trained_on(fitted, capsys):
    assert run("explain", fitted / "late.model") == 0
    said = capsys.readouterr().out
    frame = pd.read_csv(fitted / "late.csv")
    for words in (
        "Logistic regression without a penalty",
        "xg.learn.LogisticRegression",
        f"trained on  320 of 400 rows of {fitted / 'late.csv'}",
        "late: 2 classes: no ",
        "by xpgrad ",
        "kind: 3 categories",
        "paid: truth values",
        "on: dates from 2024-01-01 06:00 to ",
        "missing, taken as the mean; a column of its own says where",
        "On the 80 rows held out:",
    ):
        assert words in said
    assert any(f"    {kind} " in said for kind in frame.kind.unique())


def test_explain_says_what_is_wrong_with_a_fit(tmp_path, capsys):
    frame = numbers()[FEATURES].assign(y=lambda f: np.where(f.a > 0, "up", "down"))
    assert run("train", write(frame, tmp_path / "t.csv"), "--target", "y", "--out", tmp_path / "m") == 1
    capsys.readouterr()
    assert run("explain", tmp_path / "m") == 0
    assert "fit         the classes are separable" in capsys.readouterr().out


def test_explain_gives_a_program_what_training_wrote(tmp_path, capsys):
    path = write(mixed().drop(columns=["late", "count"]), tmp_path / "t.csv")
    words = ("--target", "cost", "--out", tmp_path / "m", "--json", tmp_path / "r.json")
    assert run("train", path, *words) == 0
    capsys.readouterr()
    assert run("explain", tmp_path / "m", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "r.json").read_text())
