"""A CSV file as lines of fields; a malformed file is refused with the cause and the line.

In:  a Source, perhaps compressed; its encoding and its delimiter.
Out: the names of its columns.
Holds: the names are there, each once, and each row has as many fields as there are names. A library that
fills short rows, shifts long ones or renames a column never sees such a file.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any
from zipfile import ZipFile

from xpgrad._errors import DataError, message
from xpgrad.cli.sources import Source

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

_OPENERS: dict[str, Any] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def columns_of(path: Source, encoding: str = "utf-8-sig", delimiter: str = ",") -> list[str]:
    """The names of the columns of a CSV file, whose every line was looked at.

    Parameters
    ----------
    path : Source
        ``.csv``, or that compressed by gzip, bzip2, xz or zip.
    encoding : str
        A name that Python knows; the default is UTF-8, with a byte order mark or without.
    delimiter : str
        One character.

    Raises
    ------
    DataError
        No header, a name that is empty or there twice, a row that is longer or shorter than the header,
        a quote that is not closed, another encoding or delimiter.
    OSError, EOFError, BadZipFile, LZMAError, zlib.error
        The file cannot be read or decompressed.
    """
    with ExitStack() as files:
        raw = _opened(path, files)
        _refuse_encoding(path, encoding, raw)
        text = io.TextIOWrapper(raw, encoding=encoding, newline="")
        rows = csv.reader(_lines(path, text), delimiter=delimiter, strict=True)
        start = 1
        try:
            header = next((row for row in rows if row), None)
            _refuse_header(path, header, rows.line_num, delimiter)
            assert header is not None
            start = rows.line_num + 1
            for row in rows:
                if len(row) != len(header) and row:
                    raise _uneven(path, header, row, start, delimiter)
                start = rows.line_num + 1
        except csv.Error as error:
            raise _bad_quotes(path, start, rows.line_num, error) from error
        except UnicodeDecodeError as error:
            raise _undecodable(path, encoding, error) from error
    return header


def line_of(path: Source, row: int, encoding: str = "utf-8-sig", delimiter: str = ",") -> int | None:
    """The line in which a row of data begins, ``row`` counting from 0; None past the end.

    The file is one that `columns_of` has passed.
    """
    with ExitStack() as files:
        text = io.TextIOWrapper(_opened(path, files), encoding=encoding, newline="")
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        at, begin = -1, 1  # the header is row -1
        for fields in rows:
            if fields:
                if at == row:
                    return begin
                at += 1
            begin = rows.line_num + 1
    return None


def _opened(path: Source, files: ExitStack) -> IO[bytes]:
    """The bytes of the file, decompressed as its name says."""
    whole = files.enter_context(path.open())
    if path.compression == "zip":
        archive = files.enter_context(ZipFile(whole))
        inside = archive.namelist()
        if len(inside) != 1:
            raise DataError(
                message(f"{path} holds {len(inside)} files", {"files": ", ".join(inside[:5]) or "none"}, at="")
            )
        return files.enter_context(archive.open(inside[0]))
    if path.compression is None:
        return whole
    stream: IO[bytes] = files.enter_context(_OPENERS[path.compression](whole, "rb"))
    return stream


def _refuse_encoding(path: Source, encoding: str, raw: IO[bytes]) -> None:
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise DataError(message(f"there is no encoding {encoding!r}", at="")) from None
    begin = raw.read(256)
    raw.seek(0)
    if known.startswith(("utf-16", "utf-32")):
        return
    found = "utf-16" if begin[:2] in _UTF_16 else None
    for half, name in ((begin[1::2], "utf-16-le"), (begin[::2], "utf-16-be")):
        if found is None and half.count(0) > len(begin) // 4:  # every other byte of plain text
            found = name
    if found is not None:
        raise DataError(message(f"{path} is encoded in UTF-16", at="", remedy=f"--encoding {found}"))


def _lines(path: Source, text: IO[str]) -> Iterator[str]:
    for number, line in enumerate(text, start=1):
        if "\0" in line:
            raise DataError(
                message(f"{path} has a NUL character in line {number}, and is no text in this encoding", at="")
            )
        yield line


def _refuse_header(path: Source, header: list[str] | None, line: int, delimiter: str) -> None:
    if header is None:
        raise DataError(message(f"{path} is empty, it has not even a header", at=""))
    if len(header) == 1:
        other = next((d for d in DELIMITERS if d != delimiter and d in header[0]), None)
        if other is not None:
            raise DataError(
                message(
                    f"{path} is separated by {DELIMITERS[other]}, not by {_named(delimiter)}",
                    {"header": header[0]},
                    at="",
                    remedy=f"--delimiter {'tab' if other == chr(9) else repr(other)}",
                )
            )
    if all(_is_number(name) for name in header):
        raise DataError(
            message(
                f"{path} has numbers where the names of its columns should be",
                {f"line {line}": delimiter.join(header)},
                at="",
                remedy="begin the file with a line of names",
            )
        )
    twice = sorted({name for name in header if header.count(name) > 1 and name.strip()})
    if twice:
        where = [str(k) for k, name in enumerate(header, start=1) if name == twice[0]]
        raise DataError(
            message(
                f"{path} has two columns of the same name",
                {"name": ", ".join(map(repr, twice)), "columns": " and ".join(where), "line": str(line)},
                at="",
                remedy="rename one of them",
            )
        )
    unnamed = [k for k, name in enumerate(header, start=1) if not name.strip()]
    if unnamed:
        last = unnamed[0] == len(header)
        raise DataError(
            message(
                f"{path} has a column without a name",
                {"column": f"{unnamed[0]} of {len(header)}", f"line {line}": delimiter.join(header)},
                at="",
                remedy=f"take away {_named(delimiter)} at the end of each line"
                if last
                else "name it; if it counts the rows, save the table without it (index=False in pandas)",
            )
        )


def _uneven(path: Source, header: list[str], row: list[str], line: int, delimiter: str) -> DataError:
    """The error for a row of another length, with what may be the cause."""
    cause = None
    if len(row) == len(header) + 1 and not row[-1].strip():
        cause = f"take away {_named(delimiter)} at the end of the line"
    elif len(row) > len(header) and delimiter == ",":
        cause = "put text that holds a comma in quotes, and write numbers with a decimal point"
    kind = "longer" if len(row) > len(header) else "shorter"
    return DataError(
        message(
            f"{path} has a row that is {kind} than the header, in line {line}",
            {
                "header": f"{len(header)} fields",
                f"line {line}": f"{len(row)} fields: {_shortened(delimiter.join(row))}",
            },
            at="",
            remedy=cause,
        )
    )


def _bad_quotes(path: Source, start: int, reached: int, error: csv.Error) -> DataError:
    return DataError(
        message(
            f"{path} has a quote that is not closed, or not followed by a delimiter",
            {"row": f"begins in line {start}, read to line {reached}", "reason": str(error)},
            at="",
            remedy='a quote inside quoted text is written twice: ""',
        )
    )


def _undecodable(path: Source, encoding: str, error: UnicodeDecodeError) -> DataError:
    """The error for bytes that the encoding has no character for, with their line."""
    found = {"byte": f"0x{error.object[error.start]:02x}"}
    with ExitStack() as files:
        for number, line in enumerate(_opened(path, files), start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as first:
                found = {"found": f"byte 0x{first.object[first.start]:02x} in line {number}"}
                break
    is_default = encoding == "utf-8-sig"
    return DataError(
        message(
            f"{path} is not {'UTF-8' if is_default else encoding}",
            found,
            at="",
            remedy="--encoding latin-1, or the one that it was written in" if is_default else None,
        )
    )


def _named(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, repr(delimiter)).replace("a ", "the ", 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
