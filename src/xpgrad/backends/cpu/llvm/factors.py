"""The operands of a register-blocked product, and the sizes of its blocks.

In:  arrays with their strides along each loop axis.
Out: addresses of entries; widths of blocks that fit into registers.
Holds: nothing here writes a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xpgrad.codegen.kernel_ir import Axis, Buffer, Index

SKINNY = 16
"""The most rows of a result whose number is written into the text of its kernel."""

AHEAD = 16
"""Rows of a large factor that are read column by column, which no hardware prefetcher follows: while they are
multiplied, as many of the next rows are prefetched."""

RUN, PAGE = 1024, 4096
"""The longest row of a large factor, in bytes, of which the rows that are read next are prefetched: a hardware
prefetcher hardly follows it, and stops at the end of a page. Of longer rows it needs no help, and the
instructions cost more than they save; less so beside the work of a result with more than `FEW` rows."""

FEW = 4
"""The most rows of a result that is added up in memory, row by row of the large factor."""

GROUP = 16
"""Blocks of rows that are multiplied with the same rows of the other factor, which stay in the L1 cache."""

FLUSHED = 32
"""The most products that are added up in the dtype, one after another, before they go to a float64 sum."""

UNFLUSHED = 512
"""The same for a result with an entry for each sample, which would not otherwise be added up in memory."""


class Blocks(NamedTuple):
    """The vectors of sums that are held in registers beside the factors.

    Attributes
    ----------
    outer, inner : int
        The vectors of sums in a block of outer or of inner products.
    square : int
        Rows of either factor in a block of inner products: among the blocks that fit, the one with the fewest
        loads.
    """

    outer: int
    inner: int
    square: int


BLOCKS = {32: Blocks(20, 25, 5), 8: Blocks(6, 6, 3), 4: Blocks(2, 2, 1)}
"""By the number of vectors of 64 bytes that the registers of a CPU hold."""


class Factor(NamedTuple):
    """One factor: its buffer, its index, the address of its first entry, its stride along each loop axis."""

    buffer: Buffer
    at: Index
    pointer: str
    steps: dict[Axis, str]

    def step(self, axis: Axis | None) -> str:
        return "0" if axis is None else self.steps.get(axis, "0")

    def contiguous(self, axis: Axis | None) -> bool:
        return axis is not None and self.steps.get(axis) == "1"


def parts_of(rows: int, most: int) -> list[int]:
    """``rows`` divided into parts of at most ``most``, as equal as possible."""
    parts = -(-rows // most)
    return [rows // parts + (k < rows % parts) for k in range(parts)]


def runs(widths: Sequence[int], apart: bool) -> list[tuple[int, int]]:
    """Equal widths one after another, as width and number; if ``apart``, the first is by itself.

    ``[3, 3, 3, 2]`` is ``[(3, 3), (2, 1)]``, or ``[(3, 1), (3, 2), (2, 1)]``.
    """
    found: list[tuple[int, int]] = []
    for width in widths:
        if found and found[-1][0] == width and not (apart and len(found) == 1 and found[0][1] == 1):
            found[-1] = width, found[-1][1] + 1
        else:
            found.append((width, 1))
    return found
