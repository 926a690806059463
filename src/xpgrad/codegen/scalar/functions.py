"""Elementary and special functions, without tables or branches, so that loops vectorise.

In:  the name of a function and the types of its operands.
Out: `Function`: parameters, instructions and result, which the printers of `backends` write.
Holds: NumPy's and SciPy's values at zeros, infinities and NaN, subnormal results included; errors within `ULP`;
       no instruction assumes away NaN or infinity.

A function is written as arithmetic on `ir.Value`. How arguments are reduced is told at the top of each module;
the coefficients are in `polynomials`, `special_polynomials` and `bessel_polynomials`, each with its error, and
come from tests/backends/llvm/remez.py. Where speed does not count, float32 is computed in float64. The
processor is to have a fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

from xpgrad.codegen.scalar import arithmetic as a
from xpgrad.codegen.scalar import bessel as bs
from xpgrad.codegen.scalar import beta as bt
from xpgrad.codegen.scalar import entropy as d
from xpgrad.codegen.scalar import exponential as e
from xpgrad.codegen.scalar import gamma as g
from xpgrad.codegen.scalar import normal as n
from xpgrad.codegen.scalar import trigonometric as t
from xpgrad.codegen.scalar import zeta as z
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

    @wraps(body)
    def through(*xs: Value) -> Value:
        single = xs[0].kind == "float" and not xs[0].block.own
        return narrow(body(*map(widen, xs))) if single else body(*xs)

    return through


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
    ("logit", through_double(e.logit), 0.51, 2.0),
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
    ("erf", n.erf, 2.0, 2.0),
    ("erfc", n.erfc, 3.5, 3.5),
    ("erfcx", n.erfcx, 3.0, 3.0),
    ("ndtr", n.ndtr, 3.5, 3.5),
    ("normal_density", n.normal_density, 3.0, 3.0),
    ("log_ndtr", n.log_ndtr, 4.0, 4.0),
    ("inv_mills", n.inv_mills, 4.0, 4.0),
    # In float64 for x > 0: left of 0 they have zeros that the formula of reflection does not know. Of betaln
    # and logaddexp2, which go through 0, relative to 1 at least, of kl_div to x + y, of j and y to what they
    # swing between. Beyond a + b = 170 beta is the exponential of its logarithm.
    ("gammaln", through_double(g.gammaln), 0.51, 5.0),
    ("loggamma", through_double(g.loggamma), 0.51, 2.5),
    ("gamma", through_double(g.gamma), 0.51, 4.0),
    ("rgamma", through_double(g.rgamma), 0.51, 4.0),
    ("gammasgn", g.gammasgn, 0.0, 0.0),
    ("digamma", through_double(g.digamma), 0.51, 3.0),
    ("polygamma", through_double(z.polygamma), 0.51, 4.0),
    ("zeta", through_double(z.zeta), 0.51, 5.0),
    ("beta", through_double(bt.beta), 0.51, 6.0),
    ("betaln", through_double(bt.betaln), 0.51, 6.0),
    ("gamma_kernel", g.gamma_kernel, 0.51, 12.0),
    ("beta_kernel", bt.beta_kernel, 0.51, 12.0),
    ("erfinv", through_double(n.erfinv), 0.51, 2.5),
    ("erfcinv", through_double(n.erfcinv), 0.51, 2.5),
    ("ndtri", through_double(n.ndtri), 0.51, 3.5),
    ("inv_mills_excess", through_double(n.inv_mills_excess), 0.51, 80.0),
    ("logaddexp2", through_double(e.logaddexp2), 0.51, 1.5),
    ("xlog_ratio", through_double(d.xlog_ratio), 0.51, 2.5),
    ("rel_entr", through_double(d.rel_entr), 0.51, 2.5),
    ("kl_div", through_double(d.kl_div), 0.51, 2.5),
    ("cosm1", through_double(t.cosm1), 0.51, 2.5),
    ("exprel", through_double(e.exprel), 0.51, 1.5),
    ("j0", through_double(bs.j0), 0.51, 4.0),
    ("j1", through_double(bs.j1), 0.51, 4.0),
    ("y0", through_double(bs.y0), 0.51, 4.0),
    ("y1", through_double(bs.y1), 0.51, 4.0),
    ("i0", through_double(bs.i0), 0.51, 4.5),
    ("i1", through_double(bs.i1), 0.51, 4.5),
    ("i0e", through_double(bs.i0e), 0.51, 3.0),
    ("i1e", through_double(bs.i1e), 0.51, 3.0),
    ("power", a.power, 0.51, 1.0),
    ("sqrt", sqrt, 0.5, 0.5),
    ("cbrt", through_double(a.cbrt), 0.51, 0.51),
    ("hypot", a.hypot, 0.51, 1.5),
    ("sign", a.sign, 0.0, 0.0),
    ("copysign", copysign, 0.0, 0.0),
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
FUNCTIONS = frozenset(name for name, *_ in TABLE)
# What others leave to a function of its own, for arguments that are rare (`ir.library`).
RARE = {"zeta_left": z.zeta_left}
# What takes a function of the target's own.
OWN_ALONE = {"yn": bs.yn}
BODIES = {name: body for name, body, _, _ in TABLE} | RARE | OWN_ALONE
ULP = {(name, kind): bound for name, _, *bounds in TABLE for kind, bound in zip(KINDS, bounds, strict=True)}


class Function(NamedTuple):
    """One function for operands of some types.

    Attributes
    ----------
    name : str
    parameters : tuple of Value
    instructions : list of Instruction
    result : Value
    """

    name: str
    parameters: tuple[Value, ...]
    instructions: list[Instruction]
    result: Value


def function(
    name: str,
    body: Body,
    kinds: Sequence[str],
    scales: bool = False,
    own: frozenset[str] = frozenset(),
) -> Function:
    """``body`` of operands of ``kinds``.

    ``scales``: the processor multiplies vectors by powers of two in one instruction; the results are the same.
    ``own``: functions that the target has itself, as accurate as ours, and that this one may call.
    """
    block = Block(scales, own)
    parameters = tuple(block.parameter(kind, f"x{k}") for k, kind in enumerate(kinds))
    result = body(*parameters)
    return Function(name, parameters, block.instructions, result)
