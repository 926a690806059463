"""A contraction with a skinny result as a function: blocks of the result stay in registers.

Both factors are seen as ``P[p, r]`` and ``Q[r, q]``. Which index the vectors run along is decided by the
large factor: where the contracted index is contiguous in it, the products are *inner* (a vector of partial
sums for each entry of the result); where another is, they are *outer* (a vector of results, into which
scaled vectors of that factor are added). `blocks` writes either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xpgrad.backends.cpu.llvm.blocks import Blocks
from xpgrad.backends.cpu.llvm.factors import Factor, Goal
from xpgrad.backends.cpu.llvm.frame import Call, Frame, Piece
from xpgrad.backends.cpu.llvm.held import around_sum, enclosed, held_in
from xpgrad.backends.cpu.llvm.scalars import ctype_of
from xpgrad.backends.cpu.llvm.storage import Storage
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.core import Node
from xpgrad.plan.nests import Access, Declined, Nest, Place
from xpgrad.plan.relations import is_fat


def write_product(k: Frame, nest: Nest, name: str) -> Piece:
    """The functions of ``nest``, and the calls of them."""
    return _Product(k, nest.nodes[0], name).piece()


class _Product:
    def __init__(self, k: Frame, node: Node, name: str) -> None:
        self.k, self.node, self.name = k, node, name
        if is_fat(node):
            raise Declined(node, "of two large matrices is BLAS's")
        for i in range(2):
            if node.operands[i].dtype != node.dtype or node.dtype.kind != "f":
                raise Declined(
                    node, f"of {node.operands[0].aval} and {node.operands[1].aval} has no loops of ours"
                )
            if k.nests.access(node, i).is_scalar:
                raise Declined(node, "of a scalar has no loops of ours")
        left, right = k.axes.operand_labels(node, 0), k.axes.operand_labels(node, 1)
        reduced = k.axes.reduced(node)
        self.r = reduced[0] if reduced else None
        self.p = left[0] if len(left) == 2 else None
        self.q = right[-1] if len(right) == 2 else None
        self.ctype = ctype_of(node.dtype) or ""
        self.functions: list[Writer] = []
        self.before: list[Call] = []
        self.calls: list[Call] = []

    def piece(self) -> Piece:
        k = self.k
        if 0 in self.node.shape:
            k.place(self.node, None)
            return Piece([], [], [])
        accesses = [k.nests.access(self.node, i) for i in range(2)]
        storages = [k.storage(a) for a in accesses]
        units = [self._unit(s, a) for s, a in zip(storages, accesses, strict=True)]
        along = self._vector(units, storages, accesses)
        if along == self.r:
            for i in range(2):
                if units[i] != self.r:
                    storages[i], accesses[i] = self._packed(storages[i], accesses[i], i)
        inner = (
            along
            if along != self.r
            else (self.q if self.q == k.label else self.p if self.p == k.label else None)
        )
        target = k.place(self.node, inner if inner is not None else self.q if self.q is not None else self.p)
        own = tuple(map(Place, k.axes.labels(self.node)))
        blocks = Blocks(k, self.node, self.p, self.q, self.r)
        around = []
        goals = [target]
        if blocks.adds(inner=along == self.r):
            around.append(around_sum(k, self.node, self.name))
            goals = held_in(k, self.node)
        pointers = [(storages[0], accesses[0].places), (storages[1], accesses[1].places)]
        pointers += [(goal, own) for goal in goals]
        w = Writer(self.name, ["ptr %args", "i64 %tile", *[f"ptr noalias %p{i}" for i in range(len(pointers))]])
        factors = [
            Factor(s, a, f"%p{i}", k.steps(w, a, s))
            for i, (s, a) in enumerate(zip(storages, accesses, strict=True))
        ]
        access = Access(self.node, own)
        found = [Factor(g, access, f"%p{i}", k.steps(w, access, g)) for i, g in enumerate(goals, 2)]
        goal = Goal(*found)
        if along == self.r:
            blocks.inner(w, factors, goal)
        else:
            blocks.outer(w, factors, goal, along)
        piece = Piece([*self.functions, w], [*self.calls, Call(self.name, pointers)], self.before)
        return enclosed(around, piece)

    # ── the choice of the index that vectors run along ───────────────────────────────────────
    def _unit(self, storage: Storage, access: Access) -> int | None:
        a = storage.unit
        if a is None or access.places[a].step != 1:
            return None
        return access.places[a].label

    def _vector(self, units: list[int | None], storages: list[Storage], accesses: list[Access]) -> int | None:
        """The label that vectors run along: one that is contiguous in the larger factor."""
        k = self.k
        sizes = [_size(k, a) for a in accesses]
        order = sorted(range(2), key=lambda i: (storages[i].kind == "memory", sizes[i]), reverse=True)
        for i in order:
            unit = units[i]
            if unit is not None and k.length(unit) > 1:
                if unit == self.r and not self._can_pack(1 - i, units, accesses):
                    continue
                return unit
        return self.q if self.q is not None else self.p

    def _can_pack(self, i: int, units: list[int | None], accesses: list[Access]) -> bool:
        """Whether factor ``i`` is contiguous along the contracted index, or is small enough to be made so."""
        if units[i] == self.r:
            return True
        labels = [p.label for p in accesses[i].places if p.label is not None]
        return self.k.label not in labels and _size(self.k, accesses[i]) <= 1 << 16

    def _packed(self, storage: Storage, access: Access, which: int) -> tuple[Storage, Access]:
        """The factor copied so that the contracted index is contiguous, once before the tiles."""
        k = self.k
        # Along an axis that it is spread over one row is all: of the region's a tile is not known yet.
        other = self.p if which == 0 else self.q
        labels = [other if other in (p.label for p in access.places) else None, self.r]
        shape = tuple(k.length(e) if e is not None else 1 for e in labels)
        packed = k.buffer(("packed", self.node, which), shape, self.node.dtype, (0, 1))
        name = f"{self.name}.pack{which}"
        w = Writer(name, ["ptr %args", "i64 %tile", "ptr noalias %p0", "ptr noalias %p1"])
        source = k.steps(w, access, storage)
        with _loops(w, [k.extent(w, e) if e is not None else "1" for e in labels]) as index:
            at = to = "0"
            for a, (i, e) in enumerate(zip(index, labels, strict=True)):
                at = w.plus(at, w.times(i, source.get(e, "0") if e is not None else "0"))
                to = w.plus(to, w.times(i, k.stride(w, packed, a)))
            w.store(self.ctype, w.load(self.ctype, "%p0", at), "%p1", to)
        places = tuple(Place(e) for e in labels)
        self.functions.append(w)
        call = Call(name, [(storage, access.places), (packed, places)])
        made_here = access.root in k.nests.own
        (self.calls if made_here or self.r == k.label else self.before).append(call)
        return packed, Access(access.root, places)


@contextmanager
def _loops(w: Writer, extents: list[str]) -> Iterator[list[str]]:
    """Loops inside one another."""
    if not extents:
        yield []
        return
    with w.loop(extents[0]) as i, _loops(w, extents[1:]) as rest:
        yield [i, *rest]


def _size(k: Frame, access: Access) -> int:
    size = 1
    for p in access.places:
        if p.label is not None:
            size *= k.length(p.label)
    return size
