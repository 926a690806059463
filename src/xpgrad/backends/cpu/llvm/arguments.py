"""The arguments of a kernel, and the layout of its workspace.

In:  the sizes, strides, scalars and arrays that a kernel asks for while its text is written.
Out: KernelArgs, a table of 64-bit integers; an Arena with the offset of each buffer.
Holds: sizes, strides and scalars are in the table, never in the text of a kernel. The text depends on which
axis of an array is contiguous, and on no length.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad.core import Value

_FLOAT = np.dtype(float)


class KernelArgs:
    """The arguments of a kernel: 64-bit integers, the bits of doubles, and addresses."""

    def __init__(self) -> None:
        self._index: dict[Any, int] = {}
        self.values: list[int] = []
        self.pointers: list[tuple[int, Any]] = []
        self.scalars: list[tuple[int, Any]] = []

    def number(self, key: Any, value: int) -> int:
        """The slot of a size; ``key`` identifies it."""
        index = self._index.get(key)
        if index is None:
            index = self._index[key] = len(self.values)
            self.values.append(int(value))
        return index

    def pointer(self, source: Value) -> int:
        """The slot of the address of ``source``."""
        key = ("pointer", source)
        if key not in self._index:
            self._index[key] = len(self.values)
            self.pointers.append((len(self.values), source))
            self.values.append(0)
        return self._index[key]

    def scalar(self, key: Any, source: Any) -> int:
        """The slot of a Python scalar, as a double: ``source`` is a Value or the number."""
        if key not in self._index:
            self._index[key] = len(self.values)
            self.scalars.append((len(self.values), source))
            self.values.append(0)
        return self._index[key]


def bits(x: Any) -> int:
    """The content of a scalar's slot: an integer, or the bits of a double."""
    if isinstance(x, (bool, int)) or getattr(x, "dtype", _FLOAT).kind in "biu":
        return int(x)
    return int(np.float64(x).view(np.int64))


class Arena:
    """Bytes handed out one after another, each at a multiple of 64."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, shape: Sequence[int], dtype: np.dtype[Any]) -> int:
        offset = self.size
        self.size += -(-prod(shape) * np.dtype(dtype).itemsize // 64) * 64
        return offset
