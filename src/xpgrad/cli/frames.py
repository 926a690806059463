"""A table of any format as a pandas DataFrame.

In:  a Source: CSV, Parquet, Arrow (Feather) or ``.npz``, by its ending.
Out: a Table: the frame, and where in the file a row is.
Holds: each column has a name of its own, and there is at least one row. A file that is cut off or malformed is
refused by its cause.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from lzma import LZMAError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.csv_files import columns_of, line_of
from xpgrad.cli.extras import require
from xpgrad.cli.sources import Source

CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".zip")
PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
NPZ = (".npz",)

# pandas raises a ParserError and pyarrow an ArrowInvalid, which are ValueErrors.
_UNREADABLE = (OSError, ValueError, EOFError, BadZipFile, LZMAError, zlib.error)


@dataclass(frozen=True)
class Csv:
    """How a CSV file is written.

    Attributes
    ----------
    encoding, delimiter : str
    missing : sequence of str
        Texts that stand for a missing value, besides those that pandas knows.
    """

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """A frame, and the file that it came from.

    Attributes
    ----------
    source : Source
    frame : pandas.DataFrame
        Its names are text, and its index counts the rows from 0.
    csv : Csv
    rows : int[n] or None
        The rows of the file that these are; None for all.
    """

    source: Source
    frame: Any
    csv: Csv = Csv()
    rows: Any = None

    def __str__(self) -> str:
        return str(self.source)

    def place(self, row: int) -> str:
        """``row 5``, counted from 1, and in a CSV file its line."""
        row = row if self.rows is None else int(self.rows[row])
        text = f"row {row + 1}"
        if self.source.name.endswith(CSV):
            line = line_of(self.source, row, self.csv.encoding, self.csv.delimiter)
            text += f", line {line}" if line else ""
        return text

    def require(self, name: str) -> None:
        """Raise if there is no column of this name.

        Raises
        ------
        DataError
            With a name like it, if there is one.
        """
        if name in self.frame.columns:
            return
        names = list(self.frame.columns)
        close = like(name, names)
        raise DataError(
            message(
                f"{self} has no column {name!r}",
                {"columns": listed(names)},
                at="",
                remedy=f"did you mean {close!r}?" if close else None,
            )
        )


def read_table(source: Source, csv: Csv | None = None) -> Table:
    """Read a table.

    Raises
    ------
    DataError
        An unreadable file, a row longer or shorter than the header, a name that is there twice, no rows.
    DependencyError
        pandas is not installed, or pyarrow for Parquet and Arrow.
    """
    csv = csv or Csv()
    frame = _read(source, csv)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # what was the index in pandas is a column to everybody else
    frame.columns = [str(name) for name in frame.columns]
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(message(f"{source} has two columns of the same name", {"name": listed(twice)}, at=""))
    if frame.shape[0] == 0:
        raise DataError(message(f"{source} has no rows", {"columns": listed(frame.columns)}, at=""))
    return Table(source, frame.reset_index(drop=True), csv)


def listed(names: Any, most: int = 12) -> str:
    """Names with commas between them, the first ones of many."""
    names = [str(name) for name in names]
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def like(name: str, names: Sequence[str]) -> str | None:
    """The name that may have been meant."""
    same = [other for other in names if other.strip().casefold() == name.strip().casefold()]
    return next(iter(same or get_close_matches(name, names, n=1)), None)


def _read(source: Source, csv: Csv) -> Any:
    known = CSV + PARQUET + ARROW + NPZ
    if not source.name.endswith(known):
        raise DataError(
            message(
                f"{source} is neither CSV, Parquet, Arrow nor npz by its name",
                {"endings known": " ".join(known)},
                at="",
            )
        )
    pandas = require("pandas", "reading a table")
    try:
        if source.name.endswith(PARQUET):
            require("pyarrow", "reading Parquet", remedy="pip install pyarrow, or save the table as CSV")
            with source.open() as file:
                return pandas.read_parquet(file)
        if source.name.endswith(ARROW):
            return _arrow(source, pandas)
        if source.name.endswith(NPZ):
            return _npz(source, pandas)
        names = columns_of(source, csv.encoding, csv.delimiter)
        with source.open() as file:
            return pandas.read_csv(
                file,
                header=0,
                names=names,
                index_col=False,
                sep=csv.delimiter,
                encoding=csv.encoding,
                compression=source.compression,
                na_values=list(csv.missing),
                low_memory=False,
            )
    except DataError:
        raise  # a ValueError, too
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(message(f"cannot read {source}", {"reason": reason}, at="")) from error


def _arrow(source: Source, pandas: Any) -> Any:
    """Arrow's file format (Feather) or its stream."""
    remedy = "pip install pyarrow, or save the table as CSV"
    ipc = require("pyarrow.ipc", "reading Arrow", remedy=remedy)
    with source.open() as file:
        start = file.read(6)
        file.seek(0)
        if start == b"ARROW1":
            return ipc.open_file(file).read_pandas()
        if start[:4] == b"\xff\xff\xff\xff":
            return ipc.open_stream(file).read_pandas()
        return pandas.read_feather(file)  # the first version of Feather


def _npz(source: Source, pandas: Any) -> Any:
    """Arrays of one length: a vector is a column, a matrix ``X`` is the columns ``X0``, ``X1``, ..."""
    columns: dict[str, Any] = {}
    with source.open() as file, np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            array = arrays[name]
            if array.ndim == 1:
                columns[name] = array
            elif array.ndim == 2:
                columns |= {f"{name}{k}": array[:, k] for k in range(array.shape[1])}
            else:
                raise DataError(
                    message(
                        f"{source}: an array of a table has one axis or two",
                        {name: f"{array.dtype}{list(array.shape)}"},
                        at="",
                    )
                )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise DataError(
            message(
                f"{source} has arrays of several lengths, which are no rows",
                {name: f"{lengths[name]} rows" for name in (shortest, longest)},
                at="",
            )
        )
    return pandas.DataFrame(columns)
