"""A region in a loop on the host: tile by tile, each a few kernels and the library's matmuls.

    for begin, end in tiles:                          # X[begin:end] stays in the L2 cache
        matmul(X[begin:end], W, out=z)
        kernel: h = tanh(z + b); partial sums
        matmul(X[begin:end].T, d, out=g);  total += g

In:  a region; its samples on the device, or on the host, from where they are copied while the device works.
Out: its sums, and the arrays that it stores, slice by slice.
Holds: intermediate values have memory of a tile's length, which every tile reuses. Partial sums are combined in
order, in float64: the result depends on sizes, never on when a copy arrives.
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
from xpgrad.backends.gpu.cuda.tiles.sums import Sums
from xpgrad.backends.gpu.cuda.tiles.tile_program import LibraryCall, StageKernel, TileProgram, between
from xpgrad.backends.gpu.cuda.tiles.tile_region import TileRegion
from xpgrad.backends.gpu.limits import Limits
from xpgrad.backends.layouts import Layouts, layout_of, placed
from xpgrad.backends.program import line_of
from xpgrad.backends.tile_operands import TileOperand
from xpgrad.codegen.kernel_ir import c_strides
from xpgrad.core import Const, Operand, Value
from xpgrad.plan import Plan, Region
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.relations import is_blas_sized
from xpgrad.plan.tiles import looked_into


def cache_tile(region: Region, axes: Axes, l2: int, limits: Limits) -> int:
    """Samples per tile: the inputs fill a share of the L2 cache, or more where a tile would be little work.

    A card waits for the host if computing a tile takes less time than launching its kernels.
    """
    read: dict[Value, int] = {}
    work = 1
    for node in region.nodes:
        for i, u in enumerate(node.operands):
            operand = TileOperand(node, i, axes, region.loop_axis)
            if u in region.tiled or operand.axis is None or operand.counts:
                continue
            read[looked_into(u)] = u.size // max(region.extent, 1) * u.dtype.itemsize
        if is_blas_sized(node):
            work += prod(axes.extent[e] for e in (*axes.loop_axes(node), *axes.reduced(node)) if e is not None)
    grain, in_cache = limits.host_grain, int(limits.l2_share * l2) // max(sum(read.values()), 1)
    found = max(in_cache, limits.host_products * region.extent // work)
    return min(max(found // grain * grain, limits.host_tile), region.extent)


class HostLoop:
    """A region that no single kernel computes from arrays on the device.

    Parameters
    ----------
    cut : dict of Value to int
        The axes along which the inputs that stay on the host are cut.
    reason : str
        Why no kernel takes the region, if a node of it has none; one tile then has all samples.
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
        self.reads = {u for n in step.nodes for u in n.operands}
        self._cut, self._reason = cut, reason
        self._constants: dict[Const, Any] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []
        tile = step.extent
        self._why = ""
        if cut:
            per_sample = sum(layouts.held[h].nbytes // max(step.extent, 1) for h in cut)
            tile = max(min(tile, device.limits.staging // max(per_sample, 1)), 1)
        elif any(map(is_blas_sized, step.nodes)):
            limits = device.limits
            tile = cache_tile(step, plan.axes, device.l2, limits)
            self._why = f"at least {limits.l2_share:.0%} of the L2 cache, {device.l2 / 2**20:g} MiB"
        self._build(tile)

    # ── planning ─────────────────────────────────────────────────────────────────────────────
    def _build(self, tile: int) -> None:
        """Make the programs of a tile and of a shorter last one; of smaller tiles where memory is short."""
        while True:
            self._staging = None  # its memory is free for the next
            try:
                shapes = [_cut_shape(self._layouts.held[h], a, tile) for h, a in self._cut.items()]
                self._staging = self._device.staging_buffers(shapes) if shapes else None
                break
            except self._device.out_of_memory as error:
                tile = self._halved(tile, error)
        self.tile = tile
        extent = self.step.extent
        lengths = {min(tile, extent), extent % tile or tile} if extent else {0}
        self._programs = {n: self._program(n) for n in sorted(lengths, reverse=True)}
        self.fresh = sum(x.fresh for program in self._programs.values() for x in program.kernels)

    def _halved(self, tile: int, error: Exception) -> int:
        if tile <= self._device.limits.host_least:
            raise error
        self.notes.append(f"out of memory: tiles of {tile // 2} samples instead")
        return tile // 2

    def _program(self, length: int) -> TileProgram:
        tile = TileRegion(self.step, self._plan, length)
        arrays = {s: layout_of(self._planned(u)[between(a, 0, length)]) for s, (u, a) in tile.slices.items()}
        return TileProgram(tile, arrays, self._layouts, self._device)

    def _planned(self, source: Operand) -> Any:
        """An array with the strides that ``source`` will have."""
        if isinstance(source, Const):
            return self._constants.setdefault(source, self._device.put(source.data))
        if source in self._cut:
            assert self._staging is not None
            return self._staging.arrays[list(self._cut).index(source)]
        if source in self._layouts.held:
            return self._layouts.held[source]
        strides = [n * source.dtype.itemsize for n in c_strides(source.shape)]
        return placed(source.shape, source.dtype, strides)  # an earlier step stores it, in C order

    # ── running ──────────────────────────────────────────────────────────────────────────────
    def run(self, env: Env) -> None:
        """Put the arrays that the region stores, and its sums, into ``env``."""
        # One call at a time uses the staging buffers.
        with self._lock, at_line(line_of(self.step.nodes)):
            while True:
                try:
                    return self._run(env)
                except self._device.out_of_memory as error:
                    tile = self._halved(self.tile, error)
                self._build(tile)

    def _run(self, env: Env) -> None:
        step, xp = self.step, self._device.xp
        tiles = [
            (begin, self._programs[min(self.tile, step.extent - begin)])
            for begin in range(0, step.extent, max(self.tile, 1))
        ]
        sums = Sums(step, self._plan, self._device, [program for _, program in tiles])
        whole: Env = {n: xp.empty(n.shape, n.dtype) for n in step.stores}
        sizes = zip_longest(*(program.sizes for _, program in tiles), fillvalue=0)
        memory = [xp.empty(max(found), np.uint8) for found in sizes]
        inner = dict(env)
        for k, (begin, program) in enumerate(tiles):
            tile, end = program.tile, begin + program.tile.length
            loaded = self._load(k, env, begin, end)
            for s, (u, axis) in tile.slices.items():
                if isinstance(u, Const):
                    inner[s] = self._constants[u][between(axis, begin, end)]
                elif u in loaded:
                    inner[s] = loaded[u][between(axis, 0, tile.length)]
                else:
                    found = as_planned(u, inner, self._device, self._layouts.held)
                    inner[s] = found[between(axis, begin, end)]
            for p, number in program.buffers.items():
                size = max(prod(p.shape), 1) * p.dtype.itemsize
                buffer = memory[number][:size].view(p.dtype)[: prod(p.shape)].reshape(p.shape)
                if p in program.dense:
                    buffer[...] = inner[p]
                inner[p] = buffer
            slices = {n: whole[n][between(step.tiled[n], begin, end)] for n in step.stores}
            inner.update((p, slices[n]) for n, p in tile.of.items() if p in program.direct)
            program.make_views(inner)
            program.start(inner, sums.begin(program, inner))
            if self._staging is not None:
                self._staging.used(k)
            for n, x in slices.items():
                if tile.of[n] not in program.direct:
                    x[...] = inner[tile.of[n]]
            sums.add(program, inner)
        env.update(whole)
        env.update(sums.results(self._programs[min(self.tile, step.extent)]))

    def _load(self, k: int, env: Env, begin: int, end: int) -> Env:
        if self._staging is None:
            return {}
        pieces = [env[h][between(a, begin, end)] for h, a in self._cut.items()]
        return dict(zip(self._cut, self._staging.load(k, pieces), strict=True))

    # ── in words ─────────────────────────────────────────────────────────────────────────────
    def why_no_graph(self) -> str:
        """The reason why it is part of no CUDA graph."""
        if self._cut:
            return "samples are copied from the host"
        calls = [x.node for x in next(iter(self._programs.values())).calls if not is_view(x.node)]
        return f"{names_of(calls[:1])} is the library's, which may refuse a captured stream"

    def describe(self, numbers: Iterator[int], whole: bool, source: bool) -> Iterator[str]:
        """The loop, and what computes which of its nodes."""
        count = -(-self.step.extent // max(self.tile, 1))
        tiles = f"{count} tiles of {self.tile} samples" if count != 1 else "one tile"
        if self._cut:
            yield f"{', '.join(str(h.aval) for h in self._cut)} from the host: {tiles}, in two buffers"
        elif count == 1:
            yield f"on all {self.step.extent} samples at once" + (f": {self._reason}" if self._reason else "")
        else:
            yield f"a loop on the host over {tiles} ({self._why})"
        yield from self.notes
        first, *rest = self._programs.values()
        for x in first.steps:
            yield from indented(self._in_words(x, source, count != 1))
        texts = {x.kernel.text for x in first.kernels}
        for x in (x for program in rest for x in program.kernels if x.kernel.text not in texts):
            yield from ("  for the last tile, which is shorter,", *indented(self._in_words(x, source, True)))

    def _in_words(self, x: StageKernel | LibraryCall, source: bool, tiled: bool) -> Iterator[str]:
        if isinstance(x, StageKernel):
            kernel = x.kernel
            yield f"by CUDA kernels ({kernel.in_words(x.fresh, tiled)}): {names_of(kernel.step.nodes)}"
            if source:
                yield from indented(source_lines("CUDA C++, after the prelude", kernel.body))
        elif x.is_matmul:
            yield f"by matmul into a buffer: {names_of([x.node])} {x.node.aval}"
        else:
            yield f"by the library: {x.reason}: {names_of([x.node])}"


def _cut_shape(array: Any, axis: int, tile: int) -> tuple[tuple[int, ...], Any]:
    return tuple(tile if a == axis else n for a, n in enumerate(array.shape)), array.dtype
