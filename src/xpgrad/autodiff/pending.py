"""Deferred products and quotients of a large cotangent, computed in place and block by block.

In:  an array that the sweep alone holds, and the steps of rules (`ops/_steps.py`), one after another.
Out: the array after all steps, which are computed in place, a block at a time while it is in cache.
Holds: the array is written to by `settle` alone; numbers are gathered into one factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.ops._steps import Slot

# Entries of a block: a few such blocks of float64 fit the L2 cache of a core.
_BLOCK = 1 << 15


class Pending:
    """The cotangent ``factor * array``, times and over the arrays of ``steps``."""

    __slots__ = ("array", "factor", "steps")

    def __init__(self, array: Any) -> None:
        self.array = array
        self.factor: Any = 1
        self.steps: list[tuple[str, Any]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def then(self, steps: Sequence[tuple[str, Any]], saved: Sequence[Any]) -> bool:
        """Defer the steps of one rule, if the array can hold their result; returns whether it does."""
        array = self.array
        found = []
        factor = self.factor
        for name, slot in steps:
            y = saved[slot.index] if type(slot) is Slot else slot
            if y is None:
                factor = -factor
            elif isinstance(y, SCALAR_TYPES) and aval_of(y).dtype.kind != "c":
                if name == "divide" and y == 0:
                    return False
                factor = factor * y if name == "multiply" else factor / y
                if not _in_range(factor, array.dtype):
                    return False
            elif type(y) is type(array) and y.shape == array.shape and y.dtype == array.dtype:
                found.append((name, y))
            else:
                return False
        self.factor = factor
        self.steps += found
        return True

    def settle(self) -> Any:
        """Compute all steps; returns the array."""
        array, factor = self.array, self.factor
        if not self.steps:
            if factor != 1:
                array *= factor
            return array
        operands = [y for _, y in self.steps]
        in_blocks = type(array) is np.ndarray and all(x.flags.c_contiguous for x in (array, *operands))
        if not in_blocks:  # on a GPU each block would be a kernel of its own
            _apply_in_place(array, self.steps, factor)
            return array
        flat = array.reshape(-1)
        steps = [(name, y.reshape(-1)) for name, y in self.steps]
        for start in range(0, flat.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            _apply_in_place(flat[block], [(name, y[block]) for name, y in steps], factor)
        return array


def _in_range(factor: Any, dtype: Any) -> bool:
    """Whether ``factor`` has all its digits in ``dtype``: not over, under or beside its normal numbers."""
    limits = np.finfo(dtype)
    return bool(limits.tiny <= abs(factor) <= limits.max)


def _apply_in_place(x: Any, steps: Sequence[tuple[str, Any]], factor: Any) -> None:
    for name, y in steps:
        if name == "multiply":
            x *= y
        else:
            x /= y
    if factor != 1:
        x *= factor
