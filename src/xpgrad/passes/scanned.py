"""A function that is called once for all iterations of a loop: the body of a `loop`.

In:  a function of the leaves of a carry and of one entry of each array, the first carry, and the arrays.
Out: the last carry and the stacked results, of one loop; None where only a Python loop can say what happens.
Holds: what the function reads from outside, if it is traced further out, is an operand of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._trees import flatten
from xpgrad.autodiff.custom import CUSTOM
from xpgrad.core import Aval, Graph
from xpgrad.ops.requirements import require
from xpgrad.ops.shape import astype
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.loop_derivative import loop_applied
from xpgrad.passes.restabilise import apply_nodes, with_outer_inputs
from xpgrad.passes.stabilise import stabilise
from xpgrad.trace.boundary import call
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.traced import Traced, aval_under

Fun = Callable[..., Any]


def scanned(f: Fun, carry: Sequence[Any], xs: Sequence[Any], length: int) -> tuple[list[Any], list[Any]] | None:
    """The last carry and the stacked results of ``length`` iterations.

    Parameters
    ----------
    f : callable
        ``f(*carry, *entries) -> (carry, results)``, two lists of leaves.
    carry : sequence of arrays
        The first carry.
    xs : sequence of arrays[length, ...]
    """
    symbolic = next((x for x in (*carry, *xs) if type(x) is Traced), None)
    if symbolic is None:
        return None
    device = symbolic.xpgrad_device
    entries = [Aval(x.shape[1:], aval_under(x).dtype) for x in xs]
    body = None
    for _ in range(2):  # a Python number becomes an array in the first iteration
        avals = [aval_under(x) for x in carry]
        body = _body(f, [*avals, *entries], device)
        if body is None:
            return None
        nexts = [v.aval for v in body.outputs[: len(carry)]]
        if nexts == avals:
            break
        if any(a.shape != b.shape or (a != b and not a.weak) for a, b in zip(avals, nexts, strict=True)):
            return None
        carry = [_array(x, b) if a != b else x for x, a, b in zip(carry, avals, nexts, strict=True)]
    else:
        return None
    body, outer = with_outer_inputs(body)
    if outer:
        n = len(body.inputs) - len(outer)
        body.inputs = [*body.inputs[n:], *body.inputs[:n]]
    params = {"body": body, "length": length, "invariants": len(outer), "carries": len(carry)}
    found = loop_applied([*outer, *carry, *xs], params, apply_nodes)
    return list(found[: len(carry)]), list(found[len(carry) :])


def _array(x: Any, aval: Aval) -> Any:
    """A Python number as an array."""
    return astype(x, dtype=aval.dtype) if type(x) is Traced else np.asarray(x, aval.dtype)


def _body(f: Fun, avals: Sequence[Aval], device: str) -> Graph | None:
    """What ``f`` records; None if a result is constant, or a node has a rule of its own."""
    symbols = Symbols("inner")
    symbols.device = device
    outs = flatten(call(f, [symbols.enter(a) for a in avals]))[0]
    if not all(type(x) is Traced and x._trace is symbols for x in outs):
        return None
    for x in outs:
        x.refresh()
        symbols.graph.outputs.append(x._node)
    graph = symbols.close()
    if any(node.op is CUSTOM or node.op is require for node in graph.nodes):
        return None
    return dead(stabilise(cse(graph)))
