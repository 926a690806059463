"""The instructions of `xpgrad.codegen.scalar` as LLVM IR.

In:  names of functions and the types of their operands; or a body and the IR values that it is of.
Out: the text of ``@xg.<name>.<f32|f64|i32|i64>``, one function each, always inlined; or a line for each
     instruction.
Holds: no fast-math flag, so that neither NaN nor infinity is assumed away. Without a fused multiply-add, LLVM
calls the C library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from xpgrad.backends.cpu.llvm.slow_path import slow_paths, with_slow_path
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.codegen.scalar.bounds import Body
from xpgrad.codegen.scalar.functions import RARE, Function, function
from xpgrad.codegen.scalar.ir import Block, Instruction, Number, Value, same
from xpgrad.codegen.scalar.ops import SCALAR_OPS

Callee = tuple[str, tuple[str, ...]]
"""A function: its name, and the types of its operands."""

SUFFIX = {"float": "f32", "double": "f64"}
_INTRINSICS = frozenset("fma sqrt fabs copysign floor ceil trunc roundeven ldexp".split())
_SIGNED = {"div": "sdiv", "rem": "srem", "shr": "ashr"}
_UNSIGNED = {"div": "udiv", "rem": "urem", "shr": "lshr"}


def ctype(kind: str) -> str:
    """LLVM's type: its integers have no sign."""
    return f"i{kind[1:]}" if kind[0] == "u" else kind


def symbol(name: str, kind: str) -> str:
    """The function's name in the IR: ``@xg.exp.f32`` for ``exp`` of ``float``."""
    return f"@xg.{name}.{SUFFIX.get(kind, kind)}"


# ── functions ────────────────────────────────────────────────────────────────────────────────
def definitions(wanted: Iterable[Callee], scales: bool = False) -> str:
    """The IR of the wanted functions, each once, after the declarations of what they call of the C library.

    LLVM knows its own functions, ``@llvm.fma.f32``, without a declaration.

    ``scales``: the processor multiplies vectors by powers of two in one instruction (`build.scales`).

    For ``[("reciprocal", ("float",))]``::

        define internal float @xg.reciprocal.f32(float %x0) alwaysinline {
        start:
          %v0 = fdiv float 0x3FF0000000000000, %x0
          ret float %v0
        }
    """
    texts = []
    nodes: list[str] = []
    left: set[tuple[str, int]] = set()
    for name, kinds in sorted(set(wanted)):
        f = function(name, SCALAR_OPS[name].body, kinds, scales)
        left |= {(i.function, len(i.operands) - 1) for i in f.instructions if i.op == "library"}
        texts.append(_definition(f, "alwaysinline", _Lines(nodes)))
    ours = {name: symbol(name, "double") for name, _ in sorted(left) if name in RARE}
    rare = [(name, ["double"] * count) for name, count in sorted(left) if name in RARE]
    stated = [function(name, RARE[name], of, scales) for name, of in rare]
    texts += [_definition(f, "noinline", _Lines(None)) for f in stated]
    declared, functions = slow_paths(left, ours)
    return "\n".join([*declared, *functions, *texts, *nodes])


def _definition(f: Function, how: str, lines: _Lines) -> str:
    kind, name = ctype(f.result.kind), symbol(f.name, f.parameters[0].kind)
    head = f"define internal {kind} {name}({', '.join(map(_typed, f.parameters))}) {how}"
    return "\n".join([f"{head} {{", *lines.of(f.instructions), f"  ret {_typed(f.result)}", "}", ""])


# ── bodies in place ──────────────────────────────────────────────────────────────────────────
def written(w: Writer, body: Body, operands: Sequence[tuple[str, str]], constants: Sequence[float] = ()) -> str:
    """Write ``body``, which has no `repeat`; what its result is called.

    ``operands``: each a name and its type. ``constants``: the body's operands after these.
    """
    block = Block()
    given = [block.parameter(kind, name) for name, kind in operands]
    result = body(*given, *[same(given[0], c) for c in constants])
    names: list[str] = []

    def name_of(x: Value) -> str:
        if isinstance(x.source, Number):
            return number(x.source.number, x.kind)
        return x.source if isinstance(x.source, str) else names[x.source]

    for i in block.instructions:
        names += [w.op(_text(i, name_of))]
    return name_of(result)


