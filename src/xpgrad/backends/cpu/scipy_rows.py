"""The rows that SciPy has and NumPy has not. SciPy is imported when the first of them is asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import DependencyError, message
from xpgrad.backends.special_rows import Row, library_row


def scipy_row(name: str) -> Row:
    """The row of the op ``name``.

    Raises
    ------
    DependencyError
        SciPy is not installed.
    """
    try:
        special = _scipy_special()
    except ImportError as error:
        raise DependencyError(message(f"{name}: needs SciPy on the CPU: pip install scipy")) from error
    return library_row(name, special, np)


@cache
def _scipy_special() -> Any:
    import scipy.special

    return scipy.special
