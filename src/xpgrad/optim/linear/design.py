"""The columns of a linear predictor; categories stay codes and are never expanded.

In:  numbers of shape (n, q), and a vector of n codes for each category.
Out: the predictor's operands in the form that is fastest to read, and its coefficients as one vector.
Holds: a sample is read by few joint codes. Categories with few combinations of levels share one code and one
table, so that a pass over the samples gathers and scatters less often than there are categories.

Coefficients have shape (p,), or (p, K) for K outputs: intercept, numbers, levels of each category.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from math import prod
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, ShapeError, message
from xpgrad.data.derived import Derived, Joint
from xpgrad.devices import common_device, to_device
from xpgrad.devices.door import is_source
from xpgrad.devices.sparse import is_sparse
from xpgrad.optim.linear.sparse import SparseNumbers

Group = tuple[int, ...]

# Entries of a table that stays in the L1 or L2 cache while samples gather from it, or scatter to it.
_GATHERED = 1 << 12
_SCATTERED = 1 << 16


class Design:
    """The columns of a linear predictor.

    Parameters
    ----------
    numbers : float[n, q] or sparse float[n, q], optional
        Sparse ones in compressed rows, as `xpgrad.devices.sparse.csr_on` gives them; they stay so. A source
        is read by parts, in each pass.
    codes : sequence of int[n]
        A code in ``range(levels[k])`` for each sample, of each category ``k``. Those of
        sources are not checked.
    levels : sequence of int, optional
        The number of levels of each category; by default the largest code and one more.
    intercept : bool
        Whether there is a column of ones.

    Attributes
    ----------
    size : int
        The number ``n`` of samples.
    columns : int
        The number ``p`` of coefficients.
    is_sparse : bool
        Whether ``numbers`` are `SparseNumbers`.
    is_streamed : bool
        Whether numbers or codes are sources.
    dtype : dtype
        Of the predictor: that of ``numbers``, float64 without.
    groups : tuple of tuple of int
        The categories that share a code where the predictor is computed.
    pairs : tuple of tuple of int
        Groups in which each two categories stand together at least once.

    Raises
    ------
    ShapeError
        Numbers or codes have the wrong number of axes, or of samples; there is no column.
    DTypeError
        Numbers are not real floating numbers, codes no integers.
    OutOfBoundsError
        A code is negative or at least the number of levels.
    """

    def __init__(
        self,
        numbers: Any = None,
        codes: Sequence[Any] = (),
        levels: Sequence[int] | None = None,
        *,
        intercept: bool = True,
    ) -> None:
        self.is_sparse = is_sparse(numbers)
        self.numbers: Any = SparseNumbers(numbers) if self.is_sparse else numbers
        self.codes = tuple(codes)
        self.intercept = intercept
        self.is_streamed = any(map(is_source, (numbers, *self.codes)))
        self.size = _checked(self.numbers, self.codes, levels)
        self.levels = _levels(self.codes, levels)
        self.dtype = np.dtype(np.float64) if numbers is None else numbers.dtype
        q = 0 if numbers is None else numbers.shape[1]
        bounds = np.cumsum([int(intercept), q, *self.levels])
        self.columns = int(bounds[-1])
        if not self.columns:
            raise ShapeError(message("Design: there are no columns"))
        self.of_numbers = slice(int(bounds[0]), int(bounds[1]))
        self.of_levels = [slice(int(a), int(b)) for a, b in pairwise(bounds[1:])]
        self.groups = merged(self.levels, _GATHERED)
        self.pairs = covering(self.levels, _SCATTERED) if len(self.levels) > 1 else ()
        held = numbers.data if self.is_sparse else numbers
        self.device = common_device((held, self.codes), name="design", operation="Design")
        self._joint: dict[Group, Any] = {}

    def joint(self, group: Group) -> Any:
        """One code for the categories of a group: the last one varies fastest. Kept, in few bytes."""
        if group not in self._joint:
            n = prod(self.levels[k] for k in group)
            first, *rest = group
            if is_source(self.codes[first]):
                self._joint[group] = self._joint_source(group, n)
                return self._joint[group]
            code = self.codes[first].astype(np.int64 if n > 1 << 31 else np.int32)
            for k in rest:
                code = code * self.levels[k] + self.codes[k]
            self._joint[group] = code.astype(np.min_scalar_type(max(n - 1, 0)) if n <= 1 << 16 else code.dtype)
        return self._joint[group]

    def _joint_source(self, group: Group, n: int) -> Any:
        wide = np.dtype(np.int64 if n > 1 << 31 else np.int32)
        dtype = np.min_scalar_type(max(n - 1, 0)) if n <= 1 << 16 else wide
        join = Joint(tuple(self.levels[k] for k in group), str(wide), str(dtype))
        return Derived(join, [self.codes[k] for k in group], dtype)

    def ones(self, step: int) -> Any:
        """A vector of ones on the device, with an entry for each ``step``-th sample."""
        return to_device(np.ones(len(range(0, self.size, step)), self.dtype), self.device)

    def parts(self, coef: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        """Intercept, slopes, and a table for each of ``groups``, of coefficients on the host."""
        coef = coef.astype(self.dtype)
        intercept = coef[0] if self.intercept else None
        slopes = None if self.numbers is None else coef[self.of_numbers]
        return intercept, slopes, tuple(self._table(coef, group) for group in self.groups)

    def _table(self, coef: Any, group: Group) -> Any:
        table: Any = 0
        for place, k in enumerate(group):
            effect = coef[self.of_levels[k]]
            shape = [1] * len(group)
            shape[place] = self.levels[k]
            table = table + effect.reshape(*shape, *coef.shape[1:])
        return table.reshape(-1, *coef.shape[1:])

    def joined(self, intercept: Any, slopes: Any, tables: Sequence[Any]) -> Any:
        """The transpose of `parts`: sums over the samples as one vector."""
        shape = next(
            np.shape(x)[1:] for x in (slopes, *tables, np.empty((1, *np.shape(intercept)))) if x is not None
        )
        out = np.zeros((self.columns, *shape))
        if self.intercept:
            out[0] = intercept
        if self.numbers is not None:
            out[self.of_numbers] = slopes
        for group, table in zip(self.groups, tables, strict=True):
            for k in group:
                out[self.of_levels[k]] = self.marginal(table, group, (k,))
        return out

    def marginal(self, table: Any, group: Group, kept: Group) -> Any:
        """Sums of a table over the levels of the categories of its group that are not ``kept``."""
        whole = table.reshape(*[self.levels[k] for k in group], *table.shape[1:])
        return whole.sum(axis=tuple(place for place, k in enumerate(group) if k not in kept))


def merged(levels: Sequence[int], limit: int) -> tuple[Group, ...]:
    """Split the categories into groups whose combinations of levels are at most ``limit``, or single ones.

    >>> merged((12, 7, 105, 3), 300)
    ((0, 1, 3), (2,))
    """
    groups: list[list[int]] = []
    for k in sorted(range(len(levels)), key=lambda k: -levels[k]):
        for group in groups:
            if levels[k] * prod(levels[i] for i in group) <= limit:
                group.append(k)
                break
        else:
            groups.append([k])
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def covering(levels: Sequence[int], limit: int) -> tuple[Group, ...]:
    """Groups in which each two categories stand together, of at most ``limit`` combinations or two members.

    >>> covering((12, 7, 105), 10_000)
    ((0, 1, 2),)
    """
    missing = set(combinations(range(len(levels)), 2))
    groups = []
    while missing:
        largest = min(missing, key=lambda pair: (-levels[pair[0]] * levels[pair[1]], pair))
        group: set[int] = set(largest)
        while True:
            room = limit // prod(levels[k] for k in group)
            gains = {
                k: sum(tuple(sorted((k, i))) in missing for i in group)
                for k in range(len(levels))
                if k not in group and levels[k] <= room
            }
            best = max(gains, key=lambda k: (gains[k], -levels[k], k), default=None)
            if best is None or not gains[best]:
                break
            group.add(best)
        missing -= set(combinations(sorted(group), 2))
        groups.append(tuple(sorted(group)))
    return tuple(groups)


def _checked(numbers: Any, codes: Sequence[Any], levels: Sequence[int] | None) -> int:
    """The number of samples, if numbers and codes are what they must be."""
    arrays = {"numbers": numbers} if numbers is not None else {}
    arrays |= {f"codes[{k}]": c for k, c in enumerate(codes)}
    if not arrays:
        raise ShapeError(message("Design: there are neither numbers nor codes"))
    if numbers is not None and numbers.ndim != 2:
        raise ShapeError(
            message("Design: numbers must have two axes, samples and columns", {"numbers": numbers})
        )
    if any(c.ndim != 1 for c in codes):
        raise ShapeError(message("Design: codes must be vectors", arrays))
    if len({len(x) for x in arrays.values()}) > 1:
        raise ShapeError(message("Design: numbers and codes differ in their number of samples", arrays))
    if numbers is not None and numbers.dtype not in (np.float32, np.float64):
        raise DTypeError(message("Design: numbers must be float32 or float64", {"numbers": numbers}))
    if any(c.dtype.kind not in "iu" for c in codes):
        raise DTypeError(message("Design: codes must be integers", arrays))
    if levels is not None and len(levels) != len(codes):
        raise ShapeError(message(f"Design: {len(codes)} vectors of codes, and {len(levels)} numbers of levels"))
    return len(next(iter(arrays.values())))


def _levels(codes: Sequence[Any], levels: Sequence[int] | None) -> tuple[int, ...]:
    found = []
    for k, code in enumerate(codes):
        if is_source(code):
            assert levels is not None, "the codes of a source are not looked at"
            found.append(int(levels[k]))
            continue
        least, most = (int(code.min()), int(code.max())) if len(code) else (0, -1)
        count = most + 1 if levels is None else int(levels[k])
        if least < 0 or most >= count:
            text = f"Design: codes[{k}] has codes from {least} to {most}, and {count} levels"
            raise OutOfBoundsError(message(text, {f"codes[{k}]": code}))
        found.append(count)
    return tuple(found)
