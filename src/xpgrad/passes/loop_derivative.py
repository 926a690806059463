"""The derivative of a loop: a loop over the iterations in reverse.

    b = loop(a), n times x = f(x)         b, cs = loop(a), n times x, c = f(x), what f' reads
    and the cotangent g of b: ...         h = loop(g, cs in reverse), n times g = g f'(c)

In:  the operands of a `loop` op, traced on any level.
Out: its outputs, on that level. A Tape gets one Record for all iterations, a graph one node.
Holds: the body is differentiated once. Any other trace (tangents, batches) sees the iterations one by one, as
it would see those of Python; a pass rolls them back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import user_line
from xpgrad.autodiff.custom import CUSTOM
from xpgrad.autodiff.pullback import pull
from xpgrad.core import Aval, Const, Graph, Input, Node, Value, aval_of
from xpgrad.ops.loops import LOOP
from xpgrad.ops.shape import astype, copy, full_like
from xpgrad.passes.dead import dead
from xpgrad.trace.symbolic import Symbols, constant
from xpgrad.trace.tape import Record, Tape
from xpgrad.trace.traced import Traced

Params = Mapping[str, Any]
Apply = Callable[[Graph, Sequence[Any]], list[Any]]
"""``apply(graph, inputs) -> outputs``: a graph carried out op by op."""

_REVERSED = (slice(None, None, -1),)


def loop_applied(operands: Sequence[Any], params: Params, apply: Apply) -> Sequence[Any]:
    """The outputs of a loop, with a derivative at the innermost trace among ``operands``."""
    traced = [x for x in operands if type(x) is Traced]
    if not traced:
        found: Sequence[Any] = LOOP(*operands, **params)
        return found
    trace = max((x._trace for x in traced), key=lambda t: t.level)
    trace.check_open(LOOP)
    if isinstance(trace, Symbols) and trace.role != "rule":
        return LOOP(*operands, **params)  # type: ignore[no-any-return]
    if type(trace) is not Tape:
        return _one_by_one(operands, params, apply)
    lower = [trace.operand(LOOP, x) for x in operands]
    if not any(type(x) is Traced for x in lower):
        return _one_by_one(operands, params, apply)
    nodes = [x._node if type(x) is Traced and x._trace is trace else None for x in operands]
    active = [node is not None for node in nodes]
    if not any(active):
        return loop_applied(lower, params, apply)
    return _on_tape(trace, nodes, lower, params, apply)


def _one_by_one(operands: Sequence[Any], params: Params, apply: Apply) -> list[Any]:
    """The iterations as Python would run them."""
    n, c = params["invariants"], params["carries"]
    fixed, carry, slices = operands[:n], list(operands[n : n + c]), operands[n + c :]
    stacks: list[list[Any]] = []
    for t in range(params["length"]):
        outs = apply(params["body"], [*fixed, *carry, *[x[t] for x in slices]])
        carry = outs[:c]
        stacks.append(outs[c:])
    return [*carry, *[np.stack(column) for column in zip(*stacks, strict=True)]]


# ── reverse mode ─────────────────────────────────────────────────────────────────────────────
class _Backward(NamedTuple):
    """The two loops of a derivative.

    Attributes
    ----------
    forward : Graph
        The body, with what the reverse reads of an iteration as further outputs.
    body : Graph
        One iteration in reverse. Inputs: the invariants that it reads, and cotangents that no iteration
        changes; the other cotangents of carries, and the sums of those of invariants; slices: what is kept,
        the operands' slices that it reads, and the cotangents of stacked outputs.
    invariants, slices : list of int
        The operands that it reads, by number.
    passed, carried, sliced : list of int
        The operands whose cotangents pass through, are carries, and stacked outputs.
    summed : dict of int to Aval
        Those whose cotangents are sums.
    stacked : list of int
        The outputs of the loop whose cotangents it reads slice by slice.
    """

    forward: Graph
    body: Graph
    invariants: list[int]
    slices: list[int]
    passed: list[int]
    carried: list[int]
    summed: dict[int, Aval]
    sliced: list[int]
    stacked: list[int]


def _on_tape(
    trace: Tape, nodes: Sequence[Value | None], lower: Sequence[Any], params: Params, apply: Apply
) -> list[Any]:
    """The outputs, with one Record for all iterations."""
    body, n, c = params["body"], params["invariants"], params["carries"]
    b = _backward(body, [node is not None for node in nodes], n, c, apply)
    found = loop_applied(lower, {**params, "body": b.forward}, apply)
    count = len(body.outputs)
    outs, kept = list(found[:count]), found[count:]

    def back(gs: Sequence[Any]) -> list[Any]:
        sums = [full_like(lower[k], value=0, shape=v.shape, dtype=v.dtype) for k, v in b.summed.items()]
        carries = [*[gs[k - n] for k in b.carried], *sums]
        slices = [*kept, *[lower[k] for k in b.slices], *[gs[k] for k in b.stacked]]
        fixed = [*[lower[k] for k in b.invariants], *[gs[k - n] for k in b.passed]]
        sizes = {"length": params["length"], "invariants": len(fixed), "carries": len(carries)}
        given = [*fixed, *carries, *[x[_REVERSED] for x in slices]]
        made = loop_applied(given, {"body": b.body, **sizes}, apply)
        cs: list[Any] = [None] * len(lower)
        for k in b.passed:
            cs[k] = gs[k - n]
        for k, x in zip((*b.carried, *b.summed), made, strict=False):
            cs[k] = x
        for k, x in zip(b.sliced, made[len(carries) :], strict=True):
            cs[k] = x[_REVERSED]
        return [None if node is None else x for x, node in zip(cs, nodes, strict=True)]

    parent = Record(CUSTOM, nodes, {"pull": back, "outs": outs}, *aval_of(0.0), user_line())
    trace.records.append(parent)
    return trace.picked(parent, outs)


def _backward(body: Graph, active: Sequence[bool], n: int, c: int, apply: Apply) -> _Backward:
    """One iteration is differentiated; its values that the reverse reads are kept."""
    # The cotangent of a carry that starts as a constant passes from iteration to iteration all the same.
    wanted = [k for k, v in enumerate(body.inputs) if v.dtype.kind in "fc" and (active[k] or n <= k < n + c)]
    symbols, tape = Symbols("program"), Tape()
    primal = [symbols.enter(v.aval) for v in body.inputs]
    gs = {k: symbols.enter(_array(v)) for k, v in enumerate(body.outputs) if v.dtype.kind in "fc"}
    entered = {k: tape.enter(primal[k]) for k in wanted}
    outs = apply(body, [entered.get(k, x) for k, x in enumerate(primal)])
    tape.closed = True
    count = len(symbols.graph.nodes)
    ours = {k: x for k, x in enumerate(outs) if type(x) is Traced and x._trace is tape}
    seeds = [(ours[k]._node, g) for k, g in gs.items() if k in ours and ours[k]._node is not None]
    cs = pull(tape.records, seeds, [entered[k]._node for k in wanted], like=primal[0])
    found = dict(zip(wanted, cs, strict=True))
    sums = {}
    for k in wanted:
        if n <= k < n + c:
            if found[k].dtype != gs[k - n].dtype:
                found[k] = astype(found[k], dtype=gs[k - n].dtype)
        elif _is_zero(found[k]):
            del found[k]
        elif k < n:
            sums[k] = symbols.enter(_array(aval_of(found[k])))
            found[k] = sums[k] + found[k]
    graph = symbols.close()
    results = {k: _node(graph, x) for k, x in found.items()}
    ends = [_node(graph, x._below if k in ours else x) for k, x in enumerate(outs)]
    before, after = graph.nodes[:count], graph.nodes[count:]

    needed: dict[Any, None] = dict.fromkeys(results.values())
    kept: list[Any] = []
    again: set[Value] = set()
    made_before = set(before)
    for node in reversed((*before, *after)):
        if node in needed:
            if node in made_before and "view" not in node.op.traits:
                kept.append(node)
            else:
                again.add(node)
                needed.update(dict.fromkeys(node.operands))
    own = [k for k, x in enumerate(primal) if x._node in needed]
    stored = [*kept]
    for k in (k for k in own if n <= k < n + c):
        kept.append(primal[k]._node)
        stored.append(Node(copy, (primal[k]._node,), {"order": "C"}, primal[k]._node.aval))

    first = Graph()
    first.inputs = [x._node for x in primal]
    first.nodes = [*before, *[x for x in ends if x in set(after)], *[x for x in stored if x not in made_before]]
    first.outputs = [*ends, *stored]

    carries = [k for k in found if n <= k < n + c]
    b = _Backward(
        forward=dead(first),
        body=Graph(),
        invariants=[k for k in own if k < n],
        slices=[k for k in own if k >= n + c],
        passed=[k for k in carries if results[k] is gs[k - n]._node],
        carried=[k for k in carries if results[k] is not gs[k - n]._node],
        summed={k: _array(aval_of(x)) for k, x in sums.items()},
        sliced=[k for k in found if k >= n + c],
        stacked=[k for k in gs if k >= c and gs[k]._node in needed],
    )
    second = Graph()
    second.inputs = [
        *[primal[k]._node for k in b.invariants],
        *[gs[k - n]._node for k in (*b.passed, *b.carried)],
        *[sums[k]._node for k in b.summed],
        *kept,
        *[primal[k]._node for k in b.slices],
        *[gs[k]._node for k in b.stacked],
    ]
    second.nodes = [node for node in (*before, *after) if node in again]
    second.outputs = [results[k] for k in (*b.carried, *b.summed, *b.sliced)]
    return b._replace(body=_with_inputs(second))


def _array(x: Any) -> Aval:
    """The shape and dtype of ``x``, as an array: its dtype gives way to no other."""
    return Aval(x.shape, x.dtype)


def _is_zero(x: Any) -> bool:
    node = x._node if type(x) is Traced else None
    return isinstance(node, Node) and node.op is full_like and node.params["value"] == 0


def _node(graph: Graph, x: Any) -> Any:
    """The node of a traced array; a constant becomes one."""
    if type(x) is Traced:
        return x._node
    node = Node(copy, (constant(x),), {"order": "C"}, _array(aval_of(x)))
    graph.nodes.append(node)
    return node


def _with_inputs(graph: Graph) -> Graph:
    """``graph``, some of whose inputs are nodes of another, with inputs of its own."""
    new: dict[Value, Any] = {v: Input(v.aval) for v in graph.inputs}
    made = Graph()
    made.inputs = [new[v] for v in graph.inputs]
    for node in graph.nodes:
        if node in new:
            continue
        operands = [u if isinstance(u, Const) else new[u] for u in node.operands]
        new[node] = Node(node.op, operands, node.params, node.aval, node.at)
        made.nodes.append(new[node])
    made.outputs = [new[v] for v in graph.outputs]
    return made
