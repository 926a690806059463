"""Reading ahead in bounded memory: threads read pieces while earlier ones are computed.

In:  sources with as many samples, and the pieces of a pass in the order in which they will be wanted.
Out: for each piece the memory with its samples, one for each source.
Holds: buffers, decoded blocks and kept pieces together take at most the limit. A piece that nobody has begun to
read is read by the thread that wants it, so that a wait always ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from time import perf_counter
from typing import Any, NamedTuple

from xpgrad._errors import DataError, message
from xpgrad.data.memory import limit_of
from xpgrad.data.source import Source

PIECE = 16 << 20
"""Bytes of a piece of all sources together, about: its reading takes long beside the start of one."""

READERS = 2

_WORTH = 3.0
"""A piece takes the place of kept ones that cost so many times less to read, for each byte."""


class Piece(NamedTuple):
    """Samples that are read at once."""

    begin: int
    end: int


class Kept:
    """Pieces that stay in memory between two passes: those that cost most to read, by their bytes.

    Parameters
    ----------
    memory_limit : int, str or None
        As in `minimize`.

    Attributes
    ----------
    limit : int
        Bytes for all that is read.
    """

    def __init__(self, memory_limit: Any) -> None:
        self.limit = limit_of(memory_limit)
        self._budget = 0
        self._held: dict[Any, tuple[Sequence[Source], Any, int, float]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def leave(self, reserved: int) -> None:
        """Keep no more than the limit without what a pass takes."""
        with self._lock:
            self._budget = self.limit - reserved
            while self._bytes > self._budget and self._held:
                self._drop(min(self._held, key=lambda k: self._held[k][3]))

    def find(self, key: Any) -> Any:
        found = self._held.get(key)
        return None if found is None else found[1]

    def offer(self, key: Any, sources: Sequence[Source], stored: Any, size: int, seconds: float) -> bool:
        """Whether a piece of ``size`` bytes, which took so long to read, is kept."""
        cost = seconds / max(size, 1)
        with self._lock:
            if self._bytes + size > self._budget:
                cheap = sorted((c, k) for k, (_, _, _, c) in self._held.items() if c * _WORTH < cost)
                gain = self._budget - self._bytes
                leaving = []
                for _, k in cheap:
                    if gain >= size:
                        break
                    gain += self._held[k][2]
                    leaving.append(k)
                if gain < size:
                    return False
                for k in leaving:
                    self._drop(k)
            self._held[key] = sources, stored, size, cost
            self._bytes += size
            return True

    def _drop(self, key: Any) -> None:
        self._bytes -= self._held.pop(key)[2]


class Pass:
    """One pass over sources: a context in which pieces are taken and given back.

    Parameters
    ----------
    sources : sequence of Source
    capacity : int
        Samples of the longest piece: the memory of each has room for so many.
    pieces : sequence of Piece
        In the order in which they will be wanted.
    lanes : int
        Threads that want pieces at a time, at most.
    kept : Kept

    Raises
    ------
    DataError
        The limit is less than what one piece and one block of each source take.

    Attributes
    ----------
    lanes : int
        As many as the memory is enough for.
    """

    def __init__(
        self, sources: Sequence[Source], capacity: int, pieces: Sequence[Piece], lanes: int, kept: Kept
    ) -> None:
        self._sources, self._capacity, self._kept = sources, capacity, kept
        self._each = capacity * sum(x.sample_bytes for x in sources)
        one_of_each = sum(x.block_bytes for x in sources)
        halves = [lanes >> k for k in range(lanes.bit_length() - 1)]
        for self.lanes, ahead in (*((n, n + 1) for n in halves), (1, 2), (1, 1), (1, 0)):
            # A thread goes from one block to the next; and each reader may have one that is being decoded.
            blocks = 2 * self.lanes
            reserved = (blocks + min(READERS, ahead)) * one_of_each + (self.lanes + ahead) * self._each
            if reserved <= kept.limit:
                break
        else:
            raise self._too_little(reserved)
        kept.leave(reserved)
        for source in sources:
            source.hold(blocks)
        self._ahead = ahead
        self._next = iter([piece for piece in pieces if not self._has(piece)])
        self._free: list[list[Any]] = []
        self._begun: dict[Piece, Future[Any]] = {}
        self._lock = threading.Lock()
        self._readers: ThreadPoolExecutor | None = None

    def _too_little(self, reserved: int) -> DataError:
        widest = max(self._sources, key=lambda x: x.block_bytes)
        blocks = f"{2 * widest.block_bytes / 1e6:.0f} MB for two blocks of {widest.name}"
        return DataError(
            message(
                f"memory_limit of {self._kept.limit / 1e6:.0f} MB is less than reading takes",
                {"needed": f"{reserved / 1e6:.0f} MB: {self._each / 1e6:.0f} MB for a piece, {blocks}"},
                remedy="raise memory_limit, or write the files with smaller row groups",
            )
        )

    def __enter__(self) -> Pass:
        for source in self._sources:
            source.check()
        for _ in range(self._ahead):
            self._begin_next()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._readers is not None:
            self._readers.shutdown(wait=True, cancel_futures=True)
        for source in self._sources:
            source.forget()

    def take(self, piece: Piece) -> list[Any]:
        """The memory with the samples of ``piece``, for each source; it is given back by `give`."""
        with self._lock:
            begun = self._begun.pop(piece, None)
        found = self._found(piece)
        if found is not None:
            return found
        if begun is None or begun.cancel():
            return self._read(piece)
        buffers: list[Any] = begun.result()
        return buffers

    def give(self, piece: Piece, buffers: list[Any]) -> None:
        """Give the memory of a piece back."""
        if self._found(piece) is not buffers:
            with self._lock:
                self._free.append(buffers)
        self._begin_next()

    # ── what threads do ──────────────────────────────────────────────────────────────────────
    def _key(self, piece: Piece) -> Any:
        return piece, self._capacity, tuple(map(id, self._sources))

    def _has(self, piece: Piece) -> bool:
        return self._kept.find(self._key(piece)) is not None

    def _found(self, piece: Piece) -> list[Any] | None:
        found: list[Any] | None = self._kept.find(self._key(piece))
        return found

    def _begin_next(self) -> None:
        with self._lock:
            if len(self._begun) >= self._ahead:
                return
            piece = next(self._next, None)
            if piece is None:
                return
            if self._readers is None:
                self._readers = ThreadPoolExecutor(READERS, "xpgrad-reader")
            self._begun[piece] = self._readers.submit(self._read, piece)

    def _read(self, piece: Piece) -> list[Any]:
        with self._lock:
            buffers = self._free.pop() if self._free else None
        if buffers is None:
            buffers = [x.stored(self._capacity) for x in self._sources]
        start = perf_counter()
        n = piece.end - piece.begin
        for source, stored in zip(self._sources, buffers, strict=True):
            source.fill(piece.begin, piece.end, stored[:n] if source.layout == "rows" else stored[..., :n])
        seconds = perf_counter() - start
        size = sum(prod(x.shape) * x.itemsize for x in buffers)
        self._kept.offer(self._key(piece), self._sources, buffers, size, seconds)
        return buffers


def in_order(sources: Sequence[Source], kept: Kept, multiple: int = 1) -> Iterator[tuple[int, int, list[Any]]]:
    """Read all samples in order: first and last number, and the arrays of each source, until the next is read.

    Parameters
    ----------
    sources : sequence of Source
    kept : Kept
    multiple : int
        Samples of which each piece but the last has a whole number of times as many.

    Raises
    ------
    DataError
        As for a `Pass`.
    """
    each, samples = max(sum(x.sample_bytes for x in sources), 1), sources[0].samples
    capacity = max(PIECE // each // multiple, 1) * multiple
    pieces = [Piece(b, min(b + capacity, samples)) for b in range(0, samples, capacity)]
    with Pass(sources, min(capacity, max(samples, 1)), pieces, 1, kept) as read:
        for piece in pieces:
            buffers, n = read.take(piece), piece.end - piece.begin
            parts = [x[:n] if s.layout == "rows" else x[..., :n] for s, x in zip(sources, buffers, strict=True)]
            yield piece.begin, piece.end, [s.shown(x) for s, x in zip(sources, parts, strict=True)]
            read.give(piece, buffers)
