"""What the values of a column of a user's table are: numbers, texts or moments.

In:  a pandas Series.
Out: NumPy arrays. Missing values are NaN in numbers and moments, and code -1 in texts.
Holds: a value that is none of the kind asked for is refused with its row.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.extras import require
from xpgrad.cli.frames import Table
from xpgrad.cli.problem import Array

NUMBER, TRUTH, DATE, TEXT, EMPTY = "number", "truth", "date", "text", "empty"

MOSTLY_NUMBERS = 0.9  # a column of text of which so many values are numbers is taken for a mistake

_ISO = re.compile(
    r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}(:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(?P<zone>[zZ]|[+-]\d{2}:?\d{2})?)?\s*"
)
_OTHER_DATE = re.compile(r"\s*(\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})|\d{4}[./]\d{1,2}[./]\d{1,2})([ T].*)?")
_DAY = np.timedelta64(1, "D")


class Texts(NamedTuple):
    """A column of texts.

    Attributes
    ----------
    codes : int[n]
        The position in ``levels``, -1 where missing.
    levels : list of str
    """

    codes: Array
    levels: list[str]


def kind_of(table: Table, name: str) -> str:
    """The kind of a column: numbers, truth values, dates, texts, or nothing at all.

    Raises
    ------
    DataError
        Text of which most values are numbers, dates of which it is not known how they are written, complex
        numbers, or lists and the like.
    """
    series = table.frame[name]
    if bool(series.isna().all()):
        return EMPTY
    types = require("pandas", "reading a table").api.types
    dtype = series.dtype
    if types.is_bool_dtype(dtype):
        return TRUTH
    if types.is_complex_dtype(dtype):
        raise _refusal(table, name, "holds complex numbers", {}, f"leave it out: --drop {name}")
    if types.is_numeric_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return NUMBER
    if types.is_datetime64_any_dtype(dtype):
        return DATE
    if isinstance(dtype, types.CategoricalDtype):
        return TEXT
    return _kind_of_objects(table, name, series)


def _kind_of_objects(table: Table, name: str, series: Any) -> str:
    found = series.dropna()
    try:
        values = list(found.unique())
    except TypeError:  # lists, for one
        values = list(found)
    if all(isinstance(v, (bool, np.bool_)) for v in values):
        return TRUTH
    if all(isinstance(v, (int, float, Decimal)) for v in values):
        return NUMBER
    if all(isinstance(v, datetime.date) for v in values):
        return DATE
    odd = next((v for v in values if not isinstance(v, (str, int, float, Decimal, datetime.date))), None)
    if odd is not None:
        got = {"example": f"{type(odd).__name__} {str(odd)[:40]}"}
        raise _refusal(table, name, "holds neither numbers nor text", got, f"leave it out: --drop {name}")
    texts = [str(v) for v in values]
    if all(_ISO.fullmatch(text) for text in texts):
        return DATE
    if all(_OTHER_DATE.fullmatch(text) for text in texts):
        raise _refusal(
            table,
            name,
            "seems to hold dates, which are not written as 2026-01-31",
            {"first": f"{str(found.iloc[0])!r} in {table.place(int(np.argmax(series.notna())))}"},
            f"--date {name}=%d/%m/%Y, or as they are written; --category {name} takes them as text",
        )
    strange = {text for text in texts if not _is_number(text)}
    is_strange = found.astype(str).isin(strange)
    share = 1 - float(is_strange.mean())
    if share >= MOSTLY_NUMBERS and len(texts) > len(strange) + 1:
        row = int(np.flatnonzero(series.astype(str).isin(strange) & series.notna())[0])
        text = str(series.iloc[row])
        raise _refusal(
            table,
            name,
            f"holds numbers, and {int(is_strange.sum())} values that are none",
            {"first": f"{text!r} in {table.place(row)}"},
            f"if that is a missing value, --missing {text!r}; if these are categories, --category {name}",
        )
    return TEXT


def numbers_of(table: Table, name: str, *, subject: str = "") -> Array:
    """A column as float64[n], NaN where missing; durations in days.

    Raises
    ------
    DataError
        A value that is no number, or is infinite.
    """
    series = table.frame[name]
    pandas = require("pandas", "reading a table")
    types = pandas.api.types
    subject = subject or f"column {name!r}"
    if types.is_timedelta64_dtype(series.dtype):
        values: Array = (series / pandas.Timedelta(days=1)).to_numpy(np.float64)
    elif types.is_datetime64_any_dtype(series.dtype) or types.is_complex_dtype(series.dtype):
        raise _no_number(table, subject, series, int(np.flatnonzero(series.notna())[0]))
    elif types.is_numeric_dtype(series.dtype):  # truth values among them
        values = series.to_numpy(np.float64, na_value=np.nan)
    else:
        values = pandas.to_numeric(series.astype(object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        wrong = np.isnan(values) & series.notna().to_numpy()
        if wrong.any():
            raise _no_number(table, subject, series, int(np.argmax(wrong)))
    bad = np.isinf(values)
    if bad.any():
        raise DataError(
            message(
                f"{subject} of {table} has infinite values",
                {"count": f"{bad.sum():,} of {bad.size:,}", "first": table.place(int(np.argmax(bad)))},
                at="",
                remedy="correct them, or leave them empty, which is a missing value",
            )
        )
    return values


def _no_number(table: Table, subject: str, series: Any, row: int) -> DataError:
    return DataError(
        message(
            f"{subject} of {table} is to hold numbers",
            {"got": f"{str(series.iloc[row])!r} in {table.place(row)}"},
            at="",
        )
    )


def texts_of(table: Table, name: str) -> Texts:
    """A column as texts: a whole number without a decimal point, whatever its dtype."""
    pandas = require("pandas", "reading a table")
    codes, found = pandas.factorize(table.frame[name])
    texts = [text_of(value) for value in found]
    levels = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(levels)}
    to_level = np.array([place[text] for text in texts] + [-1])
    return Texts(to_level[codes], levels)


def text_of(value: Any) -> str:
    """One value as text."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def zone_of(table: Table, name: str, written: str = "") -> str:
    """The time zone of a column of dates; empty where they have none."""
    series = table.frame[name]
    if written:
        return "UTC" if "%z" in written else ""
    if getattr(series.dtype, "tz", None) is not None:
        zone = str(series.dtype.tz)
        return zone if _is_zone(zone) else "UTC"
    if series.dtype.kind == "M":
        return ""
    found = series.dropna()
    first = found.iloc[0] if len(found) else ""
    if isinstance(first, datetime.date):
        return "UTC" if getattr(first, "tzinfo", None) else ""
    match = _ISO.fullmatch(str(first))
    return "UTC" if match and match["zone"] else ""


