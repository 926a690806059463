"""A product with very few rows of result, in the memory order of the large factor.

    for r in 0..n step 8:                              ; eight rows of V at once
        for v in 0..m step 16:
            y[v : v + 16] += S[r] * V[r][v : v + 16] + ... + S[r + 7] * V[r + 7][v : v + 16]

A few rows of the large factor at a time are read from end to end, which hardware prefetchers follow. The result
is read and written again each time, in the L1 cache.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.backends.cpu.llvm.factors import Factor
from xpgrad.backends.cpu.llvm.vectors import multiply_add, spread, zero
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Axis


def rows_at_once(rows: int) -> int:
    """The rows of the large factor that are read at once, if the result has ``rows``."""
    return max(1, 8 // rows)


class Streams(NamedTuple):
    """Writes the loops. ``axes``: of the result's vectors, of its ``rows``, and the contracted one."""

    ctype: str
    lanes: int
    axes: tuple[Axis | None, Axis | None, Axis | None]
    rows: int

    def write(
        self, w: Writer, vectors: Factor, scalars: Factor, to: Factor, extents: tuple[str, str], beyond: str
    ) -> None:
        """Write them; ``extents``: of the first and the last axis. Entries ``beyond`` are prefetched."""
        n_v, n_r = extents
        _, across, reduced = self.axes
        for i in range(self.rows):
            with w.loop(n_v) as v:
                place = w.plus(w.times(str(i), to.step(across)), v)
                w.store(self.ctype, zero(self.ctype), to.pointer, place)
        done = "0"
        for deep in dict.fromkeys((rows_at_once(self.rows), 1)):
            whole = w.plus(done, w.times(w.op(f"sdiv i64 {w.minus(n_r, done)}, {deep}"), str(deep)))
            with w.loop(whole, done, str(deep)) as r:
                at = [w.plus(r, str(d)) for d in range(deep)]
                lines = [w.at(self.ctype, vectors.pointer, w.times(k, vectors.step(reduced))) for k in at]
                scales = [self._scales(w, scalars, str(i), at) for i in range(self.rows)]
                self._add_rows(w, lines, scales, to, n_v, beyond)
            done = whole

    def _scales(self, w: Writer, scalars: Factor, row: str, at: list[str]) -> list[str]:
        """The entries of the small factor by which the rows ``at`` are multiplied."""
        _, across, reduced = self.axes
        offset = w.times(row, scalars.step(across))
        return [
            w.load(self.ctype, scalars.pointer, w.plus(offset, w.times(k, scalars.step(reduced)))) for k in at
        ]

    def _add_rows(
        self, w: Writer, lines: list[str], scales: list[list[str]], to: Factor, n_v: str, beyond: str
    ) -> None:
        """Add the products of some rows to the result."""
        lanes, kind = self.lanes, f"<{self.lanes} x {self.ctype}>"
        every = [[spread(w, kind, lanes, self.ctype, x) for x in line] for line in scales]
        for v, mask in w.vectors(n_v, lanes):
            values = [w.load(self.ctype, line, v, lanes, mask) for line in lines]
            for line in lines if beyond and not mask else ():
                w.prefetch(w.at(self.ctype, line, w.plus(beyond, v)))
            for i, factors in enumerate(every):
                place = w.plus(w.times(str(i), to.step(self.axes[1])), v)
                held = w.load(self.ctype, to.pointer, place, lanes, mask)
                first, *rest = zip(factors, values, strict=True)
                total = w.op(f"fmul {kind} {first[0]}, {first[1]}") if rest else held
                for x, y in rest or [first]:
                    total = multiply_add(w, kind, x, y, total)
                if rest:
                    total = w.op(f"fadd {kind} {held}, {total}")
                w.store(self.ctype, total, to.pointer, place, lanes, mask)
