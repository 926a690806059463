"""The outputs of a program, in memory of their own.

In:  the outputs that a program computed, and its inputs; NumPy's arrays or CuPy's.
Out: the same values, in memory of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def unshared(outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """The outputs; each that would share memory with an input or an earlier output is copied."""
    bases = {id(base_of(x)) for x in inputs}
    found = []
    for x in outputs:
        if hasattr(x, "flags") and not isinstance(x, np.generic):
            if id(base_of(x)) in bases or not getattr(x.flags, "writeable", True):
                x = x.copy()
            bases.add(id(base_of(x)))
        found.append(x)
    return found


def base_of(x: Any) -> Any:
    """The array that owns the memory of ``x``."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x
