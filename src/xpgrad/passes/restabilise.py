"""The stable form of a function, put in its place before it is differentiated.

In:  a Tape or Duals, and a function of arrays traced on it.
Out: the function's result, on that trace, computed by stable forms (decision 11).
Holds: each op keeps the user's line. With numbers the function is called as it is.

A derivative of `1 / (1 + exp(-z))` has 0 times infinity in it, which no later pass can tell from what the
user meant. So a function that is traced with shapes alone is traced by itself first and its graph put into
stable form; the outer trace then sees that form, op by op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, at_line
from xpgrad._trees import flatten, unflatten
from xpgrad.autodiff.custom import CUSTOM
from xpgrad.core import Const, Graph, Input, Node, Value, operands_of
from xpgrad.ops.loops import LOOP
from xpgrad.ops.requirements import require
from xpgrad.passes.cse import cse
from xpgrad.passes.dead import dead
from xpgrad.passes.loop_derivative import loop_applied
from xpgrad.passes.rewriting import Note, silent
from xpgrad.passes.roll import roll
from xpgrad.passes.stabilise import stabilise
from xpgrad.passes.writes import writes
from xpgrad.trace.boundary import call
from xpgrad.trace.quiet import unobserved
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.tape import PICK
from xpgrad.trace.traced import Trace, Traced, aval_under, strip

Fun = Callable[..., Any]


_FEW = 64
"""The most entries of constant arrays that are compared: a loop may make an equal one in each iteration."""

_written: ContextVar[bool] = ContextVar("written", default=False)
_rewrites: ContextVar[list[str] | None] = ContextVar("rewrites", default=None)


@contextmanager
def rewrites_heard() -> Iterator[list[str]]:
    """Collect, in words with the user's line, what is rewritten within the context before differentiation."""
    found: list[str] = []
    token = _rewrites.set(found)
    try:
        yield found
    finally:
        _rewrites.reset(token)


@contextmanager
def as_written() -> Iterator[None]:
    """Differentiate formulas as the user wrote them; tests ask how well these determine a result."""
    token = _written.set(True)
    try:
        yield
    finally:
        _written.reset(token)


