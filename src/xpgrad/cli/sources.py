"""Where a command reads from: a file, or standard input.

In:  a word of the command line; ``-`` is standard input.
Out: a Source, whose bytes can be read more than once.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xpgrad._errors import DataError, message

STDIN = "standard input"

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
# The ending that a file with such first bytes would have.
_MAGIC = (
    (b"PAR1", ".parquet"),
    (b"ARROW1", ".arrow"),
    (b"\xff\xff\xff\xff", ".arrow"),
    (b"\x1f\x8b", ".csv.gz"),
    (b"BZh", ".csv.bz2"),
    (b"\xfd7zXZ", ".csv.xz"),
    (b"PK\x03\x04", ".npz"),
)


@dataclass(frozen=True)
class Source:
    """A file, or the bytes of standard input.

    Attributes
    ----------
    path : Path
        Of standard input and pipes a name that was made up, with the ending of their format.
    content : bytes or None
        What was read already: of standard input and pipes.
    """

    path: Path
    content: bytes | None = None
    shown: str = ""

    def __str__(self) -> str:
        return self.shown or str(self.path)

    @property
    def name(self) -> str:
        """The name of the file in lower case, for its ending."""
        return self.path.name.lower()

    @property
    def compression(self) -> str | None:
        """``"gzip"``, ``"bz2"``, ``"xz"`` or ``"zip"``, as the name says."""
        return _COMPRESSIONS.get(self.path.suffix.lower())

    def open(self) -> IO[bytes]:
        """The bytes from the beginning."""
        return open(self.path, "rb") if self.content is None else io.BytesIO(self.content)


def source_of(word: str | Path) -> Source:
    """The file of this name, or with ``-`` standard input.

    Raises
    ------
    DataError
        There is no such file, or it is a folder.
    """
    if str(word) == "-":
        return _by_first_bytes(sys.stdin.buffer.read(), STDIN)
    path = Path(word)
    if path.is_dir() or not path.exists():
        got = "a folder" if path.is_dir() else "no such file"
        raise DataError(message(f"cannot read {path}", {"found": got}, at=""))
    if path.is_file():
        return Source(path)
    try:
        return _by_first_bytes(path.read_bytes(), str(path))  # a pipe, which can be read once
    except OSError as error:
        raise DataError(message(f"cannot read {path}", {"reason": str(error.strerror)}, at="")) from error


def _by_first_bytes(content: bytes, shown: str) -> Source:
    """Bytes without a name: their format is known by how they begin, and is CSV otherwise."""
    ending = next((end for magic, end in _MAGIC if content.startswith(magic)), ".csv")
    return Source(Path("-" + ending), content, shown)
