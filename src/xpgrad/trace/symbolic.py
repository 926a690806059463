"""Tracing with shapes alone.

In:  a function and the shapes and dtypes of its arguments.
Out: a Graph.
Holds: no array is computed; what only the numbers could decide is a TraceError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import local
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, message, user_line
from xpgrad._trees import flatten, unflatten
from xpgrad.core import SCALAR_TYPES, Aval, Const, Graph, Input, Node, Op, Operand, aval_of
from xpgrad.devices import device_of
from xpgrad.ops.elementwise import add
from xpgrad.ops.requirements import require
from xpgrad.trace.calls import call_settled
from xpgrad.trace.tape import PICK, SMALL, sample, written_to
from xpgrad.trace.traced import Trace, Traced, aval_under
from xpgrad.trace.views import is_scalar, symbol_is_scalar

# What Python's operators make of Python's scalars is a Python scalar again; a ufunc makes NumPy's, and its
# operands are made NumPy's before it is recorded. A reciprocal is what ``1 / x`` is recorded as.
_ARITHMETIC = frozenset(
    """add subtract multiply divide floor_divide remainder power negative positive absolute reciprocal invert
    left_shift right_shift""".split()
)
OPERATORS = _ARITHMETIC | frozenset(
    """equal not_equal less less_equal greater greater_equal bitwise_and bitwise_or bitwise_xor
    stop_gradient""".split()
)


def constant(x: Any) -> Const:
    """A constant operand, a Python scalar also where an enclosing trace has wrapped it."""
    return Const(x, aval_under(x))


def is_weak(op: Op, avals: Sequence[Aval]) -> bool:
    """Whether the output of ``op`` is a Python scalar, whose dtype gives way."""
    if op is require:
        return avals[0].weak
    return op.name in OPERATORS and all(aval.weak for aval in avals)


class Symbols(Trace):
    """Records ops on shapes alone: its arrays carry no numbers.

    Attributes
    ----------
    graph : Graph
    scalars : set of Input
        Inputs that are scalars, Python's or NumPy's, and no arrays without axes.
    role : str
        ``"rule"``: a derivative rule, linear, to be transposed. ``"program"``: a user's function. ``"inner"``:
        one that is differentiated next, in which a call with a rule of its own stays a node.
    device : str
        The device of the arrays that its own stand for; the user's function may ask for it.
    """

    __slots__ = ("_arrays", "_kept", "_ruled", "device", "graph", "role", "scalars")

    def __init__(self, role: str = "rule") -> None:
        super().__init__()
        self.graph = Graph()
        self.role = role
        self.device = "cpu"
        self.scalars: set[Input] = set()
        self._arrays: dict[int, Const] = {}
        self._ruled: dict[Any, Aval] = {}  # what the rules of ops without parameters have said
        self._kept: dict[int, list[_Kept]] = {}

    def enter(self, x: Any) -> Traced:
        """An input with the shape and dtype of ``x``."""
        value = Input(aval_of(x))
        if isinstance(x, SCALAR_TYPES) or (type(x) is Traced and is_scalar(x)):
            self.scalars.add(value)
        elif self.device == "cpu":
            self.device = device_of(x)
        self.graph.inputs.append(value)
        return Traced(self, value, None)

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        if self.closed:
            self.check_open(op)
        operands = [_as_operand(x) for x in operands]
        for i, x in enumerate(operands):
            if type(x) is Traced:
                if x._view is not None:
                    x.refresh()
            elif type(x) is int and x.bit_length() > 63:
                operands[i] = _within_64_bits(op, x, operands)
        avals = [aval_under(x) for x in operands]
        known = None if params else self._ruled.get((op, *avals))
        ruled: Any = known
        if known is not None:
            aval = known
        else:
            if op.name in _ARITHMETIC and all(a.weak and a.dtype == bool for a in avals):
                # Python's True + True is 2, NumPy's is True.
                return self.record(op, [_counted(x) for x in operands], params)
            ruled = op.shape(*avals, **params)
            aval = ruled[0] if type(ruled) is tuple else ruled
            aval = Aval(aval.shape, aval.dtype, is_weak(op, avals))
            if not params and type(ruled) is not tuple:
                self._ruled[op, *avals] = aval
        node = Node(op, [*map(self._operand, operands, avals)], params, aval, user_line())
        self.graph.nodes.append(node)
        if type(ruled) is tuple:
            return tuple([self.pick(node, i, aval) for i, aval in enumerate(ruled)])
        return Traced(self, node, None)

    def pick(self, parent: Node, i: int, aval: Aval) -> Traced:
        """Output ``i`` of an op that has several."""
        node = Node(PICK, (parent,), {"index": i}, Aval(aval.shape, aval.dtype))
        self.graph.nodes.append(node)
        return Traced(self, node, None)

    def constant_array(self, x: Any) -> Traced:
        """``x`` as a constant of the graph, whose numbers are known."""
        return Traced(self, Const(x), None)

    def gives_scalar(self, node: Any) -> bool:
        return symbol_is_scalar(node, self.scalars)

    def _operand(self, x: Any, aval: Aval) -> Operand:
        """``x`` as an operand; a constant is safe from later writes of the function that is traced."""
        if type(x) is Traced:
            return x._node if x._trace is self else Const(x.snapshot(), aval)
        if isinstance(x, SCALAR_TYPES):
            return Const(x, aval)
        if type(x) is not np.ndarray or not x.flags.writeable or self.role == "rule":
            known = self._arrays.get(id(x))
            if known is None:
                known = self._arrays[id(x)] = Const(x, aval)
            return known
        versions = self._kept.setdefault(id(x), [])
        if not versions or versions[-1].changed():
            versions.append(_Kept(x))
        return versions[-1].now

    def close(self) -> Graph:
        """The graph, when the function has returned.

        A constant array stands in it by reference; one that was written to meanwhile, and is small, as it
        was when it was used.

        Raises
        ------
        TraceError
            A large array was written to after it was used.
        """
        self.closed = True
        for versions in self._kept.values():
            for kept in versions:
                if not kept.changed():
                    kept.now.data = kept.array
                elif kept.now.data is kept.array:
                    raise written_to(kept.array, kept.line)
        return self.graph


class _Kept:
    """A plain array as a traced function used it: a copy of a small one, a sample of a large one."""

    __slots__ = ("array", "line", "now", "seen")

    def __init__(self, x: Any) -> None:
        self.array = x
        self.line = user_line()
        self.now = Const(x.copy() if x.size <= SMALL else x)
        self.seen = self._see()

    def _see(self) -> bytes:
        x: Any = self.array
        found: bytes = x.tobytes() if x.size <= SMALL else sample(x)
        return found

    def changed(self) -> bool:
        return self._see() != self.seen


def _own(x: Any) -> Any:
    """A constant result as an array of the caller's own."""
    return x.copy() if type(x) is np.ndarray else x


