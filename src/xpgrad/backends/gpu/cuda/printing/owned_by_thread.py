"""Products of samples whose features lie side by side: each thread owns a few features.

; z = X @ w and dw = X.T @ dz of a tile of X[n, 784], 256 threads with four features each
load w[4] of my features                                 ; before the first tile
for each tile:
    for each sample: z += my four of X . w               ; summed over a warp's lanes, then over the warps
    dz = ...                                             ; the other phases
    for each sample: dw[4] += my four of X * dz          ; X is still in the first cache
store dw[4]                                              ; after the last tile

In:  a Product.
Out: its text.
Holds: a thread reads 16 bytes of neighbouring features at a time, of several samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xpgrad.backends.gpu.cuda.printing.builder import ctype_of, strides_of
from xpgrad.backends.gpu.cuda.printing.layout import Text
from xpgrad.backends.gpu.cuda.printing.owned import AHEAD, Owned
from xpgrad.backends.gpu.cuda.printing.strips import BYTES

REGISTERS = 96
"""Registers at most for what is held by both products and for the samples that are on their way."""

TOGETHER = 16
"""Sums at most that the lanes of a warp exchange at once."""


class OwnedByThread(Owned):
    """Writes the product."""

    @property
    def wide(self) -> int:
        """Features that are one load."""
        return BYTES // self.buffer.dtype.itemsize

    @property
    def owned(self) -> int:
        """Features of one thread."""
        return -(-self.product.feature.extent // (self.threads * self.wide)) * self.wide

    @property
    def entries(self) -> int:
        return self.owned * self.count

    @property
    def registers(self) -> int:
        return self.entries * self.words

    @property
    def ahead(self) -> int:
        """Samples that are fetched together."""
        ahead = AHEAD
        while ahead > 1 and ahead * self.owned * self.words + 2 * self.registers > REGISTERS:
            ahead //= 2
        return ahead

    def _declare(self, w: Text) -> None:
        w(f"{self.ctype} {self.held}[{self.entries}];")
        w(f"const bool wide_{self.held} = {self._aligned()};")
        if not self.product.sums_features:
            self._forget(w)
            return
        with self._owned_entries(w) as (entry, is_mine):
            w(f"{entry} = {is_mine} ? {self._other()} : 0;")

    @contextmanager
    def _owned_entries(self, w: Text) -> Iterator[tuple[str, str]]:
        wide = self.wide
        w("#pragma unroll")
        with w.block(f"for (int k = 0; k < {self.owned}; ++k)"):
            mine = f"(k / {wide} * (long long)threads + thread) * {wide} + k % {wide}"
            w(f"const long long {self.feature} = {mine};")
            with self.k.loops(w, self.shorts):
                yield f"{self.held}[{self._place()}]", f"{self.feature} < {self.features}"

    def _over_features(self, w: Text) -> None:
        parts, count, ahead = self.parts, self.count, self.ahead
        assert parts is not None
        together = max(n for n in (1, 2, 4, 8) if n == 1 or (n <= ahead and n * count <= TOGETHER))
        with w.block(f"for (int u = 0; u < m; u += {ahead})"):
            x, part = self._fetch(w), w.fresh("part")
            w("#pragma unroll")
            with w.block(f"for (int h = 0; h < {ahead}; h += {together})"):
                w(f"{self.ctype} {part}[{together * count}];")
                w("#pragma unroll")
                w(f"for (int k = 0; k < {together * count}; ++k) {part}[k] = 0;")
                for head in (f"int s = 0; s < {together}; ++s", f"int k = 0; k < {self.owned}; ++k"):
                    w("#pragma unroll")
                    w(f"for ({head})")
                with w.block(""), self.k.loops(w, self.shorts):
                    at, factor = f"{part}[s * {count} + {self._entry()}]", f"{self.held}[{self._place()}]"
                    w(f"{at} = xg::fma({self._sample(f'{x}[h + s][k]')}, {factor}, {at});")
                at = f"{self.k.name(parts)}[(warp * {self.tile} + u + h) * {count} + k]"
                write = f"[&](int k, {self.ctype} a) {{ if (u + h + k / {count} < m) {at} = a; }}"
                w(f"xg::warp_totals<xg::Sum>({part}, {write});")

    def _over_samples(self, w: Text) -> None:
        ahead = self.ahead
        with w.block(f"for (int u = 0; u < m; u += {ahead})"):
            x = self._fetch(w)
            w("#pragma unroll")
            with w.block(f"for (int s = 0; s < {ahead}; ++s)"), w.block("if (u + s < m)"):
                w("const long long t = u + s, g = begin + t;")
                with self.k.loops(w, self.shorts):
                    other = w.fresh()
                    w(f"const {self.ctype} {other} = {self._other()};")
                    w("#pragma unroll")
                    with w.block(f"for (int k = 0; k < {self.owned}; ++k)"):
                        at = f"{self.held}[{self._place()}]"
                        w(f"{at} = xg::fma({self._sample(f'{x}[s][k]')}, {other}, {at});")

    def _fetch(self, w: Text) -> str:
        """Registers with this thread's features of the samples from ``u`` on; 0 beyond the ends."""
        buffer, wide, owned, ahead = self.buffer, self.wide, self.owned, self.ahead
        x, i, n = w.fresh("x"), self.feature, self.features
        w(f"{ctype_of(buffer)} {x}[{ahead}][{owned}];")
        w("#pragma unroll")
        with w.block(f"for (int s = 0; s < {ahead}; ++s)"):
            w("const long long t = u + s, g = begin + t;")
            w("#pragma unroll")
            with w.block(f"for (int r = 0; r < {owned // wide}; ++r)"):
                w(f"const long long {i} = ((long long)r * threads + thread) * {wide};")
                from_here = f"{self.k.name(buffer)} + {self._address()}"
                with w.block(f"if (t < m && wide_{self.held} && {i} + {wide} <= {n})"):
                    w(f"xg::load<{wide}, {wide}>({x}[s] + r * {wide}, {from_here});")
                with w.block("else"):
                    w("#pragma unroll")
                    with w.block(f"for (int k = 0; k < {wide}; ++k)"):
                        w(f"{ctype_of(buffer)} found{{}};")
                        w(f"if (t < m && {i} + k < {n}) found = *({from_here} + k);")
                        w(f"{x}[s][r * {wide} + k] = found;")
        return x

    def _place(self) -> str:
        """Where the entry of the ``k``-th feature is held."""
        return f"k * {self.count} + {self._entry()}"

    def _aligned(self) -> str:
        k, buffer, size = self.k, self.buffer, self.buffer.dtype.itemsize
        begin = " + ".join([k.name(buffer), *k.beginning(buffer)])
        (along,) = (a for a, p in enumerate(self.product.samples.at) if p.axis is k.tile_axis)
        step = k.distance(buffer, strides_of(buffer)[along])
        return f"((long long)({begin}) | {step} * {size}) % {self.wide * size} == 0"
