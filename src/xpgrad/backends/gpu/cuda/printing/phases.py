"""Work between two ``__syncthreads()``.

In:  the loop nests of a kernel.
Out: its phases, in order: for each nest the pointwise statements, and the reductions over the same axes.
Holds: a phase reads what earlier phases wrote, and none of its own results at other indices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder
from xpgrad.codegen.kernel_ir import Axis, LoopNest, Reduce, Store, reduced_axes
from xpgrad.codegen.lower import wide


class Phase(NamedTuple):
    """Statements of one nest over ``axes``, of which ``reduced`` are reduced."""

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

    Contractions are added up in their own dtype, for many GPUs have few units for float64.
    """
    long = any(e not in k.unrolled for e in reduced_axes(s, nest))
    few = long and count <= k.limits.float64_sums and s.node.op.name == "sum"
    return wide(s.node.dtype) if few else s.node.dtype
