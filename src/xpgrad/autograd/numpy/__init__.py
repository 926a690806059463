"""NumPy's names; ``array`` takes lists of traced numbers of any kind, and makes one traced array."""

from __future__ import annotations

from typing import Any

import numpy

from xpgrad.trace import Traced
from xpgrad.trace.functions._table import array as stacked

__all__ = [name for name in numpy.__all__ if name not in ("linalg", "fft", "random")]


def array(object: Any, *args: Any, **kwargs: Any) -> Any:
    """As NumPy's; of lists with traced numbers, one array by one op."""
    if not args and not kwargs and isinstance(object, (list, tuple)) and _any_traced(object):
        return stacked(object)
    return numpy.array(object, *args, **kwargs)


def _any_traced(x: Any) -> bool:
    return any(_any_traced(y) if isinstance(y, (list, tuple)) else type(y) is Traced for y in x)


def __getattr__(name: str) -> Any:
    return getattr(numpy, name)
