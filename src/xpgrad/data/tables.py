"""Tables in files: columns of Parquet, Arrow and CSV files as sources. pyarrow reads them.

In:  files, in order, and names of columns.
Out: sources of columns: numbers side by side, or the codes of the levels of a column of texts.
Holds: nothing is converted that has a meaning of its own: a missing entry, a date, a text among numbers is an
error with the file and the column.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, DTypeError, message
from xpgrad.data.source import BlockSource, Range

CODES = np.dtype(np.int32)


class Part(NamedTuple):
    """A part of a file that is read at once: a row group, a record batch, a stretch of lines."""

    file: int
    number: int
    rows: int


class Files:
    """The files of a table: what a format has to know.

    Attributes
    ----------
    paths : list of str
    parts : list of Part
        In the order of the rows.
    """

    paths: list[str]
    parts: list[Part]

    def types(self, file: int) -> dict[str, Any]:
        """The pyarrow type of each column of a file."""
        raise NotImplementedError

    def read(self, part: Part, columns: Sequence[str]) -> Any:
        """A pyarrow Table of columns of a part."""
        raise NotImplementedError

    def facts(self) -> tuple[Any, ...]:
        """What tells these files from others, beside names and types; no paths and no times."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise the DataError of a file that has changed."""
        raise NotImplementedError

    def uncompressed(self) -> list[int]:
        """Bytes of each part, not compressed."""
        raise NotImplementedError

    def name(self, file: int) -> str:
        return os.path.basename(self.paths[file])


