"""A region whose samples lie on the host: tile by tile through two buffers, one copied while one is read.

In:  a region that only sums over its axis, and the inputs that stay on the host.
Out: the sums, as if all samples had been on the device.
Holds: the blocks' parts of all tiles are combined in order, so that the result does not depend on when a copy
arrives. A tile that does not fit on the device is halved, and `describe` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from xpgrad.backends.assembly import Layouts
from xpgrad.backends.gpu.cuda.arguments import Arguments, Device, Env
from xpgrad.backends.gpu.cuda.kernel import THREADS, Kernel
from xpgrad.backends.reference import run_node
from xpgrad.core import Value
from xpgrad.plan import Plan, Region, Straight
from xpgrad.plan.axes import is_view
from xpgrad.plan.tiles import looked_into

SLOT = 64 << 20
"""Bytes of the samples of one tile: large enough that a copy runs at the bus's full rate."""


class Whole(Exception):
    """An input cannot stay on the host, and why."""

    def __init__(self, value: Value, reason: str) -> None:
        super().__init__(reason)
        self.value, self.reason = value, reason


class Cut(NamedTuple):
    """The arrays that a region reads along its axis, and which of theirs that is: on the host, and beside."""

    hosts: dict[Value, int]
    beside: dict[Value, int]


def cut_of(step: Region | Straight, plan: Plan, held: dict[Value, Any], hosts: Collection[Value]) -> Cut:
    """What of ``hosts`` the step reads in tiles.

    Raises
    ------
    Whole
        The step needs more of it than a tile at a time.
    """
    reads = [(node, i, u) for node in step.nodes for i, u in enumerate(node.inputs)]
    first = next((root for _, _, u in reads if u is not None and (root := looked_into(u)) in hosts), None)
    found = Cut({}, {})
    if first is None:
        return found
    if not isinstance(step, Region):
        raise Whole(first, f"{_name(step.nodes)} is in no loop over the samples")
    if step.stores:
        raise Whole(first, f"{_name(step.stores)} makes an array of the samples' length")
    inside = set(step.nodes)
    for node, i, u in reads:
        if (is_view(node) and node in held) or u in inside:
            continue
        root = first if u is None else looked_into(u)
        blamed = root if root in hosts else first
        if step.label not in plan.axes.operand_labels(node, i):
            if root in hosts and u is not None:
                raise Whole(blamed, f"{_name([node])} needs all of it at once")
            continue
        if u is None:
            raise Whole(blamed, f"{_name([node])} reads a constant along the samples")
        if u not in held and root is not u:
            raise Whole(blamed, f"{_name([node])} reads a part of it")
        group = found.hosts if root in hosts else found.beside
        axis = _axis(step, plan, held, node, i, u)
        if axis is None or group.setdefault(root, axis) != axis:
            raise Whole(blamed, f"{_name([node])} reads it in another shape")
    return found


def _name(nodes: Sequence[Value]) -> str:
    return ", ".join(n.op.name for n in nodes[:1] if n.op is not None)


def _axis(step: Region, plan: Plan, held: dict[Value, Any], node: Value, i: int, u: Value) -> int | None:
    """The axis of what ``u`` looks into along which the region goes."""
    labels = plan.axes.operand_labels(node, i)
    along, root = labels.index(step.label), looked_into(u)
    if labels.count(step.label) != 1 or u.shape[along] != step.extent:
        return None
    if root is u:
        return along
    whole = held[root]
    lengths = list(zip(whole.shape, whole.strides, strict=True))
    fits = [a for a, found in enumerate(lengths) if found == (step.extent, held[u].strides[along])]
    return fits[0] if len(fits) == 1 and held[u].size == whole.size else None


