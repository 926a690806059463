"""Kinds of columns, what becomes of them, and that a preparation survives being written down."""

import datetime
import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli.tabular import write
from xpgrad._errors import DataError
from xpgrad.cli.frames import Table, read_table
from xpgrad.cli.models.columns import Applied, weekday_of
from xpgrad.cli.models.learn_columns import LeftOut, Summary, rare
from xpgrad.cli.models.preparation import Preparation, learn_preparation, preparation_of
from xpgrad.cli.models.targets import Target
from xpgrad.cli.models.values import kind_of
from xpgrad.cli.sources import Source, source_of


def table(**columns):
    return Table(Source(Path("t.parquet")), pd.DataFrame(columns))


def learn_column(t, name, rows, most_levels=100, **options):
    """What is learned of a column, of one part or of three with the same result."""
    found = []
    for parts in (1, 3):
        summary = Summary(t, name, **options)
        for part in np.array_split(np.arange(len(t.frame)), parts):
            of_part = Table(t.source, t.frame.iloc[part].reset_index(drop=True), rows=part)
            summary.add(of_part, np.flatnonzero(np.isin(part, rows)))
        found.append(summary.column(t, most_levels))
    first, second = (json.loads(json.dumps(asdict(column))) for column in found)
    first, second = leaves(first), leaves(second)
    assert first.keys() == second.keys()
    for place, x in first.items():
        assert second[place] == (pytest.approx(x, rel=1e-9, abs=1e-9) if type(x) is float else x)
    return found[0]


def leaves(x):
    """The numbers and texts of nested lists and dicts, by their place."""
    if isinstance(x, (dict, list)):
        items = x.items() if isinstance(x, dict) else enumerate(x)
        return {f"{k}.{path}": leaf for k, y in items for path, leaf in leaves(y).items()}
    return {"": x}


def prepared(values, rows=None, **options):
    """The prepared columns of one column, by name."""
    t = table(x=values)
    rows = np.arange(len(t.frame)) if rows is None else rows
    return dict(learn_column(t, "x", rows, **options).apply(t, Applied()))


DAYS = pd.date_range("2024-01-01", periods=40, freq="D")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3], "number"),
        ([1.5, np.nan, 3], "number"),
        (pd.array([1, None, 3], dtype="Int64"), "number"),
        ([Decimal("1.5"), None, Decimal("2")], "number"),
        (pd.to_timedelta(["1h", "2h", "3h"]), "number"),
        ([True, False, True], "truth"),
        ([True, None, False], "truth"),
        (pd.array([True, None, False], dtype="boolean"), "truth"),
        (["a", None, "b"], "text"),
        (pd.Categorical([1, 2, 1]), "text"),
        (["1", "2", "x"], "text"),
        (pd.to_datetime(["2024-01-01", None, "2024-01-03"]), "date"),
        (pd.to_datetime(["2024-01-01", "2024-01-03"]).tz_localize("Europe/Berlin"), "date"),
        ([datetime.date(2024, 1, 1), None], "date"),
        (["2024-01-01", "2024-01-02 18:00", None], "date"),
        (["2024-01-01T18:00:00.5Z"], "date"),
        ([None, np.nan], "empty"),
    ],
)
def test_each_column_has_a_kind(values, kind):
    assert kind_of(table(x=values), "x") == kind


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 4, 7],
        pd.array([1, 2, 4, 7], dtype="Int64"),
        [Decimal(1), Decimal(2), Decimal(4), Decimal(7)],
        pd.to_timedelta([1, 2, 4, 7], unit="D"),
        np.array([1, 2, 4, 7], dtype=np.uint8),
    ],
)
def test_numbers_of_any_type_are_standardised(values):
    x = np.array([1.0, 2, 4, 7])
    np.testing.assert_allclose(prepared(values)["x"], (x - x.mean()) / x.std(), rtol=1e-12)


