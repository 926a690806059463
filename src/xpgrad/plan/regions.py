"""Regions: the choice of the nodes that run in one loop.

In:  a verified Graph and its loop axes.
Out: steps in execution order that compute each node at least once.
Holds: a region loops over an axis along which each of its nodes is computed part by part or reduced
associatively; what needs a finished reduction, or a whole value, is in a later step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from xpgrad.core import Const, Node, Operand, Value
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.codes import has_large_table
from xpgrad.plan.plan import Region, Step, Untiled
from xpgrad.plan.relations import is_blas_sized, is_pointwise
from xpgrad.plan.tiles import Target

_CHEAP_NODES = 6
"""The most nodes with the trait ``cheap`` that are computed again, and not stored and read."""

_NEARLY = 0.7
"""Loop axes carry as much as another if they have this part of its volume: those of an image, or of a grid."""


_LEAST_BYTES = 1 << 20
"""The least bytes of samples that are not taken tile by tile, because a tile is scattered over memory."""

_FEW_ROWS, _FEW_SAMPLES = 4, 1 << 12
"""The most rows of a result of such samples, and the most samples, that are taken feature by feature. More
samples make long runs, and are read once."""

_MANY_PRODUCTS, _MORE_SAMPLES = 1 << 15, 1 << 14
"""The least bytes of a sample times rows of a result, and the most samples, that the library multiplies."""


def schedule(
    nodes: Sequence[Node],
    axes: Axes,
    outputs: Iterable[Value],
    target: Target,
    unit_axes: Mapping[Value, int],
) -> list[Step]:
    """Cut ``nodes`` into steps for ``target``.

    ``unit_axes`` has the axis along which inputs, and views of them, are contiguous.
    """
    found: list[Step] = []
    waiting: list[Step | _Rest] = [_Rest(nodes, set(outputs), frozenset())]  # the first on top
    while waiting:
        part = waiting.pop()
        if isinstance(part, _Rest):
            waiting += _cut(part, axes, target, unit_axes)[::-1]
        else:
            found.append(part)
    return found


class _Rest(NamedTuple):
    """Nodes that are still to be cut; ``banned`` has the loop axes along which that has been tried."""

    nodes: Sequence[Node]
    outputs: set[Value]
    banned: frozenset[int]


def _cut(rest: _Rest, axes: Axes, target: Target, unit_axes: Mapping[Value, int]) -> list[Step | _Rest]:
    nodes, outputs, banned = rest
    if not nodes:
        return []
    volumes = _volumes(nodes, axes, banned)
    if not volumes:
        return [Untiled(list(nodes), _why_whole(nodes, axes))]
    if all(volume < target.small for volume in volumes.values()):
        return [Untiled(list(nodes), "too small for a loop over tiles")]
    # An axis of a few classes or features makes few tiles: a long one that carries as much is better.
    scores = {e: volumes[e] * axes.extent[e].bit_length() for e in volumes}
    best = max(scores, key=lambda e: (scores[e], e))
    loop_axis = _outer(nodes, axes, best, [e for e in scores if _NEARLY * scores[best] <= scores[e]])
    scattered = [n for n in nodes if _is_scattered(n, axes, loop_axis, target.scattered, unit_axes)]
    if any(min(n.shape) > _FEW_ROWS for n in scattered):
        axes.by_library.update(scattered)
        return [rest]
    if scattered:  # feature by feature, each a run of memory: the data are read twice, without gaps
        loop_axis = next(e for e in axes.all_of(scattered[0]) if e != loop_axis)
    return _Cut(nodes, axes, outputs, loop_axis).steps(banned | {loop_axis})


def _is_scattered(node: Node, axes: Axes, loop_axis: int, bytes_: int, unit_axes: Mapping[Value, int]) -> bool:
    """Whether ``node`` multiplies few samples that are in memory in columns of at least ``bytes_``."""
    if not bytes_ or node in axes.by_library or node.op.name not in ("dot", "matmul") or node.ndim != 2:
        return False
    samples, rows = axes.extent[loop_axis], min(node.shape)
    for i, u in enumerate(node.operands):
        if isinstance(u, Const) or u not in unit_axes or u.dtype != node.dtype or node.dtype.kind != "f":
            continue
        size = u.size * u.dtype.itemsize
        if size < max(_LEAST_BYTES, samples * bytes_):
            continue
        few = rows <= _FEW_ROWS and samples <= _FEW_SAMPLES
        many = rows > _FEW_ROWS and rows * size >= samples * _MANY_PRODUCTS and samples <= _MORE_SAMPLES
        if few or many:
            return axes.operand_loop_axes(node, i)[unit_axes[u]] == loop_axis
    return False


def _outer(nodes: Sequence[Node], axes: Axes, best: int, others: Sequence[int]) -> int:
    """Of loop axes that carry as much as ``best``, the one that is outermost in the most entries.

    A tile is then a part of each array without gaps. Where axes are contracted, how often each array is read
    counts for more, and ``best`` stays.
    """
    reduced = {e for n in nodes for e in axes.reduced(n)}
    if any("contraction" in n.op.traits for n in nodes):
        return best
    outermost = dict.fromkeys(others, 0)
    for node in nodes:
        first = next((e for e in axes.loop_axes(node) if e is not None), None)
        if first in outermost and not is_view(node):
            outermost[first] += node.size
    free = [e for e in others if e == best or e not in reduced]
    return max(free, key=lambda e: (outermost[e], e == best))


def _why_whole(nodes: Sequence[Node], axes: Axes) -> str:
    if all(map(is_blas_sized, nodes)):
        return "large matrices are multiplied by the library"
    if any(n in axes.by_library for n in nodes):
        return "a few samples of many features, in columns, are multiplied by the library"
    if any(map(has_large_table, nodes)):
        return "a table is too large for a copy in each chunk"
    alone = all(n.size == 1 and all(u.size == 1 for u in n.operands) for n in nodes)
    return "scalars alone" if alone else "no axis that can be taken tile by tile"


def _touched(node: Node) -> int:
    return 0 if is_view(node) else node.size + sum(u.size for u in node.operands)


def _volumes(nodes: Sequence[Node], axes: Axes, banned: frozenset[int]) -> dict[int, int]:
    """For each loop axis, the number of entries that the nodes touch which can be tiled along it."""
    volumes: dict[int, int] = {}
    for node in nodes:
        if axes.stays_whole(node):
            continue
        whole = axes.made_whole(node)
        tiled = {e for e in axes.loop_axes(node) if e is not None and e not in whole}
        for e in (tiled | set(axes.reduced(node))) - banned:
            volumes[e] = volumes.get(e, 0) + _touched(node)
    return {e: v for e, v in volumes.items() if v}


class _Cut:
    """Nodes cut along one loop axis: the stage of each, and the steps that follow from the stages."""

    def __init__(self, nodes: Sequence[Node], axes: Axes, outputs: set[Value], loop_axis: int) -> None:
        self.nodes, self.axes, self.outputs, self.loop_axis = nodes, axes, outputs, loop_axis
        self.tiled: dict[Value, int] = {}
        self.sums: set[Value] = set()
        self.stage: dict[Value, int] = {}
        for node in nodes:
            self._place(node)
        self._sink()
        # A value that is read whole lies in memory in any case; reading it costs no more than its operands.
        self.stored = {
            u for n in nodes for i, u in enumerate(n.operands) if u in self.tiled and not self.aligned(n, i, u)
        }

    def _place(self, node: Node) -> None:
        """Put the node in the earliest loop, or before it (``stage`` of a node outside the loops)."""
        axis = None if self.axes.stays_whole(node) else self.axes.axis(node, self.loop_axis)
        if axis is not None and self.loop_axis not in self.axes.made_whole(node):
            self.tiled[node] = axis
        elif self.loop_axis in self.axes.reduced(node) and not self.axes.stays_whole(node):
            self.sums.add(node)
        stage = 0
        for i, u in enumerate(node.operands):
            if u in self.stage:
                stage = max(stage, self._ready(node, i, u))
        self.stage[node] = stage

    def _ready(self, node: Node, i: int, u: Value) -> int:
        """The first stage in which ``node`` can read its operand ``u``."""
        if u in self.tiled:
            return self.stage[u] + (not self.aligned(node, i, u))
        return self.stage[u] + (u in self.sums)

    def aligned(self, node: Node, i: int, u: Value) -> bool:
        """Whether a tile of ``node`` needs just the tile of its operand."""
        if node not in self.tiled and node not in self.sums:
            return False
        loop_axes = self.axes.operand_loop_axes(node, i)
        return self.loop_axis in loop_axes and loop_axes.index(self.loop_axis) == self.tiled[u]

    def _sink(self) -> None:
        """Move each tiled node to the loop of its first reader, so that less is stored between loops."""
        bound: dict[Value, int] = {}
        for node in reversed(self.nodes):
            if node in self.tiled and node not in self.outputs and node in bound:
                self.stage[node] = max(self.stage[node], bound[node])
            for i, u in enumerate(node.operands):
                if u in self.tiled:
                    latest = self.stage[node] - (not self.aligned(node, i, u))
                    bound[u] = min(bound.get(u, latest), latest)

    def steps(self, banned: frozenset[int]) -> list[Step | _Rest]:
        """The loops in order, and the nodes outside them."""
        self._order = {node: k for k, node in enumerate(self.nodes)}
        own: dict[int, list[Node]] = {}
        between: dict[int, list[Node]] = {}
        for node in self.nodes:
            part = own if node in self.tiled or node in self.sums else between
            part.setdefault(self.stage[node], []).append(node)
        found: list[Step | _Rest] = []
        regions: list[Region] = []
        readers: dict[Value, set[int]] = {}  # by stage; -1 in a loop
        for node in self.nodes:
            at = -1 if node in self.tiled or node in self.sums else self.stage[node]
            for u in node.operands:
                readers.setdefault(u, set()).add(at)
        for s in range(max(self.stage.values()) + 1):
            outside = between.get(s, [])
            read: set[Value] = {n for n in outside if n in self.outputs or not readers.get(n, {s}) <= {s}}
            found.append(_Rest(outside, read, banned))
            if s in own:
                regions.append(self._region(s, own[s]))
                found.append(regions[-1])
        self._mark_stores(regions, [n for part in between.values() for n in part])
        return found

    def _region(self, stage: int, nodes: Sequence[Node]) -> Region:
        own = set(nodes)
        again: set[Node] = set()
        edges = [(n, i, u) for n in nodes for i, u in enumerate(n.operands) if u in self.tiled]
        whole = {u for n, i, u in edges if not self.aligned(n, i, u)}
        for node, i, u in edges:
            if u not in own and u not in self.stored and self.aligned(node, i, u):
                cone = self._cheap_cone(u, stage) or set()
                again |= set() if cone & whole else cone
        if again - own:
            nodes = sorted(own | again, key=self._order.__getitem__)
        tiled = {n: self.tiled[n] for n in nodes if n in self.tiled}
        sums = [n for n in nodes if n in self.sums]
        return Region(self.loop_axis, self.axes.extent[self.loop_axis], list(nodes), tiled, sums, [])

    def _cheap_cone(self, u: Operand, stage: int) -> set[Node] | None:
        """``u`` and the nodes of earlier loops that computing it again takes; None where that is not cheap."""
        cone: set[Node] = set()
        waiting = [u]
        while waiting:
            v = waiting.pop()
            if not isinstance(v, Node) or v in cone or v not in self.tiled or self.stage[v] >= stage:
                continue
            whole = any(w in self.tiled and not self.aligned(v, i, w) for i, w in enumerate(v.operands))
            if "cheap" not in v.op.traits or whole or not (is_pointwise(v) or is_view(v) or not v.operands):
                return None
            cone.add(v)
            if len(cone) > _CHEAP_NODES:
                return None
            waiting += v.operands
        return cone

    def _mark_stores(self, regions: Sequence[Region], outside: Sequence[Node]) -> None:
        """Each tiled node that is read outside the loops that compute it is stored by the first of them."""
        read = set(self.outputs)
        for node in outside:
            read.update(node.operands)
        for region in regions:
            inside = set(region.nodes)
            for node in region.nodes:
                for i, u in enumerate(node.operands):
                    if u in self.tiled and (u not in inside or not self.aligned(node, i, u)):
                        read.add(u)
        stored: set[Value] = set()
        for region in regions:
            region.stores = [n for n in region.nodes if n in self.tiled and n in read and n not in stored]
            stored.update(region.stores)
