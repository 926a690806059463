"""What a reduction holds and the next value, as one.

The extremum of floats is found in two ways. One entry after the other, the second of two zeros stands, as in
NumPy. In vectors, which LLVM makes of its own instruction alone, a zero is found and no sign of it.
"""

from __future__ import annotations

from xpgrad.backends.cpu.llvm.scalars import (
    Scalar,
    converted,
    ctype_of,
    extremum_in_any_order,
    maximum,
    minimum,
)
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.core import Node

_FLOATS = ("float", "double")
# What the largest and the least of two truth values are is what `any` and `all` of them are.
_ADD = {"sum": "add", "prod": "mul", "any": "or", "all": "and", "max": "or", "min": "and"}


def is_extremum(node: Node) -> bool:
    """Whether ``node`` is the largest or the least of floats, among which there are two zeros."""
    return node.op.name in ("max", "min") and ctype_of(node.dtype) in _FLOATS


def combined(w: Writer, node: Node, held: Scalar, value: Scalar) -> Scalar:
    """``held`` and ``value`` reduced to one, in the type of ``held``."""
    name, ctype = node.op.name, held.ctype
    x = converted(w, value, ctype)
    real = ctype in ("float", "double")
    if name in ("max", "min") and ctype != "i1":
        return Scalar((maximum if name == "max" else minimum)(w, ctype, [held.name, x]), ctype)
    flags = " reassoc contract" if real else ""
    return Scalar(w.op(f"{'f' if real else ''}{_ADD[name]}{flags} {ctype} {held.name}, {x}"), ctype)


def combined_in_any_order(w: Writer, node: Node, held: Scalar, value: Scalar) -> Scalar:
    """As `combined`, so that LLVM can reduce in vectors."""
    if not is_extremum(node):
        return combined(w, node, held, value)
    x = converted(w, value, held.ctype)
    return Scalar(extremum_in_any_order(w, node.op.name, held.ctype, held.name, x), held.ctype)
