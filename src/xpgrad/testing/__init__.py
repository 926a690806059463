"""Tools for tests: `check_grads`, the table of tolerances, random programs.

`programs` and `arrays` are strategies for hypothesis, which is imported when one is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from xpgrad.testing.agreement import Expected, assert_agrees, expect, sensitivity
from xpgrad.testing.checks import check_grads
from xpgrad.testing.generation import random_program
from xpgrad.testing.program import Program
from xpgrad.testing.tolerances import Tolerance, close, tolerance

__all__ = [
    "Expected",
    "Program",
    "Tolerance",
    "arrays",
    "assert_agrees",
    "check_grads",
    "close",
    "expect",
    "programs",
    "random_program",
    "sensitivity",
    "tolerance",
]


def __getattr__(name: str) -> Any:
    if name not in ("arrays", "programs"):
        raise AttributeError(f"module 'xpgrad.testing' has no attribute {name!r}")
    return getattr(import_module("xpgrad.testing.strategies"), name)
