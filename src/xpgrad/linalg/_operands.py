"""Operands of linear algebra: arrays of floats, and square matrices of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import aval_of
from xpgrad.ops import linalg as la
from xpgrad.ops.shape import astype, concatenate
from xpgrad.trace.functions._table import array


def floats(x: Any) -> Any:
    """``x`` as an array of floats."""
    x = array(x)
    x = x if hasattr(x, "shape") else np.asarray(x)
    return x if aval_of(x).dtype.kind in "fc" else astype(x, dtype=np.dtype(np.float64))


def square(name: str, x: Any) -> Any:
    """``x`` as an array of square matrices of floats."""
    x = floats(x)
    la.square(name, aval_of(x))
    return x


def joined(*xs: Any) -> Any:
    """Arrays of as many axes, one after the other along the last."""
    return concatenate(*xs, axis=len(xs[0].shape) - 1)
