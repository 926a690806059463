"""A user's table: what becomes of it, and what is refused and how."""

import sys

import numpy as np
import pandas as pd
import pytest

from xpgrad._errors import DataError, DependencyError
from xpgrad.cli import tables


def good(rows=50):
    """Two numeric columns, a boolean one, and a target that follows the first."""
    rng = np.random.default_rng(1)
    a = rng.normal(3.0, 2.0, rows)
    return pd.DataFrame(
        {"a": a, "n": rng.integers(0, 9, rows), "flag": rng.random(rows) < 0.5, "y": (a > 3).astype(int)}
    )


def write(frame, folder, name="t.csv"):
    path = folder / name
    frame.to_parquet(path) if name.endswith((".parquet", ".pq")) else frame.to_csv(path, index=False)
    return path


def refusal(frame, folder, **options):
    """The message with which a table is refused."""
    path = write(frame, folder)
    with pytest.raises(DataError) as error:
        tables.load(path, **{"target": "y"} | options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.CSV", "t.parquet", "t.pq"])
def test_each_format_gives_the_same_problem(name, tmp_path):
    frame = good()
    problem = tables.load(write(frame, tmp_path, name), "y")
    assert problem.columns == ("a", "n", "flag")
    np.testing.assert_array_equal(np.hstack([problem.Y, problem.Y_test])[0], frame.y)
    a = frame.a.to_numpy()
    np.testing.assert_allclose(problem.X[0], (a[:40] - a[:40].mean()) / a[:40].std(), rtol=1e-6)


def test_the_last_fifth_of_the_rows_is_the_test_part(tmp_path):
    frame = good(53)
    problem = tables.load(write(frame, tmp_path), "y")
    np.testing.assert_array_equal(problem.Y[0], frame.y[:42])
    np.testing.assert_array_equal(problem.Y_test[0], frame.y[42:])


def test_a_boolean_target_is_taken(tmp_path):
    frame = good()
    problem = tables.load(write(frame.assign(y=frame.y == 1), tmp_path), "y")
    np.testing.assert_array_equal(problem.Y[0], frame.y[:40])


def test_columns_can_be_left_out(tmp_path):
    problem = tables.load(write(good(), tmp_path), "y", drop=["n", "flag"])
    assert problem.columns == ("a",)
    assert "left out, as asked: n, flag" in problem.notes


def test_a_constant_column_is_left_out_and_named(tmp_path):
    problem = tables.load(write(good().assign(same=0.1), tmp_path), "y")
    assert "same" not in problem.columns
    assert any("constant" in note and "same" in note for note in problem.notes)


def test_a_sample_of_rows_is_evenly_spaced(tmp_path):
    frame = good(100)
    problem = tables.load(write(frame, tmp_path), "y", rows=50)
    np.testing.assert_array_equal(np.hstack([problem.Y, problem.Y_test])[0], frame.y[::2])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv[\s\S]*no such file"):
        tables.load(tmp_path / "nowhere.csv", "y")


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match="a folder"):
        tables.load(tmp_path / "d.csv", "y")


def test_an_unknown_format_is_refused_with_those_known(tmp_path):
    (tmp_path / "t.xlsx").touch()
    with pytest.raises(DataError, match=r"neither CSV, Parquet, Arrow nor npz[\s\S]*\.csv[\s\S]*\.parquet"):
        tables.load(tmp_path / "t.xlsx", "y")


def test_a_file_without_even_a_header_is_refused(tmp_path):
    (tmp_path / "t.csv").touch()
    with pytest.raises(DataError, match="not even a header"):
        tables.load(tmp_path / "t.csv", "y")


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.xz", "t.csv.zip", "t.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b'\xff\xfe"a,b\n1,2\n' * 3)
    with pytest.raises(DataError, match="cannot read"):
        tables.load(tmp_path / name, "y")


def test_an_empty_table_is_refused_with_its_columns(tmp_path):
    assert "has no rows\n  columns a, n, flag, y" in refusal(good()[:0], tmp_path)


def test_too_few_rows_are_refused_with_both_numbers(tmp_path):
    text = refusal(good()[:7], tmp_path)
    assert "too few rows" in text
    assert "7" in text
    assert "10" in text


