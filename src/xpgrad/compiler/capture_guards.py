"""Guards for what a function captures: whatever it reads besides its arguments.

In:  a function that is traced.
Out: CaptureGuards, which know whether anything that it read has changed since.
Holds: a trace is used again only if each place outside, from which the traced code may have taken a value,
still has that value. What cannot be watched (an iterator, a file, the clock, random numbers) is refused by
name while it is traced. Decision 20 says how, and what was weighed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.compiler import recording
from xpgrad.compiler.guards import Guards
from xpgrad.compiler.objects import state_of
from xpgrad.compiler.walk import Walk


class CaptureGuards:
    """A context around the tracing of ``f``; then the guards of the trace.

    ``arguments`` are those that are no arrays: functions, objects. ``weak``: the guards keep nothing alive.
    """

    __slots__ = ("_drawn", "_guards", "_name", "_recorder", "_walk", "places", "same")

    def __init__(self, f: Any, arguments: Sequence[Any] = (), weak: bool = False) -> None:
        self._name = getattr(f, "__name__", "the function")
        self._guards = Guards(weak)
        self.same, self.places = self._guards.same, self._guards.places
        self._walk: Walk | None = Walk(self._guards, self._name)
        self._recorder: recording.Recorder | None = recording.Recorder(self._walk)
        self._drawn = _random_state()
        for x in (f, *arguments):
            self._walk.consider(self._walk.neutral, x, True)

    def __enter__(self) -> CaptureGuards:
        assert self._recorder is not None
        self._recorder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._recorder is not None
        self._recorder.__exit__()

    def raise_refused(self) -> None:
        """Raise the refusal, even if the traced code took the error for its own."""
        if self._walk is not None and self._walk.error is not None:
            raise self._walk.error

    def settle(self) -> None:
        """After the trace: raise if it did what cannot be watched; keep the guards alone."""
        walk, recorder = self._walk, self._recorder
        assert walk is not None
        assert recorder is not None
        self.raise_refused()
        if _random_state() != self._drawn or any(state_of(g) != state for g, state in walk.states):
            raise TraceError(
                message(
                    f"compile: {self._name} draws random numbers, which would be the same in every call",
                    remedy="draw them outside and pass them as an argument",
                )
            )
        if self._guards.settle(recorder.own):
            walk.again()
        self._walk = self._recorder = self._drawn = None


def used_within(used: CaptureGuards) -> None:
    """Let the enclosing trace watch all that ``used``, whose trace it uses, watches."""
    recorder = recording.current() if recording.active else None
    if recorder is not None:
        recorder.guards.absorb(used._guards)


def _random_state() -> Any:
    """The states of Python's and NumPy's global generators."""
    states: list[Any] = [random.getstate()]
    if "numpy.random" in sys.modules:
        states.append(_comparable(np.random.get_state(legacy=False)))  # noqa: NPY002 - what others draw from
    return states


def _comparable(state: Any) -> Any:
    """The state of a bit generator, with bytes for its arrays."""
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
