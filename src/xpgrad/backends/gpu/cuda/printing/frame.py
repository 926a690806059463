"""The values of a step in the text of its kernel: what is in a register, and where the rest is read.

In:  the nests of a step.
Out: C++ for one entry of any of its values, given the names of the indices.
Holds: every address is a sum of indices times arguments; nothing here knows how threads share the indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.assembly import Layouts, check_strides, origin
from xpgrad.backends.gpu.cuda.printing.expressions import (
    check,
    combine,
    expression,
    literal,
    read,
    read_dtype,
    value_type,
)
from xpgrad.backends.gpu.cuda.printing.layout import (
    Memory,
    Parameters,
    Row,
    Text,
    address_of,
    c_strides,
)
from xpgrad.core import Const, Node, Operand, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.nests import Access, Declined, Nest, Nests, Place, is_contraction, is_reduction
from xpgrad.plan.plan import Step
from xpgrad.plan.relations import is_fat

UNROLLED = 32
"""A loop of at most so many turns is unrolled, its length in the text, its values in registers."""

REGISTERS = 64
"""So many values at most does one thread hold for one nest."""


class Frame:
    """Everything about a step but the sharing of its indices among threads.

    Attributes
    ----------
    label : int or None
        The region's axis.
    unrolled : frozenset of int
        Labels whose loops are unrolled.
    stores : set of Node
        What is made here and read by later steps or the outputs.
    sums : set of Node
        What reduces the region's axis.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts) -> None:
        self.step, self.plan, self.axes, self.layouts = step, plan, plan.axes, layouts
        self.nests = Nests(step, plan, lambda node: _check(node, layouts.held))
        self.label = self.nests.label
        self.params = Parameters()
        self.memories: dict[Any, Memory] = {}
        self.rows: dict[Value, Row] = {}
        self.sums = set(step.sums) if isinstance(step, Region) else set()
        stores = step.stores if isinstance(step, Region) else step.nodes
        for node in stores:
            if node in layouts.alive and self.nests.is_view(node):
                raise Declined(node, "is an output, and looks into a value that is not in memory")
        self.stores = {n for n in stores if n in layouts.alive} - self.sums
        self.read = {
            access.root
            for node in step.nodes
            if not self.nests.is_view(node)
            for access in (self.nests.access(node, i) for i in range(len(node.operands)))
            if not self.nests.joined(node, access)
        }
        self.unrolled = self._unrolled()

    def _unrolled(self) -> frozenset[int]:
        if self.label is None:  # threads share out all axes: any of them may be the samples'
            return frozenset()
        labels = frozenset().union(*[nest.labels | self.reduced(nest.nodes) for nest in self.nests.nests])
        short = {e for e in labels if e != self.label and self.axes.extent[e] <= UNROLLED}
        for nest in self.nests.nests:
            own = sorted(
                (e for e in short if e in nest.labels | self.reduced(nest.nodes)),
                key=self.axes.extent.__getitem__,
            )
            while prod(self.axes.extent[e] for e in own) > REGISTERS:
                short.discard(own.pop())
        return frozenset(short)

    def reduced(self, nodes: Iterable[Node]) -> frozenset[int]:
        """The labels that ``nodes`` reduce or contract."""
        return frozenset(e for node in nodes for e in self.axes.reduced(node))

    def own(self, node: Node) -> list[int]:
        """The labels of a value, in the order of its axes."""
        return [e for e in self.axes.labels(node) if e is not None]

    def is_needed(self, node: Node) -> bool:
        """Whether somebody reads ``node`` other than where it is made."""
        return node in self.stores or node in self.read or node in self.sums

    # ── indices ──────────────────────────────────────────────────────────────────────────────
    def extent(self, label: int) -> str:
        """The length of a loop, in the text or as an argument; along the region's axis that of the tile."""
        if label == self.label:
            return "m"
        n = self.axes.extent[label]
        return str(n) if label in self.unrolled else self.params.number(("extent", label), n)

    def index(self, label: int, tiled: bool = False) -> str:
        """The variable of a label; of the region's axis within the tile, or in all."""
        if label == self.label:
            return "t" if tiled else "g"
        return f"i{label}"

    @contextmanager
    def loops(self, w: Text, labels: Sequence[int]) -> Iterator[None]:
        """Loops over whole labels in one thread, unrolled where they are short."""
        with ExitStack() as stack:
            for e in labels:
                if e in self.unrolled:
                    w("#pragma unroll")
                i, kind = self.index(e, tiled=True), "int" if e in self.unrolled else "long long"
                stack.enter_context(w.block(f"for ({kind} {i} = 0; {i} < {self.extent(e)}; ++{i})"))
                if e == self.label:
                    w("const long long g = begin + t;")
            yield

    # ── places ───────────────────────────────────────────────────────────────────────────────
    def memory(self, access: Access) -> Memory:
        """The array that ``access`` reads."""
        root = access.root
        if root not in self.memories:
            array = root.data if isinstance(root, Const) else self.layouts.held.get(root)
            source, offset = root, 0
            if array is None:  # stored by an earlier step, in C order
                dtype, strides = root.dtype, c_strides(root.shape)
            else:
                if not hasattr(array, "strides"):
                    array = np.asarray(array)
                dtype, strides = array.dtype, tuple(s // array.itemsize for s in array.strides)
                source, offset = self._seen_from_origin(root, array)
            plain = Memory("", np.dtype(dtype), root.shape, strides, offset)
            plain.name = self.params.pointer(source, f"const {plain.ctype}", source)
            self.memories[root] = plain
        return self.memories[root]

    def _seen_from_origin(self, source: Operand, array: Any) -> tuple[Operand, int]:
        """The input that a view looks into, and how many entries after its first the view begins.

        What is read through several views of one array is then seen to be the same.
        """
        whole = origin(source)
        if whole is None:
            return source, 0
        held = self.layouts.held.get(whole)
        if held is None or held.dtype != array.dtype or not array.size:
            return source, 0
        between = address_of(array) - address_of(held)
        return (source, 0) if between % array.itemsize else (whole, between // array.itemsize)

    def output(self, node: Node) -> Memory:
        """The array, in C order, in which later steps find ``node``."""
        if node not in self.memories:
            made = Memory("", node.dtype, node.shape, c_strides(node.shape))
            made.name = self.params.pointer(node, made.ctype, node)
            self.memories[node] = made
        return self.memories[node]

    def address(self, memory: Memory, places: Sequence[Place]) -> str:
        """The index into ``memory`` of the entry at ``places``."""
        terms = self.beginning(memory)
        for a, p in enumerate(places):
            stride = memory.strides[a]
            if p.offset and memory.shape[a]:
                terms.append(self.distance(memory, p.offset * stride))
            if p.label is None or p.step * stride == 0:
                continue
            step = self.distance(memory, p.step * stride)
            i = self.index(p.label, memory.tiled)
            terms.append(i if step == "1" else f"{i} * {step}")
        return " + ".join(terms) or "0"

    def places(self, node: Node) -> tuple[Place, ...]:
        """Where ``node`` itself stands at the indices in scope."""
        return tuple(map(Place, self.axes.labels(node)))

    def beginning(self, memory: Memory) -> list[str]:
        """The distance of the first entry from where the pointer points, if there is one."""
        return [self.distance(memory, memory.offset)] if memory.offset else []

    def distance(self, memory: Memory, entries: int) -> str:
        """A distance in an array: equal ones are one argument, so that equal addresses are seen to be."""
        return self.params.number(("distance", memory.name, entries), entries)

    def own_address(self, memory: Memory, node: Node) -> str:
        return self.address(memory, self.places(node))

    def row_index(self, row: Row, places: Sequence[Place]) -> str:
        """The index into a value in registers; constant once the loops are unrolled."""
        terms = []
        for stride, p in zip(row.strides, places, strict=True):
            if stride and p.label is not None:
                terms.append(f"({self.index(p.label)} * {p.step} + {p.offset}) * {stride}")
            elif stride and p.offset:
                terms.append(str(p.offset * stride))
        return " + ".join(terms) or "0"

    def row(self, w: Text, node: Node, name: str, ctype: str, begin: str | None = None) -> Row:
        """Declare the registers of ``node`` for one entry of the region's axis, with ``begin`` in each."""
        labels = self.axes.labels(node)
        lengths = [1 if e == self.label else n for e, n in zip(labels, node.shape, strict=True)]
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        count = max(prod(lengths), 1)
        w(f"{ctype} {name}[{count}];")
        if begin is not None:
            w("#pragma unroll")
            w(f"for (int k = 0; k < {count}; ++k) {name}[k] = {begin};")
        return Row(name, strides)

    def load(self, memory: Memory, at: str) -> str:
        return read(memory.dtype, f"{memory.name}[{at}]")

    # ── entries ──────────────────────────────────────────────────────────────────────────────
    def operand(self, node: Node, i: int, values: dict[Value, str]) -> tuple[str, np.dtype[Any]]:
        """C++ for operand ``i`` of ``node`` at the indices in scope, and its dtype."""
        access = self.nests.access(node, i)
        u = access.root
        if u in values and self.nests.joined(node, access):
            return values[u], u.dtype
        if access.is_scalar:
            kind = "f" if node.operands[i].dtype.kind == "f" else "i"
            if isinstance(u, Const):
                name = self.params.scalar(("constant", kind, repr(u.data)), kind, u.data)
            else:
                name = self.params.scalar(u, kind, u)
            return name, np.dtype(np.float64 if kind == "f" else np.int64)
        if u in self.rows:
            row = self.rows[u]
            stored = row.stored or u.dtype
            return read(stored, f"{row.name}[{self.row_index(row, access.places)}]"), read_dtype(stored)
        memory = self.memory(access)
        text = read(memory.dtype, f"{memory.name}[{self.address(memory, access.places)}]")
        return text, read_dtype(memory.dtype)

    def chosen(self, node: Node, i: int, count: int, values: dict[Value, str]) -> str:
        """A label among the operands as an index; a negative one counts from the end, as in NumPy."""
        text, _ = self.operand(node, i, values)
        n = self.params.number(("classes", node), count)
        return f"xg::from_end((long long)({text}), {n})"

    def entry(self, node: Node, values: dict[Value, str]) -> str:
        """C++ for the entry of ``node`` at the indices in scope; of a reduction what it adds up."""
        name, ctype = node.op.name, value_type(node.dtype)
        if is_contraction(node):
            return " * ".join(self._factors(node, values))
        if is_reduction(node):
            text, _ = self.operand(node, 0, values)
            return f"({ctype})({text})"
        if name == "full_like":
            kind = "f" if node.dtype.kind == "f" else "i"
            fill = (float if kind == "f" else int)(node.params["value"])
            return f"({ctype})({self.params.scalar(('fill', node), kind, fill)})"
        if name == "getitem":
            return self._gathered(node, values)
        if name == "scatter_add":
            classes = self.axes.labels(node)[1]
            here = "0" if classes is None else self.index(classes)
            hit = f"{self.chosen(node, 2, node.shape[1], values)} == {here}"
            text, _ = self.operand(node, 0, values)
            return f"({hit} ? ({ctype})({text}) : {literal(0, node.dtype)})"
        fused = self._fused(node, values)
        if fused is not None:
            return fused
        found = [self.operand(node, i, values) for i in range(len(node.operands))]
        return expression(node, [text for text, _ in found], [dtype for _, dtype in found])

    def _gathered(self, node: Node, values: dict[Value, str]) -> str:
        """The entry of a row that the row's label chooses."""
        access = self.nests.access(node, 0)
        count = node.operands[0].shape[1]
        at = self.chosen(node, 2, count, values)
        axis, step = self.nests.choice(node)
        if access.root in self.rows:
            row = self.rows[access.root]
            return f"{row.name}[{self.row_index(row, access.places)} + {at} * {row.strides[axis] * step}]"
        memory = self.memory(access)
        stride = self.distance(memory, memory.strides[axis] * step)
        return read(memory.dtype, f"{memory.name}[{self.address(memory, access.places)} + {at} * {stride}]")

    def emit(self, w: Text, nodes: Sequence[Node], values: dict[Value, str]) -> None:
        """Declare a variable for the entry of each of ``nodes``; ``values`` tells their names."""
        for node in nodes:
            text = self.entry(node, values)
            name = values[node] = w.fresh()
            w(f"const {value_type(node.dtype)} {name} = {text};")

    def _factors(self, product: Node, values: dict[Value, str]) -> tuple[str, str]:
        """The two that are multiplied, in the type of the product."""
        ctype, operands = value_type(product.dtype), range(len(product.operands))
        found = [f"({ctype})({self.operand(product, i, values)[0]})" for i in operands]
        return found[0], found[-1]

    def _fused(self, node: Node, values: dict[Value, str]) -> str | None:
        """A sum or difference of a product and something, rounded once."""
        found = self.nests.fused(node)
        if found is None:
            return None
        i, product = found
        x, y = self._factors(product, values)
        z = f"({value_type(node.dtype)})({self.operand(node, 1 - i, values)[0]})"
        if node.op.name == "subtract":
            x, z = (x, f"-{z}") if i == 0 else (f"-{x}", z)
        return f"xg::fma({x}, {y}, {z})"

    def added(self, node: Node, held: str, dtype: np.dtype[Any], values: dict[Value, str]) -> str:
        """What a sum or contraction that is held in ``dtype`` is after the entry at the indices in scope."""
        ctype = value_type(dtype)
        product = node if is_contraction(node) else self.nests.added_product(node)
        if product is None:
            return combine(self.monoid(node), held, f"({ctype})({values[node]})")
        x, y = self._factors(product, values)
        return f"xg::fma(({ctype})({x}), ({ctype})({y}), {held})"

    def cone(self, nest: Nest, wanted: Iterable[Node]) -> list[Node]:
        """``wanted`` and the nodes of the nest that they take at the same index, in order."""
        found: set[Node] = set()
        waiting = list(wanted)
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found.add(node)
            for i in range(len(node.operands)):
                access = self.nests.access(node, i)
                if isinstance(access.root, Node) and self.nests.joined(node, access):
                    waiting.append(access.root)
        return [n for n in nest.nodes if n in found]

    def monoid(self, node: Node) -> str:
        return self.axes.relations[node].monoid

    def lane(self, labels: Iterable[int], nodes: Iterable[Node]) -> int | None:
        """The label that neighbouring threads should share out: contiguous in most of what is read."""
        votes = dict.fromkeys(labels, 0)
        for node in nodes:
            for i in range(len(node.operands)):
                access = self.nests.access(node, i)
                if access.is_scalar or self.nests.joined(node, access) or access.root in self.rows:
                    continue
                memory = self.memory(access)
                unit = memory.unit
                if unit is None or memory.tiled:
                    continue
                label = access.places[unit].label
                if label in votes and access.places[unit].step == 1:
                    votes[label] += 1 + prod(memory.shape)
            if node in self.stores and self.own(node) and self.own(node)[-1] in votes:
                votes[self.own(node)[-1]] += 1 + node.size
        return max(votes, key=lambda e: (votes[e], self.axes.extent[e], e)) if votes else None


def _check(node: Node, held: Mapping[Value, Any]) -> None:
    check(node)
    check_strides(node, held)
    if is_fat(node):
        raise Declined(node, "of two large matrices is the library's")
    if is_contraction(node):
        for u in node.operands:
            if u.weak or node.dtype.kind != "f":
                raise Declined(
                    node, f"of {node.operands[0].aval} and {node.operands[1].aval} has no loops of ours"
                )
