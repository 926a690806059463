"""Guards for the numbers of an array that a function closes over.

In:  an array, when it is traced.
Out: whether it still has the same numbers.
Holds: every byte is compared, at the speed of memory, so a write through any view is found.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np

from xpgrad.backends.cpu.pool import run_chunks, thread_count
from xpgrad.compiler.guards import _Left, _left, equal

_CHUNK = 1 << 20  # bytes
_SMALL = 1 << 12  # bytes that are compared faster by Python

_memcmp: Any = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memcmp.restype = ctypes.c_int


class Numbers:
    """An array with a copy of its numbers."""

    own = False
    __slots__ = ("_copy", "_form", "_where", "owner")

    def __init__(self, x: Any) -> None:
        self.owner = x
        self._form = _form(x)
        plain = np.asarray(x)
        self._where: tuple[int, int, int] | None = None
        if plain.dtype.hasobject:
            self._copy: Any = list(plain.flat)
        elif plain.nbytes <= _SMALL or not (plain.flags.c_contiguous or plain.flags.f_contiguous):
            self._copy = plain.tobytes() if plain.nbytes <= _SMALL else plain.copy(order="K")
        else:
            self._copy = plain.copy(order="K")
            self._where = plain.ctypes.data, self._copy.ctypes.data, plain.nbytes

    def same(self) -> bool:
        x = self.owner
        if _form(x) != self._form:
            return False
        if self._where is not None:
            return self._same_bytes(*self._where)
        plain = np.asarray(x)
        if isinstance(self._copy, list):
            return all(map(equal, plain.flat, self._copy))
        if isinstance(self._copy, bytes):
            return plain.tobytes() == self._copy
        return _equal_bits(plain, self._copy)

    @staticmethod
    def _same_bytes(here: int, there: int, size: int) -> bool:
        if size <= _CHUNK:
            return not _memcmp(here, there, size)
        differs: list[int] = []

        def chunk(k: int, _worker: int) -> None:
            start = k * _CHUNK
            if not differs and _memcmp(here + start, there + start, min(_CHUNK, size - start)):
                differs.append(k)

        run_chunks(chunk, -(-size // _CHUNK), thread_count(None))
        return not differs

    def left(self) -> _Left:
        x = self.owner
        return _left(("array", id(x)), lambda: (str(_form(x)), np.asarray(x).tobytes()), x)


class Read:
    """An array of another library, by the numbers that NumPy reads from it."""

    own = False
    __slots__ = ("_seen", "owner")

    def __init__(self, x: Any) -> None:
        self.owner, self._seen = x, _read(x)

    def same(self) -> bool:
        return equal(_read(self.owner), self._seen)

    def left(self) -> _Left:
        x = self.owner
        return _left(("read", id(x)), lambda: _read(x), x)


def _read(x: Any) -> Any:
    """The numbers that a use of ``x`` would read; none if the door for data refuses it."""
    try:
        plain = np.asarray(x)
    except Exception:
        return None
    return (plain.shape, str(plain.dtype), None if plain.dtype.hasobject else plain.tobytes())


class OnDevice:
    """An array on a GPU with a copy of its numbers, which stays there."""

    own = False
    __slots__ = ("_copy", "_form", "owner")

    def __init__(self, x: Any) -> None:
        self.owner, self._form, self._copy = x, _form(x), x.copy()

    def same(self) -> bool:
        x = self.owner
        if _form(x) != self._form:
            return False
        return bool(((x == self._copy) | ((x != x) & (self._copy != self._copy))).all())

    def left(self) -> _Left:
        self._copy = self.owner.copy()
        return self  # type: ignore[return-value]


def _form(x: Any) -> Any:
    return (
        x.shape,
        x.dtype,
        x.strides,
        x.ctypes.data if isinstance(x, np.ndarray) and x.nbytes > _SMALL else None,
    )


def _equal_bits(a: Any, b: Any) -> bool:
    """Whether two arrays in any layout have the same bits, block by block."""
    if a.ndim > 1 and a.nbytes > _CHUNK:
        return all(map(_equal_bits, a, b))
    return bool(a.tobytes() == b.tobytes())
