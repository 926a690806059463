"""The sizes of tiles and chunks.

In:  Regions.
Out: the same, with `tile` and `chunk` set.
Holds: a chunk depends on sizes alone, a tile on sizes and the cache, and neither on the number of threads. So
the same inputs give the same bits with any number of threads, and with any cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xpgrad.core import Const, Node, Value
from xpgrad.plan.axes import Axes, is_view
from xpgrad.plan.plan import Region
from xpgrad.plan.relations import relation

CHUNKS = 64
"""The most chunks of a region: enough for the threads of a large machine to share them evenly."""


_GROUP_BYTES = 1 << 18
"""Bytes of a group at most, so that its tile is read twice from the second-level cache of any machine."""


_MANY_SUMS, _LONGER_GROUP = 1 << 15, 1 << 20
"""Bytes of sums from which on a group along rows of memory is longer, and its bytes: to add all sums to those
of other groups takes longer than to read a tile from the third-level cache."""


_LEAST_GROUP = 16
"""The least samples of a group; `Target.grain` where memory is read in runs along the samples."""


_SHARES, _LINES = 8, 64
"""Tiles of a short axis at least, so that threads can share them, whatever the length of a run; but a few cache
lines of a row are a tile at least."""


_SUMS_SHARE = 4
"""Bytes of a chunk at least, for each byte of its sums: these are cleared, and combined with other chunks'."""


_FUNCTION = 64


class Target(NamedTuple):
    """The machine that a plan is made for.

    Attributes
    ----------
    cache : int
        Bytes of the cache that the tiles of one thread should stay in.
    grain : int
        The length of a tile is a multiple of it, and of a group where there are sums.
    run : int
        The least length of a tile along an axis that is contiguous in an array of several rows, whatever
        the cache holds: memory is read in runs, and the start of each costs a miss.
    small : int
        Nodes that touch fewer entries along each of their axes run without a loop over tiles.
    chunk : int
        The least bytes of a chunk, if there are as many: each has sums of its own to clear and to combine.
    group : int
        Samples that are added up by themselves, before their sum is added to others. Where there are sums,
        tiles and chunks have whole groups, so that the bits of a sum do not depend on the tile. 0: a chunk has
        whole tiles.
    scattered : int
        Bytes of a sample in columns from which on few samples are taken feature by feature, or multiplied by
        the library. 0: never.
    """

    cache: int
    grain: int = 64
    run: int = 512
    small: int = 1 << 14
    chunk: int = 1
    group: int = 0
    scattered: int = 0


def set_tiles(region: Region, axes: Axes, target: Target, unit_axes: Mapping[Value, int]) -> None:
    """Size the tiles of ``region`` so that values read twice and intermediate values stay in cache.

    ``unit_axes`` has for each input the axis along which it is contiguous.
    """
    if not region.extent:
        region.tile = region.chunk = target.grain
        return
    per_entry = max(bytes_per_entry(region, axes), 1)
    in_rows = _in_rows(region, axes, unit_axes)
    in_groups = bool(region.sums and target.group)
    sums = sum(n.size * 8 for n in region.sums)
    most = _LONGER_GROUP if in_rows and sums > _MANY_SUMS else _GROUP_BYTES
    unit = _unit(per_entry, target, most, in_rows) if in_groups else target.grain
    # A group that is smaller than others is a tile: sums are taken in stretches of whole groups.
    tile = unit if unit < target.group and in_groups else max(target.cache // per_entry // unit, 1) * unit
    if in_rows:
        tile = max(tile, min(target.run, max(region.extent // _SHARES, _LINES) // unit * unit))
    tile = min(tile, -(-region.extent // unit) * unit)
    if not in_groups:
        unit = tile
    least = max(target.chunk, _SUMS_SHARE * sums)
    chunks = max(1, min(CHUNKS, region.extent * per_entry // least))
    units = -(-region.extent // unit)
    region.chunk = -(-units // chunks) * unit
    region.tile = min(tile, region.chunk)


def _unit(per_entry: int, target: Target, most: int, in_rows: bool) -> int:
    """The samples of a group, of which a tile with sums is a multiple; it depends on sizes alone."""
    unit = target.group
    while unit > (target.grain if in_rows else _LEAST_GROUP) and unit * per_entry > most:
        unit //= 2
    return unit


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


def work(region: Region, axes: Axes) -> int:
    """What a region costs, in bytes that a thread reads from memory in the same time.

    A product of contractions counts a byte in float32, and a function that is not cheap 64 for each entry.
    """
    total = region.extent * bytes_per_entry(region, axes)
    for node in region.nodes:
        if "pointwise" in node.op.traits and "cheap" not in node.op.traits:
            total += _FUNCTION * node.size
        elif node.op.traits >= {"contraction"}:
            total += node.size * _contracted(node) * node.dtype.itemsize // 4
    return total


def _contracted(node: Node) -> int:
    """The number of products in each sum of a contraction."""
    count = 1
    for i, a in (places[0] for places in relation(node).reduced):
        count *= node.operands[i].shape[a]
    return count
