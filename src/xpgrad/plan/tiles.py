"""The sizes of tiles and chunks.

In:  Regions.
Out: the same, with `tile` and `chunk` set.
Holds: both depend on sizes and on the cache alone, never on the number of threads. So the same inputs give
the same bits with any number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xpgrad.core import Const, Node, Value
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.plan import Region

CHUNKS = 64
"""The most chunks of a region: enough for the threads of a large machine to share them evenly."""


class Target(NamedTuple):
    """The machine that a plan is made for.

    Attributes
    ----------
    cache : int
        Bytes of the cache that the tiles of one thread should stay in.
    grain : int
        The length of a tile is a multiple of it.
    run : int
        The least length of a tile along an axis that is contiguous in an array of several rows, whatever
        the cache holds: memory is read in runs, and the start of each costs a miss.
    small : int
        Nodes that touch fewer entries along each of their axes run without a loop over tiles.
    chunk : int
        The least bytes of a chunk, if there are as many: each has sums of its own to clear and to combine.
    """

    cache: int
    grain: int = 64
    run: int = 1024
    small: int = 1 << 14
    chunk: int = 1


def set_tiles(region: Region, axes: Axes, target: Target, unit_axes: Mapping[Value, int]) -> None:
    """Size the tiles of ``region`` so that values read twice and intermediate values stay in cache.

    ``unit_axes`` has for each input the axis along which it is contiguous.
    """
    if not region.extent:
        region.tile = region.chunk = target.grain
        return
    per_entry = max(bytes_per_entry(region, axes), 1)
    tile = max(target.cache // per_entry // target.grain, 1) * target.grain
    if _in_rows(region, axes, unit_axes):
        tile = max(tile, target.run)
    region.tile = max(min(tile, -(-region.extent // target.grain) * target.grain), 1)
    tiles = -(-region.extent // region.tile)
    chunks = max(1, min(CHUNKS, region.extent * per_entry // target.chunk))
    region.chunk = -(-tiles // chunks) * region.tile if tiles else region.tile


def _in_rows(region: Region, axes: Axes, unit_axes: Mapping[Value, int]) -> bool:
    """Whether some input of several rows is contiguous along the region's axis."""
    for node in region.nodes:
        for i, u in enumerate(node.operands):
            loop_axes = axes.operand_loop_axes(node, i)
            if isinstance(u, Const) or region.loop_axis not in loop_axes or u.size == region.extent:
                continue
            if unit_axes.get(u) == loop_axes.index(region.loop_axis):
                return True
    return False


def looked_into(value: Value) -> Value:
    """The value that a view looks into, unless that is a constant; any other value itself."""
    while isinstance(value, Node) and is_view(value) and not isinstance(value.operands[0], Const):
        (value,) = value.operands
    return value


def bytes_per_entry(region: Region, axes: Axes) -> int:
    """Bytes for each entry of the axis, in all values that a tile touches."""
    total = sum(n.size // region.extent * n.dtype.itemsize for n in region.tiled if not is_view(n))
    seen: set[Value] = set()
    for node in region.nodes:
        for i, u in enumerate(node.operands):
            array = looked_into(u)
            if array in seen or u in region.tiled:
                continue
            seen.add(array)
            if region.loop_axis in axes.operand_loop_axes(node, i):
                total += u.size // region.extent * u.dtype.itemsize
    return total
