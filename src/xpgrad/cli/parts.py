"""A table in Parquet files that is read a row group at a time: one that does not fit into memory.

In:  a path or a glob.
Out: its parts as Tables; how much memory all of it would take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from xpgrad import data
from xpgrad._errors import DataError, DependencyError
from xpgrad.cli.frames import PARQUET, Table
from xpgrad.cli.sources import Source
from xpgrad.data.memory import limit_of

_TAKES = 3  # bytes of memory for each byte of an uncompressed column, about: a frame, and what is made of it


class InParts:
    """A table of which a part is in memory.

    Parameters
    ----------
    word : str
        A path or a glob of Parquet files.

    Attributes
    ----------
    files : data.tables.Files
    rows : int
    starts : list of int
        The number of the first row of each part.
    names : list of str

    Raises
    ------
    DataError
        There is no file, one cannot be read, or columns differ between files.
    """

    def __init__(self, word: str) -> None:
        self._source = Source(Path(word), shown=word)
        table = data.parquet(word)
        self.files, self.names = table.files, list(table.columns)
        self.starts = np.cumsum([0, *(part.rows for part in self.files.parts)]).tolist()
        self.rows = int(self.starts[-1])

    def __str__(self) -> str:
        return str(self._source)

    def __len__(self) -> int:
        return len(self.files.parts)

    def part(self, k: int, columns: Sequence[str] | None = None) -> Table:
        """The rows of one part."""
        names = self.names if columns is None else list(columns)
        frame = self.files.read(self.files.parts[k], names).to_pandas()[names]
        return Table(self._source, frame, rows=np.arange(self.starts[k], self.starts[k + 1]))

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """All parts in order."""
        for k in range(len(self)):
            yield self.part(k, columns)


def by_parts(word: str, memory_limit: str | None, forced: bool = False) -> InParts | None:
    """The table in parts, if it is a glob, does not fit into the limit, or has to be; None if it is read whole.

    Raises
    ------
    DataError
        See `InParts`.
    """
    is_glob = any(c in word for c in "*?[") and not Path(word).exists()
    if is_glob or forced:
        return InParts(word)
    if word == "-" or not word.lower().endswith(PARQUET) or not Path(word).is_file():
        return None
    try:
        table = InParts(word)
    except (DataError, DependencyError):  # reading it whole says what is wrong with it
        return None
    return table if _TAKES * sum(table.files.uncompressed()) > limit_of(memory_limit) else None