def _within_64_bits(op: Op, x: int, operands: Sequence[Any]) -> Any:
    """``x``, an integer that no array holds, as the float that it is beside floats.

    Raises
    ------
    DTypeError
        It is beside no floats.
    """
    if x >= 0 and x.bit_length() == 64:
        return x  # uint64 holds it
    if any(aval_under(y).dtype.kind in "fc" for y in operands if y is not x):
        return float(x)
    got = {f"operand {i}": y for i, y in enumerate(operands) if y is not x}
    raise DTypeError(message(f"{op.name}: the number {x} is beyond 64 bits", got, remedy="write it as a float"))


def _counted(x: Any) -> Any:
    """A Python bool as the Python int that it is in arithmetic."""
    return add(x, 0) if type(x) is Traced else int(x)


def _as_operand(x: Any) -> Any:
    return x if hasattr(x, "shape") or isinstance(x, SCALAR_TYPES) else np.asarray(x)


class _Depth(local):
    n = 0


_depth = _Depth()


def tracing() -> bool:
    """Whether this thread is in `graph_of`."""
    return _depth.n > 0


def graph_of(f: Callable[..., Any], *args: Any) -> tuple[Graph, Callable[[Sequence[Any]], Any]]:
    """Trace ``f`` with the shapes of ``args``, trees of arrays.

    Returns
    -------
    graph : Graph
        Its inputs are the leaves of ``args``, its outputs the traced leaves of the result.
    rebuild : callable
        Puts values of the graph's outputs into a tree like ``f``'s result, with copies of its constants.
    """
    leaves, structure = flatten(args)
    symbols = Symbols("program")
    _depth.n += 1
    try:
        outs, out_structure = flatten(call_settled(f, unflatten(structure, [symbols.enter(x) for x in leaves])))
    finally:
        _depth.n -= 1
    traced = [type(x) is Traced and x._trace is symbols for x in outs]
    for x, ours in zip(outs, traced, strict=True):
        if ours:
            x.refresh()
            symbols.graph.outputs.append(x._node)
    graph = symbols.close()

    def rebuild(values: Sequence[Any]) -> Any:
        if len(values) == len(outs):
            return unflatten(out_structure, values)
        rest = iter(values)
        return unflatten(
            out_structure, [next(rest) if ours else _own(x) for x, ours in zip(outs, traced, strict=True)]
        )

    return graph, rebuild
