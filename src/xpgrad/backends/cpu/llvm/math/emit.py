"""Arithmetic that writes LLVM IR: ``a * b + 1`` on `Value` objects appends the instructions to a `Block`.

In:  Python operators and the functions below, on values of one block.
Out: the lines of one branch-free function, and the intrinsics that they call.
Holds: no fast-math flag; a number takes the type of the value beside it, rounded to it.

    >>> block = Block()
    >>> x = Value(block, "double", "%x")
    >>> _ = fma(x, x, 1.0)
    >>> block.lines
    ['%1 = call double @llvm.fma.f64(double %x, double %x, double 0x3FF0000000000000)']
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

SUFFIX = {"float": "f32", "double": "f64"}
INTEGER = {"float": "i32", "double": "i64"}
FLOAT = {"i32": "float", "i64": "double"}
MANTISSA = {"float": 23, "double": 52}
BIAS = {"float": 127, "double": 1023}
HUGE = {"float": (2 - 2.0**-23) * 2.0**127, "double": (2 - 2.0**-52) * 2.0**1023}
TINY = {"float": 2.0**-126, "double": 2.0**-1022}
INF = float("inf")
NAN = float("nan")


class Block:
    """The body of one function: its lines, and the declarations that it needs.

    ``rescues``: functions of the C library that are asked where ours has no result, each with its operands.
    ``scales``: the processor multiplies vectors by powers of two in one instruction.
    """

    def __init__(self, scales: bool = False) -> None:
        self.scales = scales
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.rescues: dict[str, int] = {}

    def emit(self, kind: str, text: str) -> Value:
        """Append ``%n = text``; the value has type ``kind``."""
        name = f"%{len(self.lines) + 1}"
        self.lines.append(f"{name} = {text}")
        return Value(self, kind, name)


class Value:
    """A name in a block, with its LLVM type: float, double, i32, i64 or i1."""

    __slots__ = ("block", "kind", "name")

    def __init__(self, block: Block, kind: str, name: str) -> None:
        self.block, self.kind, self.name = block, kind, name

    def _binary(self, op: str, other: Operand) -> Value:
        return self.block.emit(self.kind, f"{op} {self.kind} {self.name}, {same(self, other).name}")

    def _arith(self, op: str, other: Operand) -> Value:
        return self._binary(f"f{op}" if self.kind in SUFFIX else op, other)

    def _compare(self, op: str, other: Operand) -> Value:
        how = f"fcmp o{op}" if self.kind in SUFFIX else f"icmp s{op}"
        return self.block.emit("i1", f"{how} {self.kind} {self.name}, {same(self, other).name}")

    def __add__(self, other: Operand) -> Value:
        return self._arith("add", other)

    def __radd__(self, other: float | int) -> Value:
        return same(self, other) + self

    def __sub__(self, other: Operand) -> Value:
        return self._arith("sub", other)

    def __rsub__(self, other: float | int) -> Value:
        return same(self, other) - self

    def __mul__(self, other: Operand) -> Value:
        return self._arith("mul", other)

    def __rmul__(self, other: float | int) -> Value:
        return same(self, other) * self

    def __truediv__(self, other: Operand) -> Value:
        return self._arith("div", other)

    def __rtruediv__(self, other: float | int) -> Value:
        return same(self, other) / self

    def __neg__(self) -> Value:
        if self.kind in SUFFIX:
            return self.block.emit(self.kind, f"fneg {self.kind} {self.name}")
        return same(self, 0) - self

    def __lt__(self, other: Operand) -> Value:
        return self._compare("lt", other)

    def __le__(self, other: Operand) -> Value:
        return self._compare("le", other)

    def __gt__(self, other: Operand) -> Value:
        return self._compare("gt", other)

    def __ge__(self, other: Operand) -> Value:
        return self._compare("ge", other)

    def __and__(self, other: Operand) -> Value:
        return self._binary("and", other)

    def __or__(self, other: Operand) -> Value:
        return self._binary("or", other)

    def __xor__(self, other: Operand) -> Value:
        return self._binary("xor", other)

    def __invert__(self) -> Value:
        return self._binary("xor", -1)

    def __lshift__(self, count: int) -> Value:
        return self._binary("shl", count)

    def __rshift__(self, count: int) -> Value:
        """Arithmetic: the sign is kept."""
        return self._binary("ashr", count)


Operand = Value | float | int


def literal(kind: str, x: float | int) -> str:
    """``x`` as an IR literal; a float is rounded to ``kind`` and written in hexadecimal."""
    if kind == "i1":
        return "true" if x else "false"
    if kind not in SUFFIX:
        return str(int(x))
    if kind == "float" and abs(x) <= HUGE["float"]:
        x = struct.unpack("<f", struct.pack("<f", x))[0]
    return "0x" + struct.pack(">d", x).hex().upper()


def same(like: Value, x: Operand) -> Value:
    """``x`` as a value of the type of ``like``."""
    if isinstance(x, Value):
        assert x.kind == like.kind, (x.kind, like.kind)
        return x
    return Value(like.block, like.kind, literal(like.kind, x))


def _call(name: str, x: Value, *others: Operand) -> Value:
    args = [x, *(same(x, o) for o in others)]
    target = f"@llvm.{name}.{SUFFIX[x.kind]}"
    x.block.declarations.add(f"declare {x.kind} {target}({', '.join(a.kind for a in args)})")
    return x.block.emit(x.kind, f"call {x.kind} {target}({', '.join(f'{a.kind} {a.name}' for a in args)})")


def fma(x: Value, y: Operand, z: Operand) -> Value:
    """``x y + z``, rounded once."""
    return _call("fma", x, y, z)


def sqrt(x: Value) -> Value:
    return _call("sqrt", x)


def fabs(x: Value) -> Value:
    return _call("fabs", x)


def copysign(x: Value, sign: Value) -> Value:
    return _call("copysign", x, sign)


def floor(x: Value) -> Value:
    return _call("floor", x)


def ceil(x: Value) -> Value:
    return _call("ceil", x)


def trunc(x: Value) -> Value:
    return _call("trunc", x)


def roundeven(x: Value) -> Value:
    return _call("roundeven", x)


def eq(x: Value, y: Operand) -> Value:
    how = "fcmp oeq" if x.kind in SUFFIX else "icmp eq"
    return x.block.emit("i1", f"{how} {x.kind} {x.name}, {same(x, y).name}")


def isnan(x: Value) -> Value:
    return x.block.emit("i1", f"fcmp uno {x.kind} {x.name}, {x.name}")


def select(where: Value, x: Operand, y: Operand, like: Value | None = None) -> Value:
    """``x`` where the condition holds, else ``y``; ``like`` gives the type if both are numbers."""
    model = x if isinstance(x, Value) else y if isinstance(y, Value) else like
    assert model is not None
    a, b = same(model, x), same(model, y)
    return where.block.emit(a.kind, f"select i1 {where.name}, {a.kind} {a.name}, {b.kind} {b.name}")


def at_most(x: Value, bound: float) -> Value:
    """The smaller of both; a NaN stays."""
    return select(x > bound, bound, x)


def at_least(x: Value, bound: float) -> Value:
    """The larger of both; a NaN stays."""
    return select(x < bound, bound, x)


def bits(x: Value) -> Value:
    """The integer with the same bits."""
    kind = INTEGER[x.kind]
    return x.block.emit(kind, f"bitcast {x.kind} {x.name} to {kind}")


def from_bits(i: Value) -> Value:
    """The float with the same bits."""
    kind = FLOAT[i.kind]
    return i.block.emit(kind, f"bitcast {i.kind} {i.name} to {kind}")


def widen(x: Value) -> Value:
    return x.block.emit("double", f"fpext float {x.name} to double")


def narrow(x: Value) -> Value:
    return x.block.emit("float", f"fptrunc double {x.name} to float")


def two_power(n: Value) -> Value:
    """2^n for an integer n whose power is normal (or 0, for n = -bias)."""
    kind = FLOAT[n.kind]
    return from_bits((n + BIAS[kind]) << MANTISSA[kind])


def ldexp(x: Value, n: Value) -> Value:
    """``2^n x``, rounded once, where the processor has an instruction for it."""
    assert x.block.scales
    target = f"@llvm.ldexp.{SUFFIX[x.kind]}.i32"
    x.block.declarations.add(f"declare {x.kind} {target}({x.kind}, i32)")
    name = n.name if n.kind == "i32" else x.block.emit("i32", f"trunc {n.kind} {n.name} to i32").name
    return x.block.emit(x.kind, f"call {x.kind} {target}({x.kind} {x.name}, i32 {name})")


def magic(kind: str) -> float:
    """Added to x, it leaves the integer nearest to x in the low bits of the sum."""
    return 1.5 * 2.0 ** MANTISSA[kind]


def nearest(x: Value, factor: float) -> tuple[Value, Value]:
    """The integer nearest to ``x factor``, as a float and as an integer.

    A conversion instruction would be undefined for NaN, and for 64 bits needs AVX-512DQ.
    """
    shift = magic(x.kind)
    t = fma(x, factor, shift)
    return t - shift, bits(t) - int(literal_bits(x.kind, shift))


def literal_bits(kind: str, x: float) -> int:
    """The bits of ``x`` in type ``kind``, as an unsigned integer."""
    code = {"float": ("<f", "<I"), "double": ("<d", "<Q")}[kind]
    return int(struct.unpack(code[1], struct.pack(code[0], x))[0])


def to_float(i: Value) -> Value:
    """A small integer as a float, exactly, without a conversion instruction."""
    kind = FLOAT[i.kind]
    shift = magic(kind)
    return from_bits(i + literal_bits(kind, shift)) - shift


def horner(x: Value, coefficients: Sequence[float]) -> Value:
    """The polynomial with these coefficients, lowest first."""
    result = same(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        result = fma(result, x, c)
    return result
