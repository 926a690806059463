"""The bits of floats, and arithmetic that uses them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from xpgrad.codegen.scalar.ir import FLOAT, Value, bits, convert, fma, from_bits, same, select

MANTISSA = {"float": 23, "double": 52}
BIAS = {"float": 127, "double": 1023}
HUGE = {"float": (2 - 2.0**-23) * 2.0**127, "double": (2 - 2.0**-52) * 2.0**1023}
TINY = {"float": 2.0**-126, "double": 2.0**-1022}
INF = float("inf")
NAN = float("nan")


def at_most(x: Value, bound: float) -> Value:
    """The smaller of both; a NaN stays."""
    return select(x > bound, bound, x)


def at_least(x: Value, bound: float) -> Value:
    """The larger of both; a NaN stays."""
    return select(x < bound, bound, x)


def two_power(n: Value) -> Value:
    """2^n for an integer n whose power is normal (or 0, for n = -bias)."""
    kind = FLOAT[n.kind]
    return from_bits((n + BIAS[kind]) << MANTISSA[kind])


def ldexp(x: Value, n: Value) -> Value:
    """``2^n x``, rounded once, where the processor has an instruction for it."""
    assert x.block.scales
    return x.block.emit("ldexp", x.kind, x, n if n.kind == "i32" else convert(n, "i32"))


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
