"""A step of a plan as CUDA C++, and how it is launched.

In:  a Region or a straight run of nodes, and the arrays that lie in memory before it.
Out: Kernel: one text, its launches in order, what it fills, and the memory that it needs.
Holds: which samples a block takes depends on their number and on the sizes of the sums alone, and blocks are
combined in order, in float64: the same inputs give the same bits on every card and in every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder
from xpgrad.backends.gpu.cuda.printing.by_block import ByBlock
from xpgrad.backends.gpu.cuda.printing.by_thread import ByThread, why_not
from xpgrad.backends.gpu.cuda.printing.expressions import monoid_type, value_type
from xpgrad.backends.gpu.cuda.printing.functions import definitions
from xpgrad.backends.gpu.cuda.printing.layout import KernelArgs, Parameter, Text
from xpgrad.backends.gpu.cuda.printing.owners import fewest, sample_bytes
from xpgrad.backends.gpu.cuda.printing.phases import WARP, Phase
from xpgrad.backends.gpu.cuda.printing.shares import (
    most_blocks,
    narrowed,
    samples_of_a_block,
    tiles_of_a_block,
)
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.backends.layouts import Layouts
from xpgrad.codegen.lower import wide
from xpgrad.core import Node
from xpgrad.plan import Plan, Region
from xpgrad.plan.plan import Step

THREADS = 256
"""Of a block, on a GPU."""

MANY = 512
"""So many entries, one to a lane, keep the whole device busy when blocks' parts are combined."""

SMALL = 1 << 16
"""Nodes of so few entries in all are done by one block, which need not wait for others."""


class Limits(NamedTuple):
    """What sizes a region's loop.

    Attributes
    ----------
    tile : int
        Entries of the axis that a block works on together, at most.
    blocks : int
        So many share the axis, at most.
    shared : int
        Bytes of shared memory of a block; what a tile keeps goes to global memory where it is more.
    partials : int
        Bytes of the parts of sums that all blocks write, at most.
    cache : int
        Bytes of the first cache for a tile that is read more than once: a quarter of it or less, for
        several blocks share it.
    threads : int
        Of a block, `THREADS` at most.
    """

    tile: int = 256
    blocks: int = 1024
    shared: int = 40 << 10
    partials: int = 16 << 20
    cache: int = 56 << 10
    threads: int = THREADS


class Launch(NamedTuple):
    """One launch: the kernel's name, its arguments, blocks, and bytes of shared memory."""

    name: str
    params: Sequence[Parameter]
    grid: int
    shared: int = 0


