"""Register-tiled matmuls by thread, for contiguous features: each thread holds a few features.

; z = X @ w and dw = X.T @ dz of a tile of X[n, 784], 256 threads with four features each
load w[4] of my features                                 ; before the first tile
for each tile:
    for each sample: z += my four of X . w               ; summed over a warp's lanes, then over the warps
    dz = ...                                             ; the other phases
    for each sample: dw[4] += my four of X * dz          ; X is still in the L1 cache
store dw[4]                                              ; after the last tile

In:  a SampleMatmul.
Out: its text.
Holds: a thread loads 16 bytes of neighbouring features at once, of several samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xpgrad.backends.gpu.cuda.printing.builder import ctype_of, strides_of
from xpgrad.backends.gpu.cuda.printing.layout import Text
from xpgrad.backends.gpu.cuda.printing.matmul import RegisterMatmul
from xpgrad.backends.gpu.limits import LOAD_BYTES


class MatmulByThread(RegisterMatmul):
    """Writes the matmul."""

    form = "a matmul by thread"

    @property
    def least_tile(self) -> int:
        return self.k.limits.matmul_tile

    @property
    def width(self) -> int:
        """Features per load."""
        return LOAD_BYTES // self.buffer.dtype.itemsize

    @property
    def per_thread(self) -> int:
        """Features per thread."""
        return -(-self.product.feature.extent // (self.threads * self.width)) * self.width

    @property
    def entries(self) -> int:
        return self.per_thread * self.count

    @property
    def register_count(self) -> int:
        return self.entries * self.words

    @property
    def ahead(self) -> int:
        """Samples that are loaded together."""
        ahead, left = self.k.limits.matmul_samples, self.k.limits.matmul_loads - 2 * self.register_count
        while ahead > 1 and ahead * self.per_thread * self.words > left:
            ahead //= 2
        return ahead

    def _declare(self, w: Text) -> None:
        w(f"{self.ctype} {self.held}[{self.entries}];")
        w(f"const bool aligned_{self.held} = {self._aligned()};")
        if not self.product.sums_features:
            self._clear(w)
            return
        with self._held_entries(w) as (entry, is_mine):
            w(f"{entry} = {is_mine} ? {self._other()} : 0;")

    @contextmanager
    def _held_entries(self, w: Text) -> Iterator[tuple[str, str]]:
        width = self.width
        w("#pragma unroll")
        with w.block(f"for (int k = 0; k < {self.per_thread}; ++k)"):
            mine = f"(k / {width} * (long long)threads + thread) * {width} + k % {width}"
            w(f"const long long {self.feature} = {mine};")
            with self.k.loops(w, self.shorts):
                yield f"{self.held}[{self._place()}]", f"{self.feature} < {self.features}"

    def _over_features(self, w: Text) -> None:
        partial, count, ahead = self.partial, self.count, self.ahead
        assert partial is not None
        most = min(ahead, self.k.limits.matmul_totals // count)
        together = max(n for n in (1, 2, 4, 8) if n == 1 or n <= most)
        with w.block(f"for (int u = 0; u < m; u += {ahead})"):
            x, part = self._fetch(w), w.fresh("part")
            w("#pragma unroll")
            with w.block(f"for (int h = 0; h < {ahead}; h += {together})"):
                w(f"{self.ctype} {part}[{together * count}];")
                w("#pragma unroll")
                w(f"for (int k = 0; k < {together * count}; ++k) {part}[k] = 0;")
                for head in (f"int s = 0; s < {together}; ++s", f"int k = 0; k < {self.per_thread}; ++k"):
                    w("#pragma unroll")
                    w(f"for ({head})")
                with w.block(""), self.k.loops(w, self.shorts):
                    at, factor = f"{part}[s * {count} + {self._entry()}]", f"{self.held}[{self._place()}]"
                    w(f"{at} = xg::fma({self._sample(f'{x}[h + s][k]')}, {factor}, {at});")
                at = f"{self.k.name(partial)}[(warp * {self.tile} + u + h) * {count} + k]"
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
                    with w.block(f"for (int k = 0; k < {self.per_thread}; ++k)"):
                        at = f"{self.held}[{self._place()}]"
                        w(f"{at} = xg::fma({self._sample(f'{x}[s][k]')}, {other}, {at});")

    def _fetch(self, w: Text) -> str:
        """Load this thread's features of the samples from ``u`` on into registers; 0 beyond the ends."""
        buffer, width, per_thread, ahead = self.buffer, self.width, self.per_thread, self.ahead
        x, i, n = w.fresh("x"), self.feature, self.features
        w(f"{ctype_of(buffer)} {x}[{ahead}][{per_thread}];")
        w("#pragma unroll")
        with w.block(f"for (int s = 0; s < {ahead}; ++s)"):
            w("const long long t = u + s, g = begin + t;")
            w("#pragma unroll")
            with w.block(f"for (int r = 0; r < {per_thread // width}; ++r)"):
                w(f"const long long {i} = ((long long)r * threads + thread) * {width};")
                from_here = f"{self.k.name(buffer)} + {self._address()}"
                with w.block(f"if (t < m && aligned_{self.held} && {i} + {width} <= {n})"):
                    w(f"xg::load<{width}, {width}>({x}[s] + r * {width}, {from_here});")
                with w.block("else"):
                    w("#pragma unroll")
                    with w.block(f"for (int k = 0; k < {width}; ++k)"):
                        w(f"{ctype_of(buffer)} found{{}};")
                        w(f"if (t < m && {i} + k < {n}) found = *({from_here} + k);")
                        w(f"{x}[s][r * {width} + k] = found;")
        return x

    def _place(self) -> str:
        """The register of the ``k``-th feature's entry."""
        return f"k * {self.count} + {self._entry()}"

    def _aligned(self) -> str:
        k, buffer, size = self.k, self.buffer, self.buffer.dtype.itemsize
        begin = " + ".join([k.name(buffer), *k.beginning(buffer)])
        (along,) = (a for a, p in enumerate(self.product.samples.at) if p.axis is k.tile_axis)
        step = k.distance(buffer, strides_of(buffer)[along])
        return f"((long long)({begin}) | {step} * {size}) % {self.width * size} == 0"
