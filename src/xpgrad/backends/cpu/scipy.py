"""SciPy's implementations of what NumPy lacks; the first call imports SciPy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, message
from xpgrad.backends.special import library_implementation
from xpgrad.core import Implementation


def scipy_implementation(name: str) -> Implementation:
    """The implementation of the op ``name``.

    Raises
    ------
    DependencyError
        SciPy is not installed.
    """
    try:
        special = _scipy_special()
    except ImportError as error:
        raise DependencyError(message(f"{name}: needs SciPy on the CPU: pip install scipy")) from error
    return library_implementation(name, special, np)


@cache
def _scipy_special() -> Any:
    import scipy.special

    return scipy.special
