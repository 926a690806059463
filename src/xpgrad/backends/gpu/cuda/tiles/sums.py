"""The sums over the samples of a region that is done tile by tile.

In:  for each tile the parts that its kernels' blocks and its calls make.
Out: the sums.
Holds: parts are combined in the order of the samples, in float64; with a single tile a call's part is the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad.backends.gpu.cuda.arguments import Device, Env, Work
from xpgrad.backends.gpu.cuda.tiles.turn import Kernels, Turn
from xpgrad.backends.parts import COMBINE, IDENTITY
from xpgrad.core import Node
from xpgrad.plan import Plan, Region

MEMORY = 64 << 20
"""Bytes for the parts of one sum: when they are full, what they hold is added up."""


class Sums:
    """Those of one run over ``turns``."""

    def __init__(self, step: Region, plan: Plan, device: Device, turns: Sequence[Turn]) -> None:
        self._step, self._plan, self._device, self._alone = step, plan, device, len(turns) == 1
        blocks, largest = Counter[Node](), Counter[Node]()
        counts: dict[Node, tuple[int, Any]] = {}
        scratch = 0
        for turn in turns:
            for x in turn.kernels:
                scratch = max(scratch, x.kernel.scratch_bytes)
                for p, found in x.kernel.partials.items():
                    node = turn.part.node[p]
                    blocks[node] += x.kernel.blocks
                    largest[node] = max(largest[node], x.kernel.blocks)
                    counts[node] = found
        self._partials = {}
        for node, (count, dtype) in counts.items():
            room = max(MEMORY // max(count * np.dtype(dtype).itemsize, 1), largest[node])
            self._partials[node] = device.xp.empty((min(blocks[node], room), count), dtype)
        self._scratch = device.xp.empty(scratch, np.uint8)
        self._done = Counter[Node]()  # blocks, whose parts lie there now
        self._before: dict[Node, Any] = {}  # what other parts added up to
        self._given: dict[Node, Any] = {}
        self._total: dict[Node, Any] = {}

    def begin(self, turn: Turn, env: Env) -> Work:
        """What a tile's kernels need beside; where its products over the samples go is put into ``env``."""
        work: Work = {"scratch": self._scratch}
        for x in turn.kernels:
            for p in x.kernel.partials:
                node = turn.part.node[p]
                if self._done[node] + x.kernel.blocks > len(self._partials[node]):
                    self._add_up(node)
                work["partial", p] = self._partials[node][self._done[node] :]
                self._done[node] += x.kernel.blocks
        for call in turn.calls:
            if call.is_product and (node := turn.part.node[call.node]) in self._step.sums:
                if node not in self._given:
                    self._given[node] = self._device.xp.empty(node.shape, node.dtype)
                env[call.node] = self._given[node]
        return work

    def add(self, turn: Turn, env: Env) -> None:
        """Take the parts that the tile's calls made."""
        for call in turn.calls:
            node, part = turn.part.node[call.node], env[call.node]
            if node not in self._step.sums:
                continue
            if self._alone:
                self._total[node] = part
            elif node not in self._total:
                self._total[node] = self._device.xp.array(part, dtype=_wide(node.dtype))
            else:
                combine = getattr(self._device.xp, COMBINE[self._monoid(node)].__name__)
                combine(self._total[node], part, out=self._total[node])

    def results(self, turn: Turn) -> Env:
        """The sums, by kernels of ``turn`` where they made the parts."""
        found: Env = {}
        for x in turn.kernels:
            found.update(self._combined(x, turn))
        for call in turn.calls:
            node = turn.part.node[call.node]
            if node not in self._step.sums:
                continue
            if node in self._total:
                total = self._total[node]
                found[node] = total if self._alone else total.astype(node.dtype)
            else:
                found[node] = self._device.xp.full(node.shape, IDENTITY[self._monoid(node)], node.dtype)
        return found

    def _add_up(self, node: Node) -> None:
        """Make room for further parts."""
        xp, monoid = self._device.xp, self._monoid(node)
        part = getattr(xp, monoid)(self._partials[node][: self._done[node]], axis=0)
        before = self._before.get(node)
        self._before[node] = part if before is None else getattr(xp, COMBINE[monoid].__name__)(before, part)
        self._done[node] = 0

    def _combined(self, x: Kernels, turn: Turn) -> Env:
        xp = self._device.xp
        nodes = {p: turn.part.node[p] for p in x.kernel.partials}
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
