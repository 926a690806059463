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

from collections.abc import Sequence
from typing import NamedTuple

from xpgrad.codegen.scalar import (  # noqa: F401 - each registers its functions
    arithmetic,
    bessel,
    beta,
    entropy,
    exponential,
    gamma,
    normal,
    trigonometric,
    zeta,
)
from xpgrad.codegen.scalar.bounds import BODIES as _BODIES
from xpgrad.codegen.scalar.bounds import ULP as _ULP
from xpgrad.codegen.scalar.bounds import Body, bounded
from xpgrad.codegen.scalar.ir import (
    Block,
    Instruction,
    Value,
    ceil,
    copysign,
    floor,
    roundeven,
    sqrt,
    trunc,
)

bounded(0.5, 0.5)(sqrt)
for _body in (copysign, floor, ceil, trunc):
    bounded(0.0, 0.0)(_body)
bounded(0.0, 0.0, "rint")(roundeven)

# All of them, now that each is registered: the body by name, and the error by name and type.
BODIES, ULP = _BODIES, _ULP

# What others leave to a function of its own, for arguments that are rare (`ir.library`).
RARE = {"zeta_left": zeta.zeta_left}
# What takes a function of the target's own.
OWN_ALONE = {"yn": bessel.yn}


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
