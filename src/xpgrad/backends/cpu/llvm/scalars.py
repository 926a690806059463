"""One node of an elementwise nest as instructions on scalars; LLVM makes vectors of them.

In:  a node, its operands as IR values with their types.
Out: the result as an IR value; what `xpgrad.codegen.scalar.ops` states, printed.
Holds: the graph decides what is rounded once, so that a value has the same bits wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.cpu.llvm.functions import SUFFIX, Callee, ctype, symbol, written
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.scalar import ops
from xpgrad.codegen.scalar.functions import BODIES
from xpgrad.codegen.scalar.ir import cast
from xpgrad.core import Node
from xpgrad.plan.loop_nests import Declined, has_loops

# Entries of the others are read and converted, and not computed.
_COMPUTED = frozenset("float double i1 i32 i64".split())
_READ = _COMPUTED | frozenset("i8 i16 u8 u16 u32".split())


class Scalar(NamedTuple):
    """An IR value and its type, as `xpgrad.codegen.scalar.ir` has it."""

    name: str
    kind: str

    @property
    def ctype(self) -> str:
        """LLVM's type."""
        return ctype(self.kind)


def ctype_of(dtype: np.dtype[Any]) -> str | None:
    """The type that values of ``dtype`` are computed with; None if there is none."""
    kind = ops.kind_of(dtype)
    return kind if kind in _COMPUTED else None


def stored_type(dtype: np.dtype[Any]) -> str | None:
    """The type of ``dtype`` in memory, where a truth value takes a byte."""
    kind = ops.kind_of(dtype)
    return "i8" if kind == "i1" else ctype(kind) if kind in _READ else None


def loaded(w: Writer, dtype: np.dtype[Any], pointer: str, index: str) -> Scalar:
    """Load one entry of an array of ``dtype``."""
    stored, kind = stored_type(dtype), ops.kind_of(dtype)
    assert stored is not None
    assert kind is not None
    name = w.load(stored, pointer, index)
    return Scalar(w.op(f"icmp ne i8 {name}, 0") if kind == "i1" else name, kind)


def kept(w: Writer, x: Scalar, pointer: str, index: str) -> None:
    """Store one entry."""
    if x.kind == "i1":
        w.store("i8", w.op(f"zext i1 {x.name} to i8"), pointer, index)
    else:
        w.store(x.ctype, x.name, pointer, index)


def converted(w: Writer, x: Scalar, kind: str) -> str:
    """``x`` as a value of ``kind``, as NumPy's ``astype`` does it."""
    return x.name if x.kind == kind else written(w, lambda v: cast(v, kind), [x])


def check(node: Node) -> None:
    """Raise Declined if `emit` cannot write ``node``."""
    if ctype_of(node.dtype) is None:
        raise Declined(node, f"gives {node.dtype}, for which there are no instructions")
    for u in node.operands:
        if stored_type(u.dtype) is None:
            raise Declined(node, f"of {u.dtype} has no instructions")
    if not has_loops(node.op) and "raises" not in node.op.traits:
        ops.statement(node)
    if _is_slower(node):
        raise Declined(node, f"of {node.dtype} is left to NumPy, which is faster")


def _is_slower(node: Node) -> bool:
    """Division of integers is no vector instruction; NumPy multiplies where it knows the divisor."""
    by_number = node.op.name == "floor_divide" and not node.operands[1].shape
    return node.dtype.kind in "iu" and (by_number or node.op.name in ("fmod", "power"))


def emit(w: Writer, node: Node, operands: Sequence[Scalar], calls: set[Callee]) -> Scalar:
    """Write ``node``; functions of `xpgrad.codegen.scalar` that it calls are added to ``calls``."""
    said = ops.statement(node)
    kinds = tuple(_kind(dtype) for dtype in said.dtypes)
    xs = [Scalar(converted(w, x, kind), kind) for x, kind in zip(operands, kinds, strict=True)]
    out = _kind(node.dtype)
    if said.name in BODIES:
        calls.add((said.name, kinds))
        result = _kind(said.result)
        of = ", ".join(f"{x.ctype} {x.name}" for x in xs)
        name = w.op(f"call {result} {symbol(said.name, kinds[0])}({of})")
        return Scalar(converted(w, Scalar(name, result), out), out)
    return Scalar(written(w, said.body, xs, said.constants), out)


def _kind(dtype: np.dtype[Any]) -> str:
    kind = ops.kind_of(dtype)
    assert kind is not None
    return kind


def multiply_add(w: Writer, node: Node, factors: Sequence[Scalar], other: Scalar, negates: str) -> Scalar:
    """A product and something else, rounded once; ``negates`` as in the kernel IR."""
    kind = _kind(node.dtype)
    xs = [Scalar(converted(w, x, kind), kind) for x in (*factors, other)]
    return Scalar(written(w, ops.multiply_add(negates), xs), kind)


def extremum_in_any_order(w: Writer, which: str, kind: str, x: str, y: str) -> str:
    """``max`` or ``min`` of floats as LLVM reduces them in vectors: the larger of two zeros is 0.0."""
    return w.op(f"call {kind} @llvm.{which}imum.{SUFFIX[kind]}({kind} {x}, {kind} {y})")
