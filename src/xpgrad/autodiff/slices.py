"""Cotangents of slices of one value, summed in one op.

In:  cotangents of slices of one Value, as a sweep finds them.
Out: the cotangent of the Value.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Value
from xpgrad.ops.indexing import scatter_add, scatter_sum


class Slices:
    """Cotangents of slices of one Value, not yet summed."""

    __slots__ = ("gs", "indices", "value")

    def __init__(self, value: Value) -> None:
        self.value = value
        self.gs: list[Any] = []
        self.indices: list[Any] = []

    def take(self, g: Any, index: Any) -> None:
        self.gs.append(g)
        self.indices.append(index)

    def settle(self) -> Any:
        """The whole cotangent, recorded as one op."""
        value = self.value
        if len(self.gs) == 1:
            return scatter_add(self.gs[0], index=self.indices[0], shape=value.shape)
        return scatter_sum(*self.gs, indices=tuple(self.indices), shape=value.shape, dtype=value.dtype)
