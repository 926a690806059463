"""A source of samples: an array that lies in files, of which parts are read when they are needed.

In:  where the array lies; in each reading a range of samples.
Out: their entries, in memory that the caller gives.
Holds: the same range has the same entries in each reading, or there is an error that names the file. Nothing is
read when a source is made but what tells its shape, its dtype and its blocks.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from xpgrad._errors import DataError, DTypeError, message

Range = tuple[int, int]
"""The samples from the first number up to the second, which is not among them."""

WAIT = 0.5
"""Seconds before an unreadable block is tried again; twice as many before each further time."""


class Source(NDArrayOperatorsMixin):
    """An array of samples that is read by parts.

    It stands in the place of an array in the data of `minimize`, and in the arguments of a compiled function.

    Attributes
    ----------
    name : str
        The file or the files, and the columns, for messages.
    shape : tuple of int
    dtype : dtype
    axis : int
        The axis of the samples: 0, or the last.
    layout : str
        How a part lies in memory: ``"rows"``, each sample contiguous, or ``"columns"``, each column.
    blocks : sequence of (begin, end)
        The samples of each block, which is read at once, such as a row group.
    retries : int
        How often an unreadable block is tried again.
    """

    xpgrad_source = True
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any,
        blocks: Sequence[Range],
        *,
        axis: int = 0,
        layout: str = "rows",
        retries: int = 0,
    ) -> None:
        self.name, self.shape, self.dtype = name, tuple(map(int, shape)), np.dtype(dtype)
        self.axis, self.layout, self.blocks, self.retries = (
            axis % len(self.shape),
            layout,
            tuple(blocks),
            retries,
        )
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > 8 or not self.dtype.isnative:
            what = "which are no real numbers in the byte order of this machine"
            raise DTypeError(message(f"data: {name} has entries of {self.dtype}, {what}"))

    # ── what it is ───────────────────────────────────────────────────────────────────────────
    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def samples(self) -> int:
        """The length of the axis of the samples."""
        return self.shape[self.axis]

    @property
    def rest(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (*self.shape[: self.axis], *self.shape[self.axis + 1 :])

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return int(math.prod(self.rest) * self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all samples, as arrays in memory."""
        return self.samples * self.sample_bytes

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def block_bytes(self) -> int:
        """Bytes that the largest block takes while it is read, beside the memory that it is read into."""
        return 0

    def hold(self, blocks: int) -> None:
        """Keep so many blocks while ranges are read out of them, at most."""

    @property
    def digest(self) -> str:
        """What tells this array from another: of names of columns, sizes, dtypes, and facts about each file."""
        facts = (type(self).__name__, self.shape, str(self.dtype), self.axis, self.layout, *self.facts())
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

    def facts(self) -> tuple[Any, ...]:
        """What the digest is made of beside shape and dtype; no paths or times, so that a copy has the same."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise the DataError of a file that has changed since the source was made."""

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<source {self.name}: {self.dtype}{list(self.shape)}>"

    # ── reading ──────────────────────────────────────────────────────────────────────────────
    def fill(self, begin: int, end: int, out: Any) -> None:
        """Read samples ``begin`` to ``end`` into ``out``, which has the samples first, or last for columns.

        Raises
        ------
        DataError
            A block cannot be read, or is not what it was; with its file and its samples.
        """
        for attempt in range(self.retries + 1):
            try:
                self._fill(begin, end, out)
                return
            except OSError as error:
                if attempt == self.retries:
                    tried = f", tried {attempt + 1} times" if attempt else ""
                    raise self.unreadable(begin, end, f"{error}{tried}") from error
                sleep(WAIT * 2**attempt)

    def _fill(self, begin: int, end: int, out: Any) -> None:
        raise NotImplementedError

    def read(self, begin: int = 0, end: int | None = None) -> Any:
        """Samples ``begin`` to ``end`` as an array in memory, by default all."""
        end = self.samples if end is None else end
        stored = self.stored(end - begin)
        self.check()
        self.fill(begin, end, stored)
        self.forget()
        return self.shown(stored)

    def forget(self) -> None:
        """Give up what is kept between two readings."""

    def stored(self, samples: int) -> Any:
        """Memory for so many samples, with arbitrary contents."""
        shape = (samples, *self.rest) if self.layout == "rows" else (*self.rest, samples)
        return np.empty(shape, self.dtype)

    def shown(self, stored: Any) -> Any:
        """The array that `stored` memory holds, with the axis of the samples where it belongs."""
        return np.moveaxis(stored, 0 if self.layout == "rows" else -1, self.axis)

    def strides(self, capacity: int) -> tuple[int, ...]:
        """The strides in bytes of an array in memory for ``capacity`` samples."""
        return tuple(
            self.shown(np.lib.stride_tricks.as_strided(np.empty(1, self.dtype), *self._form(capacity))).strides
        )

    def _form(self, capacity: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        shape = (capacity, *self.rest) if self.layout == "rows" else (*self.rest, capacity)
        strides, step = [], self.dtype.itemsize
        for n in reversed(shape):
            strides.append(step)
            step *= max(n, 1)
        return shape, tuple(reversed(strides))

    def unreadable(self, begin: int, end: int, why: str) -> DataError:
        """The error for samples that a file does not give, with the cause."""
        return DataError(message(f"data: samples {begin} to {end - 1} of {self.name} cannot be read: {why}"))

    # ── what it is not ───────────────────────────────────────────────────────────────────────
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._not_here("made an array of")

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        raise self._not_here(f"given to np.{ufunc.__name__}")

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise self._not_here(f"given to np.{function.__name__}")

    def __getattr__(self, attribute: str) -> Any:
        if attribute in _OF_ARRAYS:
            raise self._not_here(f"asked for .{attribute}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")

    def _not_here(self, what: str) -> DTypeError:
        return DTypeError(
            message(
                f"data: {self.name} is a source of samples, which is read by parts, and was {what}",
                {"source": self},
                remedy="compiled functions and minimize take it as it is; source.read() puts it into memory",
            )
        )


_OF_ARRAYS = frozenset("T mean sum dot reshape std var min max ravel transpose".split())


class BlockSource(Source):
    """A source whose blocks are decoded whole: a few of them are kept while ranges are read out of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begin_to_hold()

    def _begin_to_hold(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._most = 2
        self._loading: dict[int, threading.Lock] = {}
        self._starts = np.array([begin for begin, _ in self.blocks])

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: v
            for k, v in self.__dict__.items()
            if k not in ("_lock", "_held", "_loading", "_starts", "_most")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_to_hold()

    def load(self, block: int) -> Any:
        """The samples of one block."""
        raise NotImplementedError

    def take(self, loaded: Any, begin: int, end: int, out: Any) -> None:
        """Put samples ``begin`` to ``end`` of a loaded block into ``out``."""
        raise NotImplementedError

    @property
    def block_bytes(self) -> int:
        return max((end - begin for begin, end in self.blocks), default=0) * self.sample_bytes

    def hold(self, blocks: int) -> None:
        self._most = max(blocks, 1)

    def forget(self) -> None:
        with self._lock:
            self._held.clear()

    def _fill(self, begin: int, end: int, out: Any) -> None:
        at = begin
        for block in range(max(int(np.searchsorted(self._starts, begin, "right")) - 1, 0), len(self.blocks)):
            first, last = self.blocks[block]
            if last <= at:
                continue
            if first >= end:
                break
            stop = min(last, end)
            part = slice(at - begin, stop - begin)
            self.take(
                self._loaded(block),
                at - first,
                stop - first,
                out[part if self.layout == "rows" else (..., part)],
            )
            at = stop

    def _loaded(self, block: int) -> Any:
        with self._lock:
            if block in self._held:
                self._held.move_to_end(block)
                return self._held[block]
            turn = self._loading.setdefault(block, threading.Lock())
        with turn:
            with self._lock:
                if block in self._held:
                    return self._held[block]
            loaded = self.load(block)
            with self._lock:
                self._held[block] = loaded
                self._loading.pop(block, None)
                while len(self._held) > self._most:
                    self._held.popitem(last=False)
            return loaded


class ChunkSource(BlockSource):
    """A source whose blocks a function gives.

    Parameters
    ----------
    chunk : callable
        ``chunk(block) -> array``, with the samples of that block along ``axis``.
    identity : tuple
        What the digest is made of.
    """

    def __init__(
        self, chunk: Callable[[int], Any], identity: tuple[Any, ...], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._chunk, self._identity = chunk, identity

    def facts(self) -> tuple[Any, ...]:
        return (*self._identity, self.blocks)

    def load(self, block: int) -> Any:
        begin, end = self.blocks[block]
        found = np.asarray(self._chunk(block))
        expected = list(self.shape)
        expected[self.axis] = end - begin
        if found.shape != tuple(expected) or not np.can_cast(found.dtype, self.dtype, "same_kind"):
            raise DataError(
                message(
                    f"data: block {block} of {self.name} is not what it was said to be",
                    {"expected": f"{self.dtype}{expected}", "got": found},
                )
            )
        return np.moveaxis(found, self.axis, 0 if self.layout == "rows" else -1)

    def take(self, loaded: Any, begin: int, end: int, out: Any) -> None:
        out[...] = loaded[begin:end] if self.layout == "rows" else loaded[..., begin:end]


def is_source(x: Any) -> bool:
    return isinstance(x, Source)
