"""An elementwise nest with its reductions as a function: loops that LLVM vectorises.

; y = x * x, and its sum
define internal void @nest0(ptr %args, i64 %tile, ptr noalias %p0, ptr noalias %p1, ptr noalias %p2)
    for i in 0..tile:
        x = p0[i]
        y = x * x
        p1[i] = y
        sum += y
    p2[0] += sum
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from xpgrad.backends.cpu.llvm.combining import combined, combined_in_any_order, is_extremum
from xpgrad.backends.cpu.llvm.frame import SHORT, Call, Frame, Piece, identity
from xpgrad.backends.cpu.llvm.held import Around, around_sum, enclosed, held_in
from xpgrad.backends.cpu.llvm.scalars import (
    Scalar,
    converted,
    ctype_of,
    emit,
    kept,
    loaded,
    multiply_add,
)
from xpgrad.backends.cpu.llvm.storage import Storage
from xpgrad.backends.cpu.llvm.sums import BLOCK, LONG, Running, Total, add_to, is_sum, settled
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.core import Const, Node
from xpgrad.plan.nests import Access, Nest, Place, is_reduction


def write_loop(k: Frame, nest: Nest, name: str) -> Piece:
    """The function of ``nest``, and the calls of it."""
    return _Loop(k, nest, name).piece()


def inner_label(k: Frame, nest: Nest) -> int | None:
    """The index to run over fastest: the one that most arrays have contiguous, unless it is short."""
    if not nest.labels:
        return None
    votes = dict.fromkeys(nest.labels, 0)
    for node in nest.nodes:
        for i in range(len(node.operands)):
            access = k.nests.access(node, i)
            if k.nests.joined(node, access) or not access.places or access.is_scalar:
                continue
            unit = k.storage(access).unit
            if unit is not None and access.places[unit].label in votes and access.places[unit].step == 1:
                votes[access.places[unit].label] += 1  # type: ignore[index]
        if node in k.stores:
            labels = [e for e in k.axes.labels(node) if e is not None]
            if labels:
                votes[labels[-1]] += 1
    best = max(votes, key=lambda e: (votes[e], k.length(e)))
    longest = max(votes, key=k.length)
    return longest if k.length(best) < SHORT <= k.length(longest) else best


def read_scalar(k: Frame, w: Writer, node: Node, i: int) -> Scalar:
    """Operand ``i`` of ``node``, a scalar, from its slot."""
    root = k.nests.access(node, i).root
    if isinstance(root, Const):
        slot = k.slots.scalar(("scalar", node, i), root.data)
    else:
        slot = k.slots.scalar(("scalar", root), root)
    kind = "i64" if node.operands[i].dtype.kind in "biu" else "double"
    return Scalar(w.load(kind, "%args", str(slot)), kind)


class _Loop:
    def __init__(self, k: Frame, nest: Nest, name: str) -> None:
        self.k, self.nest, self.name = k, nest, name
        self.inner = inner_label(k, nest)
        self.pointers: list[tuple[Storage, tuple[Place, ...]]] = []
        self._names: dict[Any, str] = {}
        self._factors: dict[Node, list[Scalar]] = {}
        self._outside = ""
        self._added = {k.nests.added_product(node) for node in nest.nodes}
        outer = sorted((e for e in nest.labels if e != self.inner), key=self._reach, reverse=True)
        self.order = outer + ([self.inner] if self.inner is not None else [])

    def _reach(self, label: int) -> tuple[int, int]:
        """How far apart neighbours along ``label`` are, at most: such loops go outside."""
        reach = 0
        for node in self.nest.nodes:
            for i in range(len(node.operands)):
                access = self.k.nests.access(node, i)
                if access.is_scalar or self.k.nests.joined(node, access):
                    continue
                storage = self.k.storage(access)
                for a, p in enumerate(access.places):
                    if p.label == label:
                        reach = max(reach, abs(storage.strides[a]))
        return reach, label

    def pointer(self, storage: Storage, places: tuple[Place, ...]) -> str:
        """The parameter that points into ``storage``."""
        key = (id(storage), places)
        if key not in self._names:
            self._names[key] = f"%p{len(self.pointers)}"
            self.pointers.append((storage, places))
        return self._names[key]

    def piece(self) -> Piece:
        k, nest = self.k, self.nest
        around: list[Around] = []
        targets: dict[Node, Storage] = {}
        for node in nest.nodes:
            if k.needs_storage(node):
                targets[node] = k.place(node, self.inner)
                if self._accumulates(node):
                    around.append(around_sum(k, node, f"{self.name}.{len(around)}"))
        w = Writer(self.name, ["ptr %args", "i64 %tile"])
        self._body(w, targets)
        w.params += [f"ptr noalias %p{i}" for i in range(len(self.pointers))]
        return enclosed(around, Piece([w], [Call(self.name, self.pointers)], []))

    def _accumulates(self, node: Node) -> bool:
        """Whether the reduction adds to what its array holds: where more than the inner index is reduced."""
        return is_reduction(node) and (node in self.k.sums or set(self.k.axes.reduced(node)) != {self.inner})

    def _own_places(self, node: Node) -> tuple[Place, ...]:
        return tuple(map(Place, self.k.axes.labels(node)))

    # ── the loops ────────────────────────────────────────────────────────────────────────────
    def _body(self, w: Writer, targets: dict[Node, Storage]) -> None:
        k = self.k
        extents = {e: k.extent(w, e) for e in self.order}
        if any(self._chooses(node) for node in self.nest.nodes):
            self._outside = w.local("i64")
            w.do(f"store i64 0, ptr {self._outside}")
        reads: dict[tuple[Node, int], tuple[Storage, str, dict[int, str]]] = {}
        values: dict[Any, Scalar] = {}
        for node in self.nest.nodes:
            for i in range(len(node.operands)):
                access = k.nests.access(node, i)
                if k.nests.joined(node, access):
                    continue
                if access.is_scalar:
                    values[node, i] = read_scalar(k, w, node, i)
                    continue
                storage = k.storage(access)
                pointer = self.pointer(storage, access.places)
                steps = k.steps(w, access, storage)
                if steps or self._is_gather(node, i):
                    reads[node, i] = storage, pointer, steps
                else:
                    values[node, i] = loaded(w, storage.dtype, pointer, "0")
        writes, lost = {}, {}
        for node, storage in targets.items():
            held = held_in(k, node) if self._accumulates(node) else [storage]
            writes[node] = self._written(w, node, held[0])
            if len(held) > 1:
                lost[node] = self._written(w, node, held[1])
        over_inner = [node for node in targets if is_reduction(node) and self.inner in k.axes.reduced(node)]
        accumulators = {node: w.local(ctype_of(node.dtype) or "") for node in over_inner if not is_sum(node)}
        once = self.inner is not None and (len(self.order) == 1 or k.length(self.inner) >= LONG)
        running = {
            node: Running(w, node, ctype_of(node.dtype) or "", once) for node in over_inner if is_sum(node)
        }
        index: dict[int, str] = {}
        with ExitStack() as stack:
            for e in self.order[:-1]:
                index[e] = stack.enter_context(w.loop(extents[e]))
            for node, local in accumulators.items():
                ctype = ctype_of(node.dtype) or ""
                w.do(f"store {ctype} {identity(node, ctype)}, ptr {local}")
            for sums in running.values():
                sums.begin(w)
            outer, before = dict(index), dict(values)
            bases = {key: self._outer(w, r, outer) for key, r in reads.items()}
            goals = {node: self._outer(w, r, outer) for node, r in writes.items()}
            beside = {node: self._outer(w, r, outer) for node, r in lost.items()}
            side_by_side = {n: bases[n, 0] for n in running if self._lies_side_by_side(n, reads)}
            with ExitStack() as innermost:
                entry = "0"
                if self.inner is not None and len(side_by_side) == len(self.nest.nodes):
                    for node, base in side_by_side.items():
                        running[node].add(w, base, extents[self.inner])
                    index[self.inner] = "0"
                elif self.inner is not None and running:
                    n = extents[self.inner]
                    first = innermost.enter_context(w.loop(n, "0", str(BLOCK)))
                    count = w.least(str(BLOCK), w.minus(n, first))
                    for sums in running.values():
                        innermost.callback(sums.add, w, sums.entries, count)
                    entry = innermost.enter_context(w.loop(count))
                    index[self.inner] = w.plus(first, entry)
                elif self.inner is not None:
                    index[self.inner] = innermost.enter_context(w.loop(extents[self.inner]))
                for node in self.nest.nodes:
                    self._node(w, node, reads, bases, values, index)
                    if node in running and len(side_by_side) < len(self.nest.nodes):
                        x = converted(w, values[node], running[node].ctype)
                        w.store(running[node].ctype, x, running[node].entries, entry)
                    elif node in writes and is_sum(node) and node not in running:
                        at = self._at(w, writes[node], index)
                        ctype = ctype_of(node.dtype) or ""
                        x = converted(w, Scalar(converted(w, values[node], ctype), ctype), "double")
                        add_to(w, Total(x, None), w.at("double", goals[node], at), None)
                    elif node in writes and node not in running:
                        self._write(w, node, writes[node], goals[node], values[node], accumulators, index)
            for node, sums in running.items():
                total = sums.total(w)
                if self._accumulates(node):
                    add_to(w, total, goals[node], beside.get(node))
                else:
                    ctype = writes[node][0].ctype
                    w.store(ctype, converted(w, Scalar(settled(w, total), "double"), ctype), goals[node])
            for node, local in accumulators.items():
                storage = writes[node][0]
                ctype = ctype_of(node.dtype) or ""
                if is_extremum(node):
                    n = extents[self.order[-1]]
                    self._last_zero(w, node, local, reads, bases, before, outer, n)
                found = Scalar(w.load(ctype, local), ctype)
                if self._accumulates(node):
                    found = combined(w, node, loaded(w, storage.dtype, goals[node], "0"), found)
                stored = ctype_of(storage.dtype) or ""
                kept(w, Scalar(converted(w, found, stored), stored), goals[node], "0")
        if self._outside:
            with w.when(w.op(f"icmp ne i64 {w.load('i64', self._outside)}, 0")):
                w.store("i64", "1", "%args", str(k.outside()))

    def _last_zero(
        self, w: Writer, node: Node, local: str, reads: Any, bases: Any, values: Any, index: Any, n: str
    ) -> None:
        """Where an extremum is zero, of which vectors find no sign, take the last zero, as NumPy does."""
        ctype = ctype_of(node.dtype) or ""
        zero = number(0, ctype)
        with w.when(w.op(f"fcmp oeq {ctype} {w.load(ctype, local)}, {zero}")), w.loop(n) as i:
            again = dict(values)
            for other in self.nest.nodes:
                self._node(w, other, reads, bases, again, index | {self.inner: i})
            x = converted(w, again[node], ctype)
            with w.when(w.op(f"fcmp oeq {ctype} {x}, {zero}")):
                w.store(ctype, x, local)

    def _lies_side_by_side(self, node: Node, reads: Any) -> bool:
        """Whether what a sum adds up is an array of its dtype, contiguous along the inner index."""
        if (node, 0) not in reads or self.inner is None:
            return False
        storage, _, steps = reads[node, 0]
        return storage.dtype == node.dtype and bool(steps.get(self.inner) == "1")

    def _written(self, w: Writer, node: Node, storage: Storage) -> tuple[Storage, str, dict[int, str]]:
        """An array that holds ``node``, the parameter that points into it, and its steps."""
        places = self._own_places(node)
        return storage, self.pointer(storage, places), self.k.steps(w, Access(node, places), storage)

    def _at(self, w: Writer, write: tuple[Storage, str, dict[int, str]], index: dict[int, str]) -> str:
        """The distance along the inner index."""
        steps = write[2]
        if self.inner is None or self.inner not in steps:
            return "0"
        return w.times(index[self.inner], steps[self.inner])

    def _chooses(self, node: Node) -> bool:
        """Whether a label chooses an entry of a row, or a place in one."""
        return node.op.name in ("getitem", "scatter_add")

    def _is_gather(self, node: Node, i: int) -> bool:
        return i == 0 and node.op.name == "getitem"

    def _outer(self, w: Writer, read: tuple[Storage, str, dict[int, str]], index: dict[int, str]) -> str:
        """The address with the outer indices in it."""
        storage, pointer, steps = read
        at = "0"
        for label, step in steps.items():
            if label in index:
                at = w.plus(at, w.times(index[label], step))
        return w.at(storage.ctype, pointer, at)

    def _node(
        self, w: Writer, node: Node, reads: Any, bases: Any, values: dict[Any, Scalar], index: Any
    ) -> None:
        k = self.k
        operands = []
        name = node.op.name
        for i in range(len(node.operands)):
            if (node, i) in values:
                operands.append(values[node, i])
                continue
            if (node, i) not in reads:
                root = k.nests.access(node, i).root
                operands.append(values[root])
                continue
            storage, _, steps = reads[node, i]
            if (name in ("getitem", "scatter_add") and i == 1) or self._is_gather(node, i):
                operands.append(Scalar("0", "i64"))
                continue
            step = steps.get(self.inner) if self.inner is not None else None
            at = "0" if step is None else w.times(index[self.inner], step)
            operands.append(loaded(w, storage.dtype, bases[node, i], at))
        if is_reduction(node):
            values[node] = operands[0]
        elif name == "scatter_add":
            values[node] = self._scattered(w, node, operands[0], operands[2], index)
        elif name == "full_like":
            ctype = ctype_of(node.dtype) or ""
            fill = (float if node.dtype.kind == "f" else int)(node.params["value"])
            slot = k.slots.scalar(("fill", node), fill)
            kind = "double" if node.dtype.kind == "f" else "i64"
            raw = w.load(kind, "%args", str(slot))
            values[node] = Scalar(converted(w, Scalar(raw, kind), ctype), ctype)
        elif name == "getitem":
            values[node] = self._gathered(w, node, reads, bases, operands[2], index)
        else:
            values[node] = self._value(w, node, operands)

    def _value(self, w: Writer, node: Node, operands: list[Scalar]) -> Scalar:
        """A node of one entry of each operand."""
        if node.op.name in ("multiply", "square"):
            self._factors[node] = operands if len(operands) == 2 else operands * 2
        fused = self.k.nests.fused(node)
        if fused is not None:
            i, product = fused
            return multiply_add(w, node, self._factors[product], operands[1 - i], i == 0)
        return emit(w, node, operands, self.k.calls, added=node in self._added)

    def _label_of(self, w: Writer, chosen: Scalar, node: Node, count: int) -> str:
        """A label as an index; a negative one counts from the end, as in NumPy.

        One outside is noted, and 0 instead: NumPy's error is for later.
        """
        wide = converted(w, chosen, "i64")
        n = self.k.get(w, self.k.slots.number(("classes", node), count))
        negative = w.op(f"icmp slt i64 {wide}, 0")
        at = w.op(f"select i1 {negative}, i64 {w.op(f'add i64 {wide}, {n}')}, i64 {wide}")
        outside = w.op(f"icmp uge i64 {at}, {n}")
        noted = w.op(f"or i64 {w.load('i64', self._outside)}, {w.op(f'zext i1 {outside} to i64')}")
        w.store("i64", noted, self._outside)
        return w.op(f"select i1 {outside}, i64 0, i64 {at}")

    def _gathered(self, w: Writer, node: Node, reads: Any, bases: Any, chosen: Scalar, index: Any) -> Scalar:
        """The entry of a row that the row's label chooses."""
        storage, _, steps = reads[node, 0]
        at = "0"
        if self.inner is not None and self.inner in steps:
            at = w.times(index[self.inner], steps[self.inner])
        label = self._label_of(w, chosen, node, node.operands[0].shape[1])
        axis, step = self.k.nests.choice(node)
        at = w.plus(at, w.times(label, self.k.stride(w, storage, axis, step) if step else "0"))
        return loaded(w, storage.dtype, bases[node, 0], at)

    def _scattered(self, w: Writer, node: Node, g: Scalar, chosen: Scalar, index: Any) -> Scalar:
        """``g`` where the index along the classes is the sample's label, elsewhere 0."""
        ctype = ctype_of(node.dtype) or ""
        classes = self.k.axes.labels(node)[1]
        here = index[classes] if classes is not None else "0"
        hit = w.op(f"icmp eq i64 {self._label_of(w, chosen, node, node.shape[1])}, {here}")
        return Scalar(
            w.op(f"select i1 {hit}, {ctype} {converted(w, g, ctype)}, {ctype} {number(0, ctype)}"), ctype
        )

    def _write(
        self, w: Writer, node: Node, write: Any, goal: str, value: Scalar, accumulators: Any, index: Any
    ) -> None:
        storage = write[0]
        ctype = ctype_of(node.dtype) or ""
        value = Scalar(converted(w, value, ctype), ctype)
        if node in accumulators:
            held = Scalar(w.load(ctype, accumulators[node]), ctype)
            new = combined_in_any_order(w, node, held, value)
            w.do(f"store {ctype} {new.name}, ptr {accumulators[node]}")
            return
        at = self._at(w, write, index)
        if is_reduction(node):
            value = combined(w, node, loaded(w, storage.dtype, goal, at), value)
        kept(
            w,
            Scalar(converted(w, value, ctype_of(storage.dtype) or ""), ctype_of(storage.dtype) or ""),
            goal,
            at,
        )
