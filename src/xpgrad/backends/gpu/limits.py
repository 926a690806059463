"""Every threshold and every switch of the CUDA generator and its programs, in one table.

In:  nothing.
Out: `Limits`. A device holds one; tests and benchmarks make devices with others.
Holds: no value here depends on the card, so the same inputs give the same bits on every card. The comment of
a field gives its unit, and the source of its value: an estimate, a fact, or the file with the measurement.

The plain forms are the default: one thread per sample, or one block per tile. A variant of them is a switch. It
stays off until a card has measured it: ``python -m bench.switches`` compares each switch on and off.
"""

from __future__ import annotations

from typing import NamedTuple

WARP = 32
"""Threads per warp, on every CUDA device."""

LOAD_BYTES = 16
"""Bytes of the widest load or store of one thread, on every CUDA device."""

THREADS = 256
"""Threads per block, at most; every kernel is compiled for so large a block. An estimate."""


class Limits(NamedTuple):
    """The sizes of kernels and loops, and the variants that are used."""

    # ── blocks ───────────────────────────────────────────────────────────────────────────────
    tile: int = 256  # samples per tile, at most; estimate
    blocks: int = 1024  # blocks per region, at most; estimate
    shared: int = 40 << 10  # bytes of shared memory per block; larger tiles are in global memory; estimate
    partials: int = 16 << 20  # bytes of the partial sums of all blocks, at most; estimate
    cache: int = 56 << 10  # bytes of L1 cache for a tile that is read twice: a quarter of an H100's; estimate
    threads: int = THREADS  # threads per block; estimate
    least_blocks: int = 128  # blocks per region, at least, whatever `partials` allows; estimate
    single_block: int = 1 << 16  # entries of a run of nodes, up to which one block computes all; estimate
    nest_blocks: int = 4096  # blocks of a kernel that is one loop nest, at most; estimate
    combine_blocks: int = 2048  # blocks that combine partial sums, at most; estimate
    combine_by_lanes: int = 512  # entries of a sum, from which a lane and no warp combines each; estimate
    # ── registers ────────────────────────────────────────────────────────────────────────────
    unrolled: int = 32  # iterations of a loop that is unrolled, at most; estimate
    registers: int = 64  # values per thread in one loop nest, at most; estimate
    one_hot: int = 2048  # entries of a table that is added to by codes, at most: each is compared; estimate
    float64_sums: int = 4  # sums per thread that are added up in float64, at most; estimate
    constants: int = 64  # numbers of the user's code that are arguments; fact: 4,096 bytes before CUDA 12.1
    # ── planning ─────────────────────────────────────────────────────────────────────────────
    plan_cache: int = 1 << 20  # bytes of the cache that a plan for a GPU assumes; estimate
    # ── vectorized loads ─────────────────────────────────────────────────────────────────────
    vector_loads: bool = False  # switch: a thread loads and stores up to 16 bytes at once; not measured
    vector_registers: int = 64  # registers per thread for vectorized loads, at most; estimate
    vector_nodes: int = 100  # nodes of a region whose body is repeated for several samples; estimate
    # ── register-tiled matmuls ───────────────────────────────────────────────────────────────
    matmul_by_thread: bool = False  # switch: threads hold features, if these are contiguous; not measured
    matmul_by_warp: bool = False  # switch: warps hold features, if samples are contiguous; not measured
    matmul_registers: int = 40  # registers per thread for weights or sums, at most; estimate
    matmul_samples: int = 8  # samples that a thread loads ahead, at most; estimate
    matmul_loads: int = 96  # registers per thread for both matmuls and the loads ahead, at most; estimate
    matmul_totals: int = 16  # sums that the lanes of a warp exchange at once, at most; estimate
    matmul_features: int = 16  # features whose samples a warp loads ahead, at most; estimate
    matmul_flush: int = 512  # samples after which sums in registers are added to float64 sums; estimate
    matmul_tile: int = 8  # samples per tile, at least, where threads hold features; estimate
    matmul_resident: int = 2  # blocks per multiprocessor that the compiler leaves registers for; estimate
    # ── grid size ────────────────────────────────────────────────────────────────────────────
    full_waves: bool = False  # switch: the grid size fills whole waves of resident blocks; not measured
    resident_blocks: tuple[int, ...] = (216, 264)  # two per multiprocessor of an A100, and an H100; estimate
    tile_entries: int = 1024  # entries per tile, at least: four per thread; estimate
    least_tile: int = 4  # samples per tile, at least: 16 bytes of float32; estimate
    entries_per_sum: int = 32  # entries that are read per entry of a partial sum, at least; estimate
    # ── CUDA graphs ──────────────────────────────────────────────────────────────────────────
    cuda_graphs: bool = False  # switch: repeated calls with the same buffers are a graph; not measured
    graph_calls: int = 3  # calls with the same buffers before they are captured; estimate
    graphs_kept: int = 8  # graphs per program; estimate
    graph_copied: int = 1 << 20  # bytes of outputs that are copied out of a graph, at most; estimate
    # ── loops on the host ────────────────────────────────────────────────────────────────────
    fused_regions: bool = False  # switch: BLAS-sized matmuls are tiled with regions around them; not measured
    l2_share: float = 0.5  # share of the L2 cache that the inputs of a tile fill; estimate
    host_tile: int = 4096  # samples per tile, at least: a matmul of fewer rows leaves a card idle; estimate
    host_products: int = 1 << 33  # multiplications per tile, at least: 0.2 ms, as for its launches; estimate
    host_grain: int = 256  # samples of which a tile is a multiple, so that each is aligned; estimate
    host_least: int = 256  # samples per tile, below which it is not halved for want of memory; estimate
    host_sums: int = 64 << 20  # bytes of the partial sums of all tiles, at most; estimate
    staging: int = 64 << 20  # bytes of a tile from the host, at most: enough for the bus's full rate; estimate


SWITCHES: tuple[str, ...] = tuple(name for name, value in Limits()._asdict().items() if isinstance(value, bool))
"""The fields of `Limits` that switch a variant on."""
