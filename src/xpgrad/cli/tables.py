"""A user's table, CSV or Parquet: ``--data FILE --target COL`` of a command.

In:  a file whose rows are in the order of time, the name of a column of zeros and ones.
Out: a Problem whose columns are all the others.
Holds: nothing is guessed: text, missing values and labels other than 0 and 1 are refused by name, and so is a
file that `csv_files` finds to be no table.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from lzma import LZMAError
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.csv_files import columns_of
from xpgrad.cli.extras import require
from xpgrad.cli.problem import Array, Problem, build, spaced

CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".zip")
PARQUET = (".parquet", ".pq")

_NUMBER_WITH_COMMA = re.compile(r"\s*[-+]?\d[\d.]*(,\d+)+(\.\d*)?\s*")

# pandas raises a ParserError and pyarrow an ArrowInvalid, which are ValueErrors.
_UNREADABLE = (OSError, ValueError, EOFError, BadZipFile, LZMAError, zlib.error)


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
        A CSV file with a header, perhaps compressed, or a Parquet file.
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
    frame = _read(path, encoding, delimiter)
    if frame.shape[0] == 0:
        raise DataError(message(f"{path} has no rows", {"columns": _listed(frame.columns)}, at=""))
    _refuse_duplicates(path, frame)
    for name in (target, *drop):
        _refuse_missing_column(path, frame, name)
    if target in drop:
        raise DataError(
            message(
                f"{target!r} of {path} is both the target and left out",
                at="",
                remedy=f"take {target!r} out of --drop",
            )
        )
    frame = frame.drop(columns=list(drop))
    used = spaced(frame.shape[0], rows)
    labels = _labels(path, target, frame[target])[used]
    names = [name for name in frame.columns if name != target]
    columns = [(str(name), _numbers(path, name, frame[name])[used]) for name in names]
    notes = ["the rows are taken to be in the order of time"]
    if drop:
        notes.append(f"left out, as asked: {', '.join(drop)}")
    if used.size < frame.shape[0]:
        notes.append(f"{used.size:,} of {frame.shape[0]:,} rows, evenly spaced (--rows)")
    return build(str(path), target, columns, labels, notes)


def _read(path: Path, encoding: str, delimiter: str) -> Any:
    name = path.name.lower()
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise DataError(message(f"cannot read {path}", {"found": got}, at=""))
    if not name.endswith(CSV + PARQUET):
        raise DataError(
            message(
                f"{path} is neither CSV nor Parquet by its name",
                {"endings known": " ".join(CSV + PARQUET)},
                at="",
            )
        )
    pandas = require("pandas", "reading a table")
    try:
        if name.endswith(PARQUET):
            require("pyarrow", "reading Parquet", remedy="pip install pyarrow, or save the table as CSV")
            return pandas.read_parquet(path)
        names = columns_of(path, encoding, delimiter)
        return pandas.read_csv(
            path, header=0, names=names, index_col=False, sep=delimiter, encoding=encoding, low_memory=False
        )
    except DataError:
        raise  # a ValueError, too
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(message(f"cannot read {path}", {"reason": reason}, at="")) from error


def _refuse_duplicates(path: Path, frame: Any) -> None:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(message(f"{path} has two columns of the same name", {"name": _listed(twice)}, at=""))


def _refuse_missing_column(path: Path, frame: Any, name: str) -> None:
    if name in frame.columns:
        return
    names = [str(column) for column in frame.columns]
    close = get_close_matches(name, names, n=1)
    raise DataError(
        message(
            f"{path} has no column {name!r}",
            {"columns": _listed(names)},
            at="",
            remedy=f"did you mean {close[0]!r}?" if close else None,
        )
    )


def _labels(path: Path, target: str, series: Any) -> Array:
    values = _numbers(path, target, series, is_target=True)
    odd = values[(values != 0) & (values != 1)]
    if odd.size:
        raise DataError(
            message(
                f"target {target!r} of {path} must hold 0 and 1 only",
                {"found": f"{odd[0]:g}, and {odd.size:,} such values of {values.size:,}"},
                at="",
                remedy="state the question as yes or no, say `amount > 100`, and save that as 0 and 1",
            )
        )
    return values


def _numbers(path: Path, name: Any, series: Any, *, is_target: bool = False) -> Array:
    """The column as float64[rows], all finite."""
    types = require("pandas", "reading a table").api.types
    column = f"target {name!r}" if is_target else f"column {name!r}"
    if types.is_numeric_dtype(series.dtype) and not types.is_complex_dtype(series.dtype):
        values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
        _refuse_missing(path, column, name, ~np.isfinite(values), np.isnan(values), is_target)
        return values
    odd = _first_that_is_no_number(series)
    missing = series.isna().to_numpy()
    if odd is None:
        # A column of booleans with a blank has no dtype of its own: the blank is the cause, not the dtype.
        _refuse_missing(path, column, name, missing, missing, is_target)
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
    raise DataError(message(f"{column} of {path} is not numeric", got, at="", remedy=remedy))


def _refuse_missing(path: Path, column: str, name: Any, bad: Array, missing: Array, is_target: bool) -> None:
    if not bad.any():
        return
    first = int(np.argmax(bad))
    raise DataError(
        message(
            f"{column} of {path} has values that are no numbers",
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


def _listed(names: Any, most: int = 12) -> str:
    names = [str(name) for name in names]
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
