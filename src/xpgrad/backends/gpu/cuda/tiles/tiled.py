"""A region in a loop on the host: tile by tile, each a few kernels and the library's products.

    for begin, end in tiles:                          # X[begin:end] stays in the L2 cache
        matmul(X[begin:end], W, out=z)
        kernel: h = tanh(z + b); parts of the sums
        matmul(X[begin:end].T, d, out=g);  total += g

In:  a region; its samples on the device, or on the host, from where they are copied while the device works.
Out: its sums, and what it stores, slice by slice.
Holds: memory of a tile's length alone for what is made in between, the same in every turn. Parts of sums are
combined in order, in float64: the result depends on sizes, never on when a copy arrives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import zip_longest
from math import prod
from typing import Any

import numpy as np

from xpgrad._errors import at_line
from xpgrad.backends.describe import indented, names_of, source_lines
from xpgrad.backends.gpu.cuda.arguments import Device, Env, as_planned
from xpgrad.backends.gpu.cuda.printing.kernel import THREADS
from xpgrad.backends.gpu.cuda.tiles.part import Part
from xpgrad.backends.gpu.cuda.tiles.sums import Sums
from xpgrad.backends.gpu.cuda.tiles.turn import Call, Kernels, Turn, between
from xpgrad.backends.layouts import Layouts, layout_of, placed
from xpgrad.backends.parts import TiledOperand
from xpgrad.backends.program import line_of
from xpgrad.codegen.kernel_ir import c_strides
from xpgrad.core import Const, Operand, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.relations import is_blas_sized
from xpgrad.plan.tiles import looked_into

SAMPLES = 4096
"""Of a tile, at least: a product of fewer rows has too few blocks for all multiprocessors of a large card."""

WORK = 1 << 33
"""Multiplications of the library's products in a tile, at least: by an estimate they take a large card as long
(0.2 ms) as the host takes to start what a tile consists of. With fewer the card would wait for the host."""

GRAIN = 256
"""A tile is a multiple of so many samples: each then begins at an address that wide loads can take."""


def cache_tile(region: Region, axes: Axes, l2: int) -> int:
    """Samples of which what the region reads fills half of the L2 cache; more where they are little work."""
    read: dict[Value, int] = {}
    work = 1
    for node in region.nodes:
        for i, u in enumerate(node.operands):
            operand = TiledOperand(node, i, axes, region.loop_axis)
            if u in region.tiled or operand.axis is None or operand.counts:
                continue
            read[looked_into(u)] = u.size // max(region.extent, 1) * u.dtype.itemsize
        if is_blas_sized(node):
            work += prod(axes.extent[e] for e in (*axes.loop_axes(node), *axes.reduced(node)) if e is not None)
    found = max(l2 // 2 // max(sum(read.values()), 1), WORK * region.extent // work)
    return min(max(found // GRAIN * GRAIN, SAMPLES), region.extent)


class TiledStep:
    """A region that no single kernel does on arrays of the device.

    Parameters
    ----------
    cut : dict of Value to int
        The inputs that stay on the host, and along which axis they are cut.
    reason : str
        Why no kernel takes the region, where a node of it has none; its tile is then all of it.
    """

    only_looks = False

    def __init__(
        self,
        step: Region,
        plan: Plan,
        layouts: Layouts,
        device: Device,
        cut: dict[Value, int],
        reason: str = "",
    ) -> None:
        self.step, self._plan, self._layouts, self._device = step, plan, layouts, device
        self._cut, self._reason = cut, reason
        self._constants: dict[Const, Any] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []
        tile = step.extent
        self._why = ""
        if cut:
            per_sample = sum(layouts.held[h].nbytes // max(step.extent, 1) for h in cut)
            tile = max(min(tile, device.slot // max(per_sample, 1)), 1)
        elif any(map(is_blas_sized, step.nodes)):
            tile = cache_tile(step, plan.axes, device.l2)
            self._why = f"at least half of the L2 cache, {device.l2 / 2**20:g} MiB"
        self._build(tile)

    # ── planning ─────────────────────────────────────────────────────────────────────────────
    def _build(self, tile: int) -> None:
        """What is done for a tile, and for a last one that is shorter; smaller tiles where memory is short."""
        while True:
            self._stage = None  # it would take the room of the next
            try:
                shapes = [_cut_shape(self._layouts.held[h], a, tile) for h, a in self._cut.items()]
                self._stage = self._device.stage(shapes) if shapes else None
                break
            except self._device.out_of_memory as error:
                tile = self._halved(tile, error)
        self.tile = tile
        extent = self.step.extent
        lengths = {min(tile, extent), extent % tile or tile} if extent else {0}
        self._turns = {n: self._turn(n) for n in sorted(lengths, reverse=True)}
        self.fresh = sum(x.fresh for turn in self._turns.values() for x in turn.kernels)

    def _halved(self, tile: int, error: Exception) -> int:
        if tile <= THREADS:
            raise error
        self.notes.append(f"out of memory: tiles of {tile // 2} samples instead")
        return tile // 2

    def _turn(self, length: int) -> Turn:
        part = Part(self.step, self._plan, length)
        arrays = {s: layout_of(self._planned(u)[between(a, 0, length)]) for s, (u, a) in part.slices.items()}
        return Turn(part, arrays, self._layouts, self._device)

    def _planned(self, source: Operand) -> Any:
        """An array with the strides that ``source`` will have."""
        if isinstance(source, Const):
            return self._constants.setdefault(source, self._device.put(source.data))
        if source in self._cut:
            assert self._stage is not None
            return self._stage.arrays[list(self._cut).index(source)]
        if source in self._layouts.held:
            return self._layouts.held[source]
        strides = [n * source.dtype.itemsize for n in c_strides(source.shape)]
        return placed(source.shape, source.dtype, strides)  # stored later, in C order

    # ── running ──────────────────────────────────────────────────────────────────────────────
    def run(self, env: Env) -> None:
        """Fill in ``env`` what the region stores and sums."""
        # What comes from the host is in buffers that one call has at a time.
        with self._lock, at_line(line_of(self.step.nodes)):
            while True:
                try:
                    return self._run(env)
                except self._device.out_of_memory as error:
                    tile = self._halved(self.tile, error)
                self._build(tile)

    def _run(self, env: Env) -> None:
        step, xp = self.step, self._device.xp
        turns = [
            (begin, self._turns[min(self.tile, step.extent - begin)])
            for begin in range(0, step.extent, max(self.tile, 1))
        ]
        sums = Sums(step, self._plan, self._device, [turn for _, turn in turns])
        whole: Env = {n: xp.empty(n.shape, n.dtype) for n in step.stores}
        sizes = zip_longest(*(turn.sizes for _, turn in turns), fillvalue=0)
        memory = [xp.empty(max(found), np.uint8) for found in sizes]
        inner = dict(env)
        for k, (begin, turn) in enumerate(turns):
            part, end = turn.part, begin + turn.part.length
            loaded = self._load(k, env, begin, end)
            for s, (u, axis) in part.slices.items():
                if isinstance(u, Const):
                    inner[s] = self._constants[u][between(axis, begin, end)]
                elif u in loaded:
                    inner[s] = loaded[u][between(axis, 0, part.length)]
                else:
                    found = as_planned(u, inner, self._device, self._layouts.held)
                    inner[s] = found[between(axis, begin, end)]
            for p, number in turn.buffers.items():
                size = max(prod(p.shape), 1) * p.dtype.itemsize
                buffer = memory[number][:size].view(p.dtype)[: prod(p.shape)].reshape(p.shape)
                if p in turn.dense:
                    buffer[...] = inner[p]
                inner[p] = buffer
            slices = {n: whole[n][between(step.tiled[n], begin, end)] for n in step.stores}
            inner.update((p, slices[n]) for n, p in part.of.items() if p in turn.direct)
            turn.look(inner)
            turn.start(inner, sums.begin(turn, inner))
            if self._stage is not None:
                self._stage.used(k)
            for n, x in slices.items():
                if part.of[n] not in turn.direct:
                    x[...] = inner[part.of[n]]
            sums.add(turn, inner)
        env.update(whole)
        env.update(sums.results(self._turns[min(self.tile, step.extent)]))

    def _load(self, k: int, env: Env, begin: int, end: int) -> Env:
        if self._stage is None:
            return {}
        pieces = [env[h][between(a, begin, end)] for h, a in self._cut.items()]
        return dict(zip(self._cut, self._stage.load(k, pieces), strict=True))

    # ── in words ─────────────────────────────────────────────────────────────────────────────
    @property
    def unfit(self) -> str:
        """Why no CUDA graph has it."""
        if self._cut:
            return "samples are copied from the host"
        calls = [x.node for x in next(iter(self._turns.values())).calls if not is_view(x.node)]
        return f"{names_of(calls[:1])} is the library's, which may refuse a captured stream"

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The loop, and what does which of its nodes."""
        count = -(-self.step.extent // max(self.tile, 1))
        tiles = f"{count} tiles of {self.tile} samples" if count != 1 else "one tile"
        if self._cut:
            yield f"{', '.join(str(h.aval) for h in self._cut)} from the host: {tiles}, in two buffers"
        elif count == 1:
            yield f"on all {self.step.extent} samples at once" + (f": {self._reason}" if self._reason else "")
        else:
            yield f"a loop on the host over {tiles} ({self._why})"
        yield from self.notes
        first, *rest = self._turns.values()
        for x in first.steps:
            yield from indented(self._in_words(x, source, count != 1))
        texts = {x.kernel.text for x in first.kernels}
        for x in (x for turn in rest for x in turn.kernels if x.kernel.text not in texts):
            yield from ("  for the last tile, which is shorter,", *indented(self._in_words(x, source, True)))

    def _in_words(self, x: Kernels | Call, source: bool, tiled: bool) -> Iterator[str]:
        if isinstance(x, Kernels):
            kernel = x.kernel
            yield f"by CUDA kernels ({kernel.in_words(x.fresh, tiled)}): {names_of(kernel.step.nodes)}"
            if source:
                yield from indented(source_lines("CUDA C++, after the prelude", kernel.body))
        elif x.is_product:
            yield f"by matmul into a buffer: {names_of([x.node])} {x.node.aval}"
        else:
            yield f"by the library: {x.reason}: {names_of([x.node])}"


def _cut_shape(array: Any, axis: int, tile: int) -> tuple[tuple[int, ...], Any]:
    return tuple(tile if a == axis else n for a, n in enumerate(array.shape)), array.dtype
