"""A register-blocked contraction with a skinny result, as a function.

The factors are ``P[p, r]`` and ``Q[r, q]``. The large factor decides the axis that vectors run along: if the
contracted axis is contiguous in it, the products are *inner* (a vector of partial sums for each entry of the
result); if another is, they are *outer* (a vector of results, to which scaled vectors of that factor are
added). `register_blocking` writes either.
"""

from __future__ import annotations

from xpgrad.backends.cpu.llvm.builder import Call, KernelBuilder, Piece
from xpgrad.backends.cpu.llvm.factors import Factor
from xpgrad.backends.cpu.llvm.loops import InMemory, in_memory, write_loop
from xpgrad.backends.cpu.llvm.register_blocking import RegisterBlocking
from xpgrad.backends.cpu.llvm.results import Result
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Axis, Index, Load, LoopNest, Store, index_axes, reduced_axes
from xpgrad.plan.loop_nests import AffineIndex

PACKED = 1 << 16
"""The most entries of a factor that is copied so that another of its axes is contiguous."""

BRIEF_SUM = 64
"""The most products of a sum whose vector costs more to add up than the products. Where a factor is contiguous
along such an axis, and many rows are multiplied with it, it is copied so that vectors run along the result."""

MANY_ROWS = 4
"""The rows from which on that copy takes less time than it saves."""


def write_matmul(k: KernelBuilder, nest: LoopNest, name: str) -> Piece:
    """The functions of ``nest``, and the calls of them."""
    return _Matmul(k, nest, name).piece()


class _Matmul:
    def __init__(self, k: KernelBuilder, nest: LoopNest, name: str) -> None:
        self.k, self.nest, self.name = k, nest, name
        (self.s,) = nest.reductions()
        assert self.s.factors is not None
        self.factors = [x for x in self.s.factors if isinstance(x, Load)]
        assert len(self.factors) == 2, "a scalar is no factor of a contraction"
        node, index = self.s.node, self.s.at
        self.p = index[0].axis if node.operands[0].ndim == 2 else None
        self.q = index[-1].axis if node.operands[1].ndim == 2 else None
        self.r = next(iter(reduced_axes(self.s, nest)), None)
        self.packs: list[tuple[Piece, bool]] = []
        self.turned: int | None = None  # the factor that is copied so that vectors run along the result

    def piece(self) -> Piece:
        k, s = self.k, self.s
        if 0 in s.node.shape:
            self._lay_out(None)
            return Piece([], [], [])
        units = [_unit(x) for x in self.factors]
        along = self._vector(units)
        if along is self.r:
            self.factors = [
                x if unit is self.r else self._packed(x, which, (0, 1))
                for which, (x, unit) in enumerate(zip(self.factors, units, strict=True))
            ]
        elif self.turned is not None:
            self.factors[self.turned] = self._packed(self.factors[self.turned], self.turned, (1, 0))
        tile = next((e for e in (self.q, self.p) if e is not None and e.is_tile), None)
        inner = tile if along is self.r else along
        self._lay_out(inner if inner is not None else self.q if self.q is not None else self.p)
        blocks = RegisterBlocking(k, self.nest, s, (self.p, self.q, self.r), self.factors, along)
        around = InMemory(s.buffer, None, [], [])
        if blocks.adds:
            around = in_memory(k, s, self.name)
        pointers = [(x.buffer, x.at) for x in self.factors]
        pointers += [(b, s.at) for b in (around.to, around.lost) if b is not None]
        results = len(pointers)
        if blocks.streams_apart:
            order = sorted(range(len(s.at)), key=lambda a: s.at[a].axis is along)
            pointers.append((k.workspace(("stretch", s.node), s.at, s.node.dtype, order), s.at))
        w = Writer(self.name, ["ptr %args", "i64 %tile", *[f"ptr noalias %p{i}" for i in range(len(pointers))]])
        read = [Factor(b, at, f"%p{i}", k.steps(w, b, at)) for i, (b, at) in enumerate(pointers)]
        lost = read[3] if around.lost is not None else None
        goal = Result(read[2], lost, blocks.ctype, blocks.adds, blocks.lanes)
        blocks.write(w, read[:2], goal, next(iter(read[results:]), None))
        here = [p for p, each in self.packs if each]
        once = [p for p, each in self.packs if not each]
        return around.around(
            Piece(
                [*(f for p in (*here, *once) for f in p.functions), w],
                [*(c for p in here for c in p.calls), Call(self.name, pointers)],
                [c for p in once for c in p.calls],
            )
        )

    def _lay_out(self, inner: Axis | None) -> None:
        if self.s.buffer.space == "partial":
            self.k.lay_out_partial(self.s, inner)
        self.k.lay_out(self.s.buffer, self.s.at, inner)

    # ── the choice of the axis that vectors run along ────────────────────────────────────────
    def _vector(self, units: list[Axis | None]) -> Axis | None:
        """The axis that vectors run along: it is contiguous in the larger factor."""
        k = self.k
        sizes = [(x.buffer.space == "memory", self._size(x.at)) for x in self.factors]
        for i in sorted(range(2), key=sizes.__getitem__, reverse=True):
            unit = units[i]
            if unit is not None and k.length(unit) > 1:
                if unit is self.r and self._turns(i):
                    self.turned = i
                    return self.p if i == 0 else self.q
                if unit is self.r and not self._can_pack(1 - i, units):
                    continue
                return unit
        return self.q if self.q is not None else self.p

    def _turns(self, i: int) -> bool:
        """Whether factor ``i``, contiguous along a contracted axis that is short, is copied."""
        along, across = (self.p, self.q) if i == 0 else (self.q, self.p)
        if self.r is None or along is None or across is None or self.k.length(self.r) > BRIEF_SUM:
            return False
        if self.k.length(along) < BRIEF_SUM or self.k.length(across) < MANY_ROWS:
            return False
        index = self.factors[i].at
        return not any(e.is_tile for e in index_axes(index)) and self._size(index) <= PACKED

    def _size(self, index: Index) -> int:
        size = 1
        for e in index_axes(index):
            size *= self.k.length(e)
        return size

    def _can_pack(self, i: int, units: list[Axis | None]) -> bool:
        """Whether factor ``i`` is contiguous along the contracted axis, or small enough to be packed."""
        if units[i] is self.r:
            return True
        index = self.factors[i].at
        return not any(e.is_tile for e in index_axes(index)) and self._size(index) <= PACKED

    def _packed(self, x: Load, which: int, order: tuple[int, int]) -> Load:
        """The factor packed, once before the tiles if possible; ``order`` is of its axis and the contracted."""
        # Along an axis that it broadcasts over, one row is all.
        other = self.p if which == 0 else self.q
        found = index_axes(x.at)
        index = AffineIndex(other if other in found else None), AffineIndex(self.r)
        to = self.k.workspace(("packed", self.s.node, which), index, self.s.node.dtype, order)
        copy = LoopNest("copy", index_axes(index), [Store(to, index, x)])
        each = x.buffer.space != "memory" or (self.r is not None and self.r.is_tile)
        self.packs.append((write_loop(self.k, copy, f"{self.name}.pack{which}"), each))
        return Load(to, index)


def _unit(x: Load) -> Axis | None:
    a = x.buffer.unit
    return None if a is None or x.at[a].step != 1 else x.at[a].axis