class StreamedStep:
    """A region that reads inputs on the host."""

    fresh = False

    def __init__(self, step: Region, plan: Plan, layouts: Layouts, device: Device, found: Cut) -> None:
        self.step, self.device = step, device
        self.cut, self.beside = found
        cut = self.cut
        self.notes: list[str] = []
        per_sample = sum(layouts.held[h].nbytes // max(step.extent, 1) for h in cut)
        tile = max(min(step.extent, device.slot // max(per_sample, 1)), 1)
        while True:
            try:
                self.stage = device.stage([_tile_shape(layouts.held[h], a, tile) for h, a in cut.items()])
                break
            except device.out_of_memory:
                if tile <= THREADS:
                    raise
                tile //= 2
                self.notes.append(f"out of memory: tiles of {tile} samples instead")
        self.tile = tile
        held = dict(layouts.held)
        held.update(zip(cut, self.stage.arrays, strict=True))
        for node in plan.views:
            if looked_into(node) in cut:
                held[node] = run_node(node, held)
        self.kernel = Kernel(replace(step, extent=tile), plan, Layouts(held, layouts.alive), device.limits)
        self.module, self.fresh = device.compile(self.kernel.text)
        self.arguments = Arguments(self.kernel, device)

    def run(self, env: Env) -> None:
        """Fill in ``env`` the sums."""
        kernel, device, step = self.kernel, self.device, self.step
        tiles = [(b, min(b + self.tile, step.extent)) for b in range(0, step.extent, self.tile)]
        blocks = [-(-(end - begin) // kernel.chunk) for begin, end in tiles]
        work: dict[Any, Any] = {}
        for node, (count, dtype) in kernel.partials.items():
            env[node] = device.xp.empty(node.shape, node.dtype)
            work["partial", node] = device.xp.empty(count * sum(blocks), dtype)
        if kernel.scratch_bytes:
            work["scratch"] = device.xp.empty(kernel.scratch_bytes, np.uint8)
        main, *combines = kernel.launches
        given = {h: env[h] for h in self.cut}
        done = 0
        for k, (begin, end) in enumerate(tiles):
            pieces = [given[h][_between(a, begin, end)] for h, a in self.cut.items()]
            env.update(zip(self.cut, self.stage.load(k, pieces), strict=True))
            part: dict[Any, Any] = {
                ("partial", n): work["partial", n][done * count :] for n, (count, _) in kernel.partials.items()
            }
            for value, axis in self.beside.items():
                part[value] = self.arguments.array(value, env)[_between(axis, begin, end)]
            length = {kernel.length: end - begin}
            args = [self.arguments.of(p, env, work | part, length) for p in main.params]
            device.launch(self.module, main.name, blocks[k], THREADS, args, main.shared)
            self.stage.used(k)
            done += blocks[k]
        env.update(given)
        for launch in combines:
            args = [self.arguments.of(p, env, work, {kernel.block_count: done}) for p in launch.params]
            device.launch(self.module, launch.name, launch.grid, THREADS, args, launch.shared)

    def describe(self) -> Iterable[str]:
        """What stays on the host, and its tiles."""
        names = ", ".join(str(h.aval) for h in self.cut)
        count = -(-self.step.extent // self.tile)
        return [f"{names} from the host: {count} tiles of {self.tile} samples, in two buffers", *self.notes]


def _between(axis: int, begin: int, end: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(begin, end))


def _tile_shape(array: Any, axis: int, tile: int) -> tuple[tuple[int, ...], Any]:
    return tuple(tile if a == axis else n for a, n in enumerate(array.shape)), array.dtype


class PlainStage:
    """Buffers of a device on which a copy is finished when the call returns."""

    def __init__(self, xp: Any, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> None:
        self._slots = [[xp.empty(shape, dtype) for shape, dtype in shapes] for _ in range(2)]
        self.arrays = self._slots[0]

    def load(self, k: int, pieces: Sequence[Any]) -> list[Any]:
        slot = self._slots[k % 2]
        for held, piece in zip(slot, pieces, strict=True):
            held[tuple(map(slice, piece.shape))] = piece
        return slot

    def used(self, k: int) -> None:
        """Everything that reads tile ``k`` has been started."""
