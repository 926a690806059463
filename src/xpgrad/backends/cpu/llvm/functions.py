"""The functions of `xpgrad.codegen.scalar` as LLVM IR.

In:  names of ops and the types float and double.
Out: the text of ``@xg.<name>.<f32|f64>``, one function each, always inlined, and the intrinsics' declarations.
Holds: no fast-math flag, so that neither NaN nor infinity is assumed away. Without a fused multiply-add, LLVM
calls the C library's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from xpgrad.backends.cpu.llvm.rescue import rescued, rescues
from xpgrad.codegen.scalar import RARE, Function, function
from xpgrad.codegen.scalar.floats import HUGE
from xpgrad.codegen.scalar.ir import Instruction, Number, Value

SUFFIX = {"float": "f32", "double": "f64"}
_INTRINSICS = frozenset("fma sqrt fabs copysign floor ceil trunc roundeven".split())
_CASTS = {
    ("float", "double"): "fpext",
    ("double", "float"): "fptrunc",
    ("i64", "i32"): "trunc",
}


def symbol(name: str, kind: str) -> str:
    """The function's name in the IR: ``@xg.exp.f32`` for ``exp`` of ``float``."""
    return f"@xg.{name}.{SUFFIX[kind]}"


def definitions(wanted: Iterable[tuple[str, str]], scales: bool = False) -> str:
    """The IR of the wanted functions, each once, after the declarations of the intrinsics that they call.

    ``scales``: the processor multiplies vectors by powers of two in one instruction (`build.scales`).

    For ``[("reciprocal", "float")]``::

        define internal float @xg.reciprocal.f32(float %x) alwaysinline {
        start:
          %v0 = fdiv float 0x3FF0000000000000, %x
          ret float %v0
        }
    """
    texts = []
    declarations: set[str] = set()
    nodes: list[str] = []
    left: set[tuple[str, int]] = set()
    for name, kind in sorted(set(wanted)):
        f = function(name, kind, scales)
        left |= {(i.function, len(i.operands) - 1) for i in f.instructions if i.op == "library"}
        texts.append(_definition(f, "alwaysinline", _Lines(declarations, nodes)))
    ours = {name: symbol(name, "double") for name, _ in sorted(left) if name in RARE}
    rare = [function(name, "double", scales) for name in ours]
    texts += [_definition(f, "noinline", _Lines(declarations, None)) for f in rare]
    declared, functions = rescues(left, ours)
    return "\n".join([*sorted(declarations | set(declared)), *functions, *texts, *nodes])


def _definition(f: Function, how: str, lines: _Lines) -> str:
    head = f"define internal {f.kind} {symbol(f.name, f.kind)}({', '.join(map(_typed, f.parameters))}) {how}"
    return "\n".join([f"{head} {{", *lines.of(f.instructions), f"  ret {_typed(f.result)}", "}", ""])


MASKED = 32
"""A loop of at most so many turns is unrolled, and its values chosen, so that the loop around is vectorised."""


class _Loop:
    """A `repeat` that is being written.

    Attributes
    ----------
    k, turns : int
        The number in its names, and how many turns there are.
    before : str
        The block that it begins in.
    carried : list of (int, Value)
        The number of each carried value, and what it begins as.
    place : int
        The line before which the first lines of its body are put, once they are known.
    going : str
        The condition by which values are chosen, if they are.
    """

    def __init__(self, k: int, turns: int, before: str) -> None:
        self.k, self.turns, self.before = k, turns, before
        self.carried: list[tuple[int, Value]] = []
        self.place = 0
        self.going = ""


class _Lines:
    """Writes the instructions of a function as lines of IR.

    ``nodes``: the module's metadata; each loop that is to be unrolled adds its own. None if no loop is, for
    the function is not called in vectors.
    """

    def __init__(self, declarations: set[str], nodes: list[str] | None) -> None:
        self._declarations, self._nodes = declarations, nodes
        self._lines = ["start:"]
        self._block = "start"
        self._loops: list[_Loop] = []

    def of(self, instructions: Sequence[Instruction]) -> list[str]:
        for k, i in enumerate(instructions):
            if i.op == "loop":
                self._begin(_Loop(k, int(i.function), self._block))
            elif i.op == "carry":
                self._loops[-1].carried.append((k, i.operands[0]))
            elif i.op == "going":
                self._going(self._loops[-1], i.operands[0])
            elif i.op == "next":
                self._end(self._loops.pop(), i.operands)
            else:
                self._lines.append(f"  %v{k} = {_text(i, self._declarations)}")
        return self._lines

    def _unrolls(self, loop: _Loop) -> bool:
        return self._nodes is not None and loop.turns <= MASKED

    def _label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._block = name

    def _begin(self, loop: _Loop) -> None:
        self._loops.append(loop)
        self._lines.append(f"  br label %head{loop.k}")
        self._label(f"head{loop.k}")
        loop.place = len(self._lines)
        self._lines.append(f"  %more{loop.k} = icmp ult i32 %turn{loop.k}, {loop.turns}")
        self._lines.append(f"  br i1 %more{loop.k}, label %body{loop.k}, label %after{loop.k}")
        self._label(f"body{loop.k}")

    def _going(self, loop: _Loop, condition: Value) -> None:
        if self._unrolls(loop):
            loop.going = _typed(condition)
            return
        self._lines.append(f"  br {_typed(condition)}, label %on{loop.k}, label %after{loop.k}")
        self._label(f"on{loop.k}")

    def _end(self, loop: _Loop, following: Sequence[Value]) -> None:
        k = loop.k
        heads = [f"  %turn{k} = phi i32 [ 0, %{loop.before} ], [ %then{k}, %{self._block} ]"]
        for (c, first), x in zip(loop.carried, following, strict=True):
            name = _name(x)
            if loop.going:
                self._lines.append(f"  %next{c} = select {loop.going}, {_typed(x)}, {x.kind} %v{c}")
                name = f"%next{c}"
            arms = f"[ {_name(first)}, %{loop.before} ], [ {name}, %{self._block} ]"
            heads.append(f"  %v{c} = phi {x.kind} {arms}")
        self._lines[loop.place : loop.place] = heads
        self._lines.append(f"  %then{k} = add i32 %turn{k}, 1")
        self._lines.append(f"  br label %head{k}{self._unrolled() if self._unrolls(loop) else ''}")
        self._label(f"after{k}")

    def _unrolled(self) -> str:
        """The end of a branch back, by which the loop is unrolled."""
        assert self._nodes is not None
        n = len(self._nodes)
        self._nodes.append(f'!{n} = distinct !{{!{n}, !{{!"llvm.loop.unroll.full"}}}}')
        return f", !llvm.loop !{n}"


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
    if i.op in ("bits", "from_bits"):
        return f"bitcast {_typed(first)} to {i.kind}"
    if i.op == "convert":
        return f"{_CASTS[first.kind, i.kind]} {_typed(first)} to {i.kind}"
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
    if isinstance(x.source, Number):
        return literal(x.kind, x.source.number)
    return f"%{x.source}" if isinstance(x.source, str) else f"%v{x.source}"


def literal(kind: str, x: float | int) -> str:
    """``x`` as an IR literal; a float is rounded to ``kind`` and written in hexadecimal."""
    if kind == "i1":
        return "true" if x else "false"
    if kind not in SUFFIX:
        return str(int(x))
    if kind == "float" and abs(x) <= HUGE["float"]:
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    return "0x" + struct.pack(">d", x).hex().upper()
