"""Python's own containers, and the types of what traced arrays stand for."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from xpgrad.trace import Traced, strip

tuple, list, dict = builtins.tuple, builtins.list, builtins.dict


def type(x: Any) -> builtins.type:
    """The type of ``x``; of a traced array that of the array or number that it stands for."""
    plain = strip(x)
    return np.ndarray if builtins.type(plain) is Traced else builtins.type(plain)


def isinstance(x: Any, kind: Any) -> bool:
    """As Python's, with a traced array taken for the array or number that it stands for."""
    return issubclass(type(x), kind) if builtins.type(x) is Traced else builtins.isinstance(x, kind)
