"""One node of an elementwise nest as instructions on scalars; LLVM makes vectors of them.

In:  an op, its operands as IR values with their types.
Out: the result as an IR value; NumPy's meaning, NaN and infinity included.
Holds: no flag but ``contract`` on a product that is only added up; elsewhere the graph decides what is rounded
once, so that a value has the same bits wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.cpu.llvm.functions import symbol
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.codegen.scalar import FUNCTIONS, IN_DOUBLE
from xpgrad.core import Node
from xpgrad.plan.loop_nests import Declined, has_loops

_TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.bool_): "i1",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
}
# These are read and converted, and never computed with.
_READ_ONLY = {
    np.dtype(np.int8): "i8",
    np.dtype(np.int16): "i16",
    np.dtype(np.uint8): "i8",
    np.dtype(np.uint16): "i16",
    np.dtype(np.uint32): "i32",
}
_FLOATS = ("float", "double")


class Scalar(NamedTuple):
    """An IR value, its type, and whether an integer type is unsigned."""

    name: str
    ctype: str
    unsigned: bool = False


def ctype_of(dtype: np.dtype[Any]) -> str | None:
    """The type that values of ``dtype`` are computed with; None if there is none."""
    return _TYPES.get(np.dtype(dtype))


def stored_type(dtype: np.dtype[Any]) -> str | None:
    """The type of ``dtype`` in memory, where a truth value takes a byte."""
    dtype = np.dtype(dtype)
    return "i8" if dtype == np.bool_ else _TYPES.get(dtype) or _READ_ONLY.get(dtype)


def loaded(w: Writer, dtype: np.dtype[Any], pointer: str, index: str) -> Scalar:
    """Load one entry of an array of ``dtype``."""
    stored = stored_type(dtype)
    assert stored is not None
    name = w.load(stored, pointer, index)
    if np.dtype(dtype) == np.bool_:
        return Scalar(w.op(f"icmp ne i8 {name}, 0"), "i1")
    return Scalar(name, stored, np.dtype(dtype).kind == "u")


def kept(w: Writer, x: Scalar, pointer: str, index: str) -> None:
    """Store one entry."""
    if x.ctype == "i1":
        w.store("i8", w.op(f"zext i1 {x.name} to i8"), pointer, index)
    else:
        w.store(x.ctype, x.name, pointer, index)


def converted(w: Writer, x: Scalar, ctype: str) -> str:
    """``x`` as a value of ``ctype``, as NumPy's ``astype`` does it."""
    if x.ctype == ctype:
        return x.name
    old, name = x.ctype, x.name
    unsigned = x.unsigned or old == "i1"
    if ctype == "i1":
        return w.op(
            f"fcmp une {old} {name}, {number(0, old)}" if old in _FLOATS else f"icmp ne {old} {name}, 0"
        )
    if old in _FLOATS and ctype in _FLOATS:
        return w.op(f"{'fpext' if ctype == 'double' else 'fptrunc'} {old} {name} to {ctype}")
    if ctype in _FLOATS:
        return w.op(f"{'uitofp' if unsigned else 'sitofp'} {old} {name} to {ctype}")
    if old in _FLOATS:
        return w.op(f"fptosi {old} {name} to {ctype}")
    bits = {t: int(t[1:]) for t in (old, ctype)}
    if bits[old] < bits[ctype]:
        return w.op(f"{'zext' if unsigned else 'sext'} {old} {name} to {ctype}")
    return w.op(f"trunc {old} {name} to {ctype}")


