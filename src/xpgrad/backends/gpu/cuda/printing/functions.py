"""The instructions of `xpgrad.codegen.scalar` as CUDA C++.

In:  bodies, and the types of their operands.
Out: an expression, if every value is used once; otherwise a call of a device function ``xg::<name>``; or a call
     of CUDA's own function, if there is one.
Holds: NVRTC contracts nothing (`nvrtc.OPTIONS`), so each instruction rounds once, as stated. A text on float
has nothing of type double in it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from xpgrad.codegen.scalar.bounds import Body
from xpgrad.codegen.scalar.functions import RARE, Function, function
from xpgrad.codegen.scalar.ir import Instruction, Number, Value, fma
from xpgrad.codegen.scalar.ops import SCALAR_OPS

Callee = tuple[str, tuple[str, ...]]
"""A device function: its name, and the types of its operands."""

TYPES = {
    "float": "float",
    "double": "double",
    "i1": "bool",
    "i8": "signed char",
    "i16": "short",
    "i32": "int",
    "i64": "long long",
    "u8": "unsigned char",
    "u16": "unsigned short",
    "u32": "unsigned int",
    "u64": "unsigned long long",
}
# CUDA's name for each op; an f is added for float. CUDA's functions are at least as accurate as ours, and
# faster, for they use the hardware's exponential and logarithm.
OWN = {
    "exp": "exp",
    "exp2": "exp2",
    "exp10": "exp10",
    "expm1": "expm1",
    "log": "log",
    "log2": "log2",
    "log10": "log10",
    "log1p": "log1p",
    "cbrt": "cbrt",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "erf": "erf",
    "erfc": "erfc",
    "erfcx": "erfcx",
    "erfinv": "erfinv",
    "erfcinv": "erfcinv",
    "ndtri": "normcdfinv",
    "gamma": "tgamma",
    "i0": "cyl_bessel_i0",
    "i1": "cyl_bessel_i1",
    "power": "pow",
    "hypot": "hypot",
    "arctan2": "atan2",
    "fmax": "fmax",
    "fmin": "fmin",
    "fmod": "fmod",
    "ldexp": "ldexp",
}
# Functions that bodies call and that are no ops.
_PARTS = {"sinpi": "sinpi", "cospi": "cospi", "log_gamma": "lgamma", "yn": "yn"} | {
    f"bessel_{name}": name for name in ("j0", "j1", "y0", "y1")
}
_CUDA = OWN | _PARTS
NAMES = frozenset(_CUDA)
"""CUDA's own functions, which a body may call."""

_FLOATS = ("float", "double")
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^"}
_SIGNS |= {"shl": "<<", "shr": ">>"}
_WRAPPING = ("add", "sub", "mul", "shl")
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_BITS = {"float": "__float_as_int", "double": "__double_as_longlong"}
_FROM_BITS = {"float": "__int_as_float", "double": "__longlong_as_double"}
_CALLS = {"fma": "fma", "sqrt": "sqrt", "fabs": "fabs", "copysign": "copysign", "roundeven": "rint"}
_CALLS |= {name: name for name in ("floor", "ceil", "trunc")}


# ── expressions ──────────────────────────────────────────────────────────────────────────────
def expression(name: str, body: Body, kinds: Sequence[str], operands: Sequence[str], calls: set[Callee]) -> str:
    """``body`` of ``operands`` of ``kinds``, in parentheses or a call, which is added to ``calls``."""
    if name in OWN and all(kind in _FLOATS for kind in kinds):
        return f"::{OWN[name]}{_suffix(kinds[0])}({', '.join(operands)})"
    stated = function(name, body, kinds, own=NAMES)
    if _is_tree(stated):
        return _folded(stated, operands)
    calls.add((name, tuple(kinds)))
    return f"xg::{name}({', '.join(operands)})"


