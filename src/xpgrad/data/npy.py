"""Sources of `.npy` files: samples are read straight into memory, without a map of the file.

A mapped file that another process cuts short ends this one with SIGBUS. A reading that comes short is an error
with a name.
"""

from __future__ import annotations

import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.data.source import Source

BLOCK = 8 << 20
"""Bytes of what is called a block: the file can be read from any sample."""

_LOOKED_AT, _PIECE = 64, 4096  # pieces of the file that the digest looks at, and bytes of each


def npy(path: Any, *, axis: int = 0, retries: int = 0) -> Source:
    """An array in a ``.npy`` file, which is read by parts.

    Parameters
    ----------
    path : path
        The file. It holds real numbers in the byte order of the machine.
    axis : int
        The axis of the samples: 0 for samples in rows, -1 for samples in columns.
    retries : int
        How often an unreadable part is tried again, after 0.5 s, then after twice as long each.

    Returns
    -------
    Source
        Of the shape and the dtype of the array.

    Raises
    ------
    DataError
        The file cannot be read, is no such array, or is shorter than its header says.
    DTypeError
        Its entries are no real numbers.
    """
    return NpySource(os.fspath(path), axis, retries)


class NpySource(Source):
    """The array in one ``.npy`` file."""

    def __init__(self, path: str, axis: int, retries: int) -> None:
        self.path = os.path.abspath(path)
        shape, fortran, dtype, self._start = _header(self.path)
        if not shape or axis not in (0, -1, len(shape) - 1):
            wanted = "the axis of the samples is 0 or the last"
            raise DataError(message(f"data: {Path(path).name}: {wanted}, got axis={axis} of {list(shape)}"))
        if fortran and len(shape) > 2:
            raise DataError(
                message(
                    f"data: {Path(path).name} is in Fortran order and has {len(shape)} axes",
                    remedy="save it in C order: np.save(path, np.ascontiguousarray(x))",
                )
            )
        outermost = (axis % len(shape) == 0) != (fortran and len(shape) == 2)
        per = max(BLOCK // max(prod(shape) // max(shape[axis], 1) * dtype.itemsize, 1), 1)
        m = shape[axis]
        blocks = [(b, min(b + per, m)) for b in range(0, m, per)]
        layout = "rows" if outermost or len(shape) == 1 else "columns"
        super().__init__(Path(path).name, shape, dtype, blocks, axis=axis, layout=layout, retries=retries)
        self._stamp = _stamp(self.path)
        if os.path.getsize(self.path) < self._start + self.nbytes:
            got = f"{os.path.getsize(self.path)} bytes, and {self._start + self.nbytes} by its header"
            raise DataError(message(f"data: {self.name} is shorter than its header says", {"got": got}))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stamp = _stamp(self.path)  # the digest says whether it is the same file

    def facts(self) -> tuple[Any, ...]:
        size = os.path.getsize(self.path)
        checksum = 0
        with open(self.path, "rb", buffering=0) as file:
            for at in np.unique(
                np.linspace(self._start, max(size - _PIECE, self._start), _LOOKED_AT).astype(int)
            ):
                checksum = zlib.crc32(os.pread(file.fileno(), _PIECE, int(at)), checksum)
        return size, checksum

    def check(self) -> None:
        now = _stamp(self.path)
        if now != self._stamp:
            raise DataError(
                message(f"data: {self.name} has changed since it was opened", remedy="open the source again")
            )

    def _fill(self, begin: int, end: int, out: Any) -> None:
        with open(self.path, "rb", buffering=0) as file:
            if self.layout == "rows":
                self._into(file, self._start + begin * self.sample_bytes, out)
                return
            size = self.dtype.itemsize
            for k, column in enumerate(
                out.reshape(-1, end - begin) if out.flags.c_contiguous else _columns(out)
            ):
                self._into(file, self._start + (k * self.samples + begin) * size, column)

    def _into(self, file: Any, at: int, out: Any) -> None:
        view = memoryview(out).cast("B")
        while len(view):
            n = os.preadv(file.fileno(), [view], at)
            if n <= 0:
                raise DataError(message(f"data: {self.name} ends before its header says; it has changed"))
            view, at = view[n:], at + n


def _columns(out: Any) -> Any:
    return [out[i] for i in np.ndindex(out.shape[:-1])]


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataError(message(f"data: {Path(path).name} cannot be read: {error}")) from error
    return found.st_size, found.st_mtime_ns, found.st_ino


def _header(path: str) -> tuple[tuple[int, ...], bool, Any, int]:
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
            return shape, fortran, dtype, file.tell()
    except OSError as error:
        raise DataError(message(f"data: {path} cannot be read: {error}")) from error
    except ValueError as error:
        raise DataError(message(f"data: {Path(path).name} is no .npy file, or is damaged ({error})")) from error
