"""Shuffled minibatches of sources: first the blocks are shuffled, then the samples of a few.

In:  data of which some are sources, and a batch size.
Out: batches in memory, of which each epoch has every sample once.
Holds: the order depends on the seed, the blocks and the batch size alone. Two windows of blocks are in memory
at a time: one that batches are taken from, and the next, which a thread reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.data.source import Range, Source
from xpgrad.optim.batches import Batches, taker

WINDOW = 1 << 16
"""Samples that are shuffled together at least, and at least `BATCHES` batches."""

BATCHES = 8


class SourceBatches(Batches):
    """The data of a loss, cut into batches; sources by their blocks.

    Parameters
    ----------
    data, batch_size, sample_axis, seed
        As in `Batches`; a source has its own axis of the samples.
    limit : int
        Bytes of memory.

    Raises
    ------
    ShapeError
        The data differ in their number of samples, or one has none.
    DataError
        Fewer samples than ``batch_size``; a window of blocks takes more than half of the limit.
    """

    def __init__(self, data: tuple[Any, ...], batch_size: int, sample_axis: int, seed: Any, limit: int) -> None:
        self._leaves, self._structure = flatten(data)
        self._size, self._rng = batch_size, np.random.default_rng(seed)
        self._axes = [_axis(x, sample_axis) for x in self._leaves]
        shapes = [(x, a) for x, a in zip(self._leaves, self._axes, strict=True) if a is not None]
        counts = {x.shape[a] for x, a in shapes}
        if len(counts) > 1:
            got = {f"data {k}": f"{x.shape[a]} samples along axis {a}" for k, (x, a) in enumerate(shapes)}
            raise ShapeError(message("minimize: the data differ in their number of samples", got))
        (self.samples,) = counts
        if batch_size > self.samples:
            what = f"minimize: batch_size={batch_size} is more than the {self.samples} samples"
            raise DataError(message(what, remedy="leave batch_size out to use all of them in each step"))
        self._sources = [x for x in self._leaves if isinstance(x, Source)]
        self._blocks = [block for block in self._sources[0].blocks if block[1] > block[0]]
        self._wanted = max(WINDOW, BATCHES * batch_size)
        widest = min(max(end - begin for begin, end in self._blocks) + self._wanted, self.samples)
        takes = 2 * widest * sum(x.sample_bytes for x in self._sources) + sum(
            2 * x.block_bytes for x in self._sources
        )
        if takes > limit:
            raise DataError(
                message(
                    f"minimize: memory_limit of {limit / 1e6:.0f} MB is less than {takes / 1e6:.0f} MB, "
                    "which shuffling by blocks takes",
                    {"blocks": f"of up to {widest} samples, of {self._sources[0].name}"},
                    remedy="raise memory_limit, or write the files with smaller row groups",
                )
            )

    def epoch(self) -> Iterator[tuple[tuple[Any, ...], float]]:
        """Every sample once: batches, and the share of all samples that each one holds."""
        for source in self._sources:
            source.check()
        windows = self._windows()
        left: list[Any] | None = None
        with ThreadPoolExecutor(1, "xpgrad-reader") as reader:
            coming = reader.submit(self._read, windows[0])
            for k in range(len(windows)):
                arrays = coming.result()
                if k + 1 < len(windows):
                    coming = reader.submit(self._read, windows[k + 1])
                if left is not None:
                    arrays = [_joined(a, b, axis) for a, b, axis in zip(left, arrays, self._axes, strict=True)]
                count = next(x.shape[a] for x, a in zip(arrays, self._axes, strict=True) if a is not None)
                order = self._rng.permutation(count)
                last = k + 1 == len(windows)
                whole = count if last else count - count % self._size
                takers = [taker(x, axis) for x, axis in zip(arrays, self._axes, strict=True)]
                for start in range(0, whole, self._size):
                    chosen = order[start : min(start + self._size, whole)]
                    yield self._batch([take(chosen) for take in takers]), len(chosen) / self.samples
                left = [take(order[whole:]) for take in takers] if whole < count else None
        for source in self._sources:
            source.forget()

    def in_order(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        """Every sample once, as they stand, in batches like those of an epoch; the smaller one comes first."""
        whole = self.samples - self.samples % self._size
        for start in (*range(whole, self.samples, self._size), *range(0, whole, self._size)):
            stop = min(start + self._size, self.samples)
            yield self._batch(self._read([(start, stop)])), f"samples {start} to {stop - 1}"

    def _windows(self) -> list[list[Range]]:
        """The blocks in a new order, in windows of as many as are wanted."""
        windows: list[list[Range]] = [[]]
        count = 0
        for k in self._rng.permutation(len(self._blocks)):
            if count >= self._wanted:
                windows.append([])
                count = 0
            begin, end = self._blocks[k]
            windows[-1].append((begin, end))
            count += end - begin
        return windows

    def _read(self, ranges: list[Range]) -> list[Any]:
        """The samples of ranges, of each leaf."""
        bounds = np.cumsum([0, *(end - begin for begin, end in ranges)]).tolist()
        found = []
        for x, axis in zip(self._leaves, self._axes, strict=True):
            if axis is None:
                found.append(x)
            elif isinstance(x, Source):
                stored = x.stored(bounds[-1])
                for (begin, end), (a, b) in zip(ranges, pairwise(bounds), strict=True):
                    x.fill(begin, end, stored[a:b] if x.layout == "rows" else stored[..., a:b])
                found.append(x.shown(stored))
            else:
                places = np.concatenate([np.arange(begin, end) for begin, end in ranges])
                found.append(x.take(places, axis=axis))
        return found

    def _batch(self, leaves: list[Any]) -> tuple[Any, ...]:
        batch: tuple[Any, ...] = unflatten(self._structure, leaves)
        return batch


def _axis(x: Any, sample_axis: int) -> int | None:
    """The axis of the samples of a leaf; None for a number."""
    if isinstance(x, Source):
        return x.axis
    shape = getattr(x, "shape", ())
    if not shape:
        return None
    if not -len(shape) <= sample_axis < len(shape):
        raise ShapeError(message(f"minimize: not all data have the sample axis {sample_axis}", {"data": x}))
    return sample_axis % len(shape)


def _joined(a: Any, b: Any, axis: int | None) -> Any:
    return b if axis is None else np.concatenate([a, b], axis=axis)
