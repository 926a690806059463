"""One step of a reduction: the value so far combined with the next entry.

The extremum of floats is found in two ways. One entry after the other keeps the second of two zeros, as NumPy
does. In vectors, which LLVM makes only of its own instruction, the sign of a zero is lost.
"""

from __future__ import annotations

from xpgrad.backends.cpu.llvm.functions import written
from xpgrad.backends.cpu.llvm.scalars import (
    Scalar,
    converted,
    ctype_of,
    extremum_in_any_order,
)
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.scalar.monoids import BODIES
from xpgrad.core import Node

_FLOATS = ("float", "double")
# Floats may be added up, and multiplied, in any order.
_ADD = {"sum": "fadd", "prod": "fmul"}


def is_extremum(node: Node) -> bool:
    """Whether ``node`` is the maximum or minimum of floats, which have two zeros."""
    return node.op.monoid in ("max", "min") and ctype_of(node.dtype) in _FLOATS


def combined(w: Writer, node: Node, held: Scalar, value: Scalar) -> Scalar:
    """``held`` and ``value`` combined, in the type of ``held``."""
    kind = held.kind
    x = converted(w, value, kind)
    if kind in _FLOATS and node.op.monoid in _ADD:
        return Scalar(w.op(f"{_ADD[node.op.monoid]} reassoc contract {kind} {held.name}, {x}"), kind)
    return Scalar(written(w, BODIES[str(node.op.monoid)], [held, Scalar(x, kind)]), kind)


def combined_in_any_order(w: Writer, node: Node, held: Scalar, value: Scalar) -> Scalar:
    """As `combined`, in a form that LLVM can vectorise."""
    if not is_extremum(node):
        return combined(w, node, held, value)
    x = converted(w, value, held.ctype)
    return Scalar(extremum_in_any_order(w, str(node.op.monoid), held.ctype, held.name, x), held.ctype)