def test_a_gap_is_0_and_its_flag_is_1():
    values = np.r_[np.arange(20.0), [np.nan] * 5]
    found = prepared(values)
    there = np.arange(20.0)
    np.testing.assert_allclose(found["x"][:20], (there - there.mean()) / there.std())
    np.testing.assert_array_equal(found["x"][20:], 0)
    np.testing.assert_array_equal(found["x is missing"], np.isnan(values))


def test_a_column_that_is_there_or_not_is_its_flag_alone():
    found = prepared([5.0] * 20 + [np.nan] * 10)
    assert list(found) == ["x is missing"]


def test_truth_values_stay_0_and_1_and_a_gap_is_their_share():
    found = prepared([True, False, True, True, None] * 4)
    np.testing.assert_allclose(found["x"], [1, 0, 1, 1, 0.75] * 4)


def test_only_the_rows_of_training_are_looked_at():
    values = np.r_[np.arange(10.0), [1e6] * 5]
    x = np.arange(10.0)
    np.testing.assert_allclose(prepared(values, np.arange(10))["x"][:10], (x - x.mean()) / x.std())
    levels = prepared(["a", "b"] * 10 + ["c"] * 5, np.arange(20))["x"].categories
    assert list(levels) == ["a", "b", "(other)"]


def test_levels_stand_by_how_often_they_come_and_rare_ones_together():
    texts = ["b"] * 60 + ["a"] * 30 + ["c"] * 6 + ["d", "e", "f", None]
    column = learn_column(table(x=texts), "x", np.arange(100))
    assert (column.levels, column.rows) == (["b", "a", "c", "(other)"], [60, 30, 6, 4])
    assert (column.pooled, column.missing) == (3, 1)


def test_missing_texts_are_a_level_where_they_are_many():
    column = learn_column(table(x=["a"] * 10 + ["b"] * 5 + [None] * 5), "x", np.arange(20))
    assert (column.levels, column.rows) == (["a", "b", "(missing)"], [10, 5, 5])


def test_a_number_is_the_same_category_in_whatever_type():
    column = learn_column(table(x=[1, 2, 3] * 5), "x", np.arange(15), as_category=True)
    for values in ([3, 1], [3.0, 1.0], ["3", "1"], pd.array([3, 1], dtype="Int64")):
        ((_, found),) = column.apply(table(x=values), Applied())
        assert list(found) == ["3", "1"]


def test_weekdays_are_those_of_the_calendar():
    days = (DAYS - pd.Timestamp(0)) / pd.Timedelta(days=1)
    np.testing.assert_array_equal(weekday_of(days.to_numpy()), DAYS.day_of_week)


@pytest.mark.parametrize("as_what", ["timestamps", "dates", "texts", "texts with the hour"])
def test_dates_of_any_type_are_days(as_what):
    values = {
        "timestamps": DAYS,
        "dates": [day.date() for day in DAYS],
        "texts": DAYS.strftime("%Y-%m-%d"),
        "texts with the hour": DAYS.strftime("%Y-%m-%dT%H:%M"),
    }[as_what]
    found = prepared(values)
    x = np.arange(40.0)
    assert list(found) == ["x: days", "x: weekday"]
    np.testing.assert_allclose(found["x: days"], (x - x.mean()) / x.std(), rtol=1e-9)
    assert list(found["x: weekday"]) == list(DAYS.day_name())


def test_the_clock_is_that_of_the_time_zone():
    utc = pd.date_range("2024-06-01", periods=60, freq="5h", tz="UTC")
    there = utc.tz_convert("Asia/Tokyo")
    column = learn_column(table(x=there), "x", np.arange(60))
    assert (column.zone, column.first) == ("Asia/Tokyo", "2024-06-01 09:00")
    hours = np.asarray(there.hour)
    sine = np.sin(2 * np.pi * hours / 24)
    for moments in (there, utc):  # the same moments, by whatever clock they are written
        found = dict(column.apply(table(x=moments), Applied()))["x: time of day, sine"]
        np.testing.assert_allclose(found, (sine - sine.mean()) / sine.std(), rtol=1e-9, atol=1e-9)


