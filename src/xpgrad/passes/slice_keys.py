"""Keys of basic indices: what an index takes of each axis, and the algebra of such keys.

In:  shapes, and indices of ints, slices and Ellipsis.
Out: keys, which can be composed, compared and turned back into an index.
Holds: equal keys take the same entries. An axis that an int takes is gone from the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from xpgrad.ops.indexing import basic_axes, kept_length


class Run(NamedTuple):
    """The entries ``start, start + step, …``, ``length`` of them, of an axis that stays."""

    start: int
    step: int
    length: int


Key = tuple[int | Run, ...]
"""For each axis of an array the entry, or the `Run`, that an index takes."""


def key_of(shape: Sequence[int], index: Any) -> Key | None:
    """The key of a basic index into an array of ``shape``; None if it adds axes or has arrays."""
    parts = index if type(index) is tuple else (index,)
    if not all(p is Ellipsis or isinstance(p, (int, slice)) for p in parts) or parts.count(Ellipsis) > 1:
        return None
    found: list[int | Run] = []
    for k, axis, start, step in basic_axes(tuple(shape), index):
        if k is None:
            found.append(start)
            continue
        length = kept_length(tuple(shape), index, axis)
        found.append(Run(start if length else 0, step if length > 1 else 1, length))
    return tuple(found)


def index_of(key: Key) -> tuple[int | slice, ...]:
    """An index with this key."""
    return tuple(p if isinstance(p, int) else _slice(p) for p in key)


def _slice(p: Run) -> slice:
    if not p.length:
        return slice(0, 0)
    stop = p.start + p.step * p.length
    return slice(p.start, None if stop < 0 else stop, p.step)


def shape_of(key: Key) -> tuple[int, ...]:
    """The shape of what the key takes."""
    return tuple(p.length for p in key if not isinstance(p, int))


def size_of(key: Key) -> int:
    """The number of entries that the key takes."""
    return prod(shape_of(key))


def whole(shape: Sequence[int]) -> Key:
    """The key that takes all entries in order."""
    return tuple(Run(0, 1, n) for n in shape)


def composed(outer: Key, inner: Key) -> Key:
    """The key of ``x[outer][inner]``."""
    rest = iter(inner)
    return tuple(p if isinstance(p, int) else _part(p, next(rest)) for p in outer)


def _part(p: Run, q: int | Run) -> int | Run:
    if isinstance(q, int):
        return p.start + p.step * q
    return Run(p.start + p.step * q.start, p.step * q.step if q.length > 1 else 1, q.length)


def of_operand(key: Key, shape: Sequence[int], operand: Sequence[int]) -> Key:
    """What an operand of shape ``operand`` that is broadcast to ``shape`` gives to the entries of ``key``."""
    lead = len(shape) - len(operand)
    found: list[int | Run] = []
    for a, n in enumerate(operand):
        p = key[lead + a]
        if n == shape[lead + a]:
            found.append(p)
        else:
            found.append(0 if isinstance(p, int) else Run(0, 1, 1))
    return tuple(found)


def within(key: Key, written: Key) -> Key | None:
    """The key of the same entries in ``array[written]``; None if that has not all of them, or other axes."""
    found: list[int | Run] = []
    for p, w in zip(key, written, strict=True):
        if isinstance(w, int):
            if p != w:
                return None
            continue
        start, step, length = (p, 1, 1) if isinstance(p, int) else p
        at, off = divmod(start - w.start, w.step)
        apart, uneven = divmod(step, w.step)
        if length > 1 and uneven:
            return None
        last = at + apart * (length - 1)
        if length and (off or not (0 <= at < w.length and 0 <= last < w.length)):
            return None
        found.append(at if isinstance(p, int) else Run(at, apart if length > 1 else 1, length))
    return tuple(found)


def apart(key: Key, other: Key) -> bool:
    """True if the two keys certainly take no entry in common."""
    return any(_no_common(_range(p), _range(q)) for p, q in zip(key, other, strict=True))


def _range(p: int | Run) -> range:
    if isinstance(p, int):
        return range(p, p + 1)
    ends = sorted((p.start, p.start + p.step * (p.length - 1)))
    return range(ends[0], ends[1] + 1, abs(p.step)) if p.length else range(0)


def _no_common(a: range, b: range) -> bool:
    if not a or not b or a[-1] < b[0] or b[-1] < a[0]:
        return True
    return len(a) > 1 and len(b) > 1 and a.step == b.step and (a[0] - b[0]) % a.step != 0
