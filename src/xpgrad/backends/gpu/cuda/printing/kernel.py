"""A step of a plan as CUDA C++, and how it is launched.

In:  a Region or an Untiled step, and the arrays that lie in memory before it.
Out: Kernel: one text, its launches in order, what it fills, and the memory that it needs.
Holds: which samples a block takes depends on their number and on the sizes of the sums alone, and the blocks'
partial sums are combined in order, in float64. The same inputs give the same bits on every card, in every run.
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
from xpgrad.backends.gpu.cuda.printing.grid import most_blocks, narrowed, samples_per_block, tiles_per_block
from xpgrad.backends.gpu.cuda.printing.layout import KernelArgs, Parameter, Text
from xpgrad.backends.gpu.cuda.printing.phases import Phase
from xpgrad.backends.gpu.cuda.printing.source import prelude
from xpgrad.backends.gpu.limits import THREADS, WARP, Limits
from xpgrad.backends.layouts import Layouts
from xpgrad.codegen.lower import wide
from xpgrad.core import Node
from xpgrad.plan import Plan, Region
from xpgrad.plan.plan import Step


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
        The source with the prelude, and without it.
    launches : list of Launch
    outs : list of Node
        The arrays that it fills, in C order.
    partials : dict of Node to (int, dtype)
        The entries of one block's part of each sum over the region's axis.
    blocks, chunk : int
        Blocks that divide a region's axis, and entries of the axis per block.
    length : str
        The argument that is the number of entries; a launch may have fewer.
    block_count : str
        The argument of `combine` that is the number of blocks whose parts it combines.
    workspace_bytes : int
        Bytes of global memory for the tiles of all blocks; 0 where they are in shared memory.
    form : str
        The form of the kernel in words, for `explain`.

    Raises
    ------
    Declined
        A node has no loops or no expression here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts, limits: Limits) -> None:
        self.step, self.limits = step, limits
        self.builder = KernelBuilder(step, plan, layouts, limits)
        self.launches: list[Launch] = []
        self.partials: dict[Node, tuple[int, Any]] = {}
        self.workspace_bytes = 0
        self.blocks = self.chunk = 1
        self.length = ""
        self.block_count = ""
        self._functions: list[str] = []
        if isinstance(step, Region):
            self._region(step)
        else:
            self._untiled()
        self.outs = [*self.builder.ir.made("output"), *self.partials]
        # The builder's list of arguments is complete when its last function has been written.
        shared = self.builder.args.text
        functions = [f.replace(_SHARED, shared, 1) for f in self._functions]
        body = "\n".join(functions)
        self.body = definitions(self.builder.calls) + body
        self.text = f"{prelude()}\n{self.body}"

    def in_words(self, fresh: bool, tiled: bool = False) -> str:
        """The launches, for `explain`; if ``tiled``, the first is for each tile, the others are for all."""
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
        most = most_blocks(size, limits)
        block = None if reason is None else self._tiled(most, size // 8)
        k = self.builder
        body = ByThread(k) if block is None else None
        if body is not None:
            samples = min(THREADS, limits.tile)
            self.chunk = samples_per_block(samples, body.vectors.samples, step.extent, most, limits)
        else:
            assert block is not None
            self.chunk = tiles_per_block(-(-step.extent // block.tile), most, limits) * block.tile
        self.blocks = -(-step.extent // self.chunk)
        chunk, self.length = k.args.size("chunk", self.chunk), k.args.size("length", step.extent)
        w = Text()
        w(f"const long long first = blockIdx.x * {chunk}, stop = first + {chunk};")
        w(f"const long long last = stop < {self.length} ? stop : {self.length};")
        w("__shared__ double xg_sums[32];")
        if body is not None:
            self.form = f"a thread for each sample{body.vectors.in_words()}"
            self._by_thread(w, body)
            shared = 0
        else:
            assert block is not None
            where = "shared" if block.workspace_bytes <= limits.shared else "global"
            forms = dict.fromkeys(m.form for m in block.matmuls.values())
            forms.update(dict.fromkeys(block.declined))
            self.form = ", ".join([f"tiles of {block.tile} samples in {where} memory ({reason})", *forms])
            shared = block.workspace_bytes if where == "shared" else 0
            self._by_tile(w, block, where)
        # Register-tiled matmuls take many registers: without a bound only one block would be resident.
        resident = limits.matmul_resident if block is not None and block.matmuls else 1
        self._function("region", w, self.blocks, shared, resident)
        if self.partials:
            self._combine()

    def _tiled(self, most: int, sums: int) -> ByBlock:
        """The largest tile that fits; one sample per lane if matmuls are then register-tiled; or a smaller
        tile, where few samples would make fewer tiles than ``most`` blocks."""
        limits = self.limits
        found = self._shrunk(limits.tile)
        if not found.matmuls and limits.tile > WARP:
            narrow = self._shrunk(WARP)
            found = narrow if narrow.matmuls else found
        if not found.matmuls and isinstance(self.step, Region):
            tile = narrowed(found.tile, found.least_tile, self.step.extent, most, found.entries, sums, limits)
            # Made anew even for the same tile, so that the text and the order of its arguments are the same.
            found = self._block(tile)
        self.builder = found.k
        return found

    def _shrunk(self, tile: int) -> ByBlock:
        """The largest tile that shared memory and L1 hold; if none fits, the smallest, in global memory."""
        limits = self.limits
        while True:
            found = self._block(tile)
            fits = found.workspace_bytes <= limits.shared and tile * found.sample_bytes <= limits.cache
            if fits or tile <= min(found.least_tile, limits.tile):
                return found
            tile //= 2

    def _block(self, tile: int) -> ByBlock:
        """A new builder, for the layout of buffers depends on the tile."""
        old = self.builder
        return ByBlock(KernelBuilder(old.step, old.plan, old.layouts, self.limits), tile)

    def _by_thread(self, w: Text, body: ByThread) -> None:
        w("const int thread = threadIdx.x;")
        body.write(w)
        for s, held in body.sums.items():
            node, dtype, monoid = s.node, wide(s.node.dtype), monoid_type(s.monoid)
            ctype, count = value_type(dtype), max(prod(node.shape), 1)
            self.partials[node] = count, dtype
            pointer = self.builder.args.pointer(("partial", node), f"{ctype}", ("partial", node))
            w("#pragma unroll")
            with w.block(f"for (int k = 0; k < {count}; ++k)"):
                part = f"({ctype}){held.name}[k]"
                w(f"const {ctype} total = xg::block_reduce<{monoid}>({part}, ({ctype}*)xg_sums);")
                w(f"if (thread == 0) {pointer}[blockIdx.x * {count}ll + k] = total;")

    def _by_tile(self, w: Text, block: ByBlock, where: str) -> None:
        k = self.builder
        _threads(w, grid=False)
        base = "xg_shared"
        if where == "shared":
            w("XG_DYNAMIC_SHARED(xg_shared);")
        else:
            size = k.args.number("workspace bytes", block.workspace_bytes)
            self.workspace_bytes = max(block.workspace_bytes * self.blocks, 1)
            pointer = k.args.pointer("workspace", "unsigned char", "workspace")
            base = f"({pointer} + blockIdx.x * {size})"
        block.declare_workspaces(w, base)
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
        """Combine the blocks' parts of all sums, in order: one warp per entry, or one lane if they are many."""
        params = KernelArgs(self.limits.constants)
        blocks = self.block_count = params.size("blocks", self.blocks)
        w, grid = Text(), 1
        monoids = {s.node: s.monoid for nest in self.builder.ir.nests for s in nest.reductions()}
        w(f"__shared__ double xg_lanes[{THREADS}];")
        for node, (count, dtype) in self.partials.items():
            if not prod(node.shape):  # its parts have an entry all the same
                continue
            wider, ctype = value_type(dtype), value_type(node.dtype)
            parts = params.pointer(("partial", node), f"const {wider}", ("partial", node))
            out = params.pointer(node, ctype or "", node)
            n = params.number(("count", node), count)
            monoid = monoid_type(monoids[node])
            if count < self.limits.combine_by_lanes:
                w(f"xg::combine_by_warps<{monoid}>({parts}, {out}, {n}, {blocks});")
                grid = max(grid, -(-count * WARP // THREADS))
            else:
                w(f"xg::combine_by_lanes<{monoid}>({parts}, {out}, {n}, {blocks}, ({wider}*)xg_lanes);")
                grid = max(grid, -(-count // WARP))
        self._functions.append(_function("combine", params.text, w))
        self.launches.append(Launch("combine", params.items, min(grid, self.limits.combine_blocks)))

    # ── untiled steps ────────────────────────────────────────────────────────────────────────
    def _untiled(self) -> None:
        k = self.builder
        block = ByBlock(k, 0)
        sizes = [self._size(phase) for phase in block.phases]
        small = sum(sizes) <= self.limits.single_block
        self.form = "one block" if small else "a kernel for each nest"
        groups: list[list[Phase]] = [block.phases] if small else [[phase] for phase in block.phases]
        self.workspace_bytes = max(block.workspace_bytes, 1) if block.workspaces else 0
        for number, group in enumerate(groups):
            alone = small or block.is_single(group[0])
            w = Text()
            w("__shared__ double xg_sums[32];")
            _threads(w, grid=not alone)
            if block.workspaces:
                block.declare_workspaces(w, k.args.pointer("workspace", "unsigned char", "workspace"))
            for phase in group:
                block.write(w, phase)
                if small:
                    w("__syncthreads();")
            self._function(f"nest{number}", w, 1 if alone else self._nest_blocks(group[0]), 0)

    def _size(self, phase: Phase) -> int:
        return prod(e.extent for e in phase.axes)

    def _nest_blocks(self, phase: Phase) -> int:
        results = prod(e.extent for e in phase.axes - phase.reduced)
        threads = results * (WARP if phase.reduced else 1)
        return max(1, min(-(-threads // THREADS), self.limits.nest_blocks))

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def _function(self, name: str, w: Text, grid: int, shared: int, resident: int = 1) -> None:
        self._functions.append(_function(name, _SHARED, w, resident))
        self.launches.append(Launch(name, self.builder.args.items, grid, shared))


_SHARED = "@arguments"


def _function(name: str, params: str, w: Text, resident: int = 1) -> str:
    """A kernel; the compiler leaves registers for ``resident`` blocks per multiprocessor."""
    bounds = f"{THREADS}" if resident == 1 else f"{THREADS}, {resident}"
    return f'extern "C" __global__ void __launch_bounds__({bounds}) {name}({params}) {{\n{w}\n}}\n'


def _threads(w: Text, grid: bool) -> None:
    """Declare the numbers of the threads and warps that divide the work: one block's, or the whole grid's."""
    w(f"const int lanes = blockDim.x < {WARP} ? 1 : {WARP};")
    w("const int lane = threadIdx.x % lanes;")
    if grid:
        w("const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;")
        w("const long long threads = gridDim.x * (long long)blockDim.x;")
    else:
        w("const int thread = threadIdx.x, threads = blockDim.x;")
    w("const long long warp = thread / lanes, warps = threads / lanes;")
