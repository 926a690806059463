"""The values of a step while its kernel runs: where each lies, and the numbers that tell its loops how far.

In:  a Region or a straight run of nodes, and the arrays that lie in memory before it.
Out: a Storage for what has to lie in memory; names of IR values for lengths and distances.
Holds: nothing here writes a loop; `loops`, `products` and `boxes` do, and `kernel` puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.assembly import Layouts, check_strides
from xpgrad.backends.cpu.llvm.scalars import check
from xpgrad.backends.cpu.llvm.storage import Arena, Slots, Storage, strides_for
from xpgrad.backends.cpu.llvm.sums import is_sum, keeps_lost
from xpgrad.backends.cpu.llvm.writer import SIZES, Writer, number
from xpgrad.core import Const, Node, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.nests import Access, Declined, Nests, is_reduction
from xpgrad.plan.plan import Step

VECTOR_BYTES = 64
SHORT = 16
"""An axis shorter than this is looped over outside, if another is long."""


class Partial(NamedTuple):
    """A sum over the region's axis: where the partials of a chunk hold it.

    ``lost``: the offset of what the sum has lost, where that is kept, in the same order.
    """

    node: Node
    offset: int
    storage: Storage
    lost: int | None


class Frame:
    """What the functions of a step ask of it: where values lie, and lengths and distances as arguments.

    Attributes
    ----------
    slots : Slots
    stores : set of Node
        What it makes that later steps or the outputs read.
    outs : dict of Node to Storage
        The arrays that it fills.
    lost : dict of Node to Storage
        What the parts of sums of float64 have lost.
    partials : list of Partial
    partial_bytes, scratch_bytes : int
    may_be_outside : int or None
        The slot of `outside`, where there are indices.
    calls : set of (str, str)
        The functions of `xpgrad.codegen.scalar` that are called, each with its type.

    Raises
    ------
    Declined
        A node has no loops or no instructions here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts) -> None:
        self.step, self.plan, self.axes, self.layouts = step, plan, plan.axes, layouts
        self.nests = Nests(step, plan, self._check)
        self.label = self.nests.label
        self.tile = step.tile if isinstance(step, Region) else 0
        self.slots = Slots()
        self.storages: dict[Any, Storage] = {}
        self.outs: dict[Node, Storage] = {}
        self.lost: dict[Node, Storage] = {}
        self.partials: list[Partial] = []
        self._partial_arena, self._scratch = Arena(), Arena()
        self.calls: set[tuple[str, str]] = set()
        self.may_be_outside: int | None = None
        self.sums = set(step.sums) if isinstance(step, Region) else set()
        self._live_out()

    def _check(self, node: Node) -> None:
        check(node)
        check_strides(node, self.layouts.held)

    @property
    def partial_bytes(self) -> int:
        return self._partial_arena.size

    @property
    def scratch_bytes(self) -> int:
        return self._scratch.size

    # ── what must lie in memory ──────────────────────────────────────────────────────────────
    def _live_out(self) -> None:
        stores = self.step.stores if isinstance(self.step, Region) else self.step.nodes
        for node in stores:
            if node in self.layouts.alive and self.nests.is_view(node):
                raise Declined(node, "is an output, and looks into a value that is not in memory")
        self.stores = {n for n in stores if n in self.layouts.alive}
        read: set[Value] = set()
        for node in self.step.nodes:
            if self.nests.is_view(node):
                continue
            for i in range(len(node.operands)):
                access = self.nests.access(node, i)
                if not self.nests.joined(node, access):
                    read.add(access.root)
        self._read = read

    def needs_storage(self, node: Node) -> bool:
        return node in self.stores or node in self._read or node in self.sums or is_reduction(node)

    def order_for(self, node: Node, inner: int | None) -> tuple[int, ...]:
        """The axes of a value of a nest, that along ``inner`` contiguous."""
        labels = self.axes.labels(node)
        order = list(range(node.ndim))
        if inner in labels:
            order.append(order.pop(labels.index(inner)))
        return tuple(order)

    def place(self, node: Node, inner: int | None) -> Storage:
        """Give ``node`` a place in memory; ``inner`` is the label that its nest runs fastest over."""
        if node in self.storages:
            return self.storages[node]
        if node in self.stores:
            storage = Storage(
                "out",
                node.dtype,
                node.shape,
                strides_for(node.shape, range(node.ndim)),
                self.slots.pointer(node),
            )
            self.outs[node] = storage
        elif node in self.sums:
            dtype = np.dtype(np.float64) if node.dtype.kind == "f" else node.dtype
            strides = strides_for(node.shape, self.order_for(node, inner))
            offset = self._partial_arena.take(node.shape, dtype)
            slot = self.slots.number(("partial", node), offset)
            storage = Storage("partial", dtype, node.shape, strides, slot)
            lost = None
            if is_sum(node) and keeps_lost(node):
                lost = self._partial_arena.take(node.shape, dtype)
                slot = self.slots.number(("lost", node), lost)
                self.lost[node] = Storage("partial", dtype, node.shape, strides, slot)
            self.partials.append(Partial(node, offset, storage, lost))
        else:
            labels = self.axes.labels(node)
            shape = tuple(
                self.tile if e is not None and e == self.label else n
                for e, n in zip(labels, node.shape, strict=True)
            )
            storage = self.buffer(("buffer", node), shape, node.dtype, self.order_for(node, inner))
        self.storages[node] = storage
        return storage

    def buffer(self, key: Any, shape: tuple[int, ...], dtype: Any, order: Sequence[int]) -> Storage:
        """Memory of the thread for one tile."""
        slot = self.slots.number(key, self._scratch.take(shape, dtype))
        return Storage("buffer", np.dtype(dtype), shape, strides_for(shape, order), slot)

    def held(self, node: Node) -> Storage:
        """Where a sum of floats is added up in memory, in float64."""
        place = self.storages[node]
        if place.kind == "partial" or place.dtype == np.float64:
            return place
        key = ("held", node)
        if key not in self.storages:
            order = sorted(range(node.ndim), key=lambda a: -place.strides[a])
            self.storages[key] = self.buffer(key, place.shape, np.float64, order)
        return self.storages[key]

    def storage(self, access: Access) -> Storage:
        """The array that ``access`` reads."""
        root = access.root
        if root not in self.storages:
            array: Any = np.asarray(root.data) if isinstance(root, Const) else self.layouts.held.get(root)
            if array is None:  # stored by an earlier step, in C order
                dtype, strides = root.dtype, strides_for(root.shape, range(root.ndim))
            else:
                dtype, strides = array.dtype, tuple(s // array.itemsize for s in array.strides)
            self.storages[root] = Storage("memory", dtype, root.shape, strides, self.slots.pointer(root))
        return self.storages[root]

    def outside(self) -> int:
        """The slot that is not 0 once an index has been outside its axis."""
        self.may_be_outside = self.slots.number("outside", 0)
        return self.may_be_outside

    # ── numbers inside a function ────────────────────────────────────────────────────────────
    def get(self, w: Writer, slot: int) -> str:
        """Load a number that the kernel was told."""
        return w.load("i64", "%args", str(slot))

    def extent(self, w: Writer, label: int) -> str:
        """How many entries a loop over ``label`` has."""
        if label == self.label:
            return "%tile"
        return self.get(w, self.slots.number(("extent", label), self.axes.extent[label]))

    def length(self, label: int) -> int:
        return self.tile if label == self.label else self.axes.extent[label]

    def stride(self, w: Writer, storage: Storage, axis: int, step: int = 1) -> str:
        """The distance of neighbours along ``axis`` in entries; 1 stands in the text where it is."""
        if axis == storage.unit and step == 1:
            return "1"
        key = ("stride", id(storage), axis, step)
        return self.get(w, self.slots.number(key, storage.strides[axis] * step))

    def steps(self, w: Writer, access: Access, storage: Storage) -> dict[int, str]:
        """For each label of ``access``, how far one step along it goes."""
        return {
            p.label: self.stride(w, storage, a, p.step)
            for a, p in enumerate(access.places)
            if p.label is not None
        }


class Call(NamedTuple):
    """A call of a nest's function: its name, and what its pointers point to."""

    function: str
    pointers: list[tuple[Storage, tuple[Any, ...]]]


class Piece(NamedTuple):
    """What one nest became: functions, and calls of them in each tile, or once before the first."""

    functions: list[Writer]
    calls: list[Call]
    before: list[Call]


def identity(node: Node, ctype: str) -> str:
    """What a reduction begins with."""
    name = node.op.name
    if name in ("max", "min") and node.dtype.kind == "b":
        return number(name == "min", ctype)
    if name in ("max", "min"):
        sign = -1 if name == "max" else 1
        if ctype in ("float", "double"):
            return number(sign * float("inf"), ctype)
        bits = 8 * SIZES[ctype] - 1
        return str(-(1 << bits) if sign < 0 else (1 << bits) - 1)
    return number(1 if name in ("prod", "all") else 0, ctype)
