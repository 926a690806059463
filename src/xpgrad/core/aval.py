"""Abstract values: the shape and dtype of an array without its numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]

_PYTHON = {bool: np.dtype(bool), int: np.dtype(int), float: np.dtype(float), complex: np.dtype(complex)}


class Aval(NamedTuple):
    """An abstract value: ``shape`` and ``dtype``.

    ``weak`` marks a Python scalar, whose dtype gives way to that of an array (NEP 50).
    """

    shape: Shape
    dtype: np.dtype[Any]
    weak: bool = False

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def promoting(self) -> Any:
        """The argument of ``np.result_type`` for this operand: its dtype, or a Python zero if weak."""
        return self.dtype.type(0).item() if self.weak else self.dtype


def aval_of(x: Any) -> Aval:
    """The Aval of an array, a scalar, or anything with ``shape`` and ``dtype``."""
    if isinstance(x, Aval):
        return x
    python = _PYTHON.get(type(x))
    if python is not None:
        return Aval((), python, weak=True)
    return Aval(tuple(x.shape), np.dtype(x.dtype))


def is_inexact(x: Any) -> bool:
    """Whether ``x`` is a float or complex number or array: something with a derivative."""
    dtype = getattr(x, "dtype", None)
    return isinstance(x, (float, complex)) if dtype is None else dtype.kind in "fc"
