"""What a function reads besides its arguments: globals, closure variables, random generators.

In:  a function, before and after it is traced.
Out: Surroundings, which know whether anything of it has changed since.
Holds: a trace is used again only where the numbers and strings that it took from outside are the same, and
the arrays the same arrays, unwritten to (of a large one some entries are compared). What the code names is
watched: globals, closure variables, defaults, attributes of these and of a method's object, and what
lists and dicts among them hold. What is further out of sight (a file, the clock) is not.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.trace.tape import SMALL, sample

_VALUES = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
_MISSING = object()
_CONTAINERS = (tuple, list, dict)
_MUTABLE = (np.ndarray, *_CONTAINERS)
_WATCHED = 100  # entries of a container
_LIBRARIES = ("numpy", "scipy", "xpgrad", "cupy", "optree")


class Surroundings:
    """The values that a function finds outside when it is traced, as they are before.

    ``arguments`` are those that are no arrays: functions, generators.
    """

    __slots__ = ("_drawn", "_generators", "_name", "_read", "_seen")

    def __init__(self, f: Any, arguments: Sequence[Any] = ()) -> None:
        self._read: list[tuple[Callable[[], Any], Any, Any]] = []
        self._generators: list[np.random.Generator] = []
        self._seen: set[int] = set()
        self._visit(f)
        for x in arguments:
            self._visit(x)
        self._name = getattr(f, "__name__", "the function")
        self._drawn = self._random_state()

    def settle(self) -> None:
        """After the trace: raise if random numbers were drawn; watch what the function does not write to."""
        if self._random_state() != self._drawn:
            raise TraceError(
                message(
                    f"compile: {self._name} draws random numbers, which would be the same in every call",
                    remedy="draw them outside and pass them as an argument",
                )
            )
        # What the function itself writes to (a list of its calls, a counter) it writes while it is traced.
        self._read = [entry for entry in self._read if _fingerprint(entry[0]()) == entry[1]]

    def same(self) -> bool:
        """Whether everything is as it was."""
        for get, seen, value in self._read:
            now = get()
            if (now is not value or isinstance(now, _MUTABLE)) and _fingerprint(now) != seen:
                return False
        return True

    # ── looking around ───────────────────────────────────────────────────────────────────────
    def _visit(self, x: Any) -> None:
        if id(x) in self._seen or len(self._seen) > 500:
            return
        self._seen.add(id(x))
        if isinstance(x, functools.partial):
            for part in (x.func, *x.args, *x.keywords.values()):
                self._visit(part)
        elif isinstance(x, types.MethodType):
            self._note_attributes(x.__self__, _names_in(x.__func__))
            self._visit(x.__func__)
        elif isinstance(x, types.FunctionType):
            self._visit_function(x)
        elif isinstance(x, np.random.Generator):
            self._generators.append(x)
        elif hasattr(x, "__wrapped__"):
            self._visit(x.__wrapped__)
        elif not isinstance(x, type) and callable(x):
            called = type(x).__call__
            if isinstance(called, types.FunctionType):
                self._visit(types.MethodType(called, x))

    def _visit_function(self, f: types.FunctionType) -> None:
        home = _library_of(f.__globals__)  # update_wrapper copies __module__
        names = _names(f.__code__)
        for cell in f.__closure__ or ():
            if home == "xpgrad":  # a transform never writes to what it closes over
                self._visit(_content(cell))
            else:
                self._note(functools.partial(_content, cell), names)
        for default in (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()):
            self._visit(default)
        if home not in _LIBRARIES:
            for name in names:
                if name in f.__globals__:
                    self._note(functools.partial(f.__globals__.get, name, _MISSING), names)

    def _note_attributes(self, owner: Any, names: set[str]) -> None:
        """The attributes of ``owner`` that the code may mean by its names."""
        held = getattr(owner, "__dict__", {})
        for name in names:
            if name in held:
                self._note(functools.partial(held.get, name, _MISSING), names)

    def _note(self, get: Callable[[], Any], names: set[str]) -> None:
        value = get()
        if value is _MISSING or isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            return
        if isinstance(value, types.ModuleType):
            if id(value) not in self._seen and _library_of(value.__dict__) not in _LIBRARIES:
                self._seen.add(id(value))
                self._note_attributes(value, names)
            return
        self._read.append((get, _fingerprint(value), value))  # kept, so that its id stays its own
        if isinstance(value, (*_VALUES, np.ndarray, *_CONTAINERS)):
            return
        if (not callable(value) or isinstance(value, type)) and -id(value) not in self._seen:
            self._seen.add(-id(value))
            self._note_attributes(value, names)
        self._visit(value)

    def _random_state(self) -> Any:
        states: list[Any] = [random.getstate(), *[repr(g.bit_generator.state) for g in self._generators]]
        if "numpy.random" in sys.modules:
            states.append(repr(np.random.get_state(legacy=False)))  # noqa: NPY002 - what others draw from
        return states


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _names(code: types.CodeType) -> set[str]:
    """The global names and attributes that a function and those within it use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _names_in(f: Any) -> set[str]:
    return _names(f.__code__) if isinstance(f, types.FunctionType) else set()


def _library_of(namespace: Any) -> str:
    home: str = namespace.get("__name__", "")
    return home.partition(".")[0]


def _fingerprint(x: Any, depth: int = 0) -> Any:
    """What can be compared with ``x`` later, when it may have been written to."""
    if isinstance(x, _VALUES):
        return type(x), x if x == x else repr(x)
    if type(x) is np.ndarray:
        return id(x), x.shape, x.dtype, x.tobytes() if x.size <= SMALL else sample(x)
    if isinstance(x, _CONTAINERS) and len(x) <= _WATCHED and depth < 4:
        parts = (*x.keys(), *x.values()) if isinstance(x, dict) else x
        return id(x), [_fingerprint(part, depth + 1) for part in parts]
    return id(x)