def days_of(table: Table, name: str, zone: str, written: str = "") -> Array:
    """Days since 1970 by the clock of ``zone``, float64[n], NaN where missing.

    Parameters
    ----------
    zone : str
        Empty for dates without a time zone.
    written : str
        How texts are written, as `datetime.strptime` takes it; empty for ISO 8601.

    Raises
    ------
    DataError
        A value that is no date; dates without a time zone where ``zone`` is one, or the other way round.
    """
    series = table.frame[name]
    there = series.notna().to_numpy()
    if not there.any():
        return np.full(len(series), np.nan)
    moments = series
    if series.dtype.kind != "M":
        moments = _moments(table, name, written)
    wrong = moments.isna().to_numpy() & there
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            message(
                f"column {name!r} of {table} is to hold dates",
                {"got": f"{str(series.iloc[row])!r} in {table.place(row)}"},
                at="",
                remedy=f"write them as {written}"
                if written
                else "write them as 2026-01-31 or 2026-01-31 18:00",
            )
        )
    if (moments.dt.tz is not None) != bool(zone):
        has, had = ("no time zone", "one") if zone else ("a time zone", "none")
        raise DataError(
            message(
                f"the dates of column {name!r} of {table} have {has}, and those of training had {had}", at=""
            )
        )
    if zone:
        moments = moments.dt.tz_convert(zone).dt.tz_localize(None)
    values = moments.to_numpy(dtype="datetime64[us]")
    out = np.full(len(series), np.nan)
    out[there] = (values[there] - np.datetime64(0, "us")) / _DAY
    return out


def _moments(table: Table, name: str, written: str) -> Any:
    """Texts as pandas timestamps, NaT where they are none."""
    pandas = require("pandas", "reading a table")
    utc = bool(zone_of(table, name, written))
    try:
        return pandas.to_datetime(table.frame[name], format=written or "ISO8601", errors="coerce", utc=utc)
    except ValueError as error:
        raise DataError(message(f"--date {name}={written}: {error}", at="")) from error


def _refusal(table: Table, name: str, what: str, got: dict[str, Any], remedy: str) -> DataError:
    return DataError(message(f"column {name!r} of {table} {what}", got, at="", remedy=remedy))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_zone(zone: str) -> bool:
    try:
        require("pandas", "reading a table").Timestamp(0).tz_localize(zone)
    except (LookupError, ValueError, TypeError):
        return False
    return True
