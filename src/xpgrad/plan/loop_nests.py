"""The loop nests of a step, for any device.

In:  a step of a Plan.
Out: NestPlans in order, each a set of loop axes and the nodes of its body; for each operand an Access,
     which says where in an array the body reads.
Holds: a loop nest reads the values that it makes at the index at which it makes them. A value that is read at
another index, or that is a reduction, was made by an earlier nest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from xpgrad.core import SCALAR_TYPES, Const, Input, Node, Op, Operand, Value
from xpgrad.ops.indexing import basic_axes
from xpgrad.plan.axes import is_view
from xpgrad.plan.codes import adds_by_code, code_axis, reads_by_code, takes_labels
from xpgrad.plan.plan import Plan, Region, Step
from xpgrad.plan.relations import is_pointwise

A = TypeVar("A")


_REASONS = {
    "loop": "its iterations are called from Python, and run op by op",
    "pick": "one of the outputs of an op",
}


class Declined(Exception):
    """A node that loop nests cannot express, and the reason."""

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"{node.op.name} {reason}")
        self.node, self.reason = node, reason


class AffineIndex(NamedTuple, Generic[A]):
    """The index into one axis of an array: ``step * i + offset``, ``i`` the index of the loop axis ``axis``.

    A plan has loop axes by number, the kernel IR as objects.
    """

    axis: A | None
    step: int = 1
    offset: int = 0


class Access(NamedTuple):
    """The array and the index of an operand.

    Attributes
    ----------
    root : Input, Node or Const
        The array.
    at : tuple of AffineIndex
        The index: one for each axis of the array.
    """

    root: Operand
    at: tuple[AffineIndex[int], ...]

    @property
    def is_scalar(self) -> bool:
        """Whether it is a Python or NumPy scalar, which is an argument of the kernel."""
        if isinstance(self.root, Const):
            return isinstance(self.root.data, SCALAR_TYPES)
        return isinstance(self.root, Input) and self.root.weak


@dataclass
class NestPlan:
    """A loop nest over ``loop_axes`` with the ``nodes`` of its body.

    ``kind`` is ``"loop"``, ``"matmul"`` (one contraction of two factors), ``"slices"`` (an array that is
    written slice by slice) or ``"scatter"`` (additions to tables by codes, apart from other nodes: they are no
    loop that could be vectorised). ``depth`` is the number of loop nests that must run before it.
    """

    kind: str
    depth: int
    loop_axes: frozenset[int]
    nodes: list[Node] = field(default_factory=list)


MOST = 256
"""The most nodes of one body, apart from products that are rounded with one of them: the compiler's time for
each node grows with their number."""


def is_reduction(node: Node) -> bool:
    """Whether ``node`` combines the entries along axes of its operand."""
    return node.op.monoid is not None or adds_by_code(node)


def is_contraction(node: Node) -> bool:
    """Whether ``node`` sums products over an axis of both operands."""
    return "contraction" in node.op.traits


def is_assembled(node: Node) -> bool:
    """Whether the body of a nest stores an array entry by entry, which only later nests can read."""
    return "entries" in node.op.traits


def _chooses(node: Node) -> bool:
    """Whether integers choose the entries that ``node`` reads."""
    return takes_labels(node) or reads_by_code(node)


def has_loops(op: Op) -> bool:
    """Whether an op has loops of its own; any other is an expression of one entry of each operand."""
    return (
        op.monoid is not None
        or not op.traits.isdisjoint(("contraction", "entries", "slices"))
        or op.name in ("full_like", "getitem", "scatter_add")
    )


class LoopNests:
    """The loop nests of one step.

    ``check`` raises Declined for a node that the generator has no instructions for. The first such node ends
    the work, so that the nodes after it cost nothing.

    Attributes
    ----------
    nests : list of NestPlan
    own : set of Value
        The values that the loop nests compute.
    tile_axis : int or None
        The loop axis of the region.
    """

    def __init__(self, step: Step, plan: Plan, check: Callable[[Node], None]) -> None:
        self.step, self.plan, self.axes = step, plan, plan.axes
        self.nests: list[NestPlan] = []
        self.own: set[Value] = set()
        self._by_key: dict[tuple[str, int, frozenset[int]], NestPlan] = {}
        self._not_full: dict[tuple[str, int, frozenset[int]], int] = {}
        self._nest_of: dict[Value, NestPlan] = {}
        self._views: dict[Value, list[tuple[int | None, int, int]]] = {}
        self._root: dict[Value, Operand] = {}
        self._uses = plan.uses
        self.tile_axis = step.loop_axis if isinstance(step, Region) else None
        self._inside: set[Value] = set(step.nodes)
        for node in step.nodes:
            for u in node.operands:
                self._look_through(u)
            self._lower(node)
            if node not in self._views:
                check(node)
        self._sink()
        self.nests = sorted((n for n in self.nests if n.nodes), key=lambda nest: nest.depth)

    # ── reading ──────────────────────────────────────────────────────────────────────────────
    def access(self, node: Node, i: int) -> Access:
        """The array and the index of operand ``i`` of ``node``."""
        loop_axes = self.axes.operand_loop_axes(node, i)
        u = node.operands[i]
        if u not in self._views:
            return Access(u, tuple(map(AffineIndex, loop_axes)))
        index = []
        for axis, step, offset in self._views[u]:
            loop_axis = None if axis is None else loop_axes[axis]
            index.append(AffineIndex(loop_axis, step if loop_axis is not None else 1, offset))
        return Access(self._root[u], tuple(index))

    def is_view(self, value: Value) -> bool:
        return value in self._views

    def view_axes(self, view: Value) -> list[tuple[int | None, int, int]]:
        """For each axis of the array behind ``view``: the axis of the view, the step, and the start."""
        return self._views[view]

    def choice(self, node: Node) -> tuple[int, int]:
        """The axis of its array along which the labels or codes of a `getitem` choose, and the step there."""
        u, k = node.operands[0], code_axis(node)
        axis = 1 if k is None else k
        if u not in self._views:
            return axis, 1
        # A view that broadcasts over the axis has one entry to choose.
        return next(((a, s) for a, (mine, s, _) in enumerate(self._views[u]) if mine == axis), (0, 0))

    def kind_of(self, value: Value) -> str | None:
        """The kind of the nest that makes ``value``; None if the step does not make it."""
        nest = self._nest_of.get(value)
        return None if nest is None else nest.kind

    def is_local(self, node: Node, access: Access) -> bool:
        """Whether the same loop nest makes the operand, at the same index."""
        u = access.root
        if not isinstance(u, Node) or u not in self._nest_of or is_reduction(u) or is_assembled(u):
            return False
        return self._nest_of[u] is self._nest_of.get(node)

    # ── roundings ────────────────────────────────────────────────────────────────────────────
    def fused(self, node: Node) -> tuple[int, Node] | None:
        """The operand of a sum or difference that is a product which nothing else reads, and the product.

        Both are then rounded once. The graph decides that here, and never a compiler: a value that is computed
        again in another loop must have the same bits, for it may be compared with itself (``x == max(x)``).
        """
        if node.op.name not in ("add", "subtract") or node.dtype.kind != "f":
            return None
        return next(((i, p) for i in range(2) if (p := self._product(node, i)) is not None), None)

    def added_product(self, node: Node) -> Node | None:
        """The product that a sum over an axis adds up, if nothing else reads it."""
        return self._product(node, 0) if node.op.name == "sum" and node.dtype.kind == "f" else None

    def _product(self, node: Node, i: int) -> Node | None:
        u = node.operands[i]
        if not isinstance(u, Node) or not self._is_product(u, node):
            return None
        return u if self.is_local(node, self.access(node, i)) else None

    def _is_product(self, u: Node, node: Node) -> bool:
        """Whether ``u`` is a product that only ``node`` reads."""
        if u.op.name not in ("multiply", "square") or u.dtype != node.dtype:
            return False
        return self._uses[u] == 1

    # ── lowering ─────────────────────────────────────────────────────────────────────────────
    def _lower(self, node: Node) -> None:
        name = node.op.name
        if is_view(node) and node.operands[0] in self.own:
            if self._look(node):
                return
            raise Declined(node, "regroups axes of a value that is not in memory")
        if is_view(node) and not isinstance(node.operands[0], Const):
            self._read_elsewhere(node)
            return
        self.own.add(node)
        if is_contraction(node) and node.ndim <= 2 and all(1 <= u.ndim <= 2 for u in node.operands):
            self._add(NestPlan("matmul", self._depth(node, None), self._space(node)), node)
        elif "slices" in node.op.traits and node.operands[0].ndim:
            self._add(NestPlan("slices", self._depth(node, None), self._space(node)), node)
        elif is_pointwise(node) or name == "full_like" or is_assembled(node) or _chooses(node):
            self._join(node, self._space(node))
        elif adds_by_code(node):
            self._join(node, self._space(node) | frozenset(self.axes.reduced(node)), "scatter")
        elif is_reduction(node):
            self._join(node, self._space(node) | frozenset(self.axes.reduced(node)))
        else:
            raise Declined(node, _REASONS.get(node.op.name, "has no loops of ours"))

    def _space(self, node: Node) -> frozenset[int]:
        """The loop axes of the output, apart from the axis of a table that codes choose along."""
        table = code_axis(node) if adds_by_code(node) else None
        axes = [*enumerate(self.axes.loop_axes(node))]
        if is_assembled(node):
            axes = axes[: node.ndim - len(node.params["shape"])]
        return frozenset(e for a, e in axes if e is not None and a != table)

    def _join(self, node: Node, space: frozenset[int], kind: str = "loop") -> None:
        depth = self._depth(node, space if kind == "loop" else None)
        nest = self._by_key.get((kind, depth, space))
        if nest is not None and len(nest.nodes) >= MOST:
            first = kind, depth, space
            depth = self._not_full.get(first, depth)
            while (nest := self._by_key.get((kind, depth, space))) is not None and len(nest.nodes) >= MOST:
                depth += 1
            self._not_full[first] = depth
        if nest is None:
            nest = self._by_key[kind, depth, space] = NestPlan(kind, depth, space)
            self.nests.append(nest)
        nest.nodes.append(node)
        self._nest_of[node] = nest

    def _rounds(self, u: Node, node: Node) -> bool:
        """Whether ``u`` is a product that ``node`` alone reads and adds (`fused`, `added_product`)."""
        return node.op.name in ("add", "subtract", "sum") and self._is_product(u, node)

    def _add(self, nest: NestPlan, node: Node) -> None:
        nest.nodes.append(node)
        self.nests.append(nest)
        self._nest_of[node] = nest

    def _depth(self, node: Node, space: frozenset[int] | None) -> int:
        """The number of loop nests that must run before all operands are ready."""
        depth = 0
        for i in range(len(node.operands)):
            access = self.access(node, i)
            u = access.root
            if not isinstance(u, Node) or u not in self._nest_of:
                continue
            nest = self._nest_of[u]
            local = (
                nest.kind == "loop"
                and nest.loop_axes == space
                and not (is_reduction(u) or is_assembled(u))
                and self._same_index(u, node, access)
            )
            depth = max(depth, nest.depth + (not local))
        return depth

    def _sink(self) -> None:
        """Move each node to the nest that first reads it, if that can make it, so that less is in memory."""
        readers: dict[Value, list[tuple[Node, Access]]] = {}
        for node in self.step.nodes:
            if node in self._nest_of:
                for i in range(len(node.operands)):
                    access = self.access(node, i)
                    if access.root in self._nest_of:
                        readers.setdefault(access.root, []).append((node, access))
        order = {node: k for k, node in enumerate(self.step.nodes)}
        for node in reversed(self.step.nodes):
            nest = self._nest_of.get(node)
            found = readers.get(node)
            if nest is None or nest.kind != "loop" or not found:
                continue
            if is_reduction(node) or is_assembled(node):
                continue
            first = min((self._nest_of[reader] for reader, _ in found), key=lambda n: n.depth)
            if len(first.nodes) >= MOST and not any(self._rounds(node, reader) for reader, _ in found):
                continue
            if first.depth <= nest.depth or first.kind != "loop" or first.loop_axes != nest.loop_axes:
                continue
            in_first = [(reader, a) for reader, a in found if self._nest_of[reader].depth == first.depth]
            if all(
                self._nest_of[reader] is first and self._same_index(node, reader, a) for reader, a in in_first
            ):
                nest.nodes.remove(node)
                first.nodes.append(node)
                first.nodes.sort(key=order.__getitem__)
                self._nest_of[node] = first

    def _same_index(self, u: Node, node: Node, access: Access) -> bool:
        """Whether ``node`` reads ``u`` at the index at which it is made."""
        chosen = _chooses(node) and self._root.get(node.operands[0], node.operands[0]) is u
        return not chosen and all(
            p.axis == own and p.step == 1 and p.offset == 0
            for p, own in zip(access.at, self.axes.loop_axes(u), strict=True)
        )

    # ── views ────────────────────────────────────────────────────────────────────────────────
    def _read_elsewhere(self, node: Node) -> None:
        """Enter a view of a value that an earlier step stored."""
        if not self._look(node):
            raise Declined(node, "regroups axes of a stored value")

    def _look_through(self, u: Operand) -> None:
        """Read a view of a value that an earlier step stored where that value lies, and not as an array.

        A generator reads arrays in C order: an array that looks into another would be copied first.
        """
        chain: list[Node] = []
        while isinstance(u, Node) and is_view(u) and u in self.axes.relations and u not in self._views:
            if u in self._inside:
                return
            chain.append(u)
            (u,) = u.operands
        if not isinstance(u, Node) or u in self._inside or u in self.axes.memory:
            return
        for view in reversed(chain):
            if not self._look(view):
                return

    def _look(self, node: Node) -> bool:
        """Record how the axes of a view lie in the array that it looks into; False if they do not."""
        (u,) = node.operands
        mine = self._axes_of_view(node, u)
        if mine is None:
            return False
        if u in self._views:
            composed: list[tuple[int | None, int, int]] = []
            for axis, step, offset in self._views[u]:
                if axis is None:
                    composed.append((None, 1, offset))
                    continue
                a, s, o = mine[axis]
                composed.append((a, s * step, offset + step * o))
            mine = composed
        self._root[node] = self._root.get(u, u)
        self._views[node] = mine
        self.own.add(node)
        return True

    def _axes_of_view(self, node: Node, u: Operand) -> list[tuple[int | None, int, int]] | None:
        """For each axis of ``u``: the axis of the view along it, the step, and the start."""
        name = node.op.name
        if name == "getitem":
            return [(k, s, o) for k, _, o, s in basic_axes(u.shape, node.params["index"])]
        if name == "transpose":
            axes = list(node.params["axes"])
            return [(axes.index(a), 1, 0) for a in range(u.ndim)]
        if name == "broadcast_to":
            lead = node.ndim - u.ndim
            return [(lead + a if n == node.shape[lead + a] else None, 1, 0) for a, n in enumerate(u.shape)]
        links = {a: k for k, _, a in self.axes.relations[node].links}
        if any(n != 1 and a not in links for a, n in enumerate(u.shape)):
            return None
        return [(links.get(a), 1, 0) for a in range(u.ndim)]
