"""Plain numbers of traced arrays: given where no derivative is lost, and refused elsewhere.

A truth value has none, nor has an integer, nor a constant. All else is a TraceError that says what to write.
"""

from __future__ import annotations

import sys
from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message
from xpgrad.core import Const
from xpgrad.trace.callers import check_truth
from xpgrad.trace.traced import STACK, Traced, made, refuse_choice, strip


def constant_under(x: Any) -> Any:
    """The numbers of ``x`` if no derivative can be lost: it is a constant, or has no floats. Else None."""
    real = x.dtype.kind in "fc"
    while type(x) is Traced:
        if x._view is not None:
            x.refresh()
        if x._below is None:
            if type(x._node) is not Const:
                return None
            x = x._node.data
            continue
        if real and x._node is not None:
            return None
        x = x._below
    return x


def _bool(self: Any) -> bool:
    if self._below is None:
        if (known := constant_under(self)) is not None:
            return bool(known)
        raise _needs_value(self, "bool()", "np.where(condition, x, y) chooses without Python's if")
    if made.count:
        refuse_choice(check_truth, sys._getframe(1))
    return bool(strip(self))


def _float(self: Any) -> float:
    if looked_at(sys._getframe(1)) and type(strip(self)) is not Traced:
        return float(strip(self))
    if (known := constant_under(self)) is not None:
        return float(known)
    raise leaves_trace(
        self,
        "float()",
        "float(xg.stop_gradient(x)) if it is only looked at; np.sin for math.sin; to store it, an "
        'array made by np.zeros_like(x, shape=...); f"{x:.3f}" for "%.3f" % x'
        + (f"; {STACK}" if made.count else ""),
        "leave float() out: an array without axes serves as a number; np.sin for math.sin",
    )


def _int(self: Any) -> int:
    if (known := constant_under(self)) is not None:
        return int(known)
    raise leaves_trace(self, "int()", "int(xg.stop_gradient(x))", _INT)


def _complex(self: Any) -> complex:
    if (known := constant_under(self)) is not None:
        return complex(known)
    raise leaves_trace(self, "complex()", "complex(xg.stop_gradient(x))", "x.astype(complex)")


def _index(self: Any) -> int:
    if self.dtype.kind in "biu" and (known := constant_under(self)) is not None:
        return index(known)
    raise leaves_trace(self, "an index", "int(xg.stop_gradient(x))", _INT)


def _item(self: Any, *at: Any) -> Any:
    if (known := constant_under(self)) is not None:
        return np.asarray(known).item(*at)
    raise leaves_trace(
        self, "item()", "xg.stop_gradient(x).item()", "x[0] or x.reshape(()) is an array of one entry"
    )


def _tolist(self: Any) -> Any:
    if (known := constant_under(self)) is not None:
        return np.asarray(known).tolist()
    raise leaves_trace(self, "tolist()", "xg.stop_gradient(x).tolist()", "return x, and make the list outside")


_INT = "pass it as a Python int, each value of which is traced by itself; arrays of ints index as they are"


def looked_at(frame: Any) -> bool:
    """Whether one of NumPy's tests asks: it compares numbers and gives back none."""
    return f"{frame.f_globals.get('__name__', '')}.".startswith("numpy.testing.")


def leaves_trace(x: Any, what: str, remedy: str, without_numbers: str) -> TraceError:
    """The error for what would make plain numbers of ``x``; the remedy depends on whether it has any."""
    if type(strip(x)) is Traced:
        return _needs_value(strip(x), what, without_numbers)
    return TraceError(message(f"{what} of a traced array would lose its derivative", remedy=remedy))


def _needs_value(x: Traced, what: str, remedy: str) -> TraceError:
    return TraceError(message(f"{what} of an array {x._trace.numbers}", remedy=remedy))


def install() -> None:
    """Give `Traced` Python's conversions to numbers."""
    methods = {
        "__bool__": _bool,
        "__float__": _float,
        "__int__": _int,
        "__complex__": _complex,
        "__index__": _index,
        "item": _item,
        "tolist": _tolist,
    }
    for name, method in methods.items():
        setattr(Traced, name, method)


install()