def test_a_missing_target_is_refused_with_the_name_that_was_perhaps_meant(tmp_path):
    text = refusal(good().rename(columns={"y": "is_late"}), tmp_path, target="islate")
    assert "no column 'islate'" in text
    assert "a, n, flag, is_late" in text
    assert "did you mean 'is_late'?" in text


def test_a_column_to_drop_that_is_not_there_is_refused(tmp_path):
    assert "no column 'b'" in refusal(good(), tmp_path, drop=["b"])


def test_dropping_the_target_is_refused(tmp_path):
    assert "both the target and left out" in refusal(good(), tmp_path, drop=["y"])


def test_a_text_column_is_refused_with_an_example_and_a_remedy(tmp_path):
    text = refusal(good().assign(city=["JFK"] * 50), tmp_path)
    assert "column 'city'" in text
    assert "'JFK' in row 1" in text
    assert "--drop city" in text


def test_one_word_among_numbers_is_found(tmp_path):
    frame = good()
    values = frame.n.astype(object)
    values[17] = "many"
    assert "'many' in row 18" in refusal(frame.assign(n=values), tmp_path)


def test_a_date_column_is_refused_as_not_numeric(tmp_path):
    path = write(good().assign(day=pd.date_range("2013-01-01", periods=50)), tmp_path, "t.parquet")
    with pytest.raises(DataError, match=r"column 'day'[\s\S]*datetime64[\s\S]*2013-01-01"):
        tables.load(path, "y")


def test_a_text_target_is_refused_with_an_example(tmp_path):
    frame = good()
    text = refusal(frame.assign(y=np.where(frame.y == 1, "late", "on time")), tmp_path)
    assert "target 'y'" in text
    assert "encode it as 0 and 1" in text
    assert "--drop" not in text


def test_missing_values_are_refused_with_their_count_and_place(tmp_path):
    frame = good()
    frame.loc[[4, 9], "a"] = np.nan
    text = refusal(frame, tmp_path)
    assert "column 'a'" in text
    assert "2 of 50" in text
    assert "missing, in row 5" in text
    assert "--drop a" in text


def test_infinite_values_are_refused(tmp_path):
    frame = good()
    frame.loc[3, "a"] = -np.inf
    assert "infinite, in row 4" in refusal(frame, tmp_path)


def test_missing_values_of_a_nullable_column_are_refused(tmp_path):
    frame = good()
    frame["n"] = frame.n.astype("Int64")
    frame.loc[0, "n"] = pd.NA
    with pytest.raises(DataError, match=r"column 'n'[\s\S]*1 of 50"):
        tables.load(write(frame, tmp_path, "t.parquet"), "y")


def test_labels_outside_0_and_1_are_refused_with_an_example(tmp_path):
    frame = good()
    frame.loc[6, "y"] = 3
    text = refusal(frame, tmp_path)
    assert "must hold 0 and 1 only" in text
    assert "3, and 1 such values of 50" in text


@pytest.mark.parametrize("value", [0, 1])
def test_a_constant_target_is_refused(value, tmp_path):
    text = refusal(good().assign(y=value), tmp_path)
    assert "target 'y'" in text
    assert f"{value} in every row" in text


def test_a_target_that_is_constant_in_the_training_part_is_refused(tmp_path):
    text = refusal(good().assign(y=[0] * 40 + [1] * 10), tmp_path)
    assert "0 in all of the first 40 rows, the training part" in text


def test_a_table_of_the_target_alone_is_refused(tmp_path):
    assert "no column to learn from" in refusal(good()[["y"]], tmp_path)


def test_values_whose_variance_overflows_are_refused(tmp_path):
    frame = good()
    frame["a"] *= 1e200
    assert "column 'a'" in refusal(frame, tmp_path)


def test_without_pandas_the_remedy_is_named(monkeypatch, tmp_path):
    path = write(good(), tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match=r'pandas[\s\S]*pip install "xpgrad\[demo\]"'):
        tables.load(path, "y")


def test_without_pyarrow_parquet_is_refused_with_the_remedy(monkeypatch, tmp_path):
    path = write(good(), tmp_path, "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"Parquet needs the package pyarrow[\s\S]*pip install pyarrow"):
        tables.load(path, "y")
