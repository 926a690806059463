"""The preparation of a table for a model: which columns, how each is read, and what is predicted.

In:  a Table, the name of the target.
Out: a Preparation, and the design that it makes of any table with those columns.
Holds: names decide which column is which. A Preparation becomes JSON and comes back the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.extras import require
from xpgrad.cli.frames import Table, like, listed
from xpgrad.cli.models.columns import KINDS, Applied, Category, Column, Date, Number, Scaled
from xpgrad.cli.models.learn_columns import MOST_LEVELS, LeftOut, Summary, without_copies
from xpgrad.cli.models.targets import Target
from xpgrad.cli.problem import Array

Parts = Callable[[], Iterable[tuple[Table, Array]]]
"""Gives the parts of a table, each with the positions of some of its rows, from the beginning."""


@dataclass(frozen=True)
class Preparation:
    """How a table becomes the columns of an estimator.

    Attributes
    ----------
    columns : list of Number, Category and Date
        In the order of the estimator.
    left_out : list of LeftOut
    target : Target
    """

    columns: list[Column]
    left_out: list[LeftOut]
    target: Target

    def apply(self, table: Table) -> tuple[Any, Applied]:
        """The design of a table, a pandas DataFrame, and what was met on the way.

        Raises
        ------
        DataError
            A column is missing, or holds something else than in training.
        """
        self._require_columns(table)
        applied = Applied()
        prepared: dict[str, Any] = {}
        for column in self.columns:
            for name, values in column.apply(table, applied):
                if name in prepared:
                    raise DataError(
                        message(f"two columns would be called {name!r}", at="", remedy="rename one of them")
                    )
                prepared[name] = values
        frame = require("pandas", "reading a table").DataFrame(prepared, index=range(len(table.frame)))
        return frame, applied

    def scaled(self) -> dict[str, Scaled]:
        """The prepared columns that were standardised; truth values are not."""
        found = {}
        for column in self.columns:
            if isinstance(column, Number) and column.scaled is not None and not column.truth:
                found[column.scaled.name] = column.scaled
            elif isinstance(column, Date):
                found |= {part.name: part for part in column.parts}
        return found

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)

    def _require_columns(self, table: Table) -> None:
        there = list(table.frame.columns)
        lacking = [column.name for column in self.columns if column.name not in there]
        if lacking:
            close = {name: like(name, there) for name in lacking}
            likely = [f"{found!r} may be {name!r}" for name, found in close.items() if found]
            raise DataError(
                message(
                    f"{table} lacks columns that the model was trained on: {listed(map(repr, lacking))}",
                    {"columns": listed(there)},
                    at="",
                    remedy="; ".join(likely[:3]) or None,
                )
            )


def learn_preparation(
    parts: Parts,
    target: Target,
    *,
    categories: Sequence[str] = (),
    dates: Mapping[str, str] | None = None,
    most_levels: int = MOST_LEVELS,
) -> Preparation:
    """Learn the preparation of all columns but the target, by a pass over the parts of a table.

    Parameters
    ----------
    parts : callable
        The parts, each with the positions of its rows of training; called again if there are missing values.
    categories : sequence of str
        Columns of numbers that are categories.
    dates : mapping
        How the dates of columns are written.
    most_levels : int

    Raises
    ------
    DataError
        See `Summary`; no column is left.
    """
    summaries: list[Summary] = []
    for table, rows in parts():
        if not summaries:
            written = dates or {}
            summaries = [
                Summary(table, name, as_category=name in categories, written=written.get(name, ""))
                for name in table.frame.columns
                if name != target.name
            ]
        for summary in summaries:
            summary.add(table, rows)
    learned = [summary.column(table, most_levels) for summary in summaries]
    columns = [c for c in learned if not isinstance(c, LeftOut)]
    left_out = [c for c in learned if isinstance(c, LeftOut)]
    kept = without_copies(columns, *_flags(columns, parts))
    used = {c.name for c in kept}
    left_out += [
        LeftOut(c.name, "says no more than where others are missing") for c in columns if c.name not in used
    ]
    if not kept:
        reasons = {c.name: c.reason for c in left_out}
        raise DataError(
            message(f"{table} has no column to learn from", reasons or {"columns": "only the target"}, at="")
        )
    return Preparation(kept, left_out, target)


def _flags(
    columns: Sequence[Column], parts: Callable[[], Iterable[tuple[Table, Array]]]
) -> tuple[Array, Array]:
    """How often two columns are missing together, and how often each is, as shares of the rows of training."""
    flagged = [c.name for c in columns if not isinstance(c, Category) and c.flag is not None]
    together, means, n = np.zeros((len(flagged), len(flagged))), np.zeros(len(flagged)), 0
    if len(flagged) > 1:
        for table, rows in parts():
            flags = table.frame[flagged].isna().to_numpy()[rows].astype(np.float64)
            together += flags.T @ flags
            means += flags.sum(axis=0)
            n += len(rows)
        return together / n, means / n
    return np.eye(len(flagged)), means


def preparation_of(stored: Any) -> Preparation:
    """The Preparation that `Preparation.to_json` made JSON of.

    Raises
    ------
    LookupError, TypeError, AttributeError
        It is none.
    """
    return Preparation(
        [_column(c) for c in stored["columns"]],
        [LeftOut(**c) for c in stored["left_out"]],
        Target(**stored["target"]),
    )


def _column(stored: dict[str, Any]) -> Column:
    cls = KINDS[stored["kind"]]
    values = {f.name: stored[f.name] for f in fields(cls)}
    if cls is Number and values["scaled"] is not None:
        values["scaled"] = Scaled(**values["scaled"])
    if cls is Date:
        values["parts"] = [Scaled(**part) for part in values["parts"]]
    column: Column = cls(**values)
    return column