def call_stable(trace: Trace, f: Fun, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """``f(*args)``, where some leaves of ``args`` are traced by ``trace``."""
    kwargs = dict(kwargs or {})
    if _written.get():
        return call(f, args, kwargs)
    flat = [flatten(x) for x in args]
    ours = [x for leaves, _ in flat for x in leaves if type(x) is Traced and x._trace is trace]
    if all(map(_is_symbolic, ours)):
        return _in_stable_form(trace, f, args, flat, kwargs)
    if not any(_is_symbolic(x) for leaves, _ in (*flat, flatten(kwargs)) for x in leaves):
        return call(f, args, kwargs)
    # The numbers of some arguments are known, and the function may want them.
    heard = _rewrites.get()
    before = len(heard or ())
    try:
        return _in_stable_form(trace, f, args, flat, kwargs)
    except TraceError:
        if heard:
            del heard[before:]
        return call(f, args, kwargs)


def _is_symbolic(x: Any) -> bool:
    return type(x) is Traced and type(strip(x)) is Traced


def _in_stable_form(trace: Trace, f: Fun, args: Sequence[Any], flat: Any, kwargs: dict[str, Any]) -> Any:
    symbols = Symbols("inner")
    inputs: list[Any] = []
    entered: list[Any] = []
    for arg, (leaves, structure) in zip(args, flat, strict=True):
        if not any(type(x) is Traced and x._trace is trace for x in leaves):
            entered.append(arg)  # the very object: the function may write to it
            continue
        parts = []
        for x in leaves:
            if type(x) is Traced and x._trace is trace:
                inputs.append(x.snapshot())
                if x.shape:
                    symbols.device = x.xpgrad_device
                x = symbols.enter(aval_under(x))
            parts.append(x)
        entered.append(unflatten(structure, parts))
    outs, structure = flatten(call(f, entered, kwargs))
    traced = [type(x) is Traced and x._trace is symbols for x in outs]
    for x, here in zip(outs, traced, strict=True):
        if here:
            x.refresh()
            symbols.graph.outputs.append(x._node)
    heard = _rewrites.get()
    note = silent if heard is None else heard.append
    with unobserved():
        graph = dead(stabilise(symbols.close(), note), silent)
        graph, more = _rolled(graph, note)
    inputs += more
    with nullcontext() if any(node.op is CUSTOM for node in graph.nodes) else unobserved():
        values = iter(apply_nodes(graph, inputs))
    return unflatten(structure, [next(values) if here else x for x, here in zip(outs, traced, strict=True)])


def _rolled(graph: Graph, note: Note) -> tuple[Graph, list[Any]]:
    """``graph`` with its loops rolled back, so that an iteration is differentiated once; and further inputs."""
    if any(node.op is CUSTOM or node.op is require for node in graph.nodes):
        return graph, []
    found, outer = with_outer_inputs(graph)
    rolled = roll(writes(found), note)
    return (dead(rolled), outer) if any(node.op is LOOP for node in rolled.nodes) else (graph, [])


def with_outer_inputs(graph: Graph) -> tuple[Graph, list[Any]]:
    """``graph`` with further inputs for constants that are traced further out, and these arrays.

    A loop has them as operands, so that whoever traces them sees the loop. Equal constant arrays become one.
    """
    outer: dict[int, tuple[Any, Input]] = {}
    equal: dict[Any, Const] = {}
    found = Graph()
    new: dict[Value, Any] = {v: v for v in graph.inputs}
    for node in graph.nodes:
        operands = []
        for u in node.operands:
            if isinstance(u, Const) and type(u.data) is Traced:
                u = outer.setdefault(id(u.data), (u.data, Input(u.aval)))[1]
            elif isinstance(u, Const) and type(u.data) is np.ndarray and u.size <= _FEW:
                u = equal.setdefault((u.dtype, u.shape, u.data.tobytes()), u)
            operands.append(new.get(u, u))
        new[node] = Node(node.op, operands, node.params, node.aval, node.at)
        found.nodes.append(new[node])
    found.inputs = [*graph.inputs, *[value for _, value in outer.values()]]
    found.outputs = [new[v] for v in graph.outputs]
    return found, [x for x, _ in outer.values()]


def recorded_once(f: Fun, args: Sequence[Any]) -> Callable[[Sequence[Any]], Any]:
    """What ``f`` records for arrays of these shapes, as a function that records the same for others."""
    symbols = Symbols("inner")
    symbols.device = next((x.xpgrad_device for x in args if type(x) is Traced and x.shape), "cpu")
    outs, structure = flatten(call(f, [symbols.enter(aval_under(x)) for x in args]))
    traced = [type(x) is Traced and x._trace is symbols for x in outs]
    for x, here in zip(outs, traced, strict=True):
        if here:
            x.refresh()
            symbols.graph.outputs.append(x._node)
    graph = dead(cse(symbols.close(), silent), silent)
    quiet = nullcontext if any(node.op is CUSTOM for node in graph.nodes) else unobserved

    def again(args: Sequence[Any]) -> Any:
        with quiet():
            values = iter(apply_nodes(graph, args))
        return unflatten(structure, [next(values) if here else x for x, here in zip(outs, traced, strict=True)])

    return again


def apply_nodes(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """Apply ``graph`` op by op; the trace that ``inputs`` are on records its ops."""
    known: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        xs = operands_of(node, known)
        if node.op is PICK:
            known[node] = xs[0][node.params["index"]]
        elif node.op is CUSTOM:
            known[node] = node.params["call"](*xs)
        elif node.op is LOOP:
            with at_line(node.at):
                known[node] = loop_applied(xs, node.params, apply_nodes)
        else:
            with at_line(node.at):
                known[node] = node.op(*xs, **node.params)
    return [known[value] for value in graph.outputs]
