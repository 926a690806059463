"""Learn from the rows of training how each column becomes numbers or categories.

In:  a Table, the rows of training.
Out: a Column for each, or the reason why it is left out.
Holds: nothing outside of the rows of training enters a mean, a deviation or a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

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


def learn_column(
    table: Table,
    name: str,
    rows: Array,
    *,
    as_category: bool = False,
    written: str = "",
    most_levels: int = MOST_LEVELS,
) -> Column | LeftOut:
    """What the rows of training say about a column.

    Parameters
    ----------
    rows : int[k]
        Their positions.
    as_category : bool
        Whether numbers are to be taken as categories.
    written : str
        How the dates of a column of dates are written, if that is known.
    most_levels : int
        The number of levels with coefficients of their own.

    Raises
    ------
    DataError
        See `values.kind_of` and the functions that read values; a variance that overflows.
    """
    kind = TEXT if as_category else DATE if written else kind_of(table, name)
    if kind == EMPTY or bool(table.frame[name].iloc[rows].isna().all()):
        where = "" if bool(table.frame[name].isna().all()) else " in the rows of training"
        return LeftOut(name, f"all values are missing{where}")
    if kind == TEXT:
        return _category(table, name, rows, most_levels)
    if kind == DATE:
        return _date(table, name, rows, written)
    assert kind in (NUMBER, TRUTH)
    return _number(table, name, rows, truth=kind == TRUTH)


def without_copies(columns: Sequence[Column], flags: dict[str, Array]) -> list[Column]:
    """The columns, without the flags that follow from the flags before them.

    Parameters
    ----------
    flags : dict of float64[n]
        The prepared flags.
    """
    basis: list[Array] = []
    kept: list[Column] = []
    for column in columns:
        flag = None if isinstance(column, Category) else column.flag
        if flag is not None:
            values = flags[flag]
            left = values - values.mean()
            for direction in basis:
                left = left - direction * (direction @ left)
            size = np.sqrt(left @ left)
            if size <= _ROUNDING * np.sqrt(values @ values):
                column = _without_flag(column)
            else:
                basis.append(left / size)
        if isinstance(column, Number) and column.scaled is None and column.flag is None:
            continue
        kept.append(column)
    return kept


def _without_flag(column: Any) -> Any:
    return replace(column, flag=None)


def _number(table: Table, name: str, rows: Array, *, truth: bool) -> Number | LeftOut:
    values = numbers_of(table, name)[rows]
    missing = np.isnan(values)
    mean, spread = _statistics(table, name, values[~missing])
    flag = _flag(table, name, missing)
    if spread == 0 and flag is None:
        return LeftOut(name, f"constant in the rows of training: {mean:g}")
    scaled = None if spread == 0 else Scaled(name, 0.0 if truth else mean, 1.0 if truth else spread)
    return Number(name, scaled, mean, int(missing.sum()), flag, truth)


def _category(table: Table, name: str, rows: Array, most: int) -> Category | LeftOut:
    codes, found = texts_of(table, name)
    codes = codes[rows]
    there = codes[codes >= 0]
    counts = np.bincount(there, minlength=len(found))
    missing = len(codes) - len(there)
    least = rare(len(rows))
    order = sorted(np.flatnonzero(counts >= least), key=lambda i: (-counts[i], found[i]))[:most]
    levels, seen = [found[i] for i in order], [int(counts[i]) for i in order]
    pooled = np.delete(counts, order)
    pooled = pooled[pooled > 0]
    rest = int(pooled.sum())
    if missing >= least:
        levels.append(MISSING)
        seen.append(missing)
    else:
        rest += missing
    if rest:
        levels.append(OTHER)
        seen.append(rest)
    if len(levels) == 1:
        if levels == [OTHER]:
            return LeftOut(name, f"{pooled.size:,} different texts, none of them in {least} rows of training")
        return LeftOut(name, f"constant in the rows of training: {levels[0]}")
    return Category(name, levels, seen, int(pooled.size), missing)


def _date(table: Table, name: str, rows: Array, written: str) -> Date | LeftOut:
    zone = zone_of(table, name, written)
    days = days_of(table, name, zone, written)[rows]
    missing = np.isnan(days)
    there = days[~missing]
    parts = []
    for part, values in parts_of(name, days):
        if "time of year" in part and there.max() - there.min() < SEASONS:
            continue
        mean, spread = _statistics(table, name, values[~missing])
        if spread > _ROUNDING:
            parts.append(Scaled(part, mean, spread))
    present, counts = np.unique(weekday_of(there), return_counts=True)
    of_week = bool(present.size > 1 and counts.min() >= rare(len(rows)) and there.max() - there.min() >= 14)
    flag = _flag(table, name, missing)
    if not parts and flag is None:
        return LeftOut(name, f"constant in the rows of training: {_moment(there[0])}")
    return Date(
        name=name,
        zone=zone,
        written=written,
        first=_moment(there.min()),
        last=_moment(there.max()),
        parts=parts,
        weekdays=[WEEKDAYS[i] for i in present] if of_week else [],
        mean=float(there.mean()),
        missing=int(missing.sum()),
        flag=flag,
    )


def _statistics(table: Table, name: str, values: Array) -> tuple[float, float]:
    """Mean and deviation; the deviation of equal values is exactly 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        spread = 0.0 if values.min() == values.max() else float(values.std())
    if not np.isfinite(spread):
        raise DataError(
            message(
                f"column {name!r} of {table} cannot be standardised, its variance overflows",
                {"largest": f"{np.abs(values).max():g}"},
                at="",
                remedy=f"rescale it or leave it out: --drop {name}",
            )
        )
    return mean, spread


def _flag(table: Table, name: str, missing: Array) -> str | None:
    """The name of the column that says where a value is missing, if that is often enough to learn from."""
    count, least = int(missing.sum()), rare(len(missing))
    if count < least or len(missing) - count < least:
        return None
    flag = f"{name} is missing"
    while flag in table.frame.columns:
        flag += "'"
    return flag


def _moment(days: float) -> str:
    text = str(np.datetime64(0, "s") + np.timedelta64(round(float(days) * 86400), "s")).replace("T", " ")
    return text.removesuffix(" 00:00:00").removesuffix(":00")