class Table:
    """A table in files, of which columns stand in the place of arrays.

    ``table["y"]`` is a source of shape ``(m,)``; ``table[["a", "b"]]`` one of shape ``(m, 2)``. A column of
    texts, or of a dictionary, is a source of codes, int32: the numbers of its entries in `levels`.

    Attributes
    ----------
    columns : tuple of str
    files : Files
    """

    def __init__(
        self,
        files: Files,
        columns: Sequence[str] | None,
        retries: int,
        levels: dict[str, tuple[Any, ...]] | None = None,
    ) -> None:
        self._files = self.files = files
        self._retries = retries
        self._types = files.types(0)
        self._levels = {} if levels is None else levels
        self.columns = tuple(self._types if columns is None else columns)
        for name in self.columns:
            self._check_known(name, self._types)
        for file in range(1, len(files.paths)):
            self._check_like_first(file)

    def __len__(self) -> int:
        return sum(part.rows for part in self._files.parts)

    def __repr__(self) -> str:
        return f"<table {self._name()}: {len(self)} rows, {len(self.columns)} columns>"

    def __getitem__(self, columns: str | Sequence[str]) -> ColumnSource:
        names = [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            self._check_known(name, dict.fromkeys(self.columns))
        texts = [name for name in names if _is_text(self._types[name])]
        if texts and not isinstance(columns, str):
            remedy = f'take it by itself, as codes: table["{texts[0]}"]'
            raise DTypeError(
                message(
                    f"data: column {texts[0]!r} of {self._name()} has texts, and stands with numbers",
                    {"type": str(self._types[texts[0]])},
                    remedy=remedy,
                )
            )
        levels = self.levels(texts[0]) if texts else None
        dtypes = [CODES if texts else _dtype(name, self._types[name], self._name()) for name in names]
        return ColumnSource(
            self._files,
            names,
            levels,
            f"{self._name()}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}",
            (len(self),) if isinstance(columns, str) else (len(self), len(names)),
            np.result_type(*dtypes),
            self._retries,
        )

    def only(self, columns: Sequence[str]) -> Table:
        """The same table with these columns."""
        return Table(self._files, columns, self._retries, self._levels)

    def is_text(self, column: str) -> bool:
        """Whether a column has texts, or a dictionary."""
        return _is_text(self._types[column])

    def levels(self, column: str) -> tuple[Any, ...]:
        """The different entries of a column of texts, sorted; the column is read once for them."""
        if column not in self._levels:
            self._check_known(column, self._types)
            found: set[Any] = set()
            for part in self._files.parts:
                chunks = self._files.read(part, [column]).column(0)
                _check_complete(chunks, column, self._files.name(part.file))
                found.update(chunks.unique().to_pylist())
            self._levels[column] = tuple(sorted(found))
        return self._levels[column]

    def _name(self) -> str:
        more = f" and {len(self._files.paths) - 1} more" if len(self._files.paths) > 1 else ""
        return self._files.name(0) + more

    def _check_known(self, name: str, known: dict[str, Any]) -> None:
        if name not in known:
            there = ", ".join(map(repr, known))
            raise DataError(message(f"data: there is no column {name!r} in {self._name()}", {"columns": there}))

    def _check_like_first(self, file: int) -> None:
        types = self._files.types(file)
        for name in self.columns:
            first, here = self._types[name], types.get(name)
            if here is None or (here != first and not (_is_text(here) and _is_text(first))):
                raise DataError(
                    message(
                        f"data: column {name!r} is not the same in all files",
                        {self._files.name(0): str(first), self._files.name(file): str(here or "not there")},
                        remedy="write the files with one type for it",
                    )
                )


class ColumnSource(BlockSource):
    """Columns of a table side by side; or one, as codes of its levels.

    Attributes
    ----------
    columns : tuple of str
    """

    def __init__(
        self,
        files: Files,
        columns: Sequence[str],
        levels: tuple[Any, ...] | None,
        name: str,
        shape: tuple[int, ...],
        dtype: Any,
        retries: int,
    ) -> None:
        self._files, self._columns, self.levels = files, list(columns), levels
        self.columns = tuple(columns)
        blocks: list[Range] = []
        at = 0
        for part in files.parts:
            blocks.append((at, at + part.rows))
            at += part.rows
        layout = "columns" if len(shape) > 1 else "rows"
        super().__init__(name, shape, dtype, blocks, layout=layout, retries=retries)

    def astype(self, dtype: Any) -> ColumnSource:
        """The same columns in another dtype, to which each part is converted when it is read."""
        wanted = np.dtype(dtype)
        if self.levels is not None or not np.can_cast(self.dtype, wanted, "same_kind"):
            remedy = "codes stay integers, and floats do not become integers"
            raise DTypeError(
                message(f"data: {self.name} is not read as {wanted}", {"source": self}, remedy=remedy)
            )
        return ColumnSource(self._files, self._columns, None, self.name, self.shape, wanted, self.retries)

    def facts(self) -> tuple[Any, ...]:
        return (*self._columns, self.levels, self.blocks, *self._files.facts())

    def check(self) -> None:
        self._files.check()

    def load(self, block: int) -> list[Any]:
        part = self._files.parts[block]
        table = self._files.read(part, self._columns)
        where = self._files.name(part.file)
        if table.num_rows != part.rows:
            got = f"{table.num_rows} rows, and {part.rows} when it was opened"
            raise DataError(message(f"data: part {part.number} of {where} has changed", {"got": got}))
        return [self._numbers(table.column(k), name, where) for k, name in enumerate(self._columns)]

    def _numbers(self, column: Any, name: str, where: str) -> Any:
        _check_complete(column, name, where)
        if self.levels is None:
            return column.to_numpy()
        return _codes(column, self.levels, name, where)

    def take(self, loaded: list[Any], begin: int, end: int, out: Any) -> None:
        for k, column in enumerate(out.reshape(1, -1) if len(self.shape) == 1 else out):
            np.copyto(column, loaded[k][begin:end], casting="same_kind")

    @property
    def block_bytes(self) -> int:
        widest = max((part.rows for part in self._files.parts), default=0)
        kinds = self._files.types(0)
        width = 4 if self.levels is not None else sum(kinds[x].bit_width for x in self._columns) // 8
        return widest * max(width, 1)


def _codes(column: Any, levels: tuple[Any, ...], name: str, where: str) -> Any:
    """The numbers of the entries among the levels; the entries of a dictionary are looked up once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    found = []
    for chunk in column.chunks:
        known = pc.index_in(chunk.dictionary, value_set=pa.array(levels, chunk.dictionary.type))
        numbers = known.fill_null(-1).to_numpy(zero_copy_only=False).astype(CODES)
        codes = numbers[chunk.indices.to_numpy(zero_copy_only=False)]
        if (codes < 0).any():
            new = chunk.dictionary[int(np.flatnonzero(numbers < 0)[0])].as_py()
            raise DataError(
                message(f"data: column {name!r} of {where} has a new level {new!r}; it has changed")
            )
        found.append(codes)
    return np.concatenate(found) if found else np.empty(0, CODES)


def _check_complete(column: Any, name: str, where: str) -> None:
    if column.null_count:
        raise DataError(
            message(
                f"data: column {name!r} of {where} has {column.null_count} missing entries",
                remedy="fill or leave them out when the files are written; a source makes up no numbers",
            )
        )


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_dictionary(kind) or types.is_string(kind) or types.is_large_string(kind))


def _dtype(name: str, kind: Any, where: str) -> Any:
    import pyarrow.types as types

    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return np.dtype(kind.to_pandas_dtype())
    raise DTypeError(
        message(
            f"data: column {name!r} of {where} holds no numbers",
            {"type": str(kind)},
            remedy="convert it when the file is written: dates as numbers, decimals as doubles",
        )
    )


def opened(path: str, open_: Callable[[], Any]) -> Any:
    """What ``open_`` gives, or the DataError that the file cannot be read."""
    import pyarrow as pa

    try:
        return open_()
    except (OSError, pa.ArrowException) as error:
        raise DataError(message(f"data: {path} cannot be read: {error}")) from error
