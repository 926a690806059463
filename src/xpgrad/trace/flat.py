"""The attributes ``x.flat`` and ``x.base``, and Python's rounding of a traced scalar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from xpgrad.trace.functions._table import known, whole
from xpgrad.trace.functions.elementwise import round as rounded
from xpgrad.trace.functions.shapes import reshape
from xpgrad.trace.traced import Traced
from xpgrad.trace.views import fresh, is_scalar


class Flat:
    """The entries of a traced array in the order of a flat one; writing to them writes to the array."""

    __slots__ = ("base",)

    def __init__(self, base: Any) -> None:
        self.base = base

    def copy(self) -> Any:
        return fresh(reshape(self.base.snapshot(), -1))

    def __len__(self) -> int:
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.copy())

    def __getitem__(self, index: Any) -> Any:
        return fresh(self.copy()[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        at = np.arange(self.base.size)[index].reshape(-1)
        value = reshape(whole(value), -1)
        if at.size and value.shape[0]:
            self.base[np.unravel_index(at, self.base.shape)] = value[np.arange(at.size) % value.shape[0]]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.copy().__array__(dtype, copy)


def _write_flat(self: Any, value: Any) -> None:
    Flat(self)[:] = value


def _base(self: Any) -> Any:
    return None if self._view is None else self._view.base


def _round(self: Any, ndigits: Any = None) -> Any:
    """A whole number, which no small change moves; with digits a traced one, of derivative 0."""
    if not is_scalar(self):
        raise TypeError("round() of an array; np.round rounds its entries")
    return round(known(self, "round()")) if ndigits is None else rounded(self, ndigits)


def install() -> None:
    """Give `Traced` these attributes.

    Not ``__floor__`` and its kin, by which `np.floor` would make integers of lists, where it gives floats.
    """
    methods: dict[str, Any] = {"flat": property(Flat, _write_flat), "base": property(_base)}
    methods |= {"__round__": _round}
    for name, method in methods.items():
        setattr(Traced, name, method)


install()