def test_offsets_in_text_are_moments():
    texts = [f"2024-01-{day:02}T12:00:00+02:00" for day in range(1, 31)]
    column = learn_column(table(x=texts), "x", np.arange(30))
    assert (column.zone, column.first) == ("UTC", "2024-01-01 10:00")


def test_missing_dates_are_told_by_their_flag_alone():
    values = [*DAYS, *[None] * 10]
    found = prepared(values)
    np.testing.assert_array_equal(found["x: days"][40:], 0)
    assert set(found["x: weekday"][40:]) == {"Monday"}  # the reference
    np.testing.assert_array_equal(found["x is missing"], [0] * 40 + [1] * 10)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([3, 3, 3], "constant in the rows of training: 3"),
        ([np.nan, np.nan], "all values are missing"),
        (["a", "a", "a"], "constant in the rows of training: a"),
        (list("abcdefgh"), "8 different texts, none of them in 2 rows of training"),
        (["2024-01-01"] * 3, "constant in the rows of training: 2024-01-01"),
    ],
)
def test_what_says_nothing_is_left_out_with_the_reason(values, reason):
    assert learn_column(table(x=values), "x", np.arange(len(values))) == LeftOut("x", reason)


@pytest.mark.parametrize(("rows", "least"), [(10, 2), (500, 5), (1000, 10), (10**6, 10)])
def test_what_is_rare_grows_with_the_table_up_to_ten(rows, least):
    assert rare(rows) == least


def test_flags_that_follow_from_others_are_left_out():
    a = np.where(np.arange(60) % 3 == 0, np.nan, np.arange(60.0))
    b = np.where(np.arange(60) % 3 == 1, np.nan, np.arange(60.0) ** 2)
    c = np.where(np.arange(60) % 3 == 2, np.nan, np.sqrt(np.arange(60.0)))
    t = table(a=a, b=b, c=c, y=np.arange(60))
    found = learn_preparation(lambda: [(t, np.arange(60))], Target("y", "number", []))
    # Where a and b are there, c is missing: the flags of all three add up to 1.
    assert [column.flag for column in found.columns] == ["a is missing", "b is missing", None]


def everything():
    return table(
        number=np.r_[np.arange(39.0), np.nan],
        gaps=np.where(np.arange(40) % 4 == 0, np.nan, np.arange(40.0) ** 2),
        truth=np.arange(40) % 3 == 0,
        text=["a", "b", "c", None] * 10,
        date=DAYS,
        same=1,
        y=np.arange(40) % 2,
    )


def test_a_preparation_survives_json():
    t = everything()
    first = learn_preparation(lambda: [(t, np.arange(30))], Target("y", "classes", [0, 1]))
    again = preparation_of(json.loads(json.dumps(first.to_json())))
    assert isinstance(again, Preparation)
    assert again == first
    pd.testing.assert_frame_equal(again.apply(t)[0], first.apply(t)[0])


def test_names_that_would_meet_are_refused():
    t = table(**{"on": DAYS, "on: days": np.arange(40.0) ** 2, "y": np.arange(40)})
    found = learn_preparation(lambda: [(t, np.arange(40))], Target("y", "number", []))
    with pytest.raises(DataError, match="two columns would be called 'on: days'"):
        found.apply(t)


def test_a_flag_takes_a_name_that_is_free():
    t = table(**{"x": np.r_[np.arange(20.0), [np.nan] * 5], "x is missing": np.arange(25.0)})
    assert learn_column(t, "x", np.arange(25)).flag == "x is missing'"


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_named_index_is_a_column(name, tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["u", "v"], name="key"))
    if name.endswith(".parquet"):
        frame.to_parquet(tmp_path / name)
    else:
        write(frame.reset_index(), tmp_path / name)
    assert list(read_table(source_of(tmp_path / name)).frame.columns) == ["key", "a"]
