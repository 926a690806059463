"""The loops of a register-blocked product, inner or outer.

; inner, for 2 x 3 entries of the result           ; outer, for 3 rows of 2 vectors
for r in 0..n step 16:                             for r in 0..n:
    sum[a][b] += P[a][r:r+16] * Q[b][r:r+16]           sum[a][b] += S[a, r] * V[r][16 b : 16 b + 16]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

from xpgrad.backends.cpu.llvm.build import vectors_in_registers
from xpgrad.backends.cpu.llvm.builder import VECTOR_BYTES, KernelBuilder
from xpgrad.backends.cpu.llvm.factors import (
    AHEAD,
    BLOCKS,
    FEW,
    FLUSHED,
    GROUP,
    PAGE,
    RUN,
    SKINNY,
    UNFLUSHED,
    Factor,
    parts_of,
    runs,
)
from xpgrad.backends.cpu.llvm.results import Result
from xpgrad.backends.cpu.llvm.scalars import ctype_of
from xpgrad.backends.cpu.llvm.streams import Streams, rows_at_once
from xpgrad.backends.cpu.llvm.vectors import fma, spread, zero
from xpgrad.backends.cpu.llvm.writer import SIZES, SUFFIXES, Writer
from xpgrad.codegen.kernel_ir import Axis, Load, LoopNest, Reduce
from xpgrad.core import Value
from xpgrad.plan.tiles import looked_into


class RegisterBlocking:
    """Writes the loops of one product.

    ``axes`` are the two axes of the result and the contracted one; None if there is no such axis.
    """

    def __init__(
        self,
        k: KernelBuilder,
        nest: LoopNest,
        s: Reduce,
        axes: Sequence[Axis | None],
        loads: Sequence[Load],
        along: Axis | None,
    ) -> None:
        self.k, self.nest, self.s = k, nest, s
        self.p, self.q, self.r = axes
        self.along, self.is_inner = along, along is self.r
        self.ctype = ctype_of(s.node.dtype) or ""
        self.lanes = VECTOR_BYTES // SIZES[self.ctype]
        self.blocks = BLOCKS[vectors_in_registers()]
        can = not self.is_inner and self._can_stream(loads)
        self.streams = can and not self._adds(rows_at_once(self._rows(self._across) or 1))
        self.adds = not self.streams and self._adds(self.lanes if self.is_inner else 1)
        self.streams_apart = can and self.adds

    def _extent(self, w: Writer, axis: Axis | None) -> str:
        return "1" if axis is None else self.k.extent(w, axis)

    def _rows(self, axis: Axis | None) -> int | None:
        """The number of rows, if it is small enough to be written into the text."""
        if axis is None:
            return 1
        n = self.k.length(axis)
        return n if not axis.is_tile and n <= SKINNY else None

    @property
    def _across(self) -> Axis | None:
        """The axis of the result that vectors do not run along, if products are outer."""
        return self.p if self.along is not None and self.along is self.q else self.q

    def _can_stream(self, loads: Sequence[Load]) -> bool:
        """Whether the result has few rows, and they and the large factor are contiguous along `along`."""
        rows = self._rows(self._across)
        if rows is None or rows > FEW:
            return False
        vectors = loads[1 if self.along is not None and self.along is self.q else 0]
        w = Writer("", [])
        places = ((vectors.buffer, vectors.at), (self.s.buffer, self.s.at))
        return all(self.along is not None and self.k.steps(w, *x).get(self.along) == "1" for x in places)

    def _adds(self, at_once: int) -> bool:
        """Whether the result is added up in memory, after every few products.

        It is if the tile axis is contracted, or an axis so long that a sum in the dtype would lose much.
        ``at_once`` products are added up by themselves, before they are added to that sum.
        """
        if self.s.buffer.space == "partial":
            return True
        if self.r is None or self.r.is_tile:
            return False
        once = not any(e is not None and e.is_tile for e in (self.p, self.q))
        return self.k.length(self.r) > at_once * (FLUSHED if once else UNFLUSHED)

    def write(self, w: Writer, factors: list[Factor], goal: Result, stretch: Factor | None) -> None:
        """Inner products along the contracted axis, or outer ones along another.

        ``stretch`` is a result in the dtype, for `streams_apart`: each stretch of rows is added up in it.
        """
        if self.is_inner:
            self._inner(w, factors, goal)
        else:
            self._outer(w, factors, goal, stretch)

    @contextmanager
    def _stretches(
        self, w: Writer, factors: list[Factor], length: int, apart: bool
    ) -> Iterator[tuple[list[Factor], str]]:
        n_r = self._extent(w, self.r)
        if not apart:
            yield factors, n_r
            return
        with w.loop(n_r, "0", str(length)) as r:
            here = w.least(w.minus(n_r, r), str(length))
            yield (
                [f._replace(pointer=w.at(self.ctype, f.pointer, w.times(r, f.step(self.r)))) for f in factors],
                here,
            )

    def _inner(self, w: Writer, factors: list[Factor], goal: Result) -> None:
        """``sum[a][b] += P[a][r] * Q[b][r]``, blocks of ``a`` by ``b``.

        A block of rows of the large factor is read to its end before the next: rows that lie one after another
        are read in the order of memory.
        """
        few, many = (self.p, self.q), (self.q, self.p)
        # A block has all rows of the side with few rows, and as many of the other side as registers allow.
        side = 0 if (self._rows(self.p) or SKINNY + 1) <= (self._rows(self.q) or SKINNY + 1) else 1
        held, run = few[side], many[side]
        n_held, n_run, rows = self._extent(w, held), self._extent(w, run), self._rows(held)
        most = self.blocks.square
        widths = parts_of(rows, most) if rows is not None else [most, *[1][: most - 1]]
        count = max(1, min(8, self.blocks.inner // widths[0]))
        done = "0"
        for block in dict.fromkeys((count, 1)):
            whole = w.plus(done, w.times(w.op(f"sdiv i64 {w.minus(n_run, done)}, {block}"), str(block)))
            # With one block of the held side nothing is read twice, so that no group need stay in the cache.
            group = block if len(widths) == 1 and rows is not None else block * GROUP
            with w.loop(whole, done, str(group)) as g:
                end = w.least(w.plus(g, str(group)), whole)
                with self._stretches(w, factors, self.lanes * FLUSHED, self.adds) as (parts, n_r):
                    pair = (parts[side], parts[1 - side])
                    self._inner_group(w, pair, goal, (held, run), (n_held, widths, rows), (g, end, block), n_r)
            done = whole

    def _inner_group(
        self,
        w: Writer,
        pair: tuple[Factor, Factor],
        goal: Result,
        axes: tuple[Axis | None, Axis | None],
        of_held: tuple[str, list[int], int | None],
        of_run: tuple[str, str, int],
        n_r: str,
    ) -> None:
        """All rows of the held side with the rows ``of_run``: begin, end, and how many at a time."""
        (n_held, widths, rows), (begin, end, block) = of_held, of_run
        start = "0"
        fetches = block > 1 and self._in_short_runs(pair[1], self.r, rows)
        for width, number in runs(widths, fetches):
            if rows is not None:
                stop = w.op(f"add i64 {start}, {width * number}")
            else:  # the number of rows is an argument: as many blocks of this width as fit
                room = w.op(f"sdiv i64 {w.minus(n_held, start)}, {width}")
                stop = w.plus(start, w.times(room, str(width)))
            with w.loop(stop, start, str(width)) as h, w.loop(end, begin, str(block)) as b:
                ahead = w.times(pair[1].step(axes[1]), str(block)) if fetches and start == "0" else ""
                self._inner_block(w, *pair, goal, axes, (h, b), (width, block), n_r, ahead)
            start = stop

    def _inner_block(
        self,
        w: Writer,
        held: Factor,
        run: Factor,
        goal: Result,
        axes: tuple[Axis | None, Axis | None],
        at: tuple[str, str],
        shape: tuple[int, int],
        n_r: str,
        ahead: str,
    ) -> None:
        """One block; ``ahead`` is the distance to the next block of the large factor, which is prefetched."""
        lanes, ctype = self.lanes, self.ctype
        rows = [
            [w.at(ctype, f.pointer, w.times(w.plus(at[s], str(i)), f.step(axes[s]))) for i in range(shape[s])]
            for s, f in ((0, held), (1, run))
        ]
        sums = [[w.local(f"<{lanes} x {ctype}>") for _ in range(shape[1])] for _ in range(shape[0])]
        kind = f"<{lanes} x {ctype}>"
        for vector in (v for line in sums for v in line):
            w.do(f"store {kind} zeroinitializer, ptr {vector}")
        whole = w.times(w.op(f"sdiv i64 {n_r}, {lanes}"), str(lanes))
        for begin, end, is_rest in (("0", whole, False), (whole, n_r, True)):
            with w.loop(end, begin, str(lanes), unroll=False) as r:
                mask = w.first_lanes(w.minus(n_r, r), lanes) if is_rest else ""
                values = [[w.load(ctype, p, r, lanes, mask) for p in line] for line in rows]
                if ahead and not is_rest:
                    for p in rows[1]:
                        w.prefetch(w.at(ctype, p, w.plus(r, ahead)))
                for i, x in enumerate(values[0]):
                    for j, y in enumerate(values[1]):
                        fma(w, kind, x, y, sums[i][j])
        for i in range(shape[0]):
            for j in range(shape[1]):
                vector = w.op(f"load {kind}, ptr {sums[i][j]}")
                add = f"@llvm.vector.reduce.fadd.v{lanes}{SUFFIXES[ctype]}"
                total = w.op(f"call reassoc {ctype} {add}({ctype} {zero(ctype)}, {kind} {vector})")
                place = goal.place(w, [(w.plus(at[0], str(i)), axes[0]), (w.plus(at[1], str(j)), axes[1])])
                goal.put(w, total, place)

    def _outer(self, w: Writer, factors: list[Factor], goal: Result, stretch: Factor | None) -> None:
        """``sum[a][v] += S[a, r] * V[r][v]``, vectors along ``v``, blocks of ``a`` by several vectors."""
        along, across = self.along, self._across
        side = 1 if along is not None and along is self.q else 0
        vectors, scalars = factors[side], factors[1 - side]
        rows = self._rows(across)
        if self.streams or stretch is not None:
            streams = Streams(self.ctype, self.lanes, (along, across, self.r), rows or 1)
            beyond = self._next_rows(w, vectors)
            n_v, length = self._extent(w, along), FLUSHED * rows_at_once(streams.rows)
            with self._stretches(w, [vectors, scalars], length, stretch is not None) as found:
                (vectors, scalars), n_r = found
                streams.write(w, vectors, scalars, stretch or goal.to, (n_v, n_r), beyond)
                if stretch is not None:
                    goal.put_all(w, stretch, (along, across), streams.rows, n_v)
            return
        ahead = rows is not None and self._contracts_tile and self._is_first_to_read(vectors)
        apart = ahead or self.adds
        with self._stretches(w, [vectors, scalars], AHEAD if ahead else FLUSHED, apart) as found:
            parts, n_r = found
            self._columns(w, parts[0], parts[1], goal, (along, across), rows, n_r, ahead)

    def _columns(
        self,
        w: Writer,
        vectors: Factor,
        scalars: Factor,
        goal: Result,
        axes: tuple[Axis | None, Axis | None],
        rows: int | None,
        n_r: str,
        ahead: bool = False,
    ) -> None:
        """The blocks of `outer`, down the columns; ``ahead``: the rows that follow are prefetched."""
        along, across = axes
        n_v, n_a = self._extent(w, along), self._extent(w, across)
        start = "0"
        most = self.blocks.outer
        widths = parts_of(rows, most) if rows is not None else [min(8, most), 1]
        for width, number in runs(widths, ahead):
            if rows is not None:
                stop = w.op(f"add i64 {start}, {width * number}")
            else:
                stop = w.plus(start, w.times(w.op(f"sdiv i64 {w.minus(n_a, start)}, {width}"), str(width)))
            count = max(1, min(8, most // width))
            with w.loop(stop, start, str(width)) as a:
                for v, lanes, block, mask in self._columns_of(w, vectors, goal, count, n_v):
                    if ahead and start == "0" and block == count:
                        self._fetch_ahead(w, vectors, v, lanes * block, n_v, n_r)
                    self._outer_block(w, vectors, scalars, goal, axes, (v, a), (lanes, block, width), n_r, mask)
            start = stop

    def _columns_of(
        self, w: Writer, vectors: Factor, goal: Result, count: int, n_v: str
    ) -> Iterator[tuple[str, int, int, str]]:
        """Loops over the columns: the first one, the lanes of a vector, the number of vectors, and a mask."""
        if not (vectors.contiguous(self.along) and goal.contiguous(self.along)):
            with w.loop(n_v) as v:
                yield v, 1, 1, ""
            return
        size = self.lanes * count
        whole = w.times(w.op(f"sdiv i64 {n_v}, {size}"), str(size))
        if count > 1:
            with w.loop(whole, "0", str(size)) as v:
                yield v, self.lanes, count, ""
        for v, mask in w.vectors(n_v, self.lanes, whole if count > 1 else "0"):
            yield v, self.lanes, 1, mask

    def _is_first_to_read(self, factor: Factor) -> bool:
        """Whether it is an array in memory that no earlier nest has read."""
        source = factor.buffer.source
        if not isinstance(source, Value) or factor.buffer.space != "memory":
            return False
        before = takewhile(lambda nest: nest is not self.nest, self.k.ir.nests)
        read = [x.buffer.source for nest in before for x in nest.loads() if x.buffer.space != "workspace"]
        return looked_into(source) not in map(looked_into, read)

    @property
    def _contracts_tile(self) -> bool:
        return self.r is not None and self.r.is_tile

    def _in_short_runs(self, factor: Factor, along: Axis | None, rows: int | None) -> bool:
        """Whether the next rows of ``factor``, which come from memory, are prefetched for so many rows."""
        size = SIZES[self.ctype] * (1 if along is None else self.k.length(along))
        return size <= (RUN if rows is not None and rows <= FEW else PAGE) and self._is_first_to_read(factor)

    def _next_rows(self, w: Writer, factor: Factor) -> str:
        """The prefetch distance to the rows that are read next, if they are short, or ""."""
        rows = self._rows(self._across) or 1
        if self._contracts_tile or not self._in_short_runs(factor, self.along, rows):
            return ""
        return w.times(str(rows_at_once(rows)), factor.step(self.r))

    def _fetch_ahead(self, w: Writer, factor: Factor, v: str, size: int, n_v: str, n_r: str) -> None:
        """Prefetch a part of the next rows, in proportion to the columns v to v + size."""
        share = w.op(f"sdiv i64 {w.plus(w.times(n_r, str(size)), w.minus(n_v, '1'))}, {n_v}")
        begin = w.times(w.op(f"sdiv i64 {v}, {size}"), share)
        end = w.op(f"call i64 @llvm.smin.i64(i64 {w.plus(begin, share)}, i64 {n_r})")
        with w.loop(end, begin) as row:
            line = w.at(self.ctype, factor.pointer, w.times(w.plus(row, n_r), factor.step(self.r)))
            with w.loop(n_v, "0", str(64 // SIZES[self.ctype])) as column:
                w.prefetch(w.at(self.ctype, line, column))

    def _outer_block(
        self,
        w: Writer,
        vectors: Factor,
        scalars: Factor,
        goal: Result,
        axes: tuple[Axis | None, Axis | None],
        at: tuple[str, str],
        shape: tuple[int, int, int],
        n_r: str,
        mask: str,
    ) -> None:
        lanes, block, width = shape
        ctype = self.ctype
        kind = f"<{lanes} x {ctype}>" if lanes > 1 else ctype
        along, across = axes
        sums = [[w.local(kind) for _ in range(block)] for _ in range(width)]
        for line in sums:
            for s in line:
                w.do(f"store {kind} {'zeroinitializer' if lanes > 1 else zero(ctype)}, ptr {s}")
        first = w.at(ctype, vectors.pointer, w.times(at[0], vectors.step(along)))
        rows = [
            w.at(ctype, scalars.pointer, w.times(w.plus(at[1], str(i)), scalars.step(across)))
            for i in range(width)
        ]
        with w.loop(n_r, unroll=lanes * width == 1) as r:
            line_at = w.at(ctype, first, w.times(r, vectors.step(self.r)))
            values = [w.load(ctype, line_at, str(b * lanes), lanes, mask) for b in range(block)]
            for i, row in enumerate(rows):
                s = w.load(ctype, row, w.times(r, scalars.step(self.r)))
                s = spread(w, kind, lanes, ctype, s)
                for b, v in enumerate(values):
                    fma(w, kind, s, v, sums[i][b])
        for i in range(width):
            for b in range(block):
                place = goal.place(w, [(w.plus(at[1], str(i)), across), (w.plus(at[0], str(b * lanes)), along)])
                total = w.op(f"load {kind}, ptr {sums[i][b]}")
                if lanes == 1:
                    goal.put(w, total, place)
                else:
                    goal.put_vector(w, total, place, mask)
