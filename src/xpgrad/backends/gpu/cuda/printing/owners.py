"""Which products of a step have owners of their features, and of what kind.

In:  a Frame whose region runs in tiles.
Out: for each such product what writes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from xpgrad.backends.gpu.cuda.printing.frame import Frame
from xpgrad.backends.gpu.cuda.printing.owned import Owned, product_of
from xpgrad.backends.gpu.cuda.printing.owned_by_thread import OwnedByThread
from xpgrad.backends.gpu.cuda.printing.owned_by_warp import OwnedByWarp
from xpgrad.core import Node


def owners(frame: Frame, threads: int, tile: int) -> dict[Node, Owned]:
    """For each product of samples with features that threads or warps own what writes it."""
    found: dict[Node, Owned] = {}
    for nest in frame.nests.nests:
        product = product_of(frame, nest)
        if product is not None:
            kind = OwnedByWarp if product.samples_adjoin else OwnedByThread
            writer = kind(frame, product, threads, tile)
            if writer.fits:
                found[product.node] = writer
    return found


def fewest(owned: Iterable[Owned]) -> int:
    """Samples that a tile has at least, however much it takes."""
    return 8 if any(isinstance(p, OwnedByThread) for p in owned) else 32


def sample_bytes(owned: Iterable[Owned]) -> int:
    """Of one sample in all arrays that these products read."""
    arrays = {
        (p.memory.name, p.memory.offset): p.frame.axes.extent[p.product.feature] * p.memory.dtype.itemsize
        for p in owned
    }
    return sum(arrays.values())