_ARITHMETIC = {"add": "add", "subtract": "sub", "multiply": "mul"}
_COMPARE = {
    "equal": ("oeq", "eq"),
    "not_equal": ("une", "ne"),
    "less": ("olt", "lt"),
    "less_equal": ("ole", "le"),
    "greater": ("ogt", "gt"),
    "greater_equal": ("oge", "ge"),
}
_BITWISE = {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor"}
_LOGICAL = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor"}


def check(node: Node) -> None:
    """Raise Declined if `emit` cannot write ``node``."""
    name = node.op.name
    if ctype_of(node.dtype) is None:
        raise Declined(node, f"gives {node.dtype}, for which there are no instructions")
    for i in range(len(node.operands)):
        if stored_type(node.operands[i].dtype) is None:
            raise Declined(node, f"of {node.operands[i].dtype} has no instructions")
    if has_loops(node.op):
        return
    kind = _compute_type(node)
    if kind is None:
        avals = ", ".join(str(node.operands[i].aval) for i in range(len(node.operands)))
        raise Declined(node, f"of {avals} has no instructions")
    known = (
        name in _COMPARE
        or "same" in node.op.traits
        or (name in _ARITHMETIC and kind != "i1")
        or name in ("where", "logical_not")
        or name in _LOGICAL
        or (name in _BITWISE and kind not in _FLOATS)
        or (name in ("negative", "absolute", "maximum", "minimum", "square") and kind != "i1")
        or (name in _SPECIAL_FLOAT and kind in _FLOATS)
        or (name in FUNCTIONS and kind in _FLOATS)
        or ("bits" in node.op.traits and kind in _FLOATS)
    )
    if not known:
        raise Declined(node, f"has no instructions for {node.dtype}")


def _compute_type(node: Node) -> str | None:
    """The type that the operands are brought to."""
    name = node.op.name
    avals = [u.aval for u in node.operands]
    if name in _COMPARE:
        return ctype_of(np.result_type(*[a.promoting for a in avals]))
    if name in _LOGICAL or name == "logical_not":
        return "i1"
    if "bits" in node.op.traits:
        return ctype_of(avals[0].dtype)
    return "double" if name in IN_DOUBLE else ctype_of(node.dtype)


_SPECIAL_FLOAT = frozenset(("divide", "reciprocal"))


def emit(
    w: Writer, node: Node, operands: Sequence[Scalar], calls: set[tuple[str, str]], added: bool = False
) -> Scalar:
    """Write ``node``; functions of `xpgrad.codegen.scalar` that it calls are added to ``calls``.

    ``added``: a product that is only added to a sum, with which it may be rounded once.
    """
    name = node.op.name
    out = ctype_of(node.dtype)
    kind = _compute_type(node)
    assert out is not None
    assert kind is not None
    if name == "where":
        c, x, y = converted(w, operands[0], "i1"), *[converted(w, v, out) for v in operands[1:]]
        return Scalar(w.op(f"select i1 {c}, {out} {x}, {out} {y}"), out)
    xs = [converted(w, v, kind) for v in operands]
    if added:
        x, y = xs if len(xs) == 2 else (xs[0], xs[0])
        return Scalar(w.op(f"fmul contract {kind} {x}, {y}"), out)
    if "same" in node.op.traits:
        return Scalar(xs[0], out)
    found = _instruction(w, name, kind, xs, calls)
    return Scalar(converted(w, Scalar(found, kind), out) if name in IN_DOUBLE else found, out)


def multiply_add(
    w: Writer, node: Node, factors: Sequence[Scalar], other: Scalar, product_first: bool
) -> Scalar:
    """A sum or difference of which one operand is a product, rounded once."""
    ctype = ctype_of(node.dtype) or ""
    x, y, z = (converted(w, v, ctype) for v in (*factors, other))
    if node.op.name == "subtract":
        if product_first:
            z = _negative(w, ctype, [z])
        else:
            x = _negative(w, ctype, [x])
    function = f"@llvm.fma.{_SUFFIX[ctype]}"
    return Scalar(w.op(f"call {ctype} {function}({ctype} {x}, {ctype} {y}, {ctype} {z})"), ctype)


def _instruction(w: Writer, name: str, kind: str, xs: list[str], calls: set[tuple[str, str]]) -> str:
    real = kind in _FLOATS
    if name in _ARITHMETIC:
        return w.op(f"{'f' if real else ''}{_ARITHMETIC[name]} {kind} {xs[0]}, {xs[1]}")
    if name in _COMPARE:
        ordered, integer = _COMPARE[name]
        if not real and integer not in ("eq", "ne"):
            integer = ("u" if kind == "i1" else "s") + integer
        return w.op(f"{'fcmp ' + ordered if real else 'icmp ' + integer} {kind} {xs[0]}, {xs[1]}")
    if name in _LOGICAL or name in _BITWISE:
        return w.op(f"{_LOGICAL.get(name) or _BITWISE[name]} {kind} {xs[0]}, {xs[1]}")
    plain = _PLAIN.get(name)
    if plain is not None:
        return plain(w, kind, xs)
    calls.add((name, kind))
    return w.op(f"call {kind} {symbol(name, kind)}({', '.join(f'{kind} {x}' for x in xs)})")


def _negative(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fneg {kind} {xs[0]}" if kind in _FLOATS else f"sub {kind} 0, {xs[0]}")


def _square(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"{'fmul' if kind in _FLOATS else 'mul'} {kind} {xs[0]}, {xs[0]}")


def _divide(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fdiv {kind} {xs[0]}, {xs[1]}")


def _reciprocal(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fdiv {kind} {number(1, kind)}, {xs[0]}")


def _absolute(w: Writer, kind: str, xs: list[str]) -> str:
    if kind in _FLOATS:
        return w.op(f"call {kind} @llvm.fabs.{_SUFFIX[kind]}({kind} {xs[0]})")
    return w.op(f"call {kind} @llvm.abs.{kind}({kind} {xs[0]}, i1 false)")


def _extremum(which: str, beyond: str) -> Callable[[Writer, str, list[str]], str]:
    """NaN is handed on; of two zeros it is the second, as NumPy's is (on x86; elsewhere by the sign)."""

    def plain(w: Writer, kind: str, xs: list[str]) -> str:
        x, y = xs
        if kind not in _FLOATS:
            return w.op(f"call {kind} @llvm.s{which}.{kind}({kind} {x}, {kind} {y})")
        found = w.op(f"select i1 {w.op(f'fcmp {beyond} {kind} {x}, {y}')}, {kind} {x}, {kind} {y}")
        return w.op(f"select i1 {_isnan(w, kind, [x])}, {kind} {x}, {kind} {found}")

    return plain


maximum, minimum = _extremum("max", "ogt"), _extremum("min", "olt")


def extremum_in_any_order(w: Writer, which: str, kind: str, x: str, y: str) -> str:
    """``max`` or ``min`` of floats as LLVM reduces them in vectors: the larger of two zeros is 0.0."""
    return w.op(f"call {kind} @llvm.{which}imum.{_SUFFIX[kind]}({kind} {x}, {kind} {y})")


def _logical_not(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"xor i1 {xs[0]}, true")


def _isnan(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fcmp uno {kind} {xs[0]}, {xs[0]}")


def _isinf(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fcmp oeq {kind} {_absolute(w, kind, xs)}, {number(float('inf'), kind)}")


def _isfinite(w: Writer, kind: str, xs: list[str]) -> str:
    return w.op(f"fcmp one {kind} {_absolute(w, kind, xs)}, {number(float('inf'), kind)}")


def _signbit(w: Writer, kind: str, xs: list[str]) -> str:
    integer = "i32" if kind == "float" else "i64"
    bits = w.op(f"bitcast {kind} {xs[0]} to {integer}")
    return w.op(f"icmp slt {integer} {bits}, 0")


_SUFFIX = {"float": "f32", "double": "f64"}

_PLAIN: dict[str, Callable[[Writer, str, list[str]], str]] = {
    "negative": _negative,
    "square": _square,
    "divide": _divide,
    "reciprocal": _reciprocal,
    "absolute": _absolute,
    "maximum": maximum,
    "minimum": minimum,
    "logical_not": _logical_not,
    "isnan": _isnan,
    "isinf": _isinf,
    "isfinite": _isfinite,
    "signbit": _signbit,
}

INTRINSICS = """
declare i64 @llvm.smin.i64(i64, i64)
declare float @llvm.maximum.f32(float, float)
declare double @llvm.maximum.f64(double, double)
declare float @llvm.minimum.f32(float, float)
declare double @llvm.minimum.f64(double, double)
declare float @llvm.fma.f32(float, float, float)
declare double @llvm.fma.f64(double, double, double)
declare i32 @llvm.smax.i32(i32, i32)
declare i64 @llvm.smax.i64(i64, i64)
declare i32 @llvm.smin.i32(i32, i32)
declare i32 @llvm.abs.i32(i32, i1)
declare i64 @llvm.abs.i64(i64, i1)
"""
