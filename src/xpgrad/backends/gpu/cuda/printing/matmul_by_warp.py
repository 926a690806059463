"""Register-tiled matmuls by warp, for contiguous samples: each lane has one sample.

; z = w @ X and dw = X @ dz of a tile of X[784, n], 32 samples, 8 warps with every eighth group of 32 features
for each tile:
    for each of my features: z += w * X[feature, my sample]     ; then over the warps
    dz = ...                                                    ; the other phases
    for each 32 of my features: dw += the lanes' sum of X[feature, my sample] * dz, one feature to a lane
store dw                                                        ; after the last tile

In:  a SampleMatmul.
Out: its text.
Holds: a warp loads 32 neighbouring samples of several features at once. `warp_totals` determines which lane has
which feature's sum, in the same way each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xpgrad.backends.gpu.cuda.printing.builder import ctype_of
from xpgrad.backends.gpu.cuda.printing.layout import Text
from xpgrad.backends.gpu.cuda.printing.matmul import RegisterMatmul
from xpgrad.backends.gpu.limits import WARP


class MatmulByWarp(RegisterMatmul):
    """Writes the matmul."""

    form = "a matmul by warp"

    @property
    def least_tile(self) -> int:
        return WARP

    @property
    def group(self) -> int:
        """Features whose sums the lanes of a warp hold together."""
        return max(WARP // self.count, 1)

    @property
    def groups(self) -> int:
        """Groups per warp."""
        return -(-self.product.feature.extent // (self.warps * self.group))

    @property
    def register_count(self) -> int:
        return self.words * (self.count if self.product.sums_features else self.groups)

    def why_not(self) -> str | None:
        if self.threads % WARP or self.tile > WARP:
            return f"{self.threads} threads and tiles of {self.tile} samples are no whole warps of one tile"
        if self.count > WARP:
            return f"{self.count} sums per feature, and {WARP} lanes"
        return super().why_not()

    @property
    def entries(self) -> int:
        return self.groups

    def _declare(self, w: Text) -> None:
        if not self.product.sums_features:
            w(f"{self.ctype} {self.held}[{self.groups}];")
            self._clear(w)

    def _chosen(self, w: Text, what: str) -> None:
        """Do ``what`` with the held sum of group ``k``.

        An array that is indexed by a number known only at run time would be in memory, not in registers.
        """
        with w.block("switch (k)"):
            for k in range(self.groups):
                w(f"case {k}: {what.format(held=f'{self.held}[{k}]')}; break;")

    @contextmanager
    def _held_entries(self, w: Text) -> Iterator[tuple[str, str]]:
        sums, each = self.group * self.count, 1
        while sums * each * 2 <= WARP:
            each *= 2
        w("#pragma unroll 1")
        with w.block(f"for (int k = 0; k < {self.groups}; ++k)"):
            w(f"const int mine = lane / {each};")
            w(f"const long long {self.feature} = {self._first('k', self.group)} + mine / {self.count};")
            self._decode(w, f"(mine % {self.count})")
            is_mine = f"lane % {each} == 0 && mine < {sums} && {self.feature} < {self.features}"
            entry = w.fresh()
            w(f"{self.ctype} {entry} = 0;")
            self._chosen(w, f"{entry} = {{held}}")
            yield entry, is_mine

    def _over_features(self, w: Text) -> None:
        partial, count, together = self.partial, self.count, self.k.limits.matmul_features
        assert partial is not None
        part = w.fresh("part")
        w(f"{self.ctype} {part}[{count}];")
        w("#pragma unroll")
        w(f"for (int k = 0; k < {count}; ++k) {part}[k] = 0;")
        groups = -(-self.product.feature.extent // (self.warps * together))
        with (
            w.block(f"for (int k = 0; k < {groups}; ++k)"),
            self._features(w, together) as x,
            self.k.loops(w, self.shorts),
        ):
            at = f"{part}[{self._entry()}]"
            w(f"{at} = xg::fma({self._sample(x)}, {self._other()}, {at});")
        w("#pragma unroll")
        with w.block(f"for (int k = 0; k < {count}; ++k)"):
            w(f"if (lane < m) {self.k.name(partial)}[(warp * {self.tile} + lane) * {count} + k] = {part}[k];")

    def _over_samples(self, w: Text) -> None:
        count, other = self.count, w.fresh("other")
        with w.block(""):
            w("const long long t = lane, g = begin + t;")
            w(f"{self.ctype} {other}[{count}];")
            with self.k.loops(w, self.shorts):
                w(f"{other}[{self._entry()}] = 0;")
                w(f"if (t < m) {other}[{self._entry()}] = {self._other()};")
            w("#pragma unroll 1")  # unrolled, the loads of all groups would go before the first sum
            with w.block(f"for (int k = 0; k < {self.groups}; ++k)"):
                terms = w.fresh("terms")
                w(f"{self.ctype} {terms}[{self.group * count}];")
                w("#pragma unroll")
                w(f"for (int c = 0; c < {self.group * count}; ++c) {terms}[c] = 0;")
                with self._features(w, self.group) as x, self.k.loops(w, self.shorts):
                    at = f"{terms}[j * {count} + {self._entry()}]"
                    w(f"{at} = {self._sample(x)} * {other}[{self._entry()}];")
                total = w.fresh("total")
                w(f"{self.ctype} {total} = 0;")
                w(f"xg::warp_totals<xg::Sum>({terms}, [&](int, {self.ctype} a) {{ {total} = a; }});")
                self._chosen(w, f"{{held}} += {total}")

    @contextmanager
    def _features(self, w: Text, group: int) -> Iterator[str]:
        """This lane's sample of the features of group ``k``, of which the ``j``-th is in scope."""
        buffer, ahead, x = self.buffer, min(self.k.limits.matmul_features, group), w.fresh("x")
        first = f"const long long {self.feature} = {self._first('k', group)}"
        w("#pragma unroll")
        with w.block(f"for (int h = 0; h < {group}; h += {ahead})"):
            w(f"{ctype_of(buffer)} {x}[{ahead}];")
            w("#pragma unroll")
            with w.block(f"for (int s = 0; s < {ahead}; ++s)"):
                w("const long long t = lane, g = begin + t;")
                w(f"{first} + h + s;")
                w(f"{ctype_of(buffer)} found{{}};")
                mine = f"h + s < {group} && {self.feature} < {self.features} && t < m"
                w(f"if ({mine}) found = {self.k.name(buffer)}[{self._address()}];")
                w(f"{x}[s] = found;")
            w("#pragma unroll")
            with w.block(f"for (int s = 0; s < {ahead}; ++s)"):
                w("const int j = h + s;")
                w(f"{first} + j;")
                with w.block(f"if (j < {group} && {self.feature} < {self.features})"):
                    yield f"{x}[s]"

    def _first(self, k: str, group: int) -> str:
        """The first feature of the ``k``-th group."""
        return f"({k} * {self.warps}ll + warp) * {group}"
