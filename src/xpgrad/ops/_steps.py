"""Read off from a rule the steps it takes, where they are only products and quotients.

``lambda t, z, x: -t * z / x`` is the steps negate, multiply by slot 0, divide by slot 1. A sweep
that holds the only reference to ``t`` takes them in place, without a new array for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, signature
from typing import Any

from xpgrad.core.op import Rule

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


def steps_of(rule: Rule | None) -> Steps | None:
    """The steps of ``rule``, or None where it does anything else (branches, calls, uses t twice)."""
    if rule is None:
        return None
    names = list(signature(rule).parameters.values())[1:]
    if any(p.kind is not Parameter.POSITIONAL_OR_KEYWORD for p in names):
        return None
    t = _Tangent()
    try:
        out = rule(t, *map(Slot, range(len(names))))
    except Exception:  # noqa: BLE001 - whatever a rule does that a stand-in cannot
        return None
    return out.steps if type(out) is _Tangent and out.steps else None
