"""Arithmetic of Python's numbers, with the values of NumPy's scalars.

Python raises an error at a pole and where a power overflows, and takes a fractional power of a negative
number to be complex. NumPy's scalars give inf or NaN, and warn. A derivative has poles where the function
has none, so Python's numbers follow NumPy's here: the operation is repeated with NumPy's scalars, and what
comes out is a Python number again, whose dtype gives way to that of an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# What Python raises at a pole or on overflow. (FloatingPointError is NumPy's, which the user asked for.)
POLES = (ZeroDivisionError, OverflowError)

# The ops whose implementations are Python's operators on Python's numbers, and raise these.
RAISING = frozenset(["divide", "floor_divide", "power", "reciprocal", "remainder"])

_NUMPYS = {float: np.float64, complex: np.complex128}


def by_numpy(f: Callable[..., Any], *operands: Any, **params: Any) -> Any:
    """``f(*operands)``, Python's numbers among the operands being made NumPy's scalars."""
    z = f(*[_NUMPYS[type(x)](x) if type(x) in _NUMPYS else x for x in operands], **params)
    if isinstance(z, (np.float64, np.complex128)) and not any(hasattr(x, "dtype") for x in operands):
        return z.item()
    return z


def without_poles(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` for scalars, with NumPy's value where Python's operator raises or turns complex."""

    def safe(*operands: Any) -> Any:
        try:
            z = f(*operands)
        except POLES:
            return by_numpy(f, *operands)
        return z if type(z) is not complex or complex in map(type, operands) else by_numpy(f, *operands)

    return safe


def raised(x: Any, y: Any) -> Any:
    """``x ** y``, which is NaN where it would turn complex; what raises still does."""
    z = x**y
    return z if type(z) is not complex or complex in (type(x), type(y)) else by_numpy(pow, x, y)
