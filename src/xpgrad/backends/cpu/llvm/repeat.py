"""A loop whose body is a program of kernels.

In:  a `loop` node.
Out: a step of a program.
Holds: a small body of kernels alone runs again and again in one native call; carries and slices are addresses
that this call moves, and nothing is copied. Any other body is called from Python, once for each iteration.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.cpu.llvm.buffer_pool import address
from xpgrad.backends.cpu.llvm.single_call import Memory
from xpgrad.backends.describe import compiled_or_found, in_words, indented, number
from xpgrad.backends.interface import Env
from xpgrad.backends.loops import iterate
from xpgrad.backends.reference import run_node
from xpgrad.core import Graph, Input, Node, Value, operands_of
from xpgrad.ops.loops import parts_of
from xpgrad.ops.shape import copy
from xpgrad.plan import Untiled
from xpgrad.plan.axes import is_view


class LoopOfBodies:
    """A step that runs a loop."""

    only_looks = False

    def __init__(self, node: Node, build: Callable[[Graph, bool], Any]) -> None:
        self.node, self.step, self.reads = node, Untiled([node], "a loop"), list(node.operands)
        self._plan: _Plan | None = None
        body, self._why = node.params["body"], ""
        try:
            plan = _Plan(node)
            self._program = build(plan.graph, True)
            if self._program.single_call is None:
                raise _NotNative(self._program.not_single)
            self._plan = plan
        except _NotNative as error:
            self._why = str(error)
            self._program = build(body, False)
        self.fresh = self._program.compiled

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The lines of `explain` about it."""
        yield in_words(self.node)
        if self._plan is not None:
            fresh = compiled_or_found(bool(self.fresh))
            by = "threads share each iteration" if self._program.single_call.work else "all in one call"
            yield f"done by {number(numbers)} ({fresh}), {by}"
            if source:
                yield from indented(self._program.single_call.text.splitlines())
            return
        yield f"each iteration is called from Python: {self._why}"
        yield from indented(self._program.describe(source))

    def run(self, env: Env) -> None:
        """Put the outputs of the loop into ``env``."""
        node = self.node
        operands = operands_of(node, env)
        if self._plan is not None:
            found = self._natively(self._plan, operands)
            if found is not None:
                env[node] = found
                return
        with at_line(node.at), np.errstate(all="ignore"):
            if self._plan is not None:  # an index was outside its axis: node by node, the node raises the error
                env[node] = run_node(node, env)
            else:
                env[node] = iterate(np, self._iteration, operands, **node.params)

    def _iteration(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The outputs of the body; its kernels are made for arrays in C's order."""
        values = self.node.params["body"].inputs
        given = [np.asarray(x, v.dtype, order="C") for x, v in zip(inputs, values, strict=True)]
        found: Sequence[Any] = self._program.run(given)
        return found

    def _natively(self, plan: _Plan, operands: Sequence[Any]) -> tuple[Any, ...] | None:
        """The outputs; None if an index was outside its axis."""
        length = self.node.params["length"]
        stores = [np.empty((s.rows, *s.value.shape), s.value.dtype) for s in plan.stores]
        call = self._program.single_call
        with call.memory() as memory:
            table, held = plan.patches(memory, operands, stores, length)
            if call.work:
                self._shared(memory, table, length)
            else:
                call.repeat(length, address(table), len(table), address(memory.table), memory.end)
            del held
            if memory.was_outside():
                return None
        finals = []
        for at in plan.carries:
            spec = plan.stores[at.store]
            row = stores[at.store][(length + spec.behind - at.delay) % spec.rows]
            finals.append(row[()] if not row.ndim else row.copy() if spec.stacked else row)
        return (*finals, *[stores[k][plan.stores[k].behind :] for k in plan.stacked])

    def _shared(self, memory: Memory, table: Any, length: int) -> None:
        """All iterations, in each of which threads share the chunks of long loops."""
        spots, base, stride, phase, rows = table.T
        places = [(ctypes.c_int64).from_address(int(spot)) for spot in spots]
        for t in range(length):
            for place, now in zip(places, (base + (t + phase) % rows * stride).tolist(), strict=True):
                place.value = now
            for stage in memory.stages:
                stage()


def _rows_are_whole(x: Any) -> bool:
    """Whether the entries of each slice along the first axis lie one after another."""
    return isinstance(x, np.ndarray) and (not len(x) or bool(x[0].flags.c_contiguous))


class _NotNative(Exception):
    """The reason why a loop is not one native call."""


def _stored(body: Graph, carries: int) -> Graph:
    """``body`` with copies for what kernels could not store as it is.

    These are outputs that look into another value, inputs that are stacked, and all but one of the carries that
    are the same value.
    """
    found, made = Graph(), dict[Input | Node, Node]()
    found.inputs, found.nodes = body.inputs, list(body.nodes)
    for k, v in enumerate(body.outputs):
        new: Input | Node = v
        if (k < carries and v in body.outputs[:k]) or (is_view(v) if isinstance(v, Node) else k >= carries):
            if v not in made or k < carries:
                made[v] = Node(copy, (v,), {"order": "C"}, v.aval)
                found.nodes.append(made[v])
            new = made[v]
        found.outputs.append(new)
    return found


class _Store(NamedTuple):
    """The memory of an output of the body: a row for each iteration, or a few that are used in turn.

    Attributes
    ----------
    value : Node
    stacked : bool
        Whether all iterations are kept.
    behind : int
        The number of rows in front of that of the first iteration: what was carried into the loop.
    rows : int
    """

    value: Node
    stacked: bool
    behind: int
    rows: int


class _Carried(NamedTuple):
    """A carry: the output that it was, so many iterations before."""

    store: int
    delay: int


class _Plan:
    """The body with each output once, and the memory of each.

    Raises
    ------
    _NotNative
    """

    def __init__(self, node: Node) -> None:
        body: Graph = node.params["body"]
        length, n, c = (node.params[name] for name in ("length", "invariants", "carries"))
        body = _stored(body, c)
        if not length:
            raise _NotNative("it has no iterations")
        inputs: list[Any] = list(body.inputs)
        self.parts = type(parts_of(node))(inputs[:n], inputs[n : n + c], inputs[n + c :])
        self._n, self._c = n, c
        made: dict[Node, int] = {}
        for value in body.outputs:
            if isinstance(value, Node):
                made.setdefault(value, len(made))
        self.carries = [self._carried(k, body, made) for k in range(c)]
        if len(set(self.carries)) < c:
            raise _NotNative("two of its carries are the same value of the body")
        self.stacked = [made[v] for v in body.outputs[c:]]  # type: ignore[index]
        self.stores = []
        for value, k in made.items():
            behind = max([at.delay for at in self.carries if at.store == k], default=0)
            stacked = k in self.stacked
            self.stores.append(_Store(value, stacked, behind, length + behind if stacked else behind + 1))
        self.graph = Graph()
        self.graph.inputs, self.graph.nodes, self.graph.outputs = body.inputs, body.nodes, list(made)

    def _carried(self, k: int, body: Graph, made: dict[Node, int]) -> _Carried:
        delay = 1
        while not isinstance(value := body.outputs[k], Node):
            if value not in self.parts.carries or delay > len(body.outputs):
                raise _NotNative("a carry becomes an operand of the loop")
            k, delay = self.parts.carries.index(value), delay + 1
        return _Carried(made[value], delay)

    def patches(
        self, memory: Memory, operands: Sequence[Any], stores: Sequence[Any], length: int
    ) -> tuple[Any, list[Any]]:
        """For each place of an address: the place, base, stride, phase, rows. And what must live on."""
        fixed, inits, slices = self.split(operands)
        held = [np.asarray(x, v.dtype, order="C") for v, x in zip(self.parts.invariants, fixed, strict=True)]
        held += [x if _rows_are_whole(x) else np.ascontiguousarray(x) for x in slices]
        for at, x in zip(self.carries, inits, strict=True):
            stores[at.store][self.stores[at.store].behind - at.delay] = x
        held += stores
        known = memory.patches
        if known is None:
            known = memory.patches = self._places(memory, length)
        places, which, sliced = known
        table = places.copy()
        table[:, 1] += np.array([address(x) for x in held], np.int64)[which]
        if sliced:
            strides = np.array([0 if k < self._n else x.strides[0] for k, x in enumerate(held)], np.int64)
            table[:, 2] = strides[which]
        return table, held

    def _places(self, memory: Memory, length: int) -> tuple[Any, Any, bool]:
        """The same with offsets for bases; the array of each: invariants, slices, then stores."""
        rows: list[tuple[int, ...]] = []
        which: list[int] = []

        def place(value: Value, array: int, stride: int, phase: int, modulus: int) -> None:
            for into, slot, offset in memory.spots[value]:
                rows.append((address(into) + 8 * slot, offset, stride, phase, modulus))
                which.append(array)

        first = self._n + len(self.parts.slices)
        for k, value in enumerate(self.parts.invariants):
            place(value, k, 0, 0, 1)
        for k, value in enumerate(self.parts.slices):
            place(value, self._n + k, 0, 0, length)
        sizes = [spec.value.size * spec.value.dtype.itemsize for spec in self.stores]
        for value, at in zip(self.parts.carries, self.carries, strict=True):
            spec = self.stores[at.store]
            place(value, first + at.store, sizes[at.store], spec.behind - at.delay, spec.rows)
        for k, spec in enumerate(self.stores):
            place(spec.value, first + k, sizes[k], spec.behind, spec.rows)
        table = np.array(rows, np.int64).reshape(-1, 5)
        return table, np.array(which, np.intp), bool(self.parts.slices)

    def split(self, operands: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """The operands by their part."""
        n, c = self._n, self._c
        return operands[:n], operands[n : n + c], operands[n + c :]