# ── loops ────────────────────────────────────────────────────────────────────────────────────
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

    def __init__(self, nodes: list[str] | None) -> None:
        self._nodes = nodes
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
                self._lines.append(f"  %v{k} = {_text(i, _name)}")
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
                self._lines.append(f"  %next{c} = select {loop.going}, {_typed(x)}, {ctype(x.kind)} %v{c}")
                name = f"%next{c}"
            arms = f"[ {_name(first)}, %{loop.before} ], [ {name}, %{self._block} ]"
            heads.append(f"  %v{c} = phi {ctype(x.kind)} {arms}")
        self._lines[loop.place : loop.place] = heads
        self._lines.append(f"  %then{k} = add i32 %turn{k}, 1")
        self._lines.append(f"  br label %head{k}{self._unrolled() if self._unrolls(loop) else ''}")
        self._label(f"after{k}")

    def _unrolled(self) -> str:
        """The end of a branch back, by which the loop is unrolled."""
        assert self._nodes is not None
        n = len(self._nodes) + 1  # 0 is in `NOT_UNROLLED`
        self._nodes.append(f'!{n} = distinct !{{!{n}, !{{!"llvm.loop.unroll.full"}}}}')
        return f", !llvm.loop !{n}"


# ── instructions ─────────────────────────────────────────────────────────────────────────────
def _text(i: Instruction, name: Callable[[Value], str]) -> str:
    """The right side of one line; ``name``: what its operands are called."""
    first, kind = i.operands[0], ctype(i.kind)
    names = [name(x) for x in i.operands]
    typed = ", ".join(f"{ctype(x.kind)} {n}" for x, n in zip(i.operands, names, strict=True))
    if i.op in _INTRINSICS:
        return f"call {kind} @llvm.{i.op}.{SUFFIX[i.kind]}{'.i32' if i.op == 'ldexp' else ''}({typed})"
    if i.op == "library":
        return with_slow_path(i.function, names[0], names[1:])
    if i.op in ("bits", "from_bits"):
        return f"bitcast {typed} to {kind}"
    if i.op == "convert":
        return f"{_conversion(first, i.kind)} {typed} to {kind}"
    if i.op == "select":
        return f"select {typed}"
    of = f"{ctype(first.kind)} {', '.join(names)}"
    if i.op == "unordered":
        return f"fcmp uno {of}"
    if i.op in ("eq", "ne", "lt", "le", "gt", "ge"):
        if first.is_float:
            return f"fcmp {'une' if i.op == 'ne' else 'o' + i.op} {of}"
        sign = "" if i.op in ("eq", "ne") else "u" if first.is_unsigned else "s"
        return f"icmp {sign}{i.op} {of}"
    if first.is_float:
        return f"f{i.op} {of}"
    return f"{(_UNSIGNED if first.is_unsigned else _SIGNED).get(i.op, i.op)} {of}"


def _conversion(x: Value, kind: str) -> str:
    if x.is_float:
        if kind in SUFFIX:
            return "fpext" if kind == "double" else "fptrunc"
        return "fptoui" if kind[0] == "u" else "fptosi"
    if kind in SUFFIX:
        return "uitofp" if x.is_unsigned else "sitofp"
    old, new = int(x.kind[1:]), int(kind[1:])
    if old == new:
        return "bitcast"
    return "trunc" if old > new else "zext" if x.is_unsigned else "sext"


def _typed(x: Value) -> str:
    return f"{ctype(x.kind)} {_name(x)}"


def _name(x: Value) -> str:
    if isinstance(x.source, Number):
        return number(x.source.number, x.kind)
    return f"%{x.source}" if isinstance(x.source, str) else f"%v{x.source}"
