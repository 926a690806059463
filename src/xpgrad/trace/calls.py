"""Calls of the user's function, and the error where NumPy takes no array of objects."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Callable, Sequence
from threading import local
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, XpgradError, message
from xpgrad.trace.elements import settled
from xpgrad.trace.traced import STACK, made

_NUMPY = os.path.dirname(np.__file__) + os.sep
_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
# NumPy's words where a function takes no objects.
_NO_OBJECTS = re.compile(
    r"object is unsupported|not supported for the input types|has no callable|[Nn]o loop matching|dtype\('O'\)"
    r"|must be of integer|Cannot cast|doesn't define|object arrays|object cannot be cast"
    r"|does not have an identity"
)


def call_settled(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
    """``f(*args, **kwargs)``, with one traced array for each array of traced objects in the result.

    Raises
    ------
    TraceError
        A function of NumPy takes no array of objects; the message names the list that it was made of.
    """
    outermost, before = not _depth.n, made.count
    _depth.n += 1
    try:
        out = settled(f(*args, **kwargs) if kwargs else f(*args))
        if made.refused is not None:
            raise made.refused
        return out
    except (TypeError, IndexError, AttributeError, ValueError, NotImplementedError, SystemError) as error:
        if made.refused is not None and error is not made.refused:
            raise made.refused from error
        if isinstance(error, SystemError) and (ours := _ours_behind(error)) is not None:
            raise ours from error
        if str(error).startswith("Multiple namespaces for array inputs"):
            raise TraceError(
                message(
                    "a library of the array API is given traced arrays and others",
                    at=_line_of(error),
                    remedy="make the others traced too, by xp.asarray(y) with xp = x.__array_namespace__()",
                )
            ) from error
        if isinstance(error, XpgradError) or made.count == before or not _of_objects(error):
            raise
        file, line = made.at
        raise TraceError(
            message(
                f"{error}: NumPy makes an array of objects of a list of traced numbers",
                {"made at": _place(file, line)},
                at=_line_of(error),
                remedy=f"write {STACK}, where it is made",
            )
        ) from error
    finally:
        _depth.n -= 1
        if outermost:
            made.count, made.refused = 0, None


def _ours_behind(error: BaseException) -> XpgradError | None:
    """The error of ours after which a function in C went on, until Python noticed."""
    before: BaseException | None = error
    while before is not None and not isinstance(before, XpgradError):
        before = before.__cause__ or before.__context__
    return before


class _Depth(local):
    n = 0


_depth = _Depth()


def _of_objects(error: BaseException) -> bool:
    """Whether NumPy has raised the error for an array of objects, as far as that can be told."""
    trace: Any = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    if isinstance(error, AttributeError) and isinstance(getattr(np, error.name or "", None), np.ufunc):
        return True  # the method of a plain number, which has none: np.hypot([1.0], [x0])
    words = bool(_NO_OBJECTS.search(str(error)))
    numpys = _is_numpys(trace.tb_frame.f_code.co_filename)
    return words or (numpys and not isinstance(error, ValueError))


def _is_numpys(file: str) -> bool:
    return file.startswith(_NUMPY)


def _line_of(error: BaseException) -> str:
    """The line outside xpgrad and NumPy that was running."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not _is_numpys(file) and not file.startswith(_HERE):
            place = _place(file, trace.tb_lineno)
        trace = trace.tb_next
    return place


def _place(file: str, line: int) -> str:
    return f"{os.path.basename(file)}:{line}: {linecache.getline(file, line).strip()}"
