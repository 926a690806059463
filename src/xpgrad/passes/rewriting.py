"""What every pass is made of: walk the nodes in order, and put others in their place.

In:  a Graph, and a rule for one node.
Out: another Graph with the same inputs, in the same order. The first is left as it was.
Holds: what stands for a node has its shape, dtype and weakness; equal nodes are made once; a
constant operand is passed on by reference. An output is always a Value: a node that turned out to be
constant stays as a node where it is an output.

An operand is a Value or a constant: a Python or NumPy scalar, an array, or an array traced further
out, whose numbers are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import describe
from xpgrad.core import Aval, Graph, Op, Value, operands_of
from xpgrad.core.graph import input_value
from xpgrad.ops.shape import astype, broadcast_to
from xpgrad.passes.keys import key_of
from xpgrad.trace.symbolic import is_weak
from xpgrad.trace.traced import aval_under

Note = Callable[[str], None]


def silent(_: str) -> None:
    """A Note that nobody reads."""


class Rewriting:
    """A graph in the making.

    Attributes
    ----------
    graph : Graph
    at : str or None
        The user's line of the node that is being rewritten; what is emitted gets it too.
    """

    def __init__(self, graph: Graph, note: Note = silent, *, share: bool = True) -> None:
        self.graph = Graph()
        self.at: str | None = None
        self._note, self._said = note, list[str]()
        self._known: dict[Any, Value] | None = {} if share else None
        self._new: dict[Value, Any] = {}
        for value in graph.inputs:
            entered = input_value(value.aval)
            self._new[value] = entered
            self.graph.inputs.append(entered)

    def operands(self, node: Value) -> list[Any]:
        """What now stands for the operands of a node of the first graph."""
        return operands_of(node, self._new)

    def now(self, value: Value) -> Any:
        """What stands for a value of the first graph that came before."""
        return self._new[value]

    def note(self, text: str) -> None:
        """Say what is rewritten, and where the user wrote it; said when something new stands for the node."""
        self._said.append(f"{text}  at {self.at}" if self.at else text)

    def note_form(self, node: Value, operands: Sequence[Any], new: Any) -> None:
        """Say how a node is written now: ``power(exp, 2) -> square(exp)``."""
        if self._note is silent or node.op is None or new is None:
            return
        before, after = _form(node.op, operands), "a constant"
        if type(new) is Value:
            there = new.op is None or any(new is x for x in operands)
            after = "a value that is there" if there else _form(new.op, (new.saved or ())[1:])
        if before != after:
            self.note(f"{before} -> {after}")

    def emit(self, op: Op, *operands: Any, **params: Any) -> Value:
        """A node of ``op``, or the one that is there already."""
        key = key_of(op, operands, params) if self._known is not None else None
        found = None if self._known is None else self._known.get(key)
        if found is not None:
            return found
        avals = [_aval(x) for x in operands]
        ruled = op.shape(*avals, **params)
        assert isinstance(ruled, Aval), f"{op.name} gives several outputs"
        return self._append(op, operands, params, ruled, is_weak(op, avals), key)

    def copy(self, node: Value, operands: Sequence[Any]) -> Value:
        """``node`` with other operands of the same shapes and dtypes."""
        assert node.op is not None
        key = key_of(node.op, operands, node.params) if self._known is not None else None
        found = None if self._known is None else self._known.get(key)
        if found is not None and found.aval == node.aval:
            return found
        return self._append(node.op, operands, node.params, node.aval, node.weak, key)

    def _append(self, op: Op, operands: Sequence[Any], params: Any, aval: Any, weak: bool, key: Any) -> Value:
        inputs = [x if type(x) is Value else None for x in operands]
        value = Value(op, inputs, params, aval.shape, aval.dtype, at=self.at, weak=weak)
        value.saved = (value, *operands)
        self.graph.nodes.append(value)
        if self._known is not None:
            self._known.setdefault(key, value)
        return value

    def take(self, node: Value, new: Any, *, output: bool) -> None:
        """Let ``new`` stand for ``node``, made to its shape and dtype."""
        fitted = self._fitted(node, new)
        if fitted is None or (output and type(fitted) is not Value):
            fitted = self.copy(node, self.operands(node))
            self._said.clear()
        self._new[node] = fitted
        for text in self._said:
            self._note(text)
        self._said.clear()

    def _fitted(self, node: Value, new: Any) -> Any:
        """``new`` as it can stand for ``node``; None if it cannot."""
        aval = _aval(new)
        if aval == node.aval:
            return new
        if type(new) is not Value:
            if aval.shape != node.shape or node.weak:
                return None
            return node.dtype.type(new) if node.shape == () else new.astype(node.dtype)
        if new.dtype != node.dtype:
            new = self.emit(astype, new, dtype=node.dtype)
        if new.shape != node.shape:
            new = self.emit(broadcast_to, new, shape=node.shape)
        return new if new.weak == node.weak else None

    def finish(self, graph: Graph) -> Graph:
        self.graph.outputs = [self._new[value] for value in graph.outputs]
        return self.graph


Rule = Callable[[Rewriting, Value, list[Any]], Any]


def rewrite(graph: Graph, rule: Rule, note: Note = silent, *, share: bool = True) -> Graph:
    """``graph`` with ``rule(rewriting, node, operands)`` in place of each node.

    The rule sees a node of the first graph and its operands as they now are. It gives a Value or a
    constant to stand for it, or None to leave it as it is.
    """
    rewriting = Rewriting(graph, note, share=share)
    outputs = set(graph.outputs)
    for node in graph.nodes:
        rewriting.at = node.at
        operands = rewriting.operands(node)
        new = rule(rewriting, node, operands)
        rewriting.take(node, rewriting.copy(node, operands) if new is None else new, output=node in outputs)
    return rewriting.finish(graph)


def _form(op: Any, operands: Sequence[Any]) -> str:
    return f"{op.name}({', '.join(map(_operand, operands))})"


def _operand(x: Any) -> str:
    if type(x) is Value:
        return x.op.name if x.op is not None else "an input"
    x = x.item() if isinstance(x, np.generic) else x
    return repr(x) if isinstance(x, (bool, int, float, complex)) else describe(x)


def _aval(x: Any) -> Aval:
    return x.aval if type(x) is Value else aval_under(x)
