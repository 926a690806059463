"""Where the values of a step lie while it runs, and the numbers that its kernel is told.

In:  the nests of a step, and the arrays that it reads.
Out: a Storage for each value that has to lie in memory; Slots, the arguments of the kernel.
Holds: sizes, strides and scalars stand in slots, never in the text of a kernel. The text depends on which
axis of an array is contiguous, and on no length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.cpu.llvm.scalars import stored_type
from xpgrad.core import Value


class Slots:
    """The arguments of a kernel: 64-bit integers, the bits of doubles, and addresses."""

    def __init__(self) -> None:
        self._index: dict[Any, int] = {}
        self.values: list[int] = []
        self.pointers: list[tuple[int, Value]] = []
        self.scalars: list[tuple[int, Any]] = []

    def number(self, key: Any, value: int) -> int:
        """The slot of a size; ``key`` says what it is the size of."""
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
    """A scalar as what its slot holds: an integer, or the bits of a double."""
    if isinstance(x, (bool, int, np.bool_, np.integer)):
        return int(x)
    return int(np.float64(x).view(np.int64))


@dataclass(eq=False)
class Storage:
    """An array of the step.

    Attributes
    ----------
    kind : str
        ``memory`` (read), ``out`` (made here, read later), ``partial`` (sums of a chunk, in wide
        types) or ``buffer`` (of one tile).
    dtype : dtype
    shape : tuple of int
    strides : tuple of int
        In entries.
    order : tuple of int
        The axes, outermost first.
    slot : int
        Of its address; for partials and buffers of the offset in bytes.
    """

    kind: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    slot: int
    offset: int = 0

    @property
    def unit(self) -> int | None:
        """The axis whose neighbours are neighbours in memory."""
        for a, (n, s) in enumerate(zip(self.shape, self.strides, strict=True)):
            if n != 1 and s == 1:
                return a
        return None

    @property
    def ctype(self) -> str:
        found = stored_type(self.dtype)
        assert found is not None
        return found


def strides_for(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Strides, in entries, of an array whose axes follow ``order``, the last one contiguous."""
    strides = [0] * len(shape)
    step = 1
    for a in reversed(order):
        strides[a] = step
        step *= max(shape[a], 1)
    return tuple(strides)


class Arena:
    """Bytes handed out one after another, each at a multiple of 64."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, shape: Sequence[int], dtype: np.dtype[Any]) -> int:
        offset = self.size
        self.size += -(-prod(shape) * np.dtype(dtype).itemsize // 64) * 64
        return offset
