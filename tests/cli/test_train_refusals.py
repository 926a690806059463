"""What `xpgrad train` refuses, and what it survives: each is said by its cause and place."""

import numpy as np
import pandas as pd
import pytest

from cli.tabular import mixed, numbers, refused, run, trained, write

FEATURES = ["a", "b", "c"]


def train_refused(capsys, folder, frame, *words, name="t.csv"):
    return refused(capsys, "train", write(frame, folder / name), *words)


# ── targets ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("values", "words", "said"),
    [
        (["yes"] * 40, (), "has one value only, there is nothing to learn value yes in all 40 rows"),
        ([3.5] * 40, ("--model", "linear"), "is constant, there is nothing to learn"),
        ([1.0, np.nan, 2.5, np.nan] * 10, (), "has missing values count 20 of 40 first row 2, line 3"),
        (
            [0.5, np.inf, 2.5, 1.0] * 10,
            (),
            "target 'y' of {path} has infinite values count 10 of 40 first row 2, line 3",
        ),
        (
            [1, 2, -3, 4] * 10,
            ("--model", "poisson"),
            "needs targets that are 0 or more 'y' of {path} -3 in row 3, line 4",
        ),
        (
            [1, 2, 0, 4] * 10,
            ("--model", "gamma"),
            "needs targets that are positive 'y' of {path} 0 in row 3, line 4",
        ),
        ([1, 2, -1, 4] * 10, ("--model", "tweedie"), "needs targets that are 0 or more"),
        ([1, 2, 0, 4] * 10, ("--model", "tweedie", "--power", 2.5), "needs targets that are positive"),
        (
            ["a", "b", "c", "d"] * 10,
            ("--model", "logistic"),
            "tells two classes apart; target 'y' of {path} has 4",
        ),
        (
            ["a", "b", "c", "d"] * 10,
            ("--model", "linear"),
            "predicts a number; target 'y' of {path} holds text",
        ),
        ([f"t{i}" for i in range(40)], (), "has 40 classes in 40 rows"),
        (pd.date_range("2024-01-01", periods=40), (), "holds dates, which no model predicts"),
    ],
)
def test_a_target_that_no_model_can_learn_is_refused(values, words, said, tmp_path, capsys):
    frame = pd.DataFrame({"a": np.arange(40.0), "y": values})
    err = train_refused(capsys, tmp_path, frame, "--target", "y", *words)
    assert said.format(path=tmp_path / "t.csv") in " ".join(err.split())


def test_rows_without_a_target_are_left_out_on_request(tmp_path, capsys):
    frame = numbers()[["a", "y"]]
    frame.loc[[3, 7], "y"] = np.nan
    record = trained(tmp_path, frame, "--target", "y", "--skip-missing")
    assert record["data"]["rows"] == 298
    assert "2 of 300 rows have no target and were left out" in capsys.readouterr().out
    expected = trained(tmp_path, frame.dropna(), "--target", "y")
    assert record["test"]["metrics"] == pytest.approx(expected["test"]["metrics"])


def test_a_place_counts_the_rows_of_the_file_after_rows_were_left_out(tmp_path, capsys):
    frame = pd.DataFrame({"a": np.arange(30.0), "y": np.arange(30.0)})
    frame.loc[[0, 2], "y"] = np.nan
    frame.loc[5, "a"] = np.inf
    err = train_refused(capsys, tmp_path, frame, "--target", "y", "--skip-missing")
    assert "first row 6, line 7" in " ".join(err.split())


def test_lines_are_counted_where_a_field_has_several(tmp_path, capsys):
    (tmp_path / "t.csv").write_text('a,b,y\n"two\nlines",1,1\n\nx,inf,0\n')
    err = refused(capsys, "train", tmp_path / "t.csv", "--target", "y")
    assert "first row 2, line 5" in " ".join(err.split())


