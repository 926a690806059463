"""The functions of `xpgrad.codegen.scalar` as CUDA C++, and those that CUDA's own take the place of.

In:  names of ops.
Out: device functions ``xg::<name>``, of float and of double.
Holds: NVRTC is told to contract nothing, so that each instruction rounds once, as it is stated.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from functools import cache

from xpgrad.codegen.scalar import BODIES, KINDS, RARE, Function, function
from xpgrad.codegen.scalar.floats import HUGE
from xpgrad.codegen.scalar.ir import Instruction, Number, Value

# By op: CUDA's name, to which an f is added for float. As accurate as ours or better, and faster: they use the
# hardware's exponential and logarithm.
OWN = {
    "exp": "exp",
    "exp2": "exp2",
    "exp10": "exp10",
    "expm1": "expm1",
    "log": "log",
    "log2": "log2",
    "log10": "log10",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "cbrt": "cbrt",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "sinpi": "sinpi",
    "cospi": "cospi",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "fabs": "fabs",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "rint",
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
    "copysign": "copysign",
    "fmax": "fmax",
    "fmin": "fmin",
    "fmod": "fmod",
}
_OF_TWO = frozenset("power hypot arctan2 copysign fmax fmin fmod".split())
# Those that bodies call, and no op is.
_PARTS = {"log_gamma": "lgamma", "yn": "yn", **{f"bessel_{name}": name for name in ("j0", "j1", "y0", "y1")}}
_CUDA = OWN | _PARTS
# What is printed from its instructions, where a kernel calls it.
STATED = frozenset(BODIES) - frozenset(OWN) - {"sign", "nan_to_num", "remainder", "floor_divide"}
_TYPES = {"float": "float", "double": "double", "i32": "int", "i64": "long long", "i1": "bool"}
_UNSIGNED = {"i32": "unsigned int", "i64": "unsigned long long"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^", "shl": "<<"}
_COMPARE = {"eq": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_BITS = {"float": "__float_as_int", "double": "__double_as_longlong"}
_FROM_BITS = {"float": "__int_as_float", "double": "__longlong_as_double"}
_CALLS = {"fma": "fma", "sqrt": "sqrt", "fabs": "fabs", "copysign": "copysign", "roundeven": "rint"}
_CALLS |= {name: name for name in ("floor", "ceil", "trunc")}


@cache
def own_functions() -> str:
    """CUDA's functions by our names."""
    lines = []
    for name, cuda in OWN.items():
        names = ("x", "y") if name in _OF_TWO else ("x",)
        for kind, suffix in (("float", "f"), ("double", "")):
            head = f"XG_FN {kind} {name}({', '.join(f'{kind} {x}' for x in names)})"
            lines.append(f"{head} {{ return ::{cuda}{suffix}({', '.join(names)}); }}")
    return "\n".join(lines)


def stated_functions(body: str) -> str:
    """The functions that ``body`` calls, and those that they call.

    For ``expit``, of float and of double::

        namespace xg {

        XG_FN float expit(float x) {
            const float v0 = ::fabsf(x);
            const float v1 = -v0;
            const float v2 = ::expf(v1);
            ...
            return v6;
        }

        ...

        }  // namespace xg
    """
    found: dict[str, str] = {}
    for name in sorted(set(_CALL.findall(body)) & STATED):
        text = _stated(name)
        for other in sorted(set(_CALL.findall(text)) & STATED):
            found[other] = _stated(other)
        found[name] = text
    return "\n\n".join(["namespace xg {", *found.values(), "}  // namespace xg\n"]) if found else ""


_CALL = re.compile(r"\bxg::(\w+)\(")


@cache
def _stated(name: str) -> str:
    return "\n\n".join(definition(function(name, kind, own=frozenset(_CUDA))) for kind in KINDS)


def definition(f: Function) -> str:
    """One function."""
    head = f"XG_FN {f.kind} {f.name}({', '.join(f'{x.kind} {_name(x)}' for x in f.parameters)})"
    return "\n".join([f"{head} {{", *_lines(f.instructions), f"    return {_name(f.result)};", "}"])


def _lines(instructions: Sequence[Instruction]) -> Iterator[str]:
    """The instructions as lines; of a `repeat` a loop, which is left when it does not go on."""
    loops: list[list[int]] = []
    for k, i in enumerate(instructions):
        margin = "    " * (1 + len(loops))
        if i.op == "loop":
            loops.append([])
            turns = i.function
        elif i.op == "carry":
            loops[-1].append(k)
            yield f"{margin[4:]}{_TYPES[i.kind]} v{k} = {_name(i.operands[0])};"
            following = instructions[k + 1].op
            if following != "carry":
                yield f"{margin[4:]}for (int k{k} = 0; k{k} < {turns}; ++k{k}) {{"
        elif i.op == "going":
            yield f"{margin}if (!{_name(i.operands[0])}) break;"
        elif i.op == "next":
            for c, x in zip(loops[-1], i.operands, strict=True):
                yield f"{margin}const {_TYPES[x.kind]} next{c} = {_name(x)};"
            yield from (f"{margin}v{c} = next{c};" for c in loops.pop())
            yield f"{margin[4:]}}}"
        else:
            yield f"{margin}const {_TYPES[i.kind]} v{k} = {_text(i)};"


def _text(i: Instruction) -> str:
    """The right side of one line."""
    kind = i.operands[0].kind
    xs = [_name(x) for x in i.operands]
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
        return f"static_cast<{_TYPES[i.kind]}>({xs[0]})"
    if i.op in _CALLS:
        return f"::{_CALLS[i.op]}{'f' if kind == 'float' else ''}({', '.join(xs)})"
    if i.op == "call":
        return f"::{_CUDA[i.function]}{'f' if i.kind == 'float' else ''}({', '.join(xs)})"
    if i.op == "library":
        wanted = " && ".join([f"{xs[0]} != {xs[0]}", *[f"xg::isfinite({x})" for x in xs[1:]]])
        of = f"{'xg::' if i.function in RARE else '::'}{i.function}"
        return f"{wanted} ? {of}({', '.join(xs[1:])}) : {xs[0]}"
    if i.op == "ashr":
        return f"{xs[0]} >> {xs[1]}"
    text = f"{xs[0]} {_SIGNS[i.op]} {xs[1]}"
    if kind in _UNSIGNED:  # signed integers that overflow are undefined
        a, b = (f"static_cast<{_UNSIGNED[kind]}>({x})" for x in xs)
        return f"static_cast<{_TYPES[kind]}>({a} {_SIGNS[i.op]} {b})"
    return f"({text}) != 0" if kind == "i1" else text


def _name(x: Value) -> str:
    if isinstance(x.source, Number):
        return literal(x.kind, x.source.number)
    return x.source if isinstance(x.source, str) else f"v{x.source}"


def literal(kind: str, x: float | int) -> str:
    """``x`` as a constant of ``kind``."""
    if kind == "i1":
        return "true" if x else "false"
    if kind in _UNSIGNED:
        number = int(x)
        return f"({number}{'LL' if kind == 'i64' else ''})"
    if x != x:
        return f"xg::nan<{kind}>()"
    if kind == "float" and abs(x) <= HUGE["float"]:
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    if abs(x) == float("inf"):
        return f"({'-' if x < 0 else ''}xg::infinity<{kind}>())"
    return f"({float(x)!r}{'f' if kind == 'float' else ''})"
