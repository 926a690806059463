"""Shuffled minibatches along the axis of the samples.

In:  the data of a loss, on their device.
Out: batches, each with its share of the samples.
Holds: an epoch has every sample exactly once; the order depends on the seed and the number of
samples alone, so that it is the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad._trees import flatten, paths, unflatten
from xpgrad.devices import device_of, namespace, to_device
from xpgrad.devices.door import is_source

COPIED = 1 << 30
"""The most bytes of an array of which a fit keeps a copy with samples in rows."""


def check_not_empty(data: tuple[Any, ...], sample_axis: int) -> None:
    """Refuse data without samples, before a mean over them makes NaN.

    Raises
    ------
    DataError
        An array has length 0 along the sample axis, or all of them are empty.
    """
    arrays = _arrays(data)
    axes = {name: x.axis if is_source(x) else sample_axis for name, x in arrays.items()}
    without = {
        name: x for name, x in arrays.items() if -x.ndim <= axes[name] < x.ndim and x.shape[axes[name]] == 0
    }
    if arrays and not without and all(0 in x.shape for x in arrays.values()):
        without = arrays
    if without:
        raise DataError(message("minimize: the data hold no samples", without))


class Batches:
    """The data of a loss, cut along the sample axis.

    Parameters
    ----------
    data : tuple of trees
        Scalars and arrays without axes go into every batch as they are.
    batch_size : int
        The last batch of an epoch has what is left.
    sample_axis : int
        The axis of every array that counts the samples.
    seed : int
        The seed of the order of the samples, which is drawn anew for each epoch.

    Raises
    ------
    ShapeError
        The arrays differ in their number of samples, or one has no such axis.
    DataError
        There are no arrays, or fewer samples than ``batch_size``.
    """

    def __init__(self, data: tuple[Any, ...], batch_size: int, sample_axis: int, seed: Any) -> None:
        self._leaves, self._structure = flatten(data)
        self._axis = sample_axis
        self._size = batch_size
        self._rng = np.random.default_rng(seed)
        self._device = device_of(data)
        self.samples = _samples(data, sample_axis)
        if batch_size > self.samples:
            raise DataError(
                message(
                    f"minimize: batch_size={batch_size} is more than the {self.samples} samples "
                    f"along axis {sample_axis}",
                    _arrays(data),
                    remedy="leave batch_size out to use all of them in each step",
                )
            )

        self._takers = [taker(x, sample_axis) for x in self._leaves]
        self._is_flat = len(data) == len(self._leaves) and all(map(is_, data, self._leaves))

    def epoch(self) -> Iterator[tuple[tuple[Any, ...], float]]:
        """Every sample once: batches, and the share of all samples that each one holds."""
        order = to_device(self._rng.permutation(self.samples), self._device)
        for start in range(0, self.samples, self._size):
            chosen = order[start : start + self._size]
            yield self._taken(chosen), len(chosen) / self.samples

    def words(self) -> Any:
        """The state of the generator that draws the orders, uint64[10], from which `begin_at` goes on."""
        state = self._rng.bit_generator.state
        long = [state["state"]["state"], state["state"]["inc"]]
        words = [x >> shift & 0xFFFFFFFF for x in long for shift in (0, 32, 64, 96)]
        return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)

    def begin_at(self, words: Any) -> None:
        """Draw the next orders as the generator that was in this state."""
        state, inc = (sum(int(w) << 32 * i for i, w in enumerate(part)) for part in (words[:4], words[4:8]))
        self._rng.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc},
            "has_uint32": int(words[8]),
            "uinteger": int(words[9]),
        }

    def in_order(self) -> Iterator[tuple[tuple[Any, ...], str]]:
        """Every sample once, as they stand, in batches like those of an epoch, and which samples each holds.

        The smaller one comes first.
        """
        xp = namespace(self._device)
        whole = self.samples - self.samples % self._size
        for start in (*range(whole, self.samples, self._size), *range(0, whole, self._size)):
            stop = min(start + self._size, self.samples)
            yield self._taken(xp.arange(start, stop)), f"samples {start} to {stop - 1}"

    def _taken(self, chosen: Any) -> tuple[Any, ...]:
        leaves = [taken(chosen) for taken in self._takers]
        batch: tuple[Any, ...] = tuple(leaves) if self._is_flat else unflatten(self._structure, leaves)
        return batch


def taker(x: Any, axis: int | None) -> Callable[[Any], Any]:
    """The function that gathers the chosen samples of a leaf of the data."""
    if axis is None or not _is_array(x):
        return lambda chosen: x
    rows = _rows(x, axis)
    if rows is None:
        return lambda chosen: x.take(chosen, axis=axis)
    take, axes = rows[0].take, rows[1]
    if (
        axes == tuple(range(x.ndim))[::-1]
    ):  # "clip" does not look at the indices twice; they are within the axis
        return lambda chosen: take(chosen, 0, None, "clip").T
    return lambda chosen: take(chosen, axis=0, mode="clip").transpose(axes)


def _rows(x: Any, axis: int) -> tuple[Any, tuple[int, ...]] | None:
    """An array of NumPy's with samples in rows, each of them contiguous, and the axes that undo the move.

    Rows are gathered several times as fast as columns, of which each entry is in a cache line of its own. Where
    they are not contiguous they are copied once, unless that takes more than `COPIED` bytes.
    """
    if type(x) is not np.ndarray or not x.ndim:
        return None
    moved = np.moveaxis(x, axis, 0)
    if not moved.flags.c_contiguous:
        if x.nbytes > COPIED:
            return None
        moved = np.ascontiguousarray(moved)
    back = list(range(1, x.ndim))
    back.insert(axis % x.ndim, 0)
    return moved, tuple(back)


def _samples(data: tuple[Any, ...], axis: int) -> int:
    arrays = _arrays(data)
    if not arrays:
        raise DataError(message("minimize: batch_size is given, but there are no data to cut into batches"))
    if any(not -x.ndim <= axis < x.ndim for x in arrays.values()):
        raise ShapeError(message(f"minimize: not all data have the sample axis {axis}", arrays))
    counts = dict.fromkeys(x.shape[axis] for x in arrays.values())
    if len(counts) == 1:
        return int(next(iter(counts)))
    rows = {x.shape[0] for x in arrays.values()}
    raise ShapeError(
        message(
            f"minimize: the data differ in their number of samples along axis {axis}: "
            + " and ".join(map(str, counts)),
            arrays,
            remedy="if the samples are in rows, write sample_axis=0" if len(rows) == 1 and axis != 0 else None,
        )
    )


def _arrays(data: tuple[Any, ...]) -> dict[str, Any]:
    """The arrays with axes, by how Python would write the way to them."""
    leaves = flatten(data)[0]
    return {f"data{path}": x for path, x in zip(paths(data), leaves, strict=True) if _is_array(x)}


def _is_array(x: Any) -> bool:
    return bool(getattr(x, "shape", ()))
