"""The walk that all passes share: visit the nodes in order, and replace them.

In:  a Graph, and a rule for one node.
Out: another Graph with the same inputs, in the same order. The first is not changed.
Holds: a replacement has the shape, dtype and weakness of its node; equal nodes are made once; a constant
operand is passed on by reference. An output is never a constant: a node that turned out to be constant
stays a node if it is an output.

The data of a constant are a Python or NumPy scalar, an array, or an array traced further out, whose numbers
are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import describe
from xpgrad.core import Aval, Const, Graph, Input, Node, Op, Operand, Value
from xpgrad.ops.shape import astype, broadcast_to
from xpgrad.passes.keys import key_of
from xpgrad.trace.symbolic import constant, is_weak

Note = Callable[[str], None]


def silent(_: str) -> None:
    """A Note that is dropped."""


class Rewriting:
    """A graph that is being made.

    Attributes
    ----------
    graph : Graph
    at : str or None
        The user's line of the node that is being rewritten; emitted nodes get it too.
    """

    def __init__(self, graph: Graph, note: Note = silent, *, share: bool = True) -> None:
        self.graph = Graph()
        self.at: str | None = None
        self._note, self._said = note, list[str]()
        self._known: dict[Any, Node] | None = {} if share else None
        self._new: dict[Value, Any] = {}
        for value in graph.inputs:
            entered = Input(value.aval)
            self._new[value] = entered
            self.graph.inputs.append(entered)

    def operands(self, node: Node) -> list[Operand]:
        """The replacements of the operands of a node of the first graph."""
        return [u if isinstance(u, Const) else self._new[u] for u in node.operands]

    def now(self, value: Value) -> Any:
        """The replacement of an earlier value of the first graph."""
        return self._new[value]

    def note(self, text: str) -> None:
        """Note what is rewritten, with the user's line; it is reported if the node is replaced."""
        self._said.append(f"{text}  at {self.at}" if self.at else text)

    def note_form(self, node: Node, operands: Sequence[Operand], new: Any) -> None:
        """Note the new form of a node: ``power(exp, 2) -> square(exp)``."""
        if self._note is silent or new is None:
            return
        before, after = _form(node.op, operands), "a constant"
        if isinstance(new, Node) and not any(new is x for x in operands):
            after = _form(new.op, new.operands)
        elif isinstance(new, (Input, Node)):
            after = "a value that is there"
        if before != after:
            self.note(f"{before} -> {after}")

    def emit(self, op: Op, *given: Any, **params: Any) -> Node:
        """A node of ``op``, or the equal node that exists; a number among the operands is a constant."""
        operands = list(map(_as_operand, given))
        key = key_of(op, operands, params) if self._known is not None else None
        found = None if self._known is None else self._known.get(key)
        if found is not None:
            return found
        avals = [x.aval for x in operands]
        ruled = op.shape(*avals, **params)
        assert isinstance(ruled, Aval), f"{op.name} gives several outputs"
        return self._append(op, operands, params, ruled._replace(weak=is_weak(op, avals)), key)

    def copy(self, node: Node, operands: Sequence[Operand]) -> Node:
        """``node`` with other operands of the same shapes and dtypes."""
        key = key_of(node.op, operands, node.params) if self._known is not None else None
        found = None if self._known is None else self._known.get(key)
        if found is not None and found.aval == node.aval:
            return found
        return self._append(node.op, operands, node.params, node.aval, key)

    def _append(self, op: Op, operands: Sequence[Operand], params: Any, aval: Aval, key: Any) -> Node:
        node = Node(op, operands, params, aval, self.at)
        self.graph.nodes.append(node)
        if self._known is not None:
            self._known.setdefault(key, node)
        return node

    def keep(self, node: Node, operands: Sequence[Operand]) -> None:
        """Keep ``node``, with the replacements of its operands."""
        self._new[node] = self.copy(node, operands)
        if self._said:
            self._said.clear()

    def take(self, node: Node, new: Any, *, output: bool) -> None:
        """Replace ``node`` by ``new``, converted to its shape and dtype."""
        fitted = self._fitted(node, _as_operand(new))
        if fitted is None or (output and isinstance(fitted, Const)):
            fitted = self.copy(node, self.operands(node))
            self._said.clear()
        self._new[node] = fitted
        for text in self._said:
            self._note(text)
        self._said.clear()

    def _fitted(self, node: Node, new: Operand) -> Operand | None:
        """``new`` converted so that it can replace ``node``; None if it cannot."""
        if new.aval == node.aval:
            return new
        if isinstance(new, Const):
            if new.shape != node.shape or node.weak:
                return None
            return Const(node.dtype.type(new.data) if node.shape == () else new.data.astype(node.dtype))
        if new.dtype != node.dtype:
            new = self.emit(astype, new, dtype=node.dtype)
        if new.shape != node.shape:
            new = self.emit(broadcast_to, new, shape=node.shape)
        return new if new.weak == node.weak else None

    def finish(self, graph: Graph) -> Graph:
        self.graph.outputs = [self._new[value] for value in graph.outputs]
        return self.graph


Rule = Callable[[Rewriting, Node, list[Any]], Any]


def rewrite(graph: Graph, rule: Rule, note: Note = silent, *, share: bool = True) -> Graph:
    """``graph`` with ``rule(rewriting, node, operands)`` in place of each node.

    The rule gets a node of the first graph and the replacements of its operands. It returns an operand or a
    number that replaces the node, or None to keep it.
    """
    rewriting = Rewriting(graph, note, share=share)
    outputs = set(graph.outputs)
    for node in graph.nodes:
        rewriting.at = node.at
        operands = rewriting.operands(node)
        new = rule(rewriting, node, operands)
        if new is None:
            rewriting.keep(node, operands)
        else:
            rewriting.take(node, new, output=node in outputs)
    return rewriting.finish(graph)


def _as_operand(x: Any) -> Operand:
    return x if isinstance(x, (Input, Node, Const)) else constant(x)


def _form(op: Op, operands: Sequence[Operand]) -> str:
    return f"{op.name}({', '.join(map(_operand, operands))})"


def _operand(u: Operand) -> str:
    match u:
        case Node():
            return u.op.name
        case Input():
            return "an input"
    x = u.data.item() if isinstance(u.data, np.generic) else u.data
    return repr(x) if isinstance(x, (bool, int, float, complex)) else describe(x)
