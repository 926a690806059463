"""Stabilisation: replace forms that overflow, cancel or saturate by forms that do not.

    b = negative(a)                               b = softplus(a)
    c = exp(b)                                    c = negative(b)
    d = add(1, c)                      becomes
    e = reciprocal(d)
    f = subtract(1, e)
    g = log(f)

Holds: every rewriting is valid for all real operands; if its value differs from NumPy's, NumPy's had
overflowed, underflowed or lost its digits. Complex numbers and integers are left alone. An intermediate
result that something else needs stays.

The forms are in `stable_logistic`, `stable_logarithm` and `stable_softmax`. Each is a function of the operands
of a node, which have been rewritten already. Its docstring is the rewriting in a line.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Graph, Node
from xpgrad.passes.rewriting import Note, Rewriting, rewrite, silent
from xpgrad.passes.stable_logarithm import LOGARITHM
from xpgrad.passes.stable_logistic import LOGISTIC
from xpgrad.passes.stable_softmax import SOFTMAX

_FORMS = {
    op: [*SOFTMAX.get(op, ()), *LOGISTIC.get(op, ()), *LOGARITHM.get(op, ())]
    for op in {**SOFTMAX, **LOGISTIC, **LOGARITHM}
}


def stabilise(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    return rewrite(graph, _stable, note)


def _stable(r: Rewriting, node: Node, operands: list[Any]) -> Any:
    if node.dtype.kind != "f" or node.weak:
        return None
    for form in _FORMS.get(node.op, ()):
        new = form(r, node, *operands)
        if new is not None:
            return new
    return None
