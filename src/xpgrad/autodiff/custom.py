"""Derivatives that the user defines: `custom_vjp`, and calls with a rule of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, TraceError, describe, message, user_line
from xpgrad._trees import flatten, tree_map, unflatten
from xpgrad.autodiff.batching import Batch, BatchedCall
from xpgrad.autodiff.pullback import copied, transposed
from xpgrad.autodiff.pushforward import Duals
from xpgrad.core import Node, Op, aval_of, is_inexact
from xpgrad.ops.shape import stop_gradient
from xpgrad.trace.boundary import call, leave
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.tape import Record, Tape
from xpgrad.trace.traced import Trace, Traced, strip

Fun = Callable[..., Any]


class custom_vjp:
    """A function whose derivative is stated by hand.

    Parameters
    ----------
    f : callable
        Takes and returns trees of arrays.

    Notes
    -----
    State the derivative with `defvjp`. Forward mode transposes ``bwd``, which must then be
    linear in the cotangent and free of control flow on it. Derivatives of higher order
    differentiate ``fwd`` and ``bwd`` themselves.

    Examples
    --------
    >>> @xg.custom_vjp
    ... def safe_sqrt(x):
    ...     return np.sqrt(x)
    >>> safe_sqrt.defvjp(lambda x: (np.sqrt(x), x), lambda x, g: (g * 0.5 / np.sqrt(np.maximum(x, 1e-12)),))
    """

    def __init__(self, f: Fun) -> None:
        self._f = f
        self._rules: tuple[Fun, Fun] | None = None
        update_wrapper(self, f)

    def defvjp(self, fwd: Fun, bwd: Fun) -> None:
        """State the derivative.

        Parameters
        ----------
        fwd : callable
            ``fwd(*args) -> (out, residuals)`` with the ``out`` of the function itself. It is
            given plain arrays, which it must not write to.
        bwd : callable
            ``bwd(residuals, g) -> cotangents``: a tuple with one tree for each argument, None
            for one that has no derivative. ``g`` has the structure and shapes of ``out``.
        """
        self._rules = (fwd, bwd)

    def __call__(self, *args: Any) -> Any:
        if self._rules is None:
            raise TraceError(
                message(
                    f"custom_vjp: no derivative is stated for {self.__name__}",
                    remedy="call .defvjp(fwd, bwd)",
                )
            )
        return call_with_rule(self._f, *self._rules, args, self.__name__, self)

    __name__: str = "f"


def call_with_rule(f: Fun, fwd: Fun, bwd: Fun, args: Sequence[Any], name: str, again: Fun) -> Any:
    """``f(*args)``, differentiated by ``bwd``, at the innermost trace among the arguments.

    A trace whose graph is applied again later records the call as one node, which then calls ``again(*args)``.
    """
    leaves, structure = flatten(tuple(args))
    traced = [x for x in leaves if type(x) is Traced]
    if not traced:
        return f(*args)
    trace = max((x._trace for x in traced), key=lambda t: t.level)
    if isinstance(trace, Symbols):
        return f(*args) if trace.role != "inner" else _as_node(trace, f, leaves, structure, again)
    trace.check_open(CUSTOM)
    if type(trace) is Batch:
        return _of_batch(trace, (f, fwd, bwd), leaves, structure, name)
    lower = [_guarded(trace.operand(CUSTOM, x)) for x in leaves]
    out, residuals = fwd(*unflatten(structure, lower))
    outs, out_structure = flatten(out)
    if any(type(x) is Traced and x._trace is trace for x in outs):
        raise TraceError(
            message(f"{name}: a traced array reaches it from outside", remedy="pass it as an argument")
        )

    def pull(gs: Sequence[Any]) -> list[Any]:
        """Cotangents of the leaves, None where there is none."""
        cs = bwd(residuals, unflatten(out_structure, gs))
        cs = cs if isinstance(cs, tuple) else (cs,)
        if len(cs) != len(args):
            raise ShapeError(message(f"{name}: bwd gave {len(cs)} cotangents for {len(args)} arguments"))
        return _leaves_like(args, cs, name)

    nodes = [x._node if type(x) is Traced and x._trace is trace else None for x in leaves]
    return unflatten(out_structure, _with_pull(trace, nodes, outs, pull))


def _of_batch(
    trace: Batch, rules: tuple[Fun, Fun, Fun], leaves: Sequence[Any], structure: Any, name: str
) -> Any:
    """The call on all samples at once, with its derivative if a trace further out asks for one."""
    parts = [trace.taken(x) for x in leaves]
    lower, mapped = [x for x, _ in parts], [m for _, m in parts]
    if not any(type(x) is Traced for x in lower):
        return rules[0](*unflatten(structure, leaves))
    call = BatchedCall(rules, trace.size, mapped, structure, name)

    def again(*xs: Any) -> Any:
        return call_with_rule(call.f, call.fwd, call.bwd, xs, name, again)

    outs = again(*lower)
    if any(type(x) is Traced and x._trace is trace for x in outs):
        raise TraceError(
            message(f"{name}: a traced array reaches it from outside", remedy="pass it as an argument")
        )
    return unflatten(call.out_structure, [trace.enter(x) for x in outs])


def _as_node(trace: Symbols, f: Fun, leaves: Sequence[Any], structure: Any, again: Fun) -> Any:
    """The call as one node of ``trace``; the shapes of its outputs are found by tracing ``f``."""
    trace.check_open(CUSTOM)
    leaves = [x.snapshot() if type(x) is Traced else x for x in leaves]
    probe = Symbols("program")
    entered = [probe.enter(x) if type(x) is Traced else x for x in leaves]
    outs, out_structure = flatten(f(*unflatten(structure, entered)))
    probe.closed = True
    places = [i for i, x in enumerate(leaves) if type(x) is Traced and x._trace is trace]

    def carried_out(*xs: Any) -> list[Any]:
        given = dict(zip(places, xs, strict=True))
        return flatten(again(*unflatten(structure, [given.get(i, x) for i, x in enumerate(leaves)])))[0]

    parent = Node(CUSTOM, [leaves[i]._node for i in places], {"call": carried_out}, aval_of(0.0), user_line())
    trace.graph.nodes.append(parent)
    for i, x in enumerate(outs):
        if type(x) is Traced and x._trace is probe:
            outs[i] = trace.pick(parent, i, aval_of(x))
    return unflatten(out_structure, outs)


def untaped(f: Fun, args: Sequence[Any]) -> Any:
    """``f(*args)`` on traced constants: what it writes in place reaches no array of the caller's."""
    tape = Tape()
    leaves, structure = flatten(tuple(args))
    entered = [Traced(tape, None, x) if is_inexact(x) else x for x in leaves]
    out = tree_map(lambda x: leave(tape, x), call(f, unflatten(structure, entered)))
    tape.closed = True
    return out


