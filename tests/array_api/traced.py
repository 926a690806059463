"""Traced arrays as a module, for the public suite of the array API standard.

    ARRAY_API_TESTS_MODULE=array_api.traced pytest array_api_tests

Its arrays are constants of a trace that stays open, so that the suite may look at their numbers.
"""

from typing import Any

import numpy as np

from xpgrad.trace import Tape

__array_api_version__ = "2025.12"
_tape = Tape()  # a trace lives as long as something refers to it
_namespace = _tape.enter(np.ones(1)).__array_namespace__()


def __getattr__(name: str) -> Any:
    return getattr(_namespace, name)


def __dir__() -> list[str]:
    return dir(_namespace)