def _is_tree(f: Function) -> bool:
    """True if every value is used at most once."""
    if any(i.op in ("loop", "library") for i in f.instructions):
        return False
    uses = Counter(x.source for i in f.instructions for x in i.operands if not isinstance(x.source, Number))
    return max(uses.values(), default=0) <= 1


def _folded(f: Function, operands: Sequence[str]) -> str:
    """A tree as one expression."""
    given = {x.source: text for x, text in zip(f.parameters, operands, strict=True)}
    texts: list[str] = []

    def name(x: Value) -> str:
        if isinstance(x.source, Number):
            return literal(x.kind, x.source.number)
        return given[x.source] if isinstance(x.source, str) else texts[x.source]

    for i in f.instructions:
        text = _text(i, name)
        texts += [text if text.startswith(("::", "xg::", "__", "static_cast<")) else f"({text})"]
    return name(f.result)


# ── functions ────────────────────────────────────────────────────────────────────────────────
_ARITHMETIC = [kind for kind in TYPES if kind != "i1"]
# The functions that the prelude's reductions call.
_OF_PRELUDE: dict[Callee, Body] = {
    **{(name, (kind, kind)): SCALAR_OPS[name].body for name in ("add", "multiply") for kind in _ARITHMETIC},
    **{(name, (kind, kind)): SCALAR_OPS[name].body for name in ("maximum", "minimum") for kind in TYPES},
    **{("fma", (kind,) * 3): fma for kind in _FLOATS},
}


def prelude_functions() -> str:
    return "\n".join(definition(function(name, body, kinds)) for (name, kinds), body in _OF_PRELUDE.items())


def definitions(calls: Iterable[Callee]) -> str:
    """The functions of ``calls``, and those that they call, except the prelude's.

    For ``expit`` of float::

        namespace xg {

        XG_FN float expit(float x0) {
            const float v0 = ::fabsf(x0);
            const float v1 = -v0;
            const float v2 = ::expf(v1);
            ...
            return v6;
        }

        }  // namespace xg
    """
    found: dict[Callee, str] = {}
    for name, kinds in sorted(set(calls) - _OF_PRELUDE.keys()):
        stated = function(name, SCALAR_OPS[name].body, kinds, own=NAMES)
        for i in stated.instructions:
            if i.op == "library" and i.function in RARE:
                rare = tuple(x.kind for x in i.operands[1:])
                found[i.function, rare] = definition(function(i.function, RARE[i.function], rare, own=NAMES))
        found[name, kinds] = definition(stated)
    return "\n\n".join(["namespace xg {", *found.values(), "}  // namespace xg\n"]) if found else ""


def definition(f: Function) -> str:
    """One function."""
    parameters = ", ".join(f"{TYPES[x.kind]} {_name(x)}" for x in f.parameters)
    head = f"XG_FN {TYPES[f.result.kind]} {f.name}({parameters})"
    return "\n".join([f"{head} {{", *_lines(f.instructions), f"    return {_name(f.result)};", "}"])


def _lines(instructions: Sequence[Instruction]) -> Iterator[str]:
    """The instructions as lines; a `repeat` is a loop with a break."""
    loops: list[list[int]] = []
    for k, i in enumerate(instructions):
        margin = "    " * (1 + len(loops))
        if i.op == "loop":
            loops.append([])
            iterations = i.function
        elif i.op == "carry":
            loops[-1].append(k)
            yield f"{margin[4:]}{TYPES[i.kind]} v{k} = {_name(i.operands[0])};"
            following = instructions[k + 1].op
            if following != "carry":
                yield f"{margin[4:]}for (int k{k} = 0; k{k} < {iterations}; ++k{k}) {{"
        elif i.op == "going":
            yield f"{margin}if (!{_name(i.operands[0])}) break;"
        elif i.op == "next":
            for c, x in zip(loops[-1], i.operands, strict=True):
                yield f"{margin}const {TYPES[x.kind]} next{c} = {_name(x)};"
            yield from (f"{margin}v{c} = next{c};" for c in loops.pop())
            yield f"{margin[4:]}}}"
        else:
            yield f"{margin}const {TYPES[i.kind]} v{k} = {_text(i, _name)};"


