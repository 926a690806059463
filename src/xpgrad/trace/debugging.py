"""`xg.debug(nans=True)`: its switch, and the check for NaN and infinity after each op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from xpgrad._errors import NumericsError, describe, message

nans = False
_open = 0
_lock = Lock()


@contextmanager
def debug(*, nans: bool = False) -> Iterator[None]:
    """Within the context, stop at the first op that makes NaN or infinity, forward or backward.

    Parameters
    ----------
    nans : bool
        Check the output of every op, in every thread while the context is open; about one more
        pass over memory for each.

    Raises
    ------
    NumericsError
        Naming the op, its operands, and the user's line that called it; for an op of the
        backward sweep, the line whose derivative it is.
    """
    if not nans:
        yield
        return
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    """Contexts may overlap, in threads: the switch is on while any is open."""
    global nans, _open
    with _lock:
        _open += change
        nans = _open > 0


def check(what: str, out: Any, operands: Sequence[Any] = (), at: str | None = None) -> None:
    """Raise if ``out`` has a NaN or an infinity."""
    for x in out if isinstance(out, tuple) else (out,):
        found = _found(x)
        if found:
            got = {f"operand {i}": _with_count(v) for i, v in enumerate(operands)} | {"output": _with_count(x)}
            raise NumericsError(message(f"{what}: {found} in the output", got, at=at))


def _found(x: Any) -> str:
    if getattr(getattr(x, "dtype", None), "kind", "f") not in "fc":
        return ""
    if getattr(x, "_below", x) is None or (not hasattr(x, "dtype") and not isinstance(x, (float, complex))):
        return ""
    with np.errstate(invalid="ignore"):
        bad = x - x
    if not bool((bad != bad).any() if hasattr(bad, "any") else bad != bad):
        return ""
    return "NaN" if bool((x != x).any() if hasattr(x, "any") else x != x) else "infinity"


def _with_count(x: Any) -> str:
    found = _found(x)
    return f"{describe(x)}, has {found}" if found else describe(x)
