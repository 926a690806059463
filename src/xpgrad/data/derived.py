"""Sources made of others: each part is computed when it is read.

In:  sources with as many samples, and a function of their arrays.
Out: a Source.
Holds: an entry depends on its sample alone, so that the blocks are those of the first source. The function is a
value with a repr of its own, which the digest has; it travels to the workers of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.data.source import Source

STRETCH = 1 << 14
"""Samples that are computed at once: little memory beside that of a piece."""


class Derived(Source):
    """A source whose parts are computed.

    Parameters
    ----------
    function : callable
        ``function(*arrays)``, the entries for the same samples of each of ``sources``.
    sources : sequence of Source
    dtype : dtype
    shape : tuple of int, optional
        Of one sample; by default that of the first source.
    name : str, optional
    """

    def __init__(
        self,
        function: Callable[..., Any],
        sources: Sequence[Source],
        dtype: Any,
        shape: tuple[int, ...] | None = None,
        name: str = "",
    ) -> None:
        first = sources[0]
        rest = first.rest if shape is None else shape
        super().__init__(
            name or first.name,
            (first.samples, *rest),
            dtype,
            first.blocks,
            layout=first.layout if rest else "rows",
        )
        self._function, self._made_of = function, tuple(sources)

    def facts(self) -> tuple[Any, ...]:
        return repr(self._function), *(x.digest for x in self._made_of)

    def check(self) -> None:
        for source in self._made_of:
            source.check()

    def hold(self, blocks: int) -> None:
        for source in self._made_of:
            source.hold(blocks)

    def forget(self) -> None:
        for source in self._made_of:
            source.forget()

    @property
    def block_bytes(self) -> int:
        read = sum(x.sample_bytes for x in self._made_of) + self.sample_bytes
        return sum(x.block_bytes for x in self._made_of) + min(STRETCH, self.samples) * read

    def _fill(self, begin: int, end: int, out: Any) -> None:
        for at in range(begin, end, STRETCH):
            stop = min(at + STRETCH, end)
            arrays = []
            for source in self._made_of:
                stored = source.stored(stop - at)
                source.fill(at, stop, stored)
                arrays.append(source.shown(stored))
            found = self._function(*arrays)
            if self.layout == "rows":
                np.copyto(out[at - begin : stop - begin], found, casting="same_kind")
            else:
                np.copyto(out[..., at - begin : stop - begin], np.moveaxis(found, 0, -1), casting="same_kind")


@dataclass(frozen=True)
class Same:
    """The entries as they are; the dtype of the source decides."""

    def __call__(self, x: Any) -> Any:
        return x


@dataclass(frozen=True)
class Positions:
    """The position of each entry among values, which are sorted."""

    values: tuple[Any, ...]
    name: str

    def __call__(self, x: Any) -> Any:
        values = np.array(self.values)
        at = np.minimum(np.searchsorted(values, x), len(values) - 1)
        new = np.flatnonzero(values[at] != x)
        if new.size:
            raise DataError(message(f"data: {self.name} has a new value {x[new[0]]!r}; it has changed"))
        return at.astype(np.int32)


@dataclass(frozen=True)
class Joint:
    """One code for several: the last varies fastest; computed in one dtype, given in another."""

    levels: tuple[int, ...]
    wide: str
    dtype: str

    def __call__(self, first: Any, *rest: Any) -> Any:
        code = first.astype(self.wide)
        for n, other in zip(self.levels[1:], rest, strict=True):
            code = code * n + other
        return code.astype(self.dtype)


def converted(source: Source, dtype: Any) -> Source:
    """The source in a dtype, to which each part is converted."""
    if source.dtype == np.dtype(dtype):
        return source
    return Derived(Same(), [source], dtype)
