"""Lowering: write composite ops in the few that are planned and generated.

    b = mean(a, axis=(1,))                        c = sum(a, axis=(1,))
                                       becomes    b = divide(c, 4)

The forward and the backward pass then have nodes in common: `logsumexp` and the `softmax` of its derivative
share the exponentials and their sum, `log(1 + exp(-|x|))` the exponential.

The rules are in `lower_reductions`, `lower_contractions`, `lower_matrices`, `lower_pointwise`,
`lower_shared_exponential` and `lower_writes`.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Graph, Node
from xpgrad.passes.lower_contractions import CONTRACTIONS
from xpgrad.passes.lower_matrices import MATRICES
from xpgrad.passes.lower_pointwise import POINTWISE, by_composition
from xpgrad.passes.lower_reductions import REDUCTIONS
from xpgrad.passes.lower_shared_exponential import SHARING, shared_exponential_rule, shared_exponentials
from xpgrad.passes.lower_writes import WRITES
from xpgrad.passes.rewriting import Note, Rewriting, rewrite, silent

_RULES = {**CONTRACTIONS, **MATRICES, **POINTWISE, **REDUCTIONS, **WRITES}


def lower(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    shares = shared_exponential_rule(shared_exponentials(graph))

    def lowered(r: Rewriting, node: Node, operands: list[Any]) -> Any:
        new = shares(r, node, operands) if node.op in SHARING else None
        rule = _RULES.get(node.op, by_composition if node.op.composed is not None else None)
        new = new if new is not None or rule is None else rule(r, node, operands)
        r.note_form(node, operands, new)
        return new

    return rewrite(graph, lowered, note)