# ── columns ──────────────────────────────────────────────────────────────────────────────────
def test_columns_that_are_constant_or_all_missing_are_left_out_and_said(tmp_path, capsys):
    frame = numbers()[["a", "y"]].assign(same=3, empty=np.nan, ident=[f"id{i}" for i in range(300)])
    record = trained(tmp_path, frame, "--target", "y")
    said = capsys.readouterr().out
    assert "same: left out, constant in the rows of training: 3" in said
    assert "empty: left out, all values are missing" in said
    assert "ident: left out, 240 different texts, none of them in 2 rows of training" in said
    assert [c["name"] for c in record["preparation"]["columns"]] == ["a"]


def test_a_table_without_a_column_to_learn_from_is_refused(tmp_path, capsys):
    frame = numbers()[["y"]].assign(same=3, empty=np.nan)
    err = train_refused(capsys, tmp_path, frame, "--target", "y")
    assert "has no column to learn from" in err
    assert "constant in the rows of training: 3" in err


def test_collinear_columns_are_named_in_the_place_of_intervals(tmp_path, capsys):
    frame = numbers()[[*FEATURES, "y"]]
    frame["sum"] = frame.a + 2 * frame.b
    record = trained(tmp_path, frame, "--target", "y")
    assert "cannot be told apart: a, b, sum; --drop leaves columns out" in record["coefficients"]["why_not"]
    assert "no intervals: the coefficients of these columns" in capsys.readouterr().out
    alone = trained(tmp_path, frame, "--target", "y", "--drop", "sum")
    assert record["test"]["metrics"] == pytest.approx(alone["test"]["metrics"], rel=1e-6)


def test_columns_that_are_missing_together_have_one_flag(tmp_path):
    frame = numbers()[[*FEATURES, "y"]]
    frame.loc[::7, ["a", "b"]] = np.nan
    record = trained(tmp_path, frame, "--target", "y")
    flags = {c["name"]: c["flag"] for c in record["preparation"]["columns"]}
    assert flags == {"a": "a is missing", "b": None, "c": None}
    assert record["coefficients"]["inference"] is not None


def test_separable_classes_are_said_and_end_with_status_1(tmp_path, capsys):
    frame = numbers()[FEATURES].assign(y=lambda f: np.where(f.a > 0, "up", "down"))
    record = trained(tmp_path, frame, "--target", "y", status=1)
    assert record["fit"]["separable"]
    assert record["coefficients"]["inference"] is None
    assert "--penalty 1 makes them finite" in capsys.readouterr().out
    assert trained(tmp_path, frame, "--target", "y", "--penalty", 1)["fit"]["converged"]


def test_a_category_with_one_class_alone_is_said(tmp_path, capsys):
    frame = mixed()[["size", "kind", "late"]]
    frame.loc[frame.kind == "bus", "late"] = "yes"
    words = ("--target", "late", "--valid", 0)
    record = trained(tmp_path, frame, *words)
    (said,) = record["fit"]["remarks"]
    assert said.startswith("the target is the same in all rows with kind[bus]: ")
    assert said in capsys.readouterr().out
    assert trained(tmp_path, frame, *words, "--penalty", 1)["fit"]["remarks"] == []


def test_a_category_without_counts_is_said(tmp_path):
    frame = mixed()[["size", "paid", "count"]]
    frame.loc[frame.paid, "count"] = 0
    record = trained(tmp_path, frame, "--target", "count", "--model", "poisson", "--valid", 0)
    assert any("in all rows with paid: " in text for text in record["fit"]["remarks"])


def test_columns_whose_coefficients_have_one_name_keep_their_intervals(tmp_path):
    frame = mixed()[["size", "kind", "cost"]].assign(intercept=np.arange(400.0) ** 2)
    frame["kind[bus]"] = np.sin(np.arange(400.0))
    record = trained(tmp_path, frame, "--target", "cost", "--valid", 0)
    for row in record["coefficients"]["rows"]:
        if not row["is_reference"]:
            assert row["low"] < row["coef"][0] < row["high"]
    assert sum("low" in row for row in record["coefficients"]["rows"]) == 5


