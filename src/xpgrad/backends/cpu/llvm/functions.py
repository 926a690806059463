"""The functions of `xpgrad.codegen.scalar` as LLVM IR.

In:  names of ops and the types float and double.
Out: the text of ``@xg.<name>.<f32|f64>``, one function each, always inlined, and the intrinsics' declarations.
Holds: no fast-math flag, so that neither NaN nor infinity is assumed away. Without a fused multiply-add, LLVM
calls the C library's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from xpgrad.backends.cpu.llvm.rescue import rescued, rescues
from xpgrad.codegen.scalar import function
from xpgrad.codegen.scalar.ir import HUGE, Const, Instruction, Value

SUFFIX = {"float": "f32", "double": "f64"}
_INTRINSICS = frozenset("fma sqrt fabs copysign floor ceil trunc roundeven".split())
_CASTS = {
    "bits": "bitcast",
    "from_bits": "bitcast",
    "widen": "fpext",
    "narrow": "fptrunc",
    "shorten": "trunc",
}


def symbol(name: str, kind: str) -> str:
    """The function's name in the IR: ``@xg.exp.f32`` for ``exp`` of ``float``."""
    return f"@xg.{name}.{SUFFIX[kind]}"


def definitions(wanted: Iterable[tuple[str, str]], scales: bool = False) -> str:
    """The IR of the wanted functions, each once, after the declarations of the intrinsics that they call.

    ``scales``: the processor multiplies vectors by powers of two in one instruction (`build.scales`).

    For ``[("reciprocal", "float")]``::

        define internal float @xg.reciprocal.f32(float %x) alwaysinline {
          %1 = fdiv float 0x3FF0000000000000, %x
          ret float %1
        }
    """
    texts = []
    declarations: set[str] = set()
    wanted_rescues: set[tuple[str, int]] = set()
    for name, kind in sorted(set(wanted)):
        f = function(name, kind, scales)
        lines = "".join(f"  %{k} = {_text(i, declarations)}\n" for k, i in enumerate(f.instructions, 1))
        wanted_rescues |= {(i.function, len(i.operands) - 1) for i in f.instructions if i.op == "library"}
        head = f"define internal {kind} {symbol(name, kind)}({', '.join(map(_typed, f.parameters))})"
        texts.append(f"{head} alwaysinline {{\n{lines}  ret {_typed(f.result)}\n}}\n")
    declared, functions = rescues(wanted_rescues)
    return "\n".join([*sorted(declarations | set(declared)), *functions, *texts])


def _text(i: Instruction, declarations: set[str]) -> str:
    """The right side of one line."""
    first, rest = i.operands[0], i.operands[1:]
    names = ", ".join(map(_name, i.operands))
    if i.op in _INTRINSICS or i.op == "ldexp":
        target = f"@llvm.{i.op}.{SUFFIX[i.kind]}{'.i32' if i.op == 'ldexp' else ''}"
        declarations.add(f"declare {i.kind} {target}({', '.join(x.kind for x in i.operands)})")
        return f"call {i.kind} {target}({', '.join(map(_typed, i.operands))})"
    if i.op == "library":
        return rescued(i.function, _name(first), [_name(x) for x in rest])
    if i.op in _CASTS:
        return f"{_CASTS[i.op]} {_typed(first)} to {i.kind}"
    if i.op == "select":
        return f"select {', '.join(map(_typed, i.operands))}"
    if i.op == "unordered":
        return f"fcmp uno {first.kind} {names}"
    if i.op in ("eq", "lt", "le", "gt", "ge"):
        how = f"fcmp o{i.op}" if first.is_float else f"icmp {i.op if i.op == 'eq' else 's' + i.op}"
        return f"{how} {first.kind} {names}"
    return f"{'f' if first.is_float else ''}{i.op} {first.kind} {names}"


def _typed(x: Value) -> str:
    return f"{x.kind} {_name(x)}"


def _name(x: Value) -> str:
    if isinstance(x.source, Const):
        return literal(x.kind, x.source.number)
    return f"%{x.source}" if isinstance(x.source, str) else f"%{x.source + 1}"


def literal(kind: str, x: float | int) -> str:
    """``x`` as an IR literal; a float is rounded to ``kind`` and written in hexadecimal."""
    if kind == "i1":
        return "true" if x else "false"
    if kind not in SUFFIX:
        return str(int(x))
    if kind == "float" and abs(x) <= HUGE["float"]:
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    return "0x" + struct.pack(">d", x).hex().upper()
