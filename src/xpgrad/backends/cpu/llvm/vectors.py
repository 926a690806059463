"""Instructions on LLVM's vectors: broadcast of a scalar, and fused multiply-add.

In:  names of LLVM values, and the types ``<16 x float>`` or ``float``.
Out: the instructions, written to a Writer.
Holds: a multiply-add is rounded once.
"""

from __future__ import annotations

from xpgrad.backends.cpu.llvm.writer import Writer


def zero(ctype: str) -> str:
    return "0x0000000000000000" if ctype in ("float", "double") else "0"


def spread(w: Writer, kind: str, lanes: int, ctype: str, x: str) -> str:
    """A scalar in every lane."""
    if lanes == 1:
        return x
    lane = w.op(f"insertelement {kind} poison, {ctype} {x}, i64 0")
    return w.op(f"shufflevector {kind} {lane}, {kind} poison, <{lanes} x i32> zeroinitializer")


def multiply_add(w: Writer, kind: str, x: str, y: str, total: str) -> str:
    """``x * y + total`` in one rounding."""
    suffix = (
        kind.replace("<", "v")
        .replace(" x ", "")
        .replace(">", "")
        .replace("float", "f32")
        .replace("double", "f64")
    )
    return w.op(f"call {kind} @llvm.fma.{suffix}({kind} {x}, {kind} {y}, {kind} {total})")


def fma(w: Writer, kind: str, x: str, y: str, total: str) -> None:
    """``total += x * y`` for a sum in a variable."""
    held = w.op(f"load {kind}, ptr {total}")
    w.do(f"store {kind} {multiply_add(w, kind, x, y, held)}, ptr {total}")
