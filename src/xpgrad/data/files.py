"""Files of tables: Parquet by row groups, Arrow by record batches, CSV by stretches of lines.

In:  a path, a glob or a list of paths, local or of a file system that fsspec knows (``s3://...``).
Out: a Table.
Holds: the order of the rows is that of the paths, sorted for a glob. pyarrow reads, and nothing else parses
what a user's file holds.
"""

from __future__ import annotations

import glob
import importlib
import io
import os
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from xpgrad._errors import DataError, DependencyError, message
from xpgrad.data.tables import Files, Part, Table, opened

STRETCH = 16 << 20
"""Bytes of a CSV file that are parsed at once, about."""

_SCALE = 'pip install "xpgrad[scale]"'


def parquet(paths: Any, *, columns: Sequence[str] | None = None, retries: int = 0) -> Table:
    """A table in Parquet files, whose row groups are read one at a time.

    Parameters
    ----------
    paths : path, glob, or list of paths
        Local, or of a file system that fsspec knows, such as ``"s3://bucket/trips/*.parquet"``.
    columns : sequence of str, optional
        The columns that may be taken; by default all. They must have one type in all files.
    retries : int
        How often an unreadable row group is tried again.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        There is no file, one cannot be read, or a column differs between files.
    DependencyError
        pyarrow is not installed, or fsspec for a path with ``://``.
    """
    return Table(_Parquet(_paths(paths)), columns, retries)


def arrow(paths: Any, *, columns: Sequence[str] | None = None, retries: int = 0) -> Table:
    """A table in Arrow IPC files (Feather), whose record batches are read one at a time.

    Parameters, results and errors are those of `parquet`.
    """
    return Table(_Arrow(_paths(paths)), columns, retries)


def csv(paths: Any, *, columns: Sequence[str] | None = None, retries: int = 0) -> Table:
    """A table in CSV files with a header, parsed in stretches of about 16 MiB.

    The files are read once when the table is made, to count their rows; a fit reads and parses them again in
    each pass, for which Parquet is the better format. The types are those of the first stretch; a later entry
    that is none is an error with its file. Texts do not hold line breaks.

    Parameters, results and errors are those of `parquet`.
    """
    return Table(_Csv(_paths(paths)), columns, retries)


def needed(name: str, what: str) -> ModuleType:
    """Import an optional module, or say for what it is needed and how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise DependencyError(
            message(f"data: {what} needs the package {package}", {"import": str(error)}, remedy=_SCALE)
        ) from error


def _paths(paths: Any) -> list[str]:
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: list[str] = []
    for path in [os.fspath(x) for x in given]:
        is_glob = any(c in path for c in "*?[")
        if "://" in path:
            found += _remote(path) if is_glob else [path]
        elif is_glob:
            found += sorted(map(os.path.abspath, glob.glob(path, recursive=True)))
        else:
            found.append(os.path.abspath(path))
    if not found:
        raise DataError(message(f"data: there is no file {paths}"))
    return found


def _remote(path: str) -> list[str]:
    system, inside = _system(path)
    try:
        return sorted(system.unstrip_protocol(p) for p in system.glob(inside))
    except Exception as error:  # of any storage service
        raise DataError(message(f"data: {path} cannot be listed: {error}")) from error


def _system(path: str) -> tuple[Any, str]:
    fsspec = needed("fsspec", f"reading {path}")
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(path)
        return found
    except (ImportError, ValueError) as error:  # the package of this protocol
        raise DependencyError(message(f"data: {path} cannot be opened: {error}")) from error


class _Opened(Files):
    """What the formats share: each thread opens each file once, and a file that has changed is an error."""

    def __init__(self, paths: list[str]) -> None:
        needed("pyarrow", "reading a table")
        self.paths, self.parts = paths, []
        self._local = threading.local()
        self._stamps = [self._stamp(path) for path in paths]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()
        self._stamps = [self._stamp(path) for path in self.paths]  # the digest says whether they are the same

    def check(self) -> None:
        for path, stamp in zip(self.paths, self._stamps, strict=True):
            if self._stamp(path) != stamp:
                raise DataError(
                    message(f"data: {path} has changed since it was opened", remedy="open the source again")
                )

    def _stamp(self, path: str) -> tuple[Any, ...]:
        try:
            if "://" not in path:
                found = os.stat(path)
                return found.st_size, found.st_mtime_ns, found.st_ino
            system, inside = _system(path)
            info = system.info(inside)
            return info.get("size"), info.get("ETag"), info.get("mtime"), str(info.get("LastModified"))
        except DependencyError:
            raise
        except Exception as error:  # of any storage service: no such bucket, no credentials
            raise DataError(message(f"data: {path} cannot be read: {error}")) from error

    def _open(self, path: str) -> Any:
        """The file as pyarrow reads it."""
        import pyarrow as pa

        if "://" not in path:
            return pa.OSFile(path)
        system, inside = _system(path)
        return pa.PythonFile(system.open(inside, "rb"), mode="r")

    def _reader(self, file: int) -> Any:
        """The reader of a file, of this thread's own; the last one is kept."""
        kept: tuple[int, Any] | None = getattr(self._local, "kept", None)
        if kept is None or kept[0] != file:
            path = self.paths[file]
            kept = self._local.kept = file, opened(path, lambda: self._make(path))
        return kept[1]

    def _make(self, path: str) -> Any:
        raise NotImplementedError


