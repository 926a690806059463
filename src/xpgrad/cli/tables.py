"""A user's table, CSV or Parquet: `xpgrad race --data FILE --target COL`.

In:  a file whose rows are in the order of time, the name of a column of zeros and ones.
Out: a Problem whose columns are all the others.
Holds: nothing is guessed: text, missing values and labels other than 0 and 1 are refused by name.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from lzma import LZMAError
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.extras import require
from xpgrad.cli.problem import Array, Problem, build, spaced

CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".zip")
PARQUET = (".parquet", ".pq")

# pandas raises a ParserError and pyarrow an ArrowInvalid, which are ValueErrors.
_UNREADABLE = (OSError, ValueError, EOFError, BadZipFile, LZMAError, zlib.error)


def load(path: Path, target: str, drop: Sequence[str] = (), rows: int | None = None) -> Problem:
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
        Use only so many rows, evenly spaced.

    Raises
    ------
    DataError
        A missing or unreadable file, an empty table, a missing column, text, missing values, labels
        other than 0 and 1, or a constant target.
    DependencyError
        pandas is not installed, or pyarrow for Parquet.
    """
    frame = _read(path)
    if frame.shape[0] == 0:
        raise DataError(message(f"race: {path} has no rows", {"columns": _listed(frame.columns)}, at=""))
    _refuse_duplicates(path, frame)
    for name in (target, *drop):
        _refuse_missing_column(path, frame, name)
    if target in drop:
        raise DataError(
            message(
                f"race: {target!r} of {path} is both the target and left out",
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


def _read(path: Path) -> Any:
    name = path.name.lower()
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise DataError(message(f"race: cannot read {path}", {"found": got}, at=""))
    if not name.endswith(CSV + PARQUET):
        raise DataError(
            message(
                f"race: {path} is neither CSV nor Parquet by its name",
                {"endings known": " ".join(CSV + PARQUET)},
                at="",
            )
        )
    pandas = require("pandas", "reading a table")
    try:
        if name.endswith(PARQUET):
            require("pyarrow", "reading Parquet", remedy="pip install pyarrow, or save the table as CSV")
            return pandas.read_parquet(path)
        return pandas.read_csv(path, low_memory=False)
    except pandas.errors.EmptyDataError as error:
        raise DataError(message(f"race: {path} is empty, it has not even a header", at="")) from error
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(message(f"race: cannot read {path}", {"reason": reason}, at="")) from error


def _refuse_duplicates(path: Path, frame: Any) -> None:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(
            message(f"race: {path} has two columns of the same name", {"name": _listed(twice)}, at="")
        )


def _refuse_missing_column(path: Path, frame: Any, name: str) -> None:
    if name in frame.columns:
        return
    names = [str(column) for column in frame.columns]
    close = get_close_matches(name, names, n=1)
    raise DataError(
        message(
            f"race: {path} has no column {name!r}",
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
                f"race: target {target!r} of {path} must hold 0 and 1 only",
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
    if not types.is_numeric_dtype(series.dtype) or types.is_complex_dtype(series.dtype):
        raise DataError(
            message(
                f"race: {column} of {path} is not numeric",
                {"dtype": str(series.dtype), "example": _example(series)},
                at="",
                remedy="encode it as 0 and 1" if is_target else _encode_or_drop(name),
            )
        )
    values: Array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        kind = "missing" if np.isnan(values[first]) else "infinite"
        raise DataError(
            message(
                f"race: {column} of {path} has values that are no numbers",
                {
                    "count": f"{np.count_nonzero(~finite):,} of {values.size:,}",
                    "first": f"{kind}, in row {first + 1}",
                },
                at="",
                remedy="fill them in or remove those rows"
                + ("" if is_target else f", or leave the column out: --drop {name}"),
            )
        )
    return values


def _example(series: Any) -> str:
    """The first value that is no number, with its row: ``'JFK' in row 1``."""
    for row, value in enumerate(series, start=1):
        try:
            float(value)
        except (TypeError, ValueError):
            return f"{str(value)!r} in row {row}"
    return f"{str(series.iloc[0])!r} in row 1"


def _encode_or_drop(name: Any) -> str:
    return f"turn it into numbers (one column of 0 and 1 for each value), or leave it out: --drop {name}"


def _listed(names: Any, most: int = 12) -> str:
    names = [str(name) for name in names]
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
