"""A user's table for `xpgrad race`: ``--data FILE --target COL``.

In:  a file whose rows are in the order of time, the name of a column of zeros and ones.
Out: a Problem whose columns are all the others.
Holds: nothing is guessed: text, missing values and labels other than 0 and 1 are refused by name, and so is a
file that `frames` finds to be no table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.extras import require
from xpgrad.cli.frames import Csv, Table, read_table
from xpgrad.cli.problem import Array, Problem, build, spaced
from xpgrad.cli.sources import source_of

_NUMBER_WITH_COMMA = re.compile(r"\s*[-+]?\d[\d.]*(,\d+)+(\.\d*)?\s*")


def load(
    path: Path,
    target: str,
    drop: Sequence[str] = (),
    rows: int | None = None,
    encoding: str = "utf-8-sig",
    delimiter: str = ",",
) -> Problem:
    """Read a table and split it by time: the last fifth of the rows is the test part.

    Parameters
    ----------
    path : Path
        In a format of `frames`.
    target : str
        The column to predict: 0 and 1, or False and True, with both among the rows.
    drop : sequence of str
        Columns to leave out.
    rows : int, optional
        The number of rows to use, evenly spaced; by default all.
    encoding, delimiter : str
        The encoding and the delimiter of a CSV file.

    Raises
    ------
    DataError
        A missing or unreadable file, a row longer or shorter than the header, a name that is there twice,
        an empty table, a missing column, text, missing values, labels other than 0 and 1, or a constant
        target.
    DependencyError
        pandas is not installed, or pyarrow for Parquet.
    """
    table = read_table(source_of(path), Csv(encoding, delimiter))
    for name in (target, *drop):
        table.require(name)
    if target in drop:
        raise DataError(
            message(
                f"{target!r} of {table} is both the target and left out",
                at="",
                remedy=f"take {target!r} out of --drop",
            )
        )
    frame = table.frame.drop(columns=list(drop))
    used = spaced(frame.shape[0], rows)
    labels = _labels(table, target, frame[target])[used]
    names = [name for name in frame.columns if name != target]
    columns = [(str(name), _numbers(table, name, frame[name])[used]) for name in names]
    notes = ["the rows are taken to be in the order of time"]
    if drop:
        notes.append(f"left out, as asked: {', '.join(drop)}")
    if used.size < frame.shape[0]:
        notes.append(f"{used.size:,} of {frame.shape[0]:,} rows, evenly spaced (--rows)")
    return build(str(table), target, columns, labels, notes)


def _labels(table: Table, target: str, series: Any) -> Array:
    values = _numbers(table, target, series, is_target=True)
    odd = values[(values != 0) & (values != 1)]
    if odd.size:
        raise DataError(
            message(
                f"target {target!r} of {table} must hold 0 and 1 only",
                {"found": f"{odd[0]:g}, and {odd.size:,} such values of {values.size:,}"},
                at="",
                remedy="state the question as yes or no, say `amount > 100`, and save that as 0 and 1",
            )
        )
    return values


def _numbers(table: Table, name: Any, series: Any, *, is_target: bool = False) -> Array:
    """The column as float64[rows], all finite."""
    types = require("pandas", "reading a table").api.types
    column = f"target {name!r}" if is_target else f"column {name!r}"
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
        _refuse_missing(table, column, name, ~np.isfinite(values), np.isnan(values), is_target)
        return values
    odd = _first_that_is_no_number(series)
    missing = series.isna().to_numpy()
    if odd is None:
        # A column of booleans with a blank has no dtype of its own: the blank is the cause, not the dtype.
        _refuse_missing(table, column, name, missing, missing, is_target)
    row, value = odd or (1, series.iloc[0])
    got = {"dtype": str(series.dtype), "example": f"{str(value)!r} in row {row}"}
    remedy = "encode it as 0 and 1" if is_target else _encode_or_drop(name)
    if odd is None and _beyond_64_bits(series):
        got = {"beyond 64 bits": got["example"]}
        remedy = "write them with a decimal point, or leave the column out" + (
            "" if is_target else f": --drop {name}"
        )
    elif odd is not None and _NUMBER_WITH_COMMA.fullmatch(str(value)):
        remedy = "write numbers with a decimal point, and without commas"
    raise DataError(message(f"{column} of {table} is not numeric", got, at="", remedy=remedy))


def _refuse_missing(table: Table, column: str, name: Any, bad: Array, missing: Array, is_target: bool) -> None:
    if not bad.any():
        return
    first = int(np.argmax(bad))
    raise DataError(
        message(
            f"{column} of {table} has values that are no numbers",
            {
                "count": f"{np.count_nonzero(bad):,} of {bad.size:,}",
                "first": f"{'missing' if missing[first] else 'infinite'}, in row {first + 1}",
            },
            at="",
            remedy="fill them in or remove those rows"
            + ("" if is_target else f", or leave the column out: --drop {name}"),
        )
    )


def _first_that_is_no_number(series: Any) -> tuple[int, Any] | None:
    """The first value, with its row, that is there and is no number."""
    for row, (value, missing) in enumerate(zip(series, series.isna(), strict=True), start=1):
        try:
            if not missing:
                float(value)
        except (TypeError, ValueError):
            return row, value
    return None


def _beyond_64_bits(series: Any) -> bool:
    """Whether all are integers, and some are too large for any dtype of 64 bits."""
    try:
        return any(not -(2**63) <= int(value) < 2**63 for value in series)
    except (TypeError, ValueError):
        return False


def _encode_or_drop(name: Any) -> str:
    return f"turn it into numbers (one column of 0 and 1 for each value), or leave it out: --drop {name}"
