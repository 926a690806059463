"""The steps of a rule, if it has only products and quotients.

``lambda t, z, x: -t * z / x`` is the steps negate, multiply by slot 0, divide by slot 1. A sweep
that holds the only reference to ``t`` takes them in place, without a new array for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpgrad.core.op import Rule

# Bits of a code object's flags (`inspect` names them, and is slow to import).
CO_VARARGS, CO_VARKEYWORDS = 0x04, 0x08

Steps = Sequence[tuple[str, Any]]


class Slot:
    """The place of an operand among ``(z, *xs)``. Anything computed with it alone ends the reading."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class _Tangent:
    """Stands for ``t`` and remembers what was done to it."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[tuple[str, Any], ...] = ()) -> None:
        self.steps = steps

    def _then(self, name: str, y: Any) -> Any:
        if y is not None and type(y) not in (Slot, int, float):
            return NotImplemented
        return _Tangent((*self.steps, (name, y)))

    def __neg__(self) -> Any:
        return self._then("negate", None)

    def __mul__(self, y: Any) -> Any:
        return self._then("multiply", y)

    __rmul__ = __mul__

    def __truediv__(self, y: Any) -> Any:
        return self._then("divide", y)


def parameters(rule: Rule) -> tuple[tuple[str, ...], str | None]:
    """The names of a rule's positional parameters, and of ``*xs`` if it has that."""
    code = rule.__code__
    names = code.co_varnames[: code.co_argcount]
    k = code.co_argcount + code.co_kwonlyargcount
    return names, code.co_varnames[k] if code.co_flags & CO_VARARGS else None


def steps_of(rule: Rule | None) -> Steps | None:
    """The steps of ``rule``, or None where it does anything else (branches, calls, uses t twice)."""
    if rule is None:
        return None
    names, rest = parameters(rule)
    if rest is not None or rule.__code__.co_kwonlyargcount or rule.__code__.co_flags & CO_VARKEYWORDS:
        return None
    t = _Tangent()
    try:
        out = rule(t, *map(Slot, range(len(names) - 1)))
    except (AttributeError, TypeError, NameError, LookupError):
        return None  # it computes with what a stand-in is not, or calls an op defined further down
    return out.steps if type(out) is _Tangent else None
