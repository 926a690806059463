"""Stretches of our own code that no observer and no search for garbage needs to see.

In:  the profiler hook with which `xpgrad.compiler.recording` follows the user's frames.
Out: the hook is off while an op is recorded, a graph rewritten or a tape swept: no code of the user runs there.
Holds: only the hook that was announced here is taken off; one of a profiler or debugger stays.

A call of Python is an event for the hook, and recording one op is some fifty calls.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any


class _Here(local):
    hook: Any = None


here = _Here()
"""``here.hook``: the hook of this thread that may be taken off; None if there is none, or it is off."""


@contextmanager
def unobserved() -> Iterator[None]:
    """A context in which the hook is off."""
    hook = here.hook
    if hook is None:
        yield
        return
    here.hook = None
    sys.setprofile(None)
    try:
        yield
    finally:
        here.hook = hook
        sys.setprofile(hook)


@contextmanager
def uncollected() -> Iterator[None]:
    """A context without Python's search for cycles: a graph only grows, and each search walks all of it."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