class _Parquet(_Opened):
    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        for k in range(len(paths)):
            about = self._reader(k).metadata
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            self.parts += [Part(k, i, group.num_rows) for i, group in enumerate(groups) if group.num_rows]

    def types(self, file: int) -> dict[str, Any]:
        schema = self._reader(file).schema_arrow
        return dict(zip(schema.names, schema.types, strict=True))

    def read(self, part: Part, columns: Sequence[str]) -> Any:
        reader, path = self._reader(part.file), self.paths[part.file]
        return opened(
            f"row group {part.number} of {path}",
            lambda: reader.read_row_group(part.number, columns=list(columns), use_threads=False).select(
                list(columns)
            ),
        )

    def uncompressed(self) -> list[int]:
        return [self._reader(p.file).metadata.row_group(p.number).total_byte_size for p in self.parts]

    def facts(self) -> tuple[Any, ...]:
        return tuple(_about(self._reader(k).metadata) for k in range(len(self.paths)))

    def _make(self, path: str) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetFile(self._open(path))


def _about(metadata: Any) -> tuple[Any, ...]:
    """Sizes and statistics of the columns of at most 32 row groups of a file."""
    groups = range(0, metadata.num_row_groups, max(metadata.num_row_groups // 16, 1))
    columns = [metadata.row_group(i).column(j) for i in groups for j in range(metadata.num_columns)]
    facts = [(x.total_compressed_size, x.statistics and x.statistics.to_dict()) for x in columns]
    return metadata.num_rows, metadata.num_columns, metadata.num_row_groups, facts


class _Arrow(_Opened):
    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        for k in range(len(paths)):
            reader = self._reader(k)
            rows = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
            self.parts += [Part(k, i, n) for i, n in enumerate(rows) if n]

    def types(self, file: int) -> dict[str, Any]:
        schema = self._reader(file).schema
        return dict(zip(schema.names, schema.types, strict=True))

    def read(self, part: Part, columns: Sequence[str]) -> Any:
        import pyarrow as pa

        reader, path = self._reader(part.file), self.paths[part.file]
        batch = opened(f"record batch {part.number} of {path}", lambda: reader.get_batch(part.number))
        return pa.Table.from_batches([batch]).select(list(columns))

    def facts(self) -> tuple[Any, ...]:
        return tuple(stamp[0] for stamp in self._stamps)

    def _make(self, path: str) -> Any:
        import pyarrow as pa

        return pa.ipc.open_file(self._open(path))


class _Csv(_Opened):
    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        self._ranges: list[list[tuple[int, int]]] = []
        self._header: list[str] = []
        self._kinds: dict[str, Any] = {}
        for k, path in enumerate(paths):
            header, ranges = opened(path, lambda path=path: self._cut(path))  # type: ignore[misc]
            if not k:
                self._header = header
            if header != self._header:
                got = {self.name(0): ", ".join(self._header), self.name(k): ", ".join(header)}
                raise DataError(message("data: CSV files with different headers", got))
            self._ranges.append(ranges)
            for i in range(len(ranges)):
                found = self._parsed(Part(k, i, 0), self._header)
                self._kinds = self._kinds or dict(zip(found.column_names, found.schema.types, strict=True))
                self.parts.append(Part(k, i, found.num_rows))
        self.parts = [part for part in self.parts if part.rows]

    def types(self, file: int) -> dict[str, Any]:
        return self._kinds

    def read(self, part: Part, columns: Sequence[str]) -> Any:
        return self._parsed(part, columns).select(list(columns))

    def facts(self) -> tuple[Any, ...]:
        return tuple(stamp[0] for stamp in self._stamps)

    def _cut(self, path: str) -> tuple[list[str], list[tuple[int, int]]]:
        """The names of the columns, and stretches of whole lines."""
        import pyarrow.csv as pcsv

        with self._open(path) as file:
            size = file.size()
            head = file.read(min(size, STRETCH))
            first = head.find(b"\n") + 1 or len(head)
            names = pcsv.read_csv(
                io.BytesIO(head[:first] + b"\n" if first == len(head) else head[:first])
            ).column_names
            ranges, begin = [], first
            while begin < size:
                end = min(begin + STRETCH, size)
                while end < size:
                    file.seek(end)
                    text = file.read(min(1 << 16, size - end))
                    at = text.find(b"\n")
                    end += len(text) if at < 0 else at + 1
                    if at >= 0:
                        break
                ranges.append((begin, end))
                begin = end
            return names, ranges

    def _parsed(self, part: Part, columns: Sequence[str]) -> Any:
        import pyarrow.csv as pcsv

        path = self.paths[part.file]
        begin, end = self._ranges[part.file][part.number]

        def parse() -> Any:
            with self._open(path) as file:
                file.seek(begin)
                return pcsv.read_csv(
                    io.BytesIO(file.read(end - begin)),
                    read_options=pcsv.ReadOptions(column_names=self._header, use_threads=False),
                    convert_options=pcsv.ConvertOptions(
                        column_types=self._kinds, include_columns=list(columns), strings_can_be_null=True
                    ),
                )

        return opened(f"bytes {begin} to {end} of {path}", parse)
