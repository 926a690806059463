"""The names of `numpy.fft`."""

from typing import Any

import numpy


def __getattr__(name: str) -> Any:
    return getattr(numpy.fft, name)
