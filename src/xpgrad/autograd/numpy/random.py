"""The names of `numpy.random`."""

from typing import Any

import numpy


def __getattr__(name: str) -> Any:
    return getattr(numpy.random, name)