def test_a_fit_that_does_not_converge_ends_with_status_1(tmp_path, capsys):
    record = trained(tmp_path, numbers()[[*FEATURES, "two"]], "--target", "two", "--max-iter", 1, status=1)
    assert not record["fit"]["converged"]
    assert "--max-iter allows more iterations" in capsys.readouterr().out
    words = ("--target", "two", "--model", "mlp", "--max-iter", 2)
    trained(tmp_path, numbers()[[*FEATURES, "two"]], *words, status=1)
    assert "the loss was still improving after --max-iter 2 passes" in capsys.readouterr().out


def test_a_few_texts_among_numbers_are_taken_for_a_mistake(tmp_path, capsys):
    frame = numbers()[["a", "y"]].astype({"a": object})
    frame.loc[4, "a"] = "?"
    err = train_refused(capsys, tmp_path, frame, "--target", "y")
    assert "first '?' in row 5, line 6" in " ".join(err.split())
    assert "--missing '?'" in err
    record = trained(tmp_path, frame, "--target", "y", "--missing", "?")
    assert record["imputed"] == {"a": 1}


def test_dates_that_are_written_otherwise_are_read_as_told(tmp_path, capsys):
    frame = mixed()[["size", "on", "cost"]]
    told = frame.assign(on=frame.on.dt.strftime("%d/%m/%Y %H:%M"))
    err = train_refused(capsys, tmp_path, told, "--target", "cost")
    assert "first '01/01/2024 06:00' in row 1, line 2" in " ".join(err.split())
    words = ("--date", "on=%d/%m/%Y %H:%M", "--out", tmp_path / "m")
    record = trained(tmp_path, told, "--target", "cost", *words)
    expected = trained(tmp_path, frame, "--target", "cost")
    assert record["coefficients"]["rows"] == expected["coefficients"]["rows"]
    assert run("predict", tmp_path / "m", write(told, tmp_path / "n.csv"), "--out", tmp_path / "p.csv") == 0
    err = refused(capsys, "predict", tmp_path / "m", write(frame, tmp_path / "n.csv"))
    assert "write them as %d/%m/%Y %H:%M" in err
    assert "--date on=%Q" in train_refused(capsys, tmp_path, told, "--target", "cost", "--date", "on=%Q")
    as_text = trained(tmp_path, told, "--target", "cost", "--category", "on")
    assert as_text["preparation"]["left_out"][0]["reason"].startswith("320 different texts")


def test_a_category_may_be_what_is_a_mistake_among_numbers(tmp_path):
    frame = mixed()[["size", "cost"]].assign(code=[str(i % 4) if i % 40 else "x" for i in range(400)])
    record = trained(tmp_path, frame, "--target", "cost", "--category", "code")
    assert record["preparation"]["columns"][1]["levels"] == ["1", "2", "3", "0", "x"]


def test_numbers_are_categories_on_request(tmp_path):
    frame = mixed()[["size", "cost"]].assign(month=np.arange(400) % 12 + 1)
    record = trained(tmp_path, frame, "--target", "cost", "--category", "month")
    month = record["preparation"]["columns"][1]
    assert (month["kind"], sorted(month["levels"], key=int)) == ("category", [str(i) for i in range(1, 13)])


def test_levels_beyond_the_cap_are_other(tmp_path):
    frame = mixed()[["size", "cost"]].assign(month=np.arange(400) % 12 + 1)
    words = ("--category", "month", "--levels", 5, "--split", "last")
    month = trained(tmp_path, frame, "--target", "cost", *words)["preparation"]["columns"][1]
    assert (len(month["levels"]), month["levels"][-1], month["pooled"]) == (6, "(other)", 7)
    assert sum(month["rows"]) == 320


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"a": [1 + 2j, 2j, 3j, 0.5j], "y": [0, 1, 0, 1]}), "holds complex numbers"),
        (pd.DataFrame({"a": [1e200, -1e200, 3, 4], "y": [0, 1, 0, 1]}), "its variance overflows"),
    ],
)
def test_numbers_that_no_model_takes_are_refused(frame, said, tmp_path, capsys):
    np.savez(tmp_path / "t.npz", **{c: frame[c].to_numpy() for c in frame.columns})
    assert said in refused(capsys, "train", tmp_path / "t.npz", "--target", "y", "--valid", 0)


