"""The grid size: how many samples each block takes.

In:  the number of samples, the size of a tile, and the sizes of the sums.
Out: the tile, and the number of tiles per block.
Holds: sizes and limits alone decide, so a sum has the same bits on every card and whatever else runs there.

The plain form divides the tiles evenly among the most blocks that are allowed. With `Limits.full_waves` the
grid size fills whole waves of resident blocks, and few samples go to more and smaller tiles.
"""

from __future__ import annotations

from xpgrad.backends.gpu.limits import WARP, Limits


def most_blocks(size: int, limits: Limits) -> int:
    """Blocks, at most, if each writes ``size`` bytes of partial sums."""
    blocks, partials = limits.blocks, limits.partials
    return max(min(blocks, partials // max(size, 1)), min(limits.least_blocks, blocks))


def smallest_tile(entries: int, limits: Limits) -> int:
    """Samples per tile, at least, if each has ``entries`` entries."""
    tile = limits.least_tile
    while tile * entries < limits.tile_entries:
        tile *= 2
    return tile


def samples_per_block(samples: int, per_thread: int, extent: int, blocks: int, limits: Limits) -> int:
    """Samples per block with one thread each: a multiple of ``samples``, and of less where there are few.

    Some warps of a block are then idle, and more multiprocessors have work.
    """
    while limits.full_waves and samples > WARP * per_thread and extent < samples * blocks:
        samples //= 2
    pieces = -(-extent // samples)
    return max(-(-pieces // blocks), 1) * samples


def narrowed(tile: int, least: int, extent: int, blocks: int, entries: int, sums: int, limits: Limits) -> int:
    """``tile``, or a smaller one where there would be fewer tiles than blocks."""
    if not limits.full_waves:
        return tile
    while tile > least and extent < tile * blocks and tile * entries >= 2 * limits.entries_per_sum * sums:
        tile //= 2
    return tile


def tiles_per_block(tiles: int, blocks: int, limits: Limits) -> int:
    """Tiles per block.

    Blocks run in waves of as many as are resident. With one block more than a wave holds, a second wave runs
    in which all multiprocessors but one are idle.
    """
    least = max(-(-tiles // max(blocks, 1)), 1)
    if not limits.full_waves:
        return least
    resident = limits.resident_blocks
    last: int = max(-(-tiles // min(resident)), least)
    candidates: list[int] = [*range(least, last, max(least // 16, 1)), last]
    return min(candidates, key=lambda each: _longest(tiles, each, resident))


def _longest(tiles: int, each: int, resident: tuple[int, ...]) -> int:
    """The time on the slowest card, relative to one whose waves are full, times ``tiles``."""
    blocks = -(-tiles // each)
    return max(-(-blocks // slots) * each * slots for slots in resident)
