"""The columns of a table as a model takes them: what was learned of each, and how it is applied.

In:  a Table.
Out: prepared columns: float64[n] of mean 0 and deviation 1, or a pandas Categorical.
Holds: everything that applying needs is text and numbers that JSON can hold. A missing number becomes the mean
of training; a category without a level of its own becomes ``(other)``. Both are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpgrad.cli.extras import require
from xpgrad.cli.frames import Table
from xpgrad.cli.models.values import days_of, numbers_of, texts_of
from xpgrad.cli.problem import Array

OTHER, MISSING = "(other)", "(missing)"
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

YEAR = 365.2425  # days
_THURSDAY = 3  # 1970-01-01


@dataclass
class Applied:
    """What applying a preparation met.

    Attributes
    ----------
    imputed : dict
        For each column with missing values, how many.
    unseen : dict
        For each column of categories, how often each value came that has no level of its own.
    """

    imputed: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scaled:
    """Numbers with a mean and a deviation.

    Attributes
    ----------
    name : str
        Of the prepared column.
    mean, scale : float
        Subtracted, and divided by.
    """

    name: str
    mean: float
    scale: float

    def of(self, values: Array) -> Array:
        """float64[n]; 0 where missing, which is the mean."""
        scaled: Array = (np.where(np.isnan(values), self.mean, values) - self.mean) / self.scale
        return scaled


@dataclass(frozen=True)
class Number:
    """A column of numbers or truth values.

    Attributes
    ----------
    name : str
    scaled : Scaled or None
        None if all that are there are equal.
    mean : float
        Of training, for missing values.
    missing : int
        Rows of training.
    flag : str or None
        The prepared column that is 1 where a value is missing.
    truth : bool
    """

    name: str
    scaled: Scaled | None
    mean: float
    missing: int
    flag: str | None
    truth: bool
    kind: str = "number"

    def apply(self, table: Table, applied: Applied) -> Iterator[tuple[str, Any]]:
        values = numbers_of(table, self.name)
        yield from self.prepared(values)
        _count(applied, self.name, np.isnan(values))

    def prepared(self, values: Array) -> Iterator[tuple[str, Any]]:
        if self.scaled is not None:
            yield self.scaled.name, self.scaled.of(np.where(np.isnan(values), self.mean, values))
        if self.flag is not None:
            yield self.flag, np.isnan(values).astype(np.float64)


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes
    ----------
    name : str
    levels : list of str
        The most frequent first, ``(missing)`` and ``(other)`` last, if training has them.
    rows : list of int
        How often each came.
    pooled : int
        Values without a level of their own, in training.
    missing : int
        Rows of training.
    """

    name: str
    levels: list[str]
    rows: list[int]
    pooled: int
    missing: int
    kind: str = "category"

    def apply(self, table: Table, applied: Applied) -> Iterator[tuple[str, Any]]:
        codes, found = texts_of(table, self.name)
        yield self.name, self.coded(codes, found, applied)

    def coded(self, codes: Array, found: list[str], applied: Applied) -> Any:
        """The pandas Categorical of texts; those without a level are counted."""
        place = {level: i for i, level in enumerate(self.levels)}
        other = place.get(OTHER, len(self.levels))
        of_found = np.array([place.get(text, other) for text in found] + [place.get(MISSING, other)], dtype=int)
        texts = [*found, MISSING]
        counts = np.bincount(np.where(codes < 0, len(found), codes), minlength=len(texts))
        new = Counter({text: int(n) for text, n in zip(texts, counts, strict=True) if n and text not in place})
        if new:
            applied.unseen[self.name] = new
        if MISSING in place and counts[-1]:
            applied.imputed[self.name] = int(counts[-1])
        levels = self.levels if OTHER in place else [*self.levels, OTHER]
        categorical = require("pandas", "reading a table").Categorical
        return categorical.from_codes(of_found[codes], categories=levels)


@dataclass(frozen=True)
class Date:
    """A column of dates.

    Attributes
    ----------
    name : str
    zone : str
        The time zone whose clock is read; empty where the dates have none.
    written : str
        How texts are written, as `datetime.strptime` takes it; empty for ISO 8601.
    first, last : str
        Of training.
    parts : list of Scaled
        Days since 1970; if training spans most of a year, sine and cosine of the time of the year; if times of
        day differ, those of the time of day.
    weekdays : list of str
        Those of training; empty if the model does not look at them.
    mean : float
        Of the days, for missing values.
    missing : int
    flag : str or None
        As of a Number.
    """

    name: str
    zone: str
    written: str
    first: str
    last: str
    parts: list[Scaled]
    weekdays: list[str]
    mean: float
    missing: int
    flag: str | None
    kind: str = "date"

    def apply(self, table: Table, applied: Applied) -> Iterator[tuple[str, Any]]:
        days = days_of(table, self.name, self.zone, self.written)
        yield from self.prepared(days)
        _count(applied, self.name, np.isnan(days))

    def prepared(self, days: Array) -> Iterator[tuple[str, Any]]:
        values = dict(parts_of(self.name, days))
        for part in self.parts:
            yield part.name, part.of(values[part.name])
        if self.weekdays:
            levels = [day for day in WEEKDAYS if day in self.weekdays]
            place = np.array([levels.index(day) if day in levels else len(levels) for day in WEEKDAYS])
            missing = np.isnan(days)
            # A missing one has the reference, so that the flag alone tells it from the others.
            codes = np.where(missing, 0, place[weekday_of(np.where(missing, 0.0, days))])
            categorical = require("pandas", "reading a table").Categorical
            yield f"{self.name}: weekday", categorical.from_codes(codes, categories=[*levels, OTHER])
        if self.flag is not None:
            yield self.flag, np.isnan(days).astype(np.float64)


Column = Number | Category | Date
KINDS: dict[str, type[Any]] = {"number": Number, "category": Category, "date": Date}


def parts_of(name: str, days: Array) -> Iterator[tuple[str, Array]]:
    """The numbers in a moment, each float64[n]."""
    yield f"{name}: days", days
    there = np.where(np.isnan(days), 0.0, days)
    whole = np.floor(there).astype(np.int64).astype("datetime64[D]")
    since_new_year = there - whole.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    for what, share in (("time of year", since_new_year / YEAR), ("time of day", there % 1)):
        angle = 2 * np.pi * np.where(np.isnan(days), np.nan, share)
        yield f"{name}: {what}, sine", np.sin(angle)
        yield f"{name}: {what}, cosine", np.cos(angle)


def weekday_of(days: Array) -> Array:
    """The day of the week, int[n], Monday being 0."""
    weekday: Array = (np.floor(days).astype(np.int64) + _THURSDAY) % 7
    return weekday


def _count(applied: Applied, name: str, missing: Array) -> None:
    if missing.any():
        applied.imputed[name] = int(missing.sum())
