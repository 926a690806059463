"""Constant folding: compute the nodes that depend on constants alone.

    b = exp(0.5)                                  c = multiply(a, 1.6487212707001282)
    c = multiply(a, b)                 becomes

Three kinds of nodes are left alone: those whose array would be larger than their operands (a broadcast, zeros
of some shape), those whose numbers an enclosing trace does not know yet, and those that raise, which must
raise when the program runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import XpgradError
from xpgrad.core import SCALAR_TYPES, Const, Graph, Node, Operand, aval_of
from xpgrad.ops.shape import full_like
from xpgrad.passes.matching import number
from xpgrad.passes.rewriting import Note, Rewriting, rewrite, silent
from xpgrad.trace.apply import LIBRARY_ERRORS

# The most entries that a result may have more than its operands.
_SMALL = 16

# Errors that the user must see when the program runs: operands that a library refuses, a missing package, a
# warning that was made an error.
_FAILURES = (XpgradError, *LIBRARY_ERRORS, Warning)


def fold(graph: Graph, note: Note = silent) -> Graph:
    """The pass."""
    return rewrite(graph, _folded, note, share=False)


def _folded(r: Rewriting, node: Node, operands: list[Operand]) -> Any:
    op = node.op
    if op is full_like and node.shape == () and isinstance(node.params["value"], SCALAR_TYPES):
        return node.dtype.type(node.params["value"])
    data = [u.data for u in operands if isinstance(u, Const)]
    known = len(data) == len(operands) and all(isinstance(x, (np.ndarray, *SCALAR_TYPES)) for x in data)
    if not known or op.kind in ("pick", "custom"):
        return None
    if node.size > max([_SMALL, *[u.size for u in operands]]) or node.weak:
        return None
    if type(op.shape(*[u.aval for u in operands], **node.params)) is tuple:
        return None
    try:
        with np.errstate(all="ignore"):
            found = op(*data, **node.params)
    except _FAILURES:
        return None
    if getattr(found, "shape", ()) != node.shape or type(found) not in (np.ndarray, *_known(found)):
        return None
    found = found.astype(node.dtype) if isinstance(found, np.ndarray) else node.dtype.type(found)
    shown = repr(found) if number(found) is not None else str(aval_of(found))
    r.note(f"{op.name} of constants -> {shown}")
    return found


def _known(x: Any) -> tuple[type, ...]:
    return (type(x),) if isinstance(x, SCALAR_TYPES) else ()