class Kernel:
    """A step.

    Attributes
    ----------
    text, body : str
        With the prelude, and without it.
    launches : list of Launch
    outs : list of Node
        The arrays that it fills, in C order.
    partials : dict of Node to (int, dtype)
        For each sum over the region's axis the entries of one block's part.
    blocks, chunk : int
        Blocks that share a region's axis, and entries of it for each.
    length : str
        The argument that is the number of entries; a launch may have fewer.
    block_count : str
        The argument of `combine` that is the number of blocks whose parts it combines.
    scratch_bytes : int
        Of global memory, for all blocks; 0 where none is asked for.
    form : str
        In words, for `explain`.

    Raises
    ------
    Declined
        A node has no loops or no expression here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts, limits: Limits) -> None:
        self.step, self.limits = step, limits
        self.builder = KernelBuilder(step, plan, layouts)
        self.launches: list[Launch] = []
        self.partials: dict[Node, tuple[int, Any]] = {}
        self.scratch_bytes = 0
        self.blocks = self.chunk = 1
        self.length = ""
        self.block_count = ""
        self._functions: list[str] = []
        if isinstance(step, Region):
            self._region(step)
        else:
            self._straight()
        self.outs = [*self.builder.ir.made("output"), *self.partials]
        # Functions that share the builder's arguments are given their list when the last of them is written.
        shared = self.builder.args.text
        functions = [f.replace(_SHARED, shared, 1) for f in self._functions]
        body = "\n".join(functions)
        self.body = definitions(self.builder.calls) + body
        self.text = f"{prelude()}\n{self.body}"

    def in_words(self, fresh: bool, tiled: bool = False) -> str:
        """What is launched, for `explain`; ``tiled``: the first for each tile, the others for all together."""
        names = [f"{x.name} on {x.grid} block{'s' if x.grid != 1 else ''}" for x in self.launches if x.grid]
        if tiled:
            names = [f"{x} {'for all' if k else 'for each tile'}" for k, x in enumerate(names)]
        return "; ".join(
            ["compiled" if fresh else "found ready", self.form, ", ".join(names) or "not launched"]
        )

    # ── regions ──────────────────────────────────────────────────────────────────────────────
    def _region(self, step: Region) -> None:
        limits = self.limits
        reason = why_not(self.builder)
        size = sum(8 * max(prod(n.shape), 1) for n in self.builder.ir.made("partial"))
        most = most_blocks(size, limits.blocks, limits.partials)
        block = None if reason is None else self._tiled(most, size // 8)
        k = self.builder
        body = ByThread(k) if block is None else None
        if body is not None:
            least = WARP * body.strips.turn
            self.chunk = samples_of_a_block(min(THREADS, limits.tile), least, step.extent, most)
        else:
            assert block is not None
            self.chunk = tiles_of_a_block(-(-step.extent // block.tile), most) * block.tile
        self.blocks = -(-step.extent // self.chunk)
        chunk, self.length = k.args.size("chunk", self.chunk), k.args.size("length", step.extent)
        w = Text()
        w(f"const long long first = blockIdx.x * {chunk}, stop = first + {chunk};")
        w(f"const long long last = stop < {self.length} ? stop : {self.length};")
        w("__shared__ double xg_sums[32];")
        if body is not None:
            self.form = "a thread for each sample"
            self._by_thread(w, body)
            shared = 0
        else:
            assert block is not None
            where = "shared" if block.scratch_bytes <= limits.shared else "global"
            self.form = f"tiles of {block.tile} samples in {where} memory ({reason})"
            shared = block.scratch_bytes if where == "shared" else 0
            self._by_tile(w, block, where)
        # What threads own takes many registers: without a bound only one block would fit.
        together = 1 if block is None or not block.owned else 2
        self._function("region", w, self.blocks, shared, together)
        if self.partials:
            self._combine()

    def _tiled(self, most: int, sums: int) -> ByBlock:
        """The largest tile that fits, with one sample to a lane where features then have owners; a smaller one
        where few samples would otherwise be too few tiles for ``most`` blocks."""
        found = self._shrunk(self.limits.tile)
        if not found.owned and self.limits.tile > WARP:
            narrow = self._shrunk(WARP)
            found = narrow if narrow.owned else found
        if not found.owned and isinstance(self.step, Region):
            tile = narrowed(found.tile, found.fewest, self.step.extent, most, found.entries, sums)
            # Anew even if it is the same tile: the text, and the order of its arguments, are to be the same.
            found = self._block(tile)
        self.builder = found.k
        return found

    def _shrunk(self, tile: int) -> ByBlock:
        """The largest that shared memory and the cache hold; where none fits the smallest, in global memory."""
        limits = self.limits
        while True:
            found = self._block(tile)
            owned = found.owned.values()
            fits = found.scratch_bytes <= limits.shared and tile * sample_bytes(owned) <= limits.cache
            if fits or tile <= min(fewest(owned) if owned else found.fewest, limits.tile):
                return found
            tile //= 2

    def _block(self, tile: int) -> ByBlock:
        """What is laid out for one tile is not for another."""
        old = self.builder
        return ByBlock(KernelBuilder(old.step, old.plan, old.layouts), tile, self.limits.threads)

    def _by_thread(self, w: Text, body: ByThread) -> None:
        w("const int thread = threadIdx.x;")
        body.write(w)
        for s, row in body.sums.items():
            node, dtype, monoid = s.node, wide(s.node.dtype), monoid_type(s.monoid)
            ctype, count = value_type(dtype), max(prod(node.shape), 1)
            self.partials[node] = count, dtype
            pointer = self.builder.args.pointer(("partial", node), f"{ctype}", ("partial", node))
            w("#pragma unroll")
            with w.block(f"for (int k = 0; k < {count}; ++k)"):
                part = f"({ctype}){row.name}[k]"
                w(f"const {ctype} total = xg::block_reduce<{monoid}>({part}, ({ctype}*)xg_sums);")
                w(f"if (thread == 0) {pointer}[blockIdx.x * {count}ll + k] = total;")

    def _by_tile(self, w: Text, block: ByBlock, where: str) -> None:
        k = self.builder
        _threads(w, grid=False)
        base = "xg_shared"
        if where == "shared":
            w("XG_DYNAMIC_SHARED(xg_shared);")
        else:
            size = k.args.number("scratch bytes", block.scratch_bytes)
            self.scratch_bytes = max(block.scratch_bytes * self.blocks, 1)
            pointer = k.args.pointer("scratch", "unsigned char", "scratch")
            base = f"({pointer} + blockIdx.x * {size})"
        block.declare_scratch(w, base)
        block.declare_partials(w)
        tile = k.args.size("tile", block.tile)
        with w.block(f"for (long long begin = first; begin < last; begin += {tile})"):
            w(f"const long long m = last - begin < {tile} ? last - begin : {tile};")
            for phase, following in pairwise([*block.phases, None]):
                assert phase is not None
                block.write(w, phase)
                if following is None or not (
                    block.keeps_to_samples(phase) and block.keeps_to_samples(following)
                ):
                    w("__syncthreads();")
        block.finish(w)
        for s in block.partials:
            self.partials[s.node] = max(prod(s.node.shape), 1), wide(s.node.dtype)

    def _combine(self) -> None:
        """The blocks' parts of all sums, each in order: by a warp for each entry, or by lanes for many."""
        params = KernelArgs()
        blocks = self.block_count = params.size("blocks", self.blocks)
        w, grid = Text(), 1
        monoids = {s.node: s.monoid for nest in self.builder.ir.nests for s in nest.reductions()}
        w(f"__shared__ double xg_rows[{THREADS}];")
        for node, (count, dtype) in self.partials.items():
            if not prod(node.shape):  # its parts have an entry all the same, itself it has none
                continue
            wider, ctype = value_type(dtype), value_type(node.dtype)
            parts = params.pointer(("partial", node), f"const {wider}", ("partial", node))
            out = params.pointer(node, ctype or "", node)
            n = params.number(("count", node), count)
            monoid = monoid_type(monoids[node])
            if count < MANY:
                w(f"xg::combine_by_warps<{monoid}>({parts}, {out}, {n}, {blocks});")
                grid = max(grid, -(-count * WARP // THREADS))
            else:
                w(f"xg::combine_by_lanes<{monoid}>({parts}, {out}, {n}, {blocks}, ({wider}*)xg_rows);")
                grid = max(grid, -(-count // WARP))
        self._functions.append(_function("combine", params.text, w))
        self.launches.append(Launch("combine", params.items, min(grid, 2048)))

    # ── straight runs ────────────────────────────────────────────────────────────────────────
    def _straight(self) -> None:
        k = self.builder
        block = ByBlock(k, 0)
        sizes = [self._size(phase) for phase in block.phases]
        small = sum(sizes) <= SMALL
        self.form = "one block" if small else "a kernel for each nest"
        groups: list[list[Phase]] = [block.phases] if small else [[phase] for phase in block.phases]
        self.scratch_bytes = max(block.scratch_bytes, 1) if block.scratch else 0
        for number, group in enumerate(groups):
            alone = small or block.is_single(group[0])
            w = Text()
            w("__shared__ double xg_sums[32];")
            _threads(w, grid=not alone)
            if block.scratch:
                block.declare_scratch(w, k.args.pointer("scratch", "unsigned char", "scratch"))
            for phase in group:
                block.write(w, phase)
                if small:
                    w("__syncthreads();")
            grid = 1 if alone else max(1, min(-(-self._results(group[0]) // THREADS), 4096))
            self._function(f"nest{number}", w, grid, 0)

    def _size(self, phase: Phase) -> int:
        return prod(e.extent for e in phase.axes)

    def _results(self, phase: Phase) -> int:
        warps = WARP if phase.reduced else 1
        return warps * prod(e.extent for e in phase.axes - phase.reduced)

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def _function(self, name: str, w: Text, grid: int, shared: int, together: int = 1) -> None:
        self._functions.append(_function(name, _SHARED, w, together))
        self.launches.append(Launch(name, self.builder.args.items, grid, shared))


_SHARED = "@arguments"


def _function(name: str, params: str, w: Text, together: int = 1) -> str:
    """``together``: blocks that are to fit on a multiprocessor, as far as registers go."""
    bounds = f"{THREADS}" if together == 1 else f"{THREADS}, {together}"
    return f'extern "C" __global__ void __launch_bounds__({bounds}) {name}({params}) {{\n{w}\n}}\n'


def _threads(w: Text, grid: bool) -> None:
    """Numbers for the threads and warps that share the work: of one block, or of all."""
    w(f"const int lanes = blockDim.x < {WARP} ? 1 : {WARP};")
    w("const int lane = threadIdx.x % lanes;")
    if grid:
        w("const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;")
        w("const long long threads = gridDim.x * (long long)blockDim.x;")
    else:
        w("const int thread = threadIdx.x, threads = blockDim.x;")
    w("const long long warp = thread / lanes, warps = threads / lanes;")
