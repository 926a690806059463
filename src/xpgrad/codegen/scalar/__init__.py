"""Elementary and special functions, each stated once, without branches or tables: loops over them vectorise.

In:  the name of an op and a type, float or double.
Out: `Function`: parameters, instructions and result, which the printers of `backends` write.
Holds: NumPy's and SciPy's values at zeros, infinities and NaN, subnormal results included; errors within `ULP`;
       no instruction assumes away NaN or infinity.

A function is written as arithmetic on `ir.Value`. How arguments are reduced is told at the top of
`exponential`, `trigonometric`, `arithmetic` and `special`; the coefficients are in `polynomials`, each with its
error, and come from tests/backends/llvm/remez.py. Where speed does not count, float32 is computed in float64.
The processor is to have a fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import NamedTuple

from xpgrad.codegen.scalar import arithmetic as a
from xpgrad.codegen.scalar import exponential as e
from xpgrad.codegen.scalar import special as s
from xpgrad.codegen.scalar import trigonometric as t
from xpgrad.codegen.scalar.ir import (
    Block,
    Instruction,
    Value,
    ceil,
    copysign,
    floor,
    narrow,
    roundeven,
    sqrt,
    trunc,
    widen,
)

Body = Callable[..., Value]
KINDS = ("float", "double")


def through_double(body: Body) -> Body:
    """``body``, for float32 computed in float64 and rounded; on a target with functions of its own as it is."""

    def unary(x: Value) -> Value:
        return narrow(body(widen(x))) if x.kind == "float" and not x.block.own else body(x)

    return unary


# The name of an op, its body, and its largest error in float32 and in float64, in units of the last place of
# the result (or of the smallest normal number). 0 is exact; 0.51 is nearly always the nearest number.
TABLE: tuple[tuple[str, Body, float, float], ...] = (
    ("exp", e.exp, 1.0, 1.0),
    ("exp2", e.exp2, 1.0, 1.0),
    ("exp10", through_double(e.exp10), 0.51, 1.0),
    ("expm1", e.expm1, 1.2, 1.2),
    ("log", e.log, 1.0, 1.0),
    ("log2", through_double(e.log2), 0.51, 1.0),
    ("log10", through_double(e.log10), 0.51, 1.0),
    ("log1p", e.log1p, 1.5, 1.5),
    ("expit", e.expit, 2.5, 2.5),
    ("softplus", e.softplus, 2.0, 2.0),
    ("logit", through_double(s.logit), 0.51, 2.0),
    ("sin", t.sin, 0.51, 1.0),
    ("cos", t.cos, 0.51, 1.0),
    ("tan", t.tan, 0.51, 2.5),
    ("sinc", t.sinc, 2.0, 2.5),
    ("sinh", t.sinh, 2.5, 2.5),
    ("cosh", t.cosh, 2.0, 2.0),
    ("tanh", e.tanh, 3.0, 3.0),
    ("arcsin", t.arcsin, 1.5, 1.5),
    ("arccos", t.arccos, 1.5, 1.5),
    ("arctan", t.arctan, 2.0, 2.0),
    ("arctan2", t.arctan2, 2.5, 2.5),
    ("arcsinh", through_double(t.arcsinh), 0.51, 2.5),
    ("arccosh", through_double(t.arccosh), 0.51, 2.5),
    ("arctanh", through_double(t.arctanh), 0.51, 2.5),
    ("erf", s.erf, 2.0, 2.0),
    ("erfc", s.erfc, 3.5, 3.5),
    ("erfcx", s.erfcx, 3.0, 3.0),
    ("ndtr", s.ndtr, 3.5, 3.5),
    ("normal_density", s.normal_density, 3.0, 3.0),
    ("log_ndtr", s.log_ndtr, 4.0, 4.0),
    ("inv_mills", s.inv_mills, 4.0, 4.0),
    # In float64 for x > 0: left of 0 it has zeros that the formula of reflection does not know.
    ("gammaln", through_double(s.gammaln), 0.51, 5.0),
    ("power", a.power, 0.51, 1.0),
    ("sqrt", sqrt, 0.5, 0.5),
    ("cbrt", through_double(a.cbrt), 0.51, 0.51),
    ("hypot", a.hypot, 0.51, 1.5),
    ("sign", a.sign, 0.0, 0.0),
    ("copysign", copysign, 0.0, 0.0),
    ("nan_to_num", a.nan_to_num, 0.0, 0.0),
    ("floor", floor, 0.0, 0.0),
    ("ceil", ceil, 0.0, 0.0),
    ("trunc", trunc, 0.0, 0.0),
    ("rint", roundeven, 0.0, 0.0),
    ("fmax", a.fmax, 0.0, 0.0),
    ("fmin", a.fmin, 0.0, 0.0),
    # The same roundings as NumPy's: equal to its results.
    ("fmod", a.fmod, 0.0, 0.0),
    ("remainder", a.remainder, 0.0, 0.0),
    ("floor_divide", a.floor_divide, 0.0, 0.0),
)
BODIES = {name: body for name, body, _, _ in TABLE}
FUNCTIONS = frozenset(BODIES)
ULP = {(name, kind): bound for name, _, *bounds in TABLE for kind, bound in zip(KINDS, bounds, strict=True)}


class Function(NamedTuple):
    """One function for one type.

    Attributes
    ----------
    name, kind : str
    parameters : tuple of Value
    instructions : list of Instruction
    result : Value
    """

    name: str
    kind: str
    parameters: tuple[Value, ...]
    instructions: list[Instruction]
    result: Value


def function(name: str, kind: str, scales: bool = False, own: frozenset[str] = frozenset()) -> Function:
    """The function ``name`` of ``kind``.

    ``scales``: the processor multiplies vectors by powers of two in one instruction; the results are the same.
    ``own``: functions that the target has itself, as accurate as ours, and that this one may call.
    """
    block, body = Block(scales, own), BODIES[name]
    parameters = tuple(block.parameter(kind, p) for p in signature(body).parameters)
    result = body(*parameters)
    return Function(name, kind, parameters, block.instructions, result)
