"""Tracing with shapes alone.

In:  a function and the shapes and dtypes of its arguments.
Out: a Graph.
Holds: no array is computed; what only the numbers could decide is a TraceError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import user_line
from xpgrad._trees import flatten, unflatten
from xpgrad.core import SCALAR_TYPES, Graph, Op, Value, aval_of
from xpgrad.core.graph import input_value
from xpgrad.trace.tape import PICK
from xpgrad.trace.traced import Trace, Traced


class Symbols(Trace):
    """Records ops on shapes alone: its arrays carry no numbers.

    Attributes
    ----------
    graph : Graph
    """

    __slots__ = ("graph",)

    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph()

    def enter(self, x: Any) -> Traced:
        """An input with the shape and dtype of ``x``."""
        value = input_value(x)
        self.graph.inputs.append(value)
        return Traced(self, value, None)

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        if self.closed:
            self.check_open(op)
        operands = [_as_operand(x) for x in operands]
        for x in operands:
            if type(x) is Traced and x._view is not None:
                x.refresh()
        inputs = [x._node if type(x) is Traced and x._trace is self else None for x in operands]
        avals = [aval_of(x) for x in operands]
        ruled = op.shape(*avals, **params)
        aval = ruled[0] if type(ruled) is tuple else ruled
        value = Value(op, inputs, params, aval.shape, aval.dtype, at=user_line())
        value.saved = (value, *[x if v is None else v for x, v in zip(operands, inputs, strict=True)])
        self.graph.nodes.append(value)
        if type(ruled) is tuple:
            picked = []
            for i, aval in enumerate(ruled):
                pick = Value(PICK, (value,), {"index": i}, aval.shape, aval.dtype)
                pick.saved = (pick, value)
                self.graph.nodes.append(pick)
                picked.append(Traced(self, pick, None))
            return tuple(picked)
        return Traced(self, value, None)


def _as_operand(x: Any) -> Any:
    return x if hasattr(x, "shape") or isinstance(x, SCALAR_TYPES) else np.asarray(x)


def graph_of(f: Callable[..., Any], *args: Any) -> tuple[Graph, Callable[[Sequence[Any]], Any]]:
    """Trace ``f`` with the shapes of ``args``, trees of arrays.

    Returns
    -------
    graph : Graph
        Its inputs are the leaves of ``args``, its outputs the traced leaves of the result.
    rebuild : callable
        Puts values of the graph's outputs into a tree like ``f``'s result, with its constants.
    """
    leaves, structure = flatten(args)
    symbols = Symbols()
    outs, out_structure = flatten(f(*unflatten(structure, [symbols.enter(x) for x in leaves])))
    traced = [type(x) is Traced and x._trace is symbols for x in outs]
    for x, ours in zip(outs, traced, strict=True):
        if ours:
            x.refresh()
            symbols.graph.outputs.append(x._node)
    symbols.closed = True

    def rebuild(values: Sequence[Any]) -> Any:
        rest = iter(values)
        return unflatten(
            out_structure, [next(rest) if ours else x for x, ours in zip(outs, traced, strict=True)]
        )

    return symbols.graph, rebuild
