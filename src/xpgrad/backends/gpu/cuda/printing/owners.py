"""Which products of a step have owners of their features, and of what kind.

In:  a KernelBuilder whose kernel runs in tiles.
Out: for each such product what writes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder
from xpgrad.backends.gpu.cuda.printing.owned import Owned, product_of
from xpgrad.backends.gpu.cuda.printing.owned_by_thread import OwnedByThread
from xpgrad.backends.gpu.cuda.printing.owned_by_warp import OwnedByWarp
from xpgrad.codegen.kernel_ir import Reduce


def owners(k: KernelBuilder, threads: int, tile: int) -> dict[Reduce, Owned]:
    """For each product of samples with features that threads or warps own what writes it."""
    found: dict[Reduce, Owned] = {}
    for nest in k.ir.nests:
        product = product_of(k, nest)
        if product is not None:
            kind = OwnedByWarp if product.samples_adjoin else OwnedByThread
            writer = kind(k, product, threads, tile)
            if writer.fits:
                found[product.s] = writer
    return found


def fewest(owned: Iterable[Owned]) -> int:
    """Samples that a tile has at least, however much it takes."""
    return 8 if any(isinstance(p, OwnedByThread) for p in owned) else 32


def sample_bytes(owned: Iterable[Owned]) -> int:
    """Of one sample in all arrays that these products read."""
    arrays = {
        (p.k.name(p.buffer), p.buffer.offset): p.product.feature.extent * p.buffer.dtype.itemsize for p in owned
    }
    return sum(arrays.values())
