"""How many samples a block takes.

In:  the number of samples, what a tile of them has, and the sizes of the sums.
Out: the tile, and how many tiles are one block's.
Holds: sizes and limits alone decide: a sum has the same bits on every card, whatever else runs there.
The figures are estimates; none was measured.
"""

from __future__ import annotations

SLOTS = 216, 264
"""Two blocks on each multiprocessor of an A100 and of an H100: as many run at the same time, at least. With one
block more than that a second round of blocks begins, for which all but one of these places are idle."""

ENTRIES = 1024
"""A tile has at least so many entries, four for each thread of a block: with fewer the threads would wait for
one another more than work."""

FEWEST = 4
"""Samples of a tile, at least: of float32 that lie side by side, 16 bytes."""

PER_SUM = 32
"""So many entries are read for each entry of a block's sums, at least: these are of eight bytes, written once
and read once, a tenth of the traffic or so. Their memory is a sixteenth of that of float32 samples."""


def most_blocks(size: int, blocks: int, partials: int) -> int:
    """Blocks at most, where each writes ``size`` bytes of sums, and all not much more than ``partials``."""
    return max(min(blocks, partials // max(size, 1)), min(128, blocks))


def smallest_tile(entries: int) -> int:
    """Of samples with so many entries each."""
    tile = FEWEST
    while tile * entries < ENTRIES:
        tile *= 2
    return tile


def samples_of_a_block(samples: int, least: int, extent: int, blocks: int) -> int:
    """A multiple of ``samples``, or where there are few a half of it, a quarter and so on.

    Each has a thread: some warps of a block then have nothing to do, and more multiprocessors have something.
    """
    while samples > least and extent < samples * blocks:
        samples //= 2
    pieces = -(-extent // samples)
    return max(-(-pieces // blocks), 1) * samples


def narrowed(tile: int, least: int, extent: int, blocks: int, entries: int, sums: int) -> int:
    """``tile``, or a smaller one where there would be fewer tiles than blocks."""
    while tile > least and extent < tile * blocks and tile * entries >= 2 * PER_SUM * sums:
        tile //= 2
    return tile


def tiles_of_a_block(tiles: int, blocks: int) -> int:
    """How many tiles a block takes, so that the rounds of blocks are full: see `SLOTS`.

    The blocks then are a few times the slots, or at most the slots, and not just above them.
    """
    least = max(-(-tiles // max(blocks, 1)), 1)
    last: int = max(-(-tiles // min(SLOTS)), least)
    candidates: list[int] = [*range(least, last, max(least // 16, 1)), last]
    return min(candidates, key=lambda each: _longest(tiles, each))


def _longest(tiles: int, each: int) -> int:
    """The time on the card that is worse off, in that of a card without idle slots times ``tiles``."""
    blocks = -(-tiles // each)
    return max(-(-blocks // slots) * each * slots for slots in SLOTS)
