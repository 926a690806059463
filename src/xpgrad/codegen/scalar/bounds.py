"""The registry of functions: each is registered by its definition, with its largest error.

An error is in units of the last place of the result (or of the smallest normal number). 0 is exact; 0.51 is
nearly always the nearest number. The tests hold a function to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from xpgrad.codegen.scalar.ir import Value, narrow, widen

Body = Callable[..., Value]

BODIES: dict[str, Body] = {}
ULP: dict[tuple[str, str], float] = {}


def bounded(single: float, double: float, name: str = "") -> Callable[[Body], Body]:
    """Register a body as the function of its name, with its errors in float32 and in float64."""

    def register(body: Body) -> Body:
        key = name or body.__name__
        BODIES[key] = body
        ULP[key, "float"], ULP[key, "double"] = single, double
        return body

    return register


def bounded_in_double(double: float) -> Callable[[Body], Body]:
    """As `bounded`, of a body that float32 is computed by in float64 and rounded.

    On a target with functions of its own, which may be slow in float64, float32 stays what it is.
    """

    def register(body: Body) -> Body:
        @wraps(body)
        def through(*xs: Value) -> Value:
            single = xs[0].kind == "float" and not xs[0].block.own
            return narrow(body(*map(widen, xs))) if single else body(*xs)

        bounded(0.51, double)(through)
        return body

    return register