def test_lists_in_a_column_are_refused_with_the_remedy(tmp_path, capsys):
    frame = pd.DataFrame({"a": [[1, 2], [3], [4], [5, 6]] * 5, "y": [0, 1, 0, 1] * 5})
    err = train_refused(capsys, tmp_path, frame, "--target", "y", name="t.parquet")
    assert "holds neither numbers nor text" in err
    assert "--drop a" in err


def test_a_misspelt_column_is_refused_with_the_one_like_it(tmp_path, capsys):
    for words in (("--target", "Y"), ("--target", "y", "--drop", "aa"), ("--target", "y", "--category", "aa")):
        assert "did you mean" in train_refused(capsys, tmp_path, numbers()[["a", "y"]], *words)


# ── tables ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("rows", "said"), [(0, "has no rows"), (1, "there is nothing to learn")])
@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.npz"])
def test_a_table_of_no_row_or_one_is_refused(rows, said, name, tmp_path, capsys):
    assert said in train_refused(capsys, tmp_path, numbers()[["a", "y"]].head(rows), "--target", "y", name=name)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.npz", "t.csv.gz"])
def test_half_a_file_is_refused_with_its_name(name, tmp_path, capsys):
    path = write(numbers(3000), tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    err = refused(capsys, "train", path, "--target", "y")
    assert f"cannot read {path}" in err


def test_arrays_that_are_no_table_are_refused(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 2)), y=np.zeros(5))
    assert "arrays of several lengths" in refused(capsys, "train", tmp_path / "a.npz", "--target", "y")
    np.savez(tmp_path / "b.npz", X=np.zeros((4, 2, 2)), y=np.zeros(4))
    assert "one axis or two" in refused(capsys, "train", tmp_path / "b.npz", "--target", "y")


def test_too_few_rows_for_the_coefficients_have_no_intervals(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 20))).add_prefix("x")
    record = trained(tmp_path, frame, "--target", "x0")
    assert "samples are too few" in record["coefficients"]["why_not"]


def test_a_model_that_leaves_no_residual_is_written(tmp_path):
    frame = pd.DataFrame({"a": np.arange(50.0), "y": 2 * np.arange(50.0)})
    record = trained(tmp_path, frame, "--target", "y")
    assert record["coefficients"]["rows"][0]["coef"] == pytest.approx([2.0])


def test_held_out_rows_that_take_a_whole_class_are_refused(tmp_path, capsys):
    frame = pd.DataFrame({"a": np.arange(50.0), "y": ["a"] * 40 + ["b"] * 10})
    err = train_refused(capsys, tmp_path, frame, "--target", "y", "--split", "last")
    assert "have one target only" in err
    three = pd.DataFrame({"a": np.arange(60.0), "y": ["a"] * 25 + ["b"] * 25 + ["c"] * 10})
    err = train_refused(capsys, tmp_path, three, "--target", "y", "--split", "last")
    assert "lack classes\n  classes c" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "-", "--json", "-"), "cannot both be standard output"),
        (("--out", "a", "--json", "a"), "name one file"),
        (("--out", "t.csv"), "would be written over the data"),
        (("--out", "nowhere/m"), "--out: there is no folder"),
        (("--model", "tweedie", "--power", "0.5"), "no distribution has a power between 0 and 1"),
        (("--model", "ridge", "--penalty", "0"), "--model linear has none"),
        (("--drop", "y"), "is both the target and left out"),
    ],
)
def test_odd_options_are_refused(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(numbers()[["a", "y"]], tmp_path / "t.csv")
    assert said in refused(capsys, "train", "t.csv", "--target", "y", *words)


@pytest.mark.parametrize(
    "words", [("--valid", "1"), ("--valid", "-0.1"), ("--penalty", "-1"), ("--levels", "0")]
)
def test_numbers_out_of_range_are_refused_by_their_option(words, capsys):
    with pytest.raises(SystemExit) as end:
        run("train", "t.csv", "--target", "y", *words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err
