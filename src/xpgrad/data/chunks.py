"""Sources of chunks: from a function, from a Zarr array, from an array or a frame of Dask's.

In:  what gives a chunk by its number.
Out: a Source.
Holds: a chunk is checked against what it was said to be, each time that it is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.data.files import needed
from xpgrad.data.source import ChunkSource, Range, Source


def from_chunks(
    chunk: Callable[[int], Any],
    lengths: Sequence[int],
    shape: Sequence[int] = (),
    *,
    dtype: Any = float,
    name: str = "chunks",
    retries: int = 0,
) -> Source:
    """An array of samples that a function gives in chunks.

    Parameters
    ----------
    chunk : callable
        ``chunk(i) -> array`` of shape ``(lengths[i], *shape)``; the same entries each time. It may be called
        from several threads at once. On a cluster it travels by cloudpickle, and is called by the workers.
    lengths : sequence of int
        The number of samples of each chunk.
    shape : sequence of int
        The shape of one sample.
    dtype : dtype
    name : str
        For messages, and part of the digest: other data should have another name.
    retries : int
        How often a chunk is asked for again after an OSError.

    Returns
    -------
    Source
        Of shape ``(sum(lengths), *shape)``.
    """
    return _of_chunks(chunk, lengths, tuple(shape), dtype, name, ("chunks", name), retries)


def zarr(store: Any, *, retries: int = 0) -> Source:
    """A Zarr array, with its samples along the first axis; whole chunks along it are read at once.

    Parameters
    ----------
    store : path, URL, or zarr.Array
    retries : int
    """
    module = needed("zarr", "reading a Zarr array")
    try:
        array = store if isinstance(store, module.Array) else module.open_array(store, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(message(f"data: {store} cannot be opened as a Zarr array: {error}")) from error
    return _along_first(lambda begin, end: array[begin:end], array, array.chunks[0], "zarr", retries)


def dask(collection: Any, *, retries: int = 0) -> Source:
    """An array or a frame of Dask's, with its samples along the first axis; its blocks are computed when read.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame
        With known lengths of blocks along the first axis: ``frame.to_dask_array(lengths=True)``.
    retries : int
    """
    needed("dask", "reading an array of Dask's")
    array = collection.to_dask_array(lengths=True) if hasattr(collection, "to_dask_array") else collection
    lengths = array.chunks[0]
    if any(n != n for n in itertools.chain(*array.chunks)):
        remedy = "array.compute_chunk_sizes() finds them"
        raise DataError(message("data: the blocks of the array have no known lengths", remedy=remedy))
    starts = np.concatenate([[0], np.cumsum(lengths)])

    def chunk(i: int) -> Any:
        part = array[int(starts[i]) : int(starts[i + 1])]
        return part.compute(scheduler="synchronous")

    identity = ("dask", str(array.name))
    return _of_chunks(chunk, lengths, array.shape[1:], array.dtype, "dask array", identity, retries)


def _along_first(part: Callable[[int, int], Any], array: Any, step: int, kind: str, retries: int) -> Source:
    m = int(array.shape[0])
    lengths = [min(step, m - b) for b in range(0, m, step)]

    def chunk(i: int) -> Any:
        return part(i * step, min((i + 1) * step, m))

    name = str(getattr(array, "store_path", kind)).rpartition("/")[2]
    return _of_chunks(chunk, lengths, tuple(array.shape[1:]), array.dtype, name, (kind, name), retries)


def _of_chunks(
    chunk: Callable[[int], Any],
    lengths: Sequence[int],
    shape: tuple[int, ...],
    dtype: Any,
    name: str,
    identity: tuple[Any, ...],
    retries: int,
) -> Source:
    blocks: list[Range] = []
    at = 0
    for n in map(int, lengths):
        if n < 0:
            raise DataError(message(f"data: a chunk of {name} has {n} samples"))
        blocks.append((at, at + n))
        at += n
    return ChunkSource(chunk, identity, name, (at, *shape), dtype, blocks, retries=retries)
