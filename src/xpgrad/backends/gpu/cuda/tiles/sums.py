"""The sums over the samples of a region that runs tile by tile.

In:  for each tile the partial sums of its kernels' blocks and of its library calls.
Out: the sums.
Holds: partial sums are combined in the order of the samples, in float64; with a single tile a library call's
result is the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad.backends.gpu.cuda.arguments import Device, Env, Work
from xpgrad.backends.gpu.cuda.tiles.tile_program import StageKernel, TileProgram
from xpgrad.codegen.kernel_ir import COMBINE, identity
from xpgrad.core import Node
from xpgrad.plan import Plan, Region


class Sums:
    """The sums of one run over the tiles of ``programs``."""

    def __init__(self, step: Region, plan: Plan, device: Device, programs: Sequence[TileProgram]) -> None:
        self._step, self._plan, self._device, self._alone = step, plan, device, len(programs) == 1
        blocks, largest = Counter[Node](), Counter[Node]()
        counts: dict[Node, tuple[int, Any]] = {}
        workspace = 0
        for program in programs:
            for x in program.kernels:
                workspace = max(workspace, x.kernel.workspace_bytes)
                for p, found in x.kernel.partials.items():
                    node = program.tile.node[p]
                    blocks[node] += x.kernel.blocks
                    largest[node] = max(largest[node], x.kernel.blocks)
                    counts[node] = found
        self._partials = {}
        for node, (count, dtype) in counts.items():
            room = device.limits.host_sums // max(count * np.dtype(dtype).itemsize, 1)
            self._partials[node] = device.xp.empty((min(blocks[node], max(room, largest[node])), count), dtype)
        self._workspace = device.xp.empty(workspace, np.uint8)
        self._done = Counter[Node]()  # blocks whose partial sums are in `_partials` now
        self._before: dict[Node, Any] = {}  # the sum of earlier partial sums
        self._given: dict[Node, Any] = {}
        self._total: dict[Node, Any] = {}

    def begin(self, program: TileProgram, env: Env) -> Work:
        """The work arrays of a tile's kernels; ``env`` gets the arrays for its matmuls over the samples."""
        work: Work = {"workspace": self._workspace}
        for x in program.kernels:
            for p in x.kernel.partials:
                node = program.tile.node[p]
                if self._done[node] + x.kernel.blocks > len(self._partials[node]):
                    self._add_up(node)
                work["partial", p] = self._partials[node][self._done[node] :]
                self._done[node] += x.kernel.blocks
        for call in program.calls:
            if call.is_matmul and (node := program.tile.node[call.node]) in self._step.sums:
                if node not in self._given:
                    self._given[node] = self._device.xp.empty(node.shape, node.dtype)
                env[call.node] = self._given[node]
        return work

    def add(self, program: TileProgram, env: Env) -> None:
        """Add the partial sums of the tile's library calls."""
        for call in program.calls:
            node, partial = program.tile.node[call.node], env[call.node]
            if node not in self._step.sums:
                continue
            if self._alone:
                self._total[node] = partial
            elif node not in self._total:
                self._total[node] = self._device.xp.array(partial, dtype=_wide(node.dtype))
            else:
                combine = getattr(self._device.xp, COMBINE[self._monoid(node)].__name__)
                combine(self._total[node], partial, out=self._total[node])

    def results(self, program: TileProgram) -> Env:
        """The sums, by kernels of ``program`` where kernels made the partial sums."""
        found: Env = {}
        for x in program.kernels:
            found.update(self._combined(x, program))
        for call in program.calls:
            node = program.tile.node[call.node]
            if node not in self._step.sums:
                continue
            if node in self._total:
                total = self._total[node]
                found[node] = total if self._alone else total.astype(node.dtype)
            else:
                found[node] = self._device.xp.full(
                    node.shape, identity(self._monoid(node), node.dtype), node.dtype
                )
        return found

    def _add_up(self, node: Node) -> None:
        """Make room for further partial sums."""
        xp, monoid = self._device.xp, self._monoid(node)
        partial = getattr(xp, monoid)(self._partials[node][: self._done[node]], axis=0)
        before = self._before.get(node)
        combine = getattr(xp, COMBINE[monoid].__name__)
        self._before[node] = partial if before is None else combine(before, partial)
        self._done[node] = 0

    def _combined(self, x: StageKernel, program: TileProgram) -> Env:
        xp = self._device.xp
        nodes = {p: program.tile.node[p] for p in x.kernel.partials}
        if any(node in self._before for node in nodes.values()):
            for node in nodes.values():
                self._add_up(node)
            return {n: self._before[n].astype(n.dtype).reshape(n.shape) for n in nodes.values()}
        env: Env = {p: xp.empty(p.shape, p.dtype) for p in x.kernel.partials}
        work: Work = {}
        blocks, threads = 0, self._device.limits.threads
        for p, (count, dtype) in x.kernel.partials.items():
            work["partial", p] = self._partials.get(nodes[p], xp.empty(count, dtype))
            blocks = self._done[nodes[p]]
        for launch in x.kernel.launches[1:]:
            changed = {x.kernel.block_count: blocks}
            args = [x.arguments.of(p, env, work, changed) for p in launch.params]
            self._device.launch(x.module, launch.name, launch.grid, threads, args, launch.shared)
        return {node: env[p] for p, node in nodes.items()}

    def _monoid(self, node: Node) -> str:
        return self._plan.axes.relations[node].monoid


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "fc":
        return dtype
    return np.result_type(dtype, np.float64)