def stopped(x: Traced) -> Any:
    """The array under every level of tracing, as one that no derivative passes through."""
    plain = strip(x)
    if type(plain) is Traced and not (isinstance(plain._trace, Symbols) and plain._trace.role == "rule"):
        return stop_gradient(plain)
    return copied(plain)


def _guarded(x: Any) -> Any:
    """``x`` so that the rule cannot write to it: what it is given is the user's, or saved."""
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
        return x
    return x.snapshot() if type(x) is Traced else x


def _with_pull(trace: Trace, nodes: Sequence[Any], outs: Sequence[Any], pull: Fun) -> list[Any]:
    if isinstance(trace, Duals):
        tangents = transposed(pull, outs, nodes)
        return [Traced(trace, t, z) if is_inexact(z) else z for z, t in zip(outs, tangents, strict=True)]
    assert isinstance(trace, Tape)
    parent = Record(CUSTOM, nodes, {"pull": pull, "outs": outs}, *aval_of(0.0), user_line())
    trace.records.append(parent)
    return trace.picked(parent, outs)


def _leaves_like(args: Sequence[Any], cs: Sequence[Any], name: str) -> list[Any]:
    """The cotangents' leaves, at the places of the arguments' leaves; checked for shape."""
    found: list[Any] = []
    for k, (arg, c) in enumerate(zip(args, cs, strict=True)):
        xs = flatten(arg)[0]
        gs = [None] * len(xs) if c is None else flatten(c)[0]
        shapes = [getattr(x, "shape", ()) for x in xs]
        if len(gs) != len(xs) or (c is not None and [getattr(g, "shape", ()) for g in gs] != shapes):
            raise ShapeError(
                message(
                    f"{name}: the cotangent of argument {k} does not match it",
                    {"cotangent": ", ".join(map(describe, gs)), "argument": ", ".join(map(describe, xs))},
                )
            )
        found += gs
    return found


def _shape(*_: Any, **__: Any) -> Any:
    return ()


# A call whose pullback is in its parameters; its outputs are taken apart by `pick`.
CUSTOM = Op("custom", _shape, "custom", reads=[[False]])
