"""What the threads of a block do between two waits.

In:  a Frame.
Out: its phases, in order: of each nest what is made pointwise, and what reduces the same labels.
Holds: a phase reads what earlier phases made, and nothing that it makes itself at other indices.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.gpu.cuda.printing.frame import Frame
from xpgrad.core import Node
from xpgrad.plan.boxes import Part, parts_of
from xpgrad.plan.nests import Nest, is_reduction

WARP = 32
"""Lanes of a warp."""

FEW = 4
"""So many sums at most does a thread add up in float64, whose instructions have half the rate or less."""


class Phase(NamedTuple):
    """What the threads do between two waits: ``nodes`` of a nest, over ``labels``, of which ``reduced`` go."""

    nest: Nest
    nodes: list[Node]
    labels: frozenset[int]
    reduced: frozenset[int]
    part: Part | None = None


def phases(frame: Frame) -> list[Phase]:
    """The phases of a step, in order."""
    found: list[Phase] = []
    for nest in frame.nests.nests:
        if nest.kind == "boxes":
            found += [Phase(nest, nest.nodes, nest.labels, frozenset(), p) for p in parts_of(nest.nodes[0])]
            continue
        groups: dict[frozenset[int], list[Node]] = {}
        for node in nest.nodes:
            if is_sum(nest, node):
                groups.setdefault(frame.reduced([node]), []).append(node)
            elif frame.is_needed(node):
                groups.setdefault(frozenset(), []).append(node)
        for reduced, nodes in groups.items():
            found.append(Phase(nest, nodes, nest.labels | reduced, reduced))
    return found


def is_sum(nest: Nest, node: Node) -> bool:
    return nest.kind == "product" or is_reduction(node)


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which the parts of a sum are combined."""
    return np.dtype(np.float64) if dtype.kind == "f" else dtype


def held_dtype(frame: Frame, node: Node, count: int) -> np.dtype[Any]:
    """The dtype in which a thread holds ``count`` entries of a reduction: float64 for a few long sums.

    Contractions are added up in their own dtype: many GPUs have few units for float64.
    """
    long = any(e not in frame.unrolled for e in frame.axes.reduced(node))
    few = long and count <= FEW and node.op.name == "sum"
    return wide(node.dtype) if few else node.dtype
