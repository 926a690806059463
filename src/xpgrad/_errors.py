"""The exceptions, their messages, and the user's line.

    XpgradError
    ├── ShapeError(ValueError)              shapes that do not broadcast, contract or reduce
    │   └── OutOfBoundsError(IndexError)    an index outside the array
    ├── DTypeError(TypeError)               a dtype that an operation does not take
    ├── DataError(ValueError)               data that no model can be fitted to
    ├── DeviceError(RuntimeError)           a device that is not there, or two where one is wanted
    ├── DependencyError(ImportError)        an optional package that is not installed
    ├── TraceError(TypeError)               code that a traced array cannot follow
    ├── NotDifferentiableError(TypeError)   a derivative that does not exist or is not known
    └── NumericsError(ArithmeticError)      NaN or infinity where `debug` forbids it

A message gives the operation, the rule that was broken, what was got, the user's line and,
where there is exactly one, the remedy:

    ShapeError: dot: inner axes differ, 4 and 5
      left  float32[3, 4]
      right float32[5, 2]
      at fit.py:41: Z = np.dot(W, X)
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from threading import local
from typing import Any

# Libraries that call back into traced arrays: the user's line is further out.
_LIBRARIES = tuple(
    f"{os.sep}site-packages{os.sep}{name}{os.sep}"
    for name in (
        "numpy scipy sklearn cupy pandas polars pyarrow xarray dask torch jax joblib cloudpickle".split()
    )
)
_PYTHONS = os.path.dirname(os.__file__) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class XpgradError(Exception):
    """Root of every error that xpgrad raises on purpose."""


class ShapeError(XpgradError, ValueError):
    """Shapes that do not broadcast, contract or reduce as the operation asks."""


class OutOfBoundsError(ShapeError, IndexError):
    """An index outside the array."""


class DTypeError(XpgradError, TypeError):
    """A dtype that the operation does not take, such as an integer parameter."""


class DataError(XpgradError, ValueError):
    """Data that no model can be fitted to: empty, constant, out of range, not numbers."""


class DeviceError(XpgradError, RuntimeError):
    """A device that is not there, or operands that live on two of them."""


class DependencyError(XpgradError, ImportError):
    """An optional package that this call needs and that is not installed."""


class TraceError(XpgradError, TypeError):
    """Code that a traced array cannot follow: it would lose the gradient or the graph."""


class NotDifferentiableError(XpgradError, TypeError):
    """A derivative that does not exist or that no rule states."""


class NumericsError(XpgradError, ArithmeticError):
    """NaN or infinity under ``debug(nans=True)``."""


def describe(x: Any) -> str:
    """Name the dtype and shape of ``x``: ``float32[3, 4]``, or the type of what is no array."""
    shape = getattr(x, "shape", None)
    dtype = getattr(x, "dtype", None)
    if shape is None or dtype is None:
        return f"{type(x).__name__} {x!r}" if isinstance(x, (bool, int, float, complex)) else type(x).__name__
    return f"{dtype}[{', '.join(map(str, shape))}]"


class _Recorded(local):
    """The line of an op that was recorded earlier, while it is carried out again."""

    line: str | None = None


_recorded = _Recorded()


@contextmanager
def at_line(line: str | None) -> Iterator[None]:
    """Within the context `user_line` is ``line``: what is carried out was written there."""
    before = _recorded.line
    _recorded.line = line
    try:
        yield
    finally:
        _recorded.line = before


def user_line() -> str | None:
    """The innermost line of the call stack outside xpgrad and the array libraries: ``fit.py:41: Z = X @ W``."""
    if _recorded.line is not None:
        return _recorded.line
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not _is_ours(name):
            return _said(name, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _said(name: str, number: int) -> str:
    """A line of a file in words; those of a file that `linecache` has are put together once."""
    lines = linecache.cache.get(name)
    known = _lines.get((name, number))
    if known is not None and lines is not None and known[0] is lines:
        return known[1]
    source = linecache.getline(name, number).strip()
    place = f"{os.path.basename(name)}:{number}"
    words = f"{place}: {source}" if source else place
    if len(_lines) > _MOST_LINES:
        _lines.clear()
    _lines[name, number] = linecache.cache.get(name), words
    return words


_lines: dict[tuple[str, int], tuple[Any, str]] = {}
_MOST_LINES = 1 << 12


@lru_cache(maxsize=1 << 12)
def _is_ours(filename: str) -> bool:
    if filename.startswith(_HERE):
        return True
    if filename.startswith(_PYTHONS) and "-packages" not in filename:
        return True  # of Python's own: copy, pickle, dataclasses
    return filename.startswith("<") or any(part in filename for part in _LIBRARIES)


def message(
    headline: str,
    got: Mapping[str, Any] | None = None,
    *,
    at: str | None = None,
    remedy: str | None = None,
) -> str:
    """Lay out an error: headline, operands (described), the user's line, the remedy.

    ``at`` is the line where the operation was recorded; without it the line is looked up now.
    """
    lines = [headline]
    if got:
        width = max(map(len, got))
        lines += [f"  {label:<{width}} {v if isinstance(v, str) else describe(v)}" for label, v in got.items()]
    where = at if at is not None else user_line()
    if where:
        lines.append(f"  at {where}")
    if remedy:
        lines.append(f"  {remedy}")
    return "\n".join(lines)
