"""The arguments of a CUDA kernel, and the lines of its text.

In:  the arrays, sizes and scalars that a kernel asks for while its text is written.
Out: KernelArgs, its list of arguments; Text; Registers, a value that is an array of registers.
Holds: sizes, strides and scalars are arguments and never stand in the text, except the lengths of unrolled
loops. The text depends on which axis of an array is contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from xpgrad.core import Value


class Pool(NamedTuple):
    """Numbers of one dtype that a kernel reads from memory."""

    dtype: type
    numbers: list[Any]


class Parameter(NamedTuple):
    """One argument: ``kind`` is ``pointer``, ``number`` (64 bits) or ``scalar`` (double or 64 bits).

    ``source`` is the Value, the number, the Pool, or the name of what the program provides.
    """

    name: str
    ctype: str
    kind: str
    source: Any


class KernelArgs:
    """The arguments of a kernel, in the order of their first use.

    Parameters
    ----------
    constants : int
        Numbers of the user's code that are arguments, at most. The others are read from memory: a loop that
        was unrolled while it was traced has thousands of numbers.
    """

    def __init__(self, constants: int) -> None:
        self._names: dict[Any, str] = {}
        self.items: list[Parameter] = []
        self._constants_left = constants
        self._pools = {"f": Pool(np.float64, []), "i": Pool(np.int64, [])}

    def _take(self, key: Any, prefix: str, ctype: str, kind: str, source: Any) -> str:
        if key not in self._names:
            name = self._names[key] = f"{prefix}{len(self.items)}"
            self.items.append(Parameter(name, ctype, kind, source))
        return self._names[key]

    def pointer(self, key: Any, ctype: str, source: Any) -> str:
        return self._take(("pointer", key), "p", f"{ctype}* __restrict__", "pointer", source)

    def number(self, key: Any, value: int) -> str:
        """A size. 0 and 1 stand in the text."""
        return str(value) if value in (0, 1) else self.size(key, value)

    def size(self, key: Any, value: int) -> str:
        """A size that a later launch may change."""
        return self._take(("number", key), "n", "long long", "number", value)

    def scalar(self, key: Any, kind: str, source: Any) -> str:
        """A Python or NumPy scalar: a Value's, or the number itself; ``kind`` is that of its dtype."""
        ctype = "double" if kind == "f" else "long long"
        if not isinstance(source, Value) and ("scalar", key) not in self._names:
            if not self._constants_left:
                pool = self._pools["f" if kind == "f" else "i"]
                pointer = self._take(("pool", pool.dtype), "p", f"const {ctype}* __restrict__", "pointer", pool)
                self._names["scalar", key] = f"{pointer}[{len(pool.numbers)}]"
                pool.numbers.append(source)
            else:
                self._constants_left -= 1
        return self._take(("scalar", key), "s", ctype, "scalar", source)

    @property
    def text(self) -> str:
        return ", ".join(f"{p.ctype} {p.name}" for p in self.items)


class Text:
    """Lines of C++, indented."""

    def __init__(self, depth: int = 1) -> None:
        self.lines: list[str] = []
        self._depth = depth
        self._count = 0

    def __call__(self, line: str) -> None:
        self.lines.append("    " * self._depth + line)

    def fresh(self, prefix: str = "v") -> str:
        """A new name."""
        self._count += 1
        return f"{prefix}{self._count}"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head {``, and the lines written inside, indented."""
        self(f"{head} {{" if head else "{")
        self._depth += 1
        yield
        self._depth -= 1
        self("}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Registers(NamedTuple):
    """A value in an array of registers: its name, and the stride of each axis there (0: no axis).

    ``stored`` is the dtype of the registers: the array's in memory, or the one that a value is computed in.
    """

    name: str
    strides: tuple[int, ...]
    stored: np.dtype[Any]


def address_of(array: Any) -> int:
    """The address of an array's first entry, for NumPy's and for a library's with ``data.ptr``."""
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr)
