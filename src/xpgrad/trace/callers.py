"""Who asks a traced scalar for a comparison or a truth value: the user's line, or a loop in C.

NumPy's loops over arrays of objects (`trace.elements`) ask the entries, then do as Python does with numbers:
a maximum passes over NaN, and ``logical_and`` gives one of its operands. The instruction that the calling frame
is at tells such a loop from ``x < y`` and ``if x:``.
"""

from __future__ import annotations

import dis
from typing import Any

from xpgrad._errors import TraceError, message

# Functions that ask for comparisons or truth values and do with them what they do with those of floats.
_COMPARE = frozenset("greater greater_equal less less_equal equal not_equal max min sorted bisect".split())
_TRUTH = frozenset("bool any all filter where astype asarray array isinstance".split())


def called(frame: Any) -> str | None:
    """The name of the function that the instruction of ``frame`` calls; "" if unknown, None if it calls none.

    Example: in ``np.logical_and.reduce(a)`` it is ``reduce``.
    """
    name = ""
    code = list(dis.get_instructions(frame.f_code))
    at = next(k for k, i in enumerate(code) if i.offset == frame.f_lasti)
    if "CALL" not in code[at].opname:  # PRECALL in Python 3.11
        return None
    call = code[at].positions
    if call is None or call.lineno is None or call.col_offset is None:
        return name
    for before in code[:at]:
        p = before.positions  # what is called is the longest expression that begins where the call does
        if p is not None and (p.lineno, p.col_offset) == (call.lineno, call.col_offset) and p != call:
            name = before.argval if isinstance(before.argval, str) else name
    return name


def check_comparison(frame: Any) -> None:
    """Refuse a comparison with NaN that NumPy makes to order or to choose.

    Raises
    ------
    TraceError
    """
    name = called(frame)
    if name is None or (name in _COMPARE and not _in_numpy(frame)):
        return
    what = "a comparison with NaN, by a function that orders an array of objects or chooses from it"
    raise TraceError(message(f"{what}: NaN would be lost", remedy=_remedy(name)))


def check_truth(frame: Any) -> None:
    """Refuse a truth value that NumPy takes to choose one of two objects.

    Raises
    ------
    TraceError
    """
    name = called(frame)
    if name is None or name in _TRUTH or _in_numpy(frame):
        return
    what = "the truth value of a traced number, asked for by a function"
    rule = "np.logical_and and np.logical_or give one of the two where NumPy has made an array of objects"
    raise TraceError(message(f"{what}: {rule}", remedy=f"compare first, as in x != 0; {_remedy(name)}"))


def check_start(frame: Any) -> None:
    """Refuse a fold of `np.logical_xor`: of an array of objects it starts with a number.

    Raises
    ------
    TraceError
    """
    name = called(frame)
    if name in ("reduce", "accumulate"):
        what = f"np.logical_xor.{name} of an array of objects starts with a number, not with its truth value"
        raise TraceError(message(what, remedy=f"compare first, as in x != 0; {_remedy(name)}"))


def _in_numpy(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("numpy.")


def _remedy(name: str) -> str:
    return f"write np.stack([x0, x1]) for the list [x0, x1]{f' that {name} is given' if name else ''}"
