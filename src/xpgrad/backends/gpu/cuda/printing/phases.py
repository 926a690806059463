"""Work between two ``__syncthreads()``.

In:  the loop nests of a kernel.
Out: its phases, in order: of each nest what is made pointwise, and what reduces the same axes.
Holds: a phase reads what earlier phases made, and nothing that it makes itself at other indices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder
from xpgrad.codegen.kernel_ir import Axis, LoopNest, Reduce, Store, reduced_axes
from xpgrad.codegen.lower import wide

WARP = 32
"""Lanes of a warp."""

FEW = 4
"""So many sums at most does a thread add up in float64, whose instructions have half the rate or less."""


class Phase(NamedTuple):
    """Statements of a nest that the threads share out, over ``axes``, of which ``reduced`` are reduced."""

    nest: LoopNest
    statements: list[Store | Reduce]
    axes: frozenset[Axis]
    reduced: frozenset[Axis]


def phases(k: KernelBuilder) -> list[Phase]:
    """The phases of a kernel, in order."""
    found: list[Phase] = []
    for nest in k.ir.nests:
        groups: dict[frozenset[Axis], list[Store | Reduce]] = {}
        for s in nest.body:
            if isinstance(s, Reduce):
                groups.setdefault(reduced_axes(s, nest), []).append(s)
            elif isinstance(s, Store):
                groups.setdefault(frozenset(), []).append(s)
        axes = frozenset(nest.axes)
        found += [Phase(nest, statements, axes, reduced) for reduced, statements in groups.items()]
    return found


def held_dtype(k: KernelBuilder, s: Reduce, nest: LoopNest, count: int) -> np.dtype[Any]:
    """The dtype in which a thread holds ``count`` entries of a reduction: float64 for a few long sums.

    Contractions are added up in their own dtype: many GPUs have few units for float64.
    """
    long = any(e not in k.unrolled for e in reduced_axes(s, nest))
    few = long and count <= FEW and s.node.op.name == "sum"
    return wide(s.node.dtype) if few else s.node.dtype
