"""The implementations of `require` and `checked`: where a demand on data is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, message


def require(x: Any, seen: Any, ok: Any, *, rule: str, name: str) -> Any:
    """``x``; a DataError names the first entry of ``seen`` that ``ok`` is False for, and how many there are.

    On a GPU this waits for the device.
    """
    if not bool(ok.all() if hasattr(ok, "all") else ok):
        raise DataError(message(rule + _found(seen, ok), {name: x}))
    return x


def checked(x: Any, ok: Any, *, error: str) -> Any:
    """``x``; a LinAlgError with this text if ``ok`` does not hold everywhere.

    On a GPU this waits for the device.
    """
    if not bool(ok.all()):
        raise np.linalg.LinAlgError(error)
    return x


def _found(seen: Any, ok: Any) -> str:
    """``", got 7 at [0, 3], and 4 others"``; nothing where one answer stands for many entries."""
    if not getattr(ok, "shape", ()):
        return "" if getattr(seen, "shape", ()) else f", got {_number(seen)}"
    flat = ok.ravel()
    at = int(flat.argmin())  # the first False
    others = int(flat.size - flat.sum()) - 1
    places = []
    for n in reversed(ok.shape):
        at, place = divmod(at, n)
        places.append(place)
    where = tuple(reversed(places))
    text = f", got {_number(seen[where])} at [{', '.join(map(str, where))}]"
    return f"{text}, and {others} other{'s' if others > 1 else ''}" if others else text


def _number(x: Any) -> str:
    return f"{x.item() if hasattr(x, 'item') else x:g}"
