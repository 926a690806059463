"""What the blocks of a product are made of: its factors, its goal, and how large a block is.

In:  arrays with the distances of neighbours along each loop axis.
Out: where the entries lie; rows in parts that fit into registers.
Holds: nothing here writes a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Axis, Buffer, Index

SKINNY = 16
"""A result with so few rows has their number in the text of its kernel."""

AHEAD = 16
"""Rows of a large factor that are read column by column, where nothing would be fetched before it is asked
for: so many are worked on while as many are fetched."""

LONG = 512
"""Bytes of a row of a large factor, from which on the next tile's is fetched in any case; of shorter ones only
for results of more than `FEW` rows, in whose work the instructions vanish."""

FEW = 4
"""A result with so few rows is summed up in memory, row by row of the large factor."""

SQUARE = 5
"""An inner product holds so many rows of either factor: of the blocks that fit into 32 registers the one
that loads least."""

GROUP = 16
"""So many blocks of rows go past some rows of the other factor, which stay in the L1 cache meanwhile."""

FLUSHED = 32
"""So many products at most are added up in the dtype, one after another, before they go to a sum in float64."""

UNFLUSHED = 512
"""So many where there is a result for each sample, which would not otherwise be added up in memory."""

REGISTERS = 20
"""Vectors of sums that a block holds; 32 registers less those for the factors."""


class Factor(NamedTuple):
    """One factor: its buffer, where it is read, and the distance of neighbours along each loop axis."""

    buffer: Buffer
    at: Index
    pointer: str
    steps: dict[Axis, str]

    def step(self, axis: Axis | None) -> str:
        return "0" if axis is None else self.steps.get(axis, "0")

    def contiguous(self, axis: Axis | None) -> bool:
        return axis is not None and self.steps.get(axis) == "1"


class Goal(NamedTuple):
    """The result, or where it is added up in float64, and beside it what a sum of float64 has lost."""

    to: Factor
    lost: Factor | None = None

    def place(self, w: Writer, indices: Sequence[tuple[str, Axis | None]]) -> tuple[str, str]:
        """Where the entry at ``(index, axis)`` lies in both."""
        found = ["0", "0"]
        for k, factor in enumerate((self.to, self.lost)):
            for i, axis in indices if factor is not None else ():
                assert factor is not None
                found[k] = w.plus(found[k], w.times(i, factor.step(axis)))
        return found[0], found[1]


def widths_of(rows: int | None) -> list[int]:
    """How many rows go into one block: all, where they are few; else eights, then what is left one by one."""
    return [rows] if rows is not None else [8, 1]


def squarish(rows: int) -> list[int]:
    """``rows`` in parts of at most `SQUARE`, as equal as can be."""
    parts = -(-rows // SQUARE)
    return [rows // parts + (k < rows % parts) for k in range(parts)]
