"""Compute what depends on constants alone.

    b = exp(0.5)                                  c = multiply(a, 1.6487212707001282)
    c = multiply(a, b)                 becomes

Left alone: what would make an array larger than its operands (a broadcast, zeros of some shape), what
an enclosing trace still has to find the numbers of, and what fails, which is to fail when it runs.
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

# Up to how many entries a result may outgrow its operands.
_SMALL = 16

# What the user is to see when the program runs: operands that a library refuses, a package that is missing, a
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
