"""Learn from the rows of training how each column becomes numbers or categories.

In:  the parts of a Table, and in each the rows of training.
Out: a Column for each, or the reason why it is left out.
Holds: nothing outside of the rows of training enters a mean, a deviation or a level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.frames import Table
from xpgrad.cli.models.columns import (
    MISSING,
    OTHER,
    WEEKDAYS,
    Category,
    Column,
    Date,
    Number,
    Scaled,
    parts_of,
    weekday_of,
)
from xpgrad.cli.models.values import (
    DATE,
    EMPTY,
    NUMBER,
    TEXT,
    TRUTH,
    days_of,
    kind_of,
    numbers_of,
    texts_of,
    zone_of,
)
from xpgrad.cli.problem import Array

MOST_LEVELS = 100
SEASONS = 330  # days of training from which on the time of the year is looked at
_ROUNDING = 1e-9


@dataclass(frozen=True)
class LeftOut:
    """A column that the model does not use.

    Attributes
    ----------
    name, reason : str
    """

    name: str
    reason: str


def rare(rows: int) -> int:
    """A level seen in fewer rows of training than this has no coefficient of its own."""
    return max(2, min(10, rows // 100))


@dataclass
class Moments:
    """Mean, deviation and range of numbers that come in parts.

    Attributes
    ----------
    n : int
    mean, squares : float
        ``squares`` is the sum of the squared distances from the mean. Chan, Golub, LeVeque (1983).
    low, high : float
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: Array) -> None:
        """Take in float64[k]."""
        if not len(values):
            return
        with np.errstate(over="ignore", invalid="ignore"):  # is refused where the deviation is asked for
            mean, total = float(values.mean()), self.n + len(values)
            squares, apart = float(np.sum((values - mean) ** 2)), mean - self.mean
            self.squares += squares + apart * apart * self.n * len(values) / total
            self.mean = mean if not self.n else self.mean + apart * len(values) / total
        self.n, self.low, self.high = total, min(self.low, values.min()), max(self.high, values.max())

    def spread(self, table: Table, name: str) -> float:
        """The deviation; that of equal values is exactly 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            spread = 0.0 if self.low == self.high else float(np.sqrt(self.squares / self.n))
        if not np.isfinite(spread):
            raise DataError(
                message(
                    f"column {name!r} of {table} cannot be standardised, its variance overflows",
                    {"largest": f"{max(abs(self.low), abs(self.high)):g}"},
                    at="",
                    remedy=f"rescale it or leave it out: --drop {name}",
                )
            )
        return spread


class Summary:
    """What is known of a column, from the rows of training in the parts of a table that came.

    Parameters
    ----------
    table : Table
        The first part.
    name : str
    as_category : bool
        Whether numbers are to be taken as categories.
    written : str
        How the dates of a column of dates are written, if that is known.

    Raises
    ------
    DataError
        See `values.kind_of`.
    """

    def __init__(self, table: Table, name: str, *, as_category: bool = False, written: str = "") -> None:
        self.name, self.written, self.zone = name, written, ""
        self._fixed = TEXT if as_category else DATE if written else ""
        self.kind = EMPTY
        self.n = self.missing = self._missing_anywhere = self._rows = 0
        self.moments: dict[str, Moments] = {}
        self.counts: Counter[str] = Counter()
        self.weekdays = np.zeros(len(WEEKDAYS), dtype=int)

    def add(self, table: Table, rows: Array) -> None:
        """Take in a part, of which the ``rows`` are of training.

        Raises
        ------
        DataError
            See the functions of `values` that read a column.
        """
        lacks = table.frame[self.name].isna().to_numpy()
        self._rows += len(lacks)
        self._missing_anywhere += int(lacks.sum())
        self.n += len(rows)
        if self.kind == EMPTY and not lacks.all():
            self.kind = self._fixed or kind_of(table, self.name)
            self.zone = zone_of(table, self.name, self.written) if self.kind == DATE else ""
        if self.kind == EMPTY:
            self.missing += len(rows)
        elif self.kind == TEXT:
            codes, found = texts_of(table, self.name)
            there = codes[rows][codes[rows] >= 0]
            self.missing += len(rows) - len(there)
            numbers = np.bincount(there, minlength=len(found))
            self.counts.update({text: int(n) for text, n in zip(found, numbers, strict=True)})
        elif self.kind == DATE:
            days = days_of(table, self.name, self.zone, self.written)[rows]
            missing = np.isnan(days)
            self.missing += int(missing.sum())
            for part, values in parts_of(self.name, days):
                self.moments.setdefault(part, Moments()).add(values[~missing])
            self.weekdays += np.bincount(weekday_of(days[~missing]), minlength=len(WEEKDAYS))
        else:
            values = numbers_of(table, self.name)[rows]
            missing = np.isnan(values)
            self.missing += int(missing.sum())
            self.moments.setdefault(self.name, Moments()).add(values[~missing])

    def column(self, table: Table, most_levels: int = MOST_LEVELS) -> Column | LeftOut:
        """What the model makes of the column.

        Parameters
        ----------
        table : Table
            Any part, for messages and names.
        most_levels : int
            The number of levels with coefficients of their own.

        Raises
        ------
        DataError
            A variance that overflows.
        """
        if self.missing == self.n:
            where = "" if self._missing_anywhere == self._rows else " in the rows of training"
            return LeftOut(self.name, f"all values are missing{where}")
        if self.kind == TEXT:
            return self._category(most_levels)
        if self.kind == DATE:
            return self._date(table)
        assert self.kind in (NUMBER, TRUTH)
        return self._number(table, truth=self.kind == TRUTH)

    def _number(self, table: Table, *, truth: bool) -> Number | LeftOut:
        name, moments = self.name, self.moments[self.name]
        mean, spread, flag = moments.mean, moments.spread(table, name), self._flag(table)
        if spread == 0 and flag is None:
            return LeftOut(name, f"constant in the rows of training: {mean:g}")
        scaled = None if spread == 0 else Scaled(name, 0.0 if truth else mean, 1.0 if truth else spread)
        return Number(name, scaled, mean, self.missing, flag, truth)

    def _category(self, most: int) -> Category | LeftOut:
        least, name = rare(self.n), self.name
        often = [(text, n) for text, n in self.counts.items() if n >= least]
        kept = dict(sorted(often, key=lambda x: (-x[1], x[0]))[:most])
        pooled = [n for text, n in self.counts.items() if n and text not in kept]
        levels, seen, rest = [*kept], [*kept.values()], sum(pooled)
        if self.missing >= least:
            levels.append(MISSING)
            seen.append(self.missing)
        else:
            rest += self.missing
        if rest:
            levels.append(OTHER)
            seen.append(rest)
        if len(levels) == 1:
            if levels == [OTHER]:
                what = f"{len(pooled):,} different texts, none of them in {least} rows of training"
                return LeftOut(name, what)
            return LeftOut(name, f"constant in the rows of training: {levels[0]}")
        return Category(name, levels, seen, len(pooled), self.missing)

    def _date(self, table: Table) -> Date | LeftOut:
        name, days = self.name, self.moments[f"{self.name}: days"]
        parts = []
        for part, moments in self.moments.items():
            if "time of year" in part and days.high - days.low < SEASONS:
                continue
            spread = moments.spread(table, name)
            if spread > _ROUNDING:
                parts.append(Scaled(part, moments.mean, spread))
        present = np.flatnonzero(self.weekdays)
        often = self.weekdays[present].min() >= rare(self.n)
        of_week = bool(present.size > 1 and often and days.high - days.low >= 14)
        flag = self._flag(table)
        if not parts and flag is None:
            return LeftOut(name, f"constant in the rows of training: {_moment(days.low)}")
        return Date(
            name=name,
            zone=self.zone,
            written=self.written,
            first=_moment(days.low),
            last=_moment(days.high),
            parts=parts,
            weekdays=[WEEKDAYS[i] for i in present] if of_week else [],
            mean=days.mean,
            missing=self.missing,
            flag=flag,
        )

    def _flag(self, table: Table) -> str | None:
        """The name of the column that says where a value is missing, if that is often enough to learn from."""
        least = rare(self.n)
        if self.missing < least or self.n - self.missing < least:
            return None
        flag = f"{self.name} is missing"
        while flag in table.frame.columns:
            flag += "'"
        return flag


def without_copies(columns: Sequence[Column], together: Array, means: Array) -> list[Column]:
    """The columns, without the flags that follow from the flags before them.

    Parameters
    ----------
    together : float64[k, k]
        Of each two flags, in the order of their columns, the share of the rows of training in which both are 1.
    means : float64[k]
        The share of each.
    """
    left = together - np.outer(means, means)
    kept: list[Column] = []
    k = 0
    for column in columns:
        if not isinstance(column, Category) and column.flag is not None:
            if left[k, k] <= _ROUNDING * together[k, k]:
                column = replace(column, flag=None)
            else:
                left = left - np.outer(left[k], left[k]) / left[k, k]
            k += 1
        if isinstance(column, Number) and column.scaled is None and column.flag is None:
            continue
        kept.append(column)
    return kept


def _moment(days: float) -> str:
    text = str(np.datetime64(0, "s") + np.timedelta64(round(float(days) * 86400), "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00").removesuffix(":00")
