"""One iteration of a loop on the host: the kernels and library calls for one tile of a region.

In:  a TileRegion, and the layout of the slices that it reads.
Out: its nodes in stages, the kernels of a stage before its calls, and the memory that they share.
Holds: a node that no kernel takes is a library call. A value that one stage computes for another is in memory
of the tile's length, in C order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.gpu.cuda.arguments import Arguments, Device, Env, Work
from xpgrad.backends.gpu.cuda.printing.kernel import Kernel
from xpgrad.backends.gpu.cuda.tiles.tile_region import TileRegion
from xpgrad.backends.layouts import Layouts
from xpgrad.backends.program import fills_an_array, line_of
from xpgrad.backends.reference import run_node
from xpgrad.core import Input, Node, Value, operands_of
from xpgrad.plan.axes import is_view
from xpgrad.plan.loop_nests import Declined
from xpgrad.plan.plan import Region
from xpgrad.plan.relations import is_blas_sized
from xpgrad.plan.tiles import looked_into


class StageKernel(NamedTuple):
    """The kernels of one stage, and the earlier values that they read."""

    kernel: Kernel
    module: Any
    fresh: bool
    arguments: Arguments
    reads: set[Node]


class LibraryCall(NamedTuple):
    """A node that the library computes, with the views among its operands; a matmul fills a given array."""

    node: Node
    reason: str
    views: list[Node]
    is_matmul: bool
    reads: set[Node]


class TileProgram:
    """The kernels and library calls of a tile.

    Attributes
    ----------
    tile : TileRegion
    steps : list of StageKernel or LibraryCall
    dense : set of Input or Node
        Slices that are copied, because the library's matmul would copy them each time.
    direct : set of Node
        Nodes that are written directly to their place in the whole array.
    buffers : dict of Value to int
        The piece of memory of each other value that one step computes for another, and of ``dense``.
    sizes : list of int
        The bytes of each piece.
    """

    def __init__(self, tile: TileRegion, arrays: Mapping[Input, Any], layouts: Layouts, device: Device) -> None:
        self.tile, self._device = tile, device
        region = tile.region
        self._calls: dict[Node, str] = {}
        self._matmuls: set[Node] = set()
        for node, p in tile.of.items():
            if is_blas_sized(node):  # for all samples, however short the tile is
                self._calls[p] = "of two large matrices is the library's"
            if fills_an_array(node):
                self._matmuls.add(p)
        read = {looked_into(u) for p in self._matmuls for u in p.operands}
        self.dense = {s for s in tile.slices if s in read and not _is_contiguous(arrays[s])}
        held = dict(layouts.held)
        held.update((s, np.empty(s.shape, s.dtype) if s in self.dense else arrays[s]) for s in tile.slices)
        self.make_views(held)
        self._held, self._own = held, set(region.nodes)
        while True:
            try:
                found = self._staged()
                break
            except Declined as error:
                if error.node in self._calls:
                    raise
                self._calls[error.node] = str(error)
        self.steps = [x if isinstance(x, LibraryCall) else self._ready(*x) for x in found]
        self.direct: set[Node] = set()
        self.buffers: dict[Value, int] = {}
        self.sizes: list[int] = []
        self._share_memory()

    @property
    def kernels(self) -> list[StageKernel]:
        return [x for x in self.steps if isinstance(x, StageKernel)]

    @property
    def calls(self) -> list[LibraryCall]:
        return [x for x in self.steps if isinstance(x, LibraryCall)]

    # ── stages ───────────────────────────────────────────────────────────────────────────────
    def _staged(self) -> list[LibraryCall | tuple[Kernel, set[Node]]]:
        region, calls = self.tile.region, self._calls
        self._views = {n for n in region.nodes if is_view(n) and n not in calls}
        nodes = [n for n in region.nodes if n not in self._views]
        stage: dict[Node, int] = {}
        readers: dict[Node, list[Node]] = {}
        for node in nodes:
            roots = self._roots([node])
            stage[node] = max([stage[r] + (r in calls and node not in calls) for r in roots], default=0)
            for r in roots:
                readers.setdefault(r, []).append(node)
        for node in reversed(nodes):  # a value can stay in registers in the stage that first reads it
            if node in readers and node not in calls:
                stage[node] = min(stage[r] for r in readers[node])
        stores = set(region.stores)
        found: list[LibraryCall | tuple[Kernel, set[Node]]] = []
        for s in sorted(set(stage.values())):
            ours = [n for n in nodes if stage[n] == s and n not in calls]
            theirs = [n for n in nodes if stage[n] == s and n in calls]
            stored = [
                n for n in ours if n in stores or any(stage[r] > s or r in calls for r in readers.get(n, ()))
            ]
            if ours:
                found.append((self._kernel(ours, stored), self._roots(ours) - set(ours)))
            for n in theirs:
                views, is_matmul = self._views_of([n]), n in self._matmuls
                found.append(LibraryCall(n, calls[n], views, is_matmul, self._roots([n])))
        return found

    def _roots(self, nodes: Sequence[Node]) -> set[Node]:
        """The region's nodes that ``nodes`` read, directly or through views."""
        found: set[Node] = set()
        for node in nodes:
            for u in node.operands:
                while isinstance(u, Node) and u in self._views:
                    u = u.operands[0]
                if isinstance(u, Node) and u in self._own:
                    found.add(u)
        return found

    def _views_of(self, nodes: Sequence[Node]) -> list[Node]:
        """The region's views that ``nodes`` read, directly or through other views, in order."""
        wanted = {u for n in nodes for u in n.operands}
        found: list[Node] = []
        for node in reversed(self.tile.region.nodes):
            if node in wanted and node in self._views:
                found.insert(0, node)
                wanted.update(node.operands)
        return found

    def _kernel(self, nodes: list[Node], stored: list[Node]) -> Kernel:
        whole = self.tile.region
        inside = {*nodes, *self._views_of(nodes)}
        sums = [n for n in nodes if n in whole.sums]
        region = Region(
            whole.loop_axis,
            whole.extent,
            [n for n in whole.nodes if n in inside],
            {n: a for n, a in whole.tiled.items() if n in inside},
            sums,
            stored,
        )
        layouts = Layouts(self._held, {*stored, *sums})
        return Kernel(region, self.tile.plan, layouts, self._device.limits)

    def _ready(self, kernel: Kernel, reads: set[Node]) -> StageKernel:
        return StageKernel(kernel, *self._device.compile(kernel.text), Arguments(kernel, self._device), reads)

    # ── memory ───────────────────────────────────────────────────────────────────────────────
    def _share_memory(self) -> None:
        """Give each buffer a piece of memory that no later step reads."""
        region = self.tile.region
        last = {u: k for k, step in enumerate(self.steps) for u in step.reads}
        # The result of a library call may be a view of its operands.
        kept = {u for call in self.calls if not call.is_matmul for u in call.reads} | set(region.stores)
        free: dict[int, list[int]] = {}
        for s in self.dense:
            self._take(s, free)
        for k, step in enumerate(self.steps):
            if isinstance(step, StageKernel):
                made = [n for n in step.kernel.outs if n in region.tiled]
            else:
                made = [step.node] if step.is_matmul and step.node in region.tiled else []
            for node in made:
                axis = region.tiled[node]
                if node in region.stores and (self.tile.is_whole or prod(node.shape[:axis]) == 1):
                    self.direct.add(node)
                else:
                    self._take(node, free)
            for u in sorted(step.reads, key=region.nodes.index):
                if last[u] == k and u in self.buffers and u not in kept:
                    free.setdefault(self.sizes[self.buffers[u]], []).append(self.buffers[u])

    def _take(self, node: Value, free: dict[int, list[int]]) -> None:
        size = max(prod(node.shape), 1) * node.dtype.itemsize
        if not free.get(size):
            free[size] = [len(self.sizes)]
            self.sizes.append(size)
        self.buffers[node] = free[size].pop()

    # ── running ──────────────────────────────────────────────────────────────────────────────
    def make_views(self, env: Env) -> None:
        """Put the views of the slices in ``env`` into ``env``."""
        for view in self.tile.views:
            env[view] = run_node(view, env)

    def start(self, env: Env, work: Work) -> None:
        """Launch everything: ``env`` has slices and arrays to fill, ``work`` the kernels' work arrays."""
        threads = self._device.limits.threads
        for step in self.steps:
            if isinstance(step, StageKernel):
                launch = step.kernel.launches[0]
                with at_line(line_of(step.kernel.step.nodes)):
                    args = [step.arguments.of(p, env, work) for p in launch.params]
                    self._device.launch(step.module, launch.name, launch.grid, threads, args, launch.shared)
                continue
            for node in (*step.views, step.node):
                with at_line(node.at), np.errstate(all="ignore"):
                    if node is step.node and step.is_matmul:
                        self._device.xp.matmul(*operands_of(node, env), out=env[node])
                        continue
                    env[node] = run_node(node, env)
                    if node is step.node and node in self.tile.region.tiled:
                        env[node] = self._device.xp.ascontiguousarray(env[node])


def between(axis: int, begin: int, end: int) -> tuple[slice, ...]:
    """The index of entries ``begin`` to ``end`` along ``axis``."""
    return (*(slice(None),) * axis, slice(begin, end))


def _is_contiguous(array: Any) -> bool:
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)
