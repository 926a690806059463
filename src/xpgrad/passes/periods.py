"""Periods in a sequence of symbols: where a part stands many times in a row.

In:  a symbol for each node of a graph, equal for nodes with the same op, parameters and shapes.
Out: Repeats, the shortest periods first; they may overlap.
Holds: the work is linear in the number of symbols.

    a b c d c d c d e      period 2, three times, from the third symbol on
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

_WINDOWS = 3
_CANDIDATES = 16


class Repeat(NamedTuple):
    """Symbols ``start`` to ``stop`` have this period."""

    start: int
    stop: int
    period: int


def repeats(symbols: Sequence[Hashable], least: int) -> list[Repeat]:
    """The parts of ``symbols`` that stand ``least`` times in a row, or more often."""
    numbers: dict[Hashable, int] = {}
    ids = [numbers.setdefault(s, len(numbers)) for s in symbols]
    array = np.array(ids, np.int64)
    found = []
    for period in sorted(_periods(ids, least)):
        same = np.flatnonzero(np.diff(np.r_[0, array[:-period] == array[period:], 0]))
        for start, stop in zip(same[::2].tolist(), same[1::2].tolist(), strict=True):
            if stop - start >= (least - 1) * period:
                found.append(Repeat(start, stop + period, period))
    return found


def _periods(ids: list[int], least: int) -> list[int]:
    """The distances at which the same symbols, or windows of 8 and of 64, come again most often."""
    counts: Counter[int] = Counter()
    for windows in _windows(ids):
        last: dict[Any, int] = {}
        here: Counter[int] = Counter()
        for i, window in enumerate(windows):
            before = last.get(window)
            if before is not None:
                here[i - before] += 1
            last[window] = i
        counts |= here
    longest = len(ids) // least
    often = [(n, p) for p, n in counts.items() if n >= least - 1 and p <= longest]
    return [p for _, p in sorted(often, reverse=True)[:_CANDIDATES]]


def _windows(ids: list[int]) -> Iterator[list[int]]:
    """The symbols, then numbers for the windows of 8 symbols at each place, then of 64."""
    step = 1
    for _ in range(_WINDOWS):
        yield ids
        if len(ids) <= 8 * step:
            return
        numbers: dict[Any, int] = {}
        parts = [ids[k * step :] for k in range(8)]
        ids = [numbers.setdefault(window, len(numbers)) for window in zip(*parts, strict=False)]
        step *= 8
