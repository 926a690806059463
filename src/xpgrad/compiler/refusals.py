"""Functions and objects that cannot be watched, and are refused by name.

In:  a function of C that the traced code calls, or an object that it meets.
Out: None, or the words for the error: what it does, and the remedy.
"""

from __future__ import annotations

import io
import linecache
import os
import sys
import types
from typing import Any

from xpgrad.compiler import homes

_OUTSIDE = "read it outside and pass it as an argument"
CLOCK = ("reads the clock", _OUTSIDE)
_FILE = ("reads a file", _OUTSIDE)
_SYSTEM = ("asks the operating system", _OUTSIDE)
_CHANCE = (
    "draws random numbers, which would be the same in every call",
    "draw them outside and pass them as an argument",
)
_THREAD = ("starts a thread, whose reading is out of sight", "start it outside the compiled function")

_BY_MODULE = {
    "time": ("time time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time process_time_ns "
             "thread_time thread_time_ns localtime gmtime ctime asctime strftime clock_gettime", CLOCK),
    "posix": ("urandom getrandom", _CHANCE),
    "nt": ("urandom", _CHANCE),
    "_uuid": ("generate_time_safe UuidCreate", _CHANCE),
    "_thread": ("start_new_thread start_joinable_thread", _THREAD),
    "_posixsubprocess": ("fork_exec", _SYSTEM),
    "_io": ("open open_code", _FILE),
    "io": ("open open_code", _FILE),
    "builtins": ("input", ("asks the user", _OUTSIDE)),
}  # fmt: skip
_FUNCTIONS = {(module, name): why for module, (names, why) in _BY_MODULE.items() for name in names.split()}
_SYSTEM_NAMES = """stat lstat listdir scandir access readlink getcwd getpid getloadavg cpu_count times uname
    get_terminal_size"""
_FUNCTIONS |= {(module, name): _SYSTEM for module in ("posix", "nt") for name in _SYSTEM_NAMES.split()}
_METHODS = frozenset(("now", "utcnow", "today"))
_READING = frozenset(
    ("read", "readline", "readlines", "readinto", "read1", "__next__", "peek", "recv", "readall")
)

SUSPECTS = frozenset(name for _, name in _FUNCTIONS) | _METHODS | _READING
"""Names of C functions that `of_call` checks."""


def of_call(function: Any) -> tuple[str, str] | None:
    """The reason why a call of a C function is refused."""
    name, owner = function.__name__, getattr(function, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return _FUNCTIONS.get((str(getattr(function, "__module__", None)), name))
    if name in _METHODS and isinstance(owner, type) and owner.__module__ == "datetime":
        return CLOCK
    if name in _READING and isinstance(owner, (io.IOBase, types.GeneratorType)):
        return _FILE if isinstance(owner, io.IOBase) else None
    return None


def of_object(x: Any) -> tuple[str, str] | None:
    """The reason why an object outside the trace is refused."""
    kind = type(x)
    if issubclass(kind, io.IOBase):
        try:
            reads = x.readable() and not x.writable()
        except ValueError:  # closed
            reads = False
        return (f"reads {{}}, a {kind.__name__}", _OUTSIDE) if reads else None
    if hasattr(kind, "__next__"):
        return (
            f"reads {{}}, a {kind.__name__}, which each call would take further",
            "make a list of it outside, or pass what comes next as an argument",
        )
    return None


HIDDEN = (
    "reads {}, a %s, whose state cannot be watched",
    "take what is needed out of it outside, and pass that as an argument",
)


def line() -> str | None:
    """The innermost line of the call stack that is neither ours nor of a library: ``fit.py:41: Z = X @ W``."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if homes.is_users_own(name):
            return (
                f"{os.path.basename(name)}:{frame.f_lineno}: {linecache.getline(name, frame.f_lineno).strip()}"
            )
        frame = frame.f_back
    return None