# ── instructions ─────────────────────────────────────────────────────────────────────────────
def _text(i: Instruction, name: Callable[[Value], str]) -> str:
    """The right side of one line; ``name`` gives the names of its operands."""
    kind = i.operands[0].kind
    xs = [name(x) for x in i.operands]
    if i.op == "select":
        return f"{xs[0]} ? {xs[1]} : {xs[2]}"
    if i.op == "unordered":
        return f"{xs[0]} != {xs[0]} || {xs[1]} != {xs[1]}"
    if i.op == "neg":
        return f"-{xs[0]}"
    if i.op in _COMPARE:
        return f"{xs[0]} {_COMPARE[i.op]} {xs[1]}"
    if i.op == "bits":
        return f"{_BITS[kind]}({xs[0]})"
    if i.op == "from_bits":
        return f"{_FROM_BITS[i.kind]}({xs[0]})"
    if i.op == "convert":
        return f"static_cast<{TYPES[i.kind]}>({xs[0]})"
    if i.op in _CALLS:
        return f"::{_CALLS[i.op]}{_suffix(kind)}({', '.join(xs)})"
    if i.op == "call":
        return f"::{_CUDA[i.function]}{_suffix(i.kind)}({', '.join(xs)})"
    if i.op == "library":
        finite = [f"::fabs{_suffix(kind)}({x}) < xg::infinity<{kind}>()" for x in xs[1:]]
        of = f"{'xg' if i.function in RARE else ''}::{i.function}"
        return f"{' && '.join([f'{xs[0]} != {xs[0]}', *finite])} ? {of}({', '.join(xs[1:])}) : {xs[0]}"
    sign = _SIGNS[i.op]
    if kind in _FLOATS:
        return f"{xs[0]} {sign} {xs[1]}"
    if kind == "i1":
        return f"({xs[0]} {sign} {xs[1]}) != 0"
    if i.op in _WRAPPING:  # signed integers that overflow are undefined
        wide = f"unsigned {'long long' if kind[1:] == '64' else 'int'}"
        xs = [f"static_cast<{wide}>({x})" for x in xs]
    # Shorter integers are promoted to int.
    return f"static_cast<{TYPES[kind]}>({xs[0]} {sign} {xs[1]})"


def _suffix(kind: str) -> str:
    return "f" if kind == "float" else ""


def _name(x: Value) -> str:
    if isinstance(x.source, Number):
        return literal(x.kind, x.source.number)
    return x.source if isinstance(x.source, str) else f"v{x.source}"


def literal(kind: str, x: float | int) -> str:
    """``x`` as a constant of ``kind``, in parentheses where it needs them."""
    if kind == "i1":
        return "true" if x else "false"
    if kind in _FLOATS:
        return _float_literal(kind, float(x))
    number, bits = int(x), int(kind[1:])
    if kind in ("u32", "u64"):
        return f"{number % 2**bits}{'u' if bits == 32 else 'ULL'}"
    if bits < 32:
        return f"static_cast<{TYPES[kind]}>({number})"
    suffix = "LL" if bits == 64 else ""
    # The least number is written as a difference, for its digits alone overflow.
    return f"({number + 1}{suffix} - 1)" if number == -(2 ** (bits - 1)) else f"({number}{suffix})"


def _float_literal(kind: str, x: float) -> str:
    if kind == "float" and abs(x) != float("inf"):
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    if x != x:
        return f"xg::nan<{kind}>()"
    if abs(x) == float("inf"):
        return f"({'-' if x < 0 else ''}xg::infinity<{kind}>())"
    text = np.format_float_scientific(np.float32(x) if kind == "float" else x, unique=True, trim="0")
    return f"({text}{_suffix(kind)})"
