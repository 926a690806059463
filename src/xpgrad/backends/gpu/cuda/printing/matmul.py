"""Register-tiled matmuls: products with many features, each held by one thread or one warp.

In:  a KernelBuilder whose kernel runs in tiles.
Out: which of its nests are such matmuls, and what the two ways to write them have in common.
Holds: the number of a feature determines the thread or warp that holds it. The parts of a sum that several
warps make are added in the order of the warps. A block's sum of a feature goes to float64 every few hundred
samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, ctype_of
from xpgrad.backends.gpu.cuda.printing.expressions import read, value_type
from xpgrad.backends.gpu.cuda.printing.layout import Registers, Text
from xpgrad.backends.gpu.limits import WARP
from xpgrad.codegen.kernel_ir import (
    Axis,
    Buffer,
    Load,
    LoopNest,
    Operand,
    Reduce,
    c_strides,
    index_axes,
    reduced_axes,
)


class SampleMatmul(NamedTuple):
    """A product of the array of samples with another factor.

    Attributes
    ----------
    s : Reduce
    samples, other : Operand
        The array of samples, and the other factor.
    feature : Axis
    sums_features : bool
        True if the features are summed up, ``X @ w``; else the samples are, ``X.T @ dz``.
    samples_adjoin : bool
        True if neighbours in memory are neighbouring samples; else they are neighbouring features.
    """

    s: Reduce
    samples: Load
    other: Operand
    feature: Axis
    sums_features: bool
    samples_adjoin: bool


def matmul_of(k: KernelBuilder, nest: LoopNest) -> SampleMatmul | None:
    """``nest`` as a product of samples with many features; None where it is none."""
    if nest.kind != "matmul" or k.tile_axis is None:
        return None
    (s,) = nest.reductions()
    if s.node.dtype.kind != "f" or s.factors is None:
        return None
    for x, other in (s.factors, s.factors[::-1]):
        found = _features(k, x)
        if found is None or not isinstance(x, Load):
            continue
        feature, samples_adjoin = found
        axes = set(index_axes(other.at)) if isinstance(other, Load) else set()
        reduced = reduced_axes(s, nest)
        if reduced not in ({feature}, {k.tile_axis}) or not reduced <= axes:
            return None
        rest = (axes | set(index_axes(s.at))) - {feature, k.tile_axis}
        if {feature, k.tile_axis} <= axes or not rest <= k.unrolled:
            return None
        if not all(e.extent for e in rest):  # there is nothing to hold
            return None
        return SampleMatmul(s, x, other, feature, reduced == {feature}, samples_adjoin)
    return None


def _features(k: KernelBuilder, x: Operand) -> tuple[Axis, bool] | None:
    """The feature axis of an array of samples with many features, and whether samples are neighbours."""
    if not isinstance(x, Load) or x.buffer.space != "memory":
        return None
    axes = index_axes(x.at)
    if len(axes) != 2 or len(set(axes)) != 2 or k.tile_axis not in axes:
        return None
    if any(p.axis is not None and (p.step != 1 or p.offset) for p in x.at):
        return None
    unit = x.buffer.unit
    feature = next(e for e in axes if not e.is_tile)
    if unit is None or x.at[unit].axis is None or feature in k.unrolled:
        return None
    return feature, x.at[unit].axis is k.tile_axis


class RegisterMatmul(ABC):
    """Writes one register-tiled matmul.

    Parameters
    ----------
    k : KernelBuilder
    product : SampleMatmul
    tile : int
        Samples per tile, at most.

    Attributes
    ----------
    partial : Buffer or None
        Each warp's part of the sums over features.
    form : str
        Its name in `explain`.
    """

    form: str

    def __init__(self, k: KernelBuilder, product: SampleMatmul, tile: int) -> None:
        self.k, self.product, self.threads, self.tile = k, product, k.limits.threads, tile
        self.s = product.s
        self.dtype = product.s.node.dtype
        self.ctype = value_type(self.dtype)
        self.buffer = product.samples.buffer
        self.shorts: Sequence[Axis] = [e for e in index_axes(self.s.at) if e in k.unrolled]
        self.count = prod(e.extent for e in self.shorts)
        self.warps = -(-self.threads // WARP)
        self.held = ""
        self.partial: Buffer | None = None
        if product.sums_features:
            shape = self.warps, tile, self.count
            self.partial = Buffer(("parts", self.s.node), "workspace", self.dtype, shape, c_strides(shape))

    @property
    @abstractmethod
    def least_tile(self) -> int:
        """Samples per tile, at least, even if they do not fit into the L1 cache."""

    @property
    def words(self) -> int:
        """Registers per entry."""
        return self.dtype.itemsize // 4

    @property
    @abstractmethod
    def entries(self) -> int:
        """Sums or weights per thread that stay in registers from tile to tile."""

    @property
    @abstractmethod
    def register_count(self) -> int:
        """Registers per thread for these, or for its part of a sum over features."""

    def why_not(self) -> str | None:
        """The reason why this form does not fit the product; None where it does."""
        count, most = self.register_count, self.k.limits.matmul_registers
        return f"{count} registers per thread, and at most {most}" if count > most else None

    def declare(self, w: Text) -> None:
        """Declare what a thread holds, before the first tile."""
        self.held = w.fresh("held")
        self._declare(w)

    @abstractmethod
    def _declare(self, w: Text) -> None: ...

    def write(self, w: Text) -> None:
        """Write the work of one tile."""
        if self.product.sums_features:
            self._over_features(w)
            w("__syncthreads();")
            self._combine(w)
            return
        self._over_samples(w)
        tiles = self._tiles_per_flush
        with w.block(f"if ((begin - first) / {self.tile} % {tiles} == {tiles - 1})"):
            self._flush(w, f"begin - first < {tiles * self.tile}")

    @property
    def _tiles_per_flush(self) -> int:
        """Tiles after which the sums go to float64."""
        return max(self.k.limits.matmul_flush // self.tile, 1)

    @abstractmethod
    def _over_features(self, w: Text) -> None:
        """``X @ w``: write the sum over each warp's features into ``partial``."""

    @abstractmethod
    def _over_samples(self, w: Text) -> None:
        """``X.T @ dz``: add the samples of the tile to the held sum of each feature."""

    def _combine(self, w: Text) -> None:
        """Add the parts of all warps, in order."""
        partial, count = self.partial, self.count
        assert partial is not None
        with w.block(f"for (long long o = thread; o < m * {count}; o += threads)"):
            w(f"{self.ctype} a = 0;")
            part = f"{self.k.name(partial)}[k * {self.tile * count} + o]"
            w(f"for (int k = 0; k < {self.warps}; ++k) a += {part};")
            w(f"const long long t = o / {count}, g = begin + t;")
            self._decode(w, f"(int)(o % {count})")
            w(f"{self.k.place(self.s.buffer, self.s.at)} = a;")

    def finish(self, w: Text) -> None:
        """Add the held sums to the block's sums after the last tile."""
        if not self.product.sums_features:
            self._flush(w, f"last - first <= {(self._tiles_per_flush - 1) * self.tile}")

    def _flush(self, w: Text, is_first: str) -> None:
        """Add the held sums to the block's sums, which the first flush initialises, and clear them."""
        with w.block(""):
            w(f"const bool is_first = {is_first};")
            with self._held_entries(w) as (entry, is_mine):
                total, wider = self.k.place(self.s.buffer, self.s.at), f"({ctype_of(self.s.buffer)}){entry}"
                w(f"if ({is_mine}) {total} = is_first ? {wider} : {total} + {wider};")
            self._clear(w)

    def _clear(self, w: Text) -> None:
        w("#pragma unroll")
        w(f"for (int k = 0; k < {self.entries}; ++k) {self.held}[k] = 0;")

    @abstractmethod
    @contextmanager
    def _held_entries(self, w: Text) -> Iterator[tuple[str, str]]:
        """A loop over a thread's registers: the entry, and whether it is in use, with its indices in scope."""

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def _decode(self, w: Text, number: str) -> None:
        """Declare the indices of the entry of that number among those of one sample or feature."""
        step = self.count
        for e in self.shorts:
            step //= e.extent
            w(f"const int {self.k.index(e)} = {number} / {step} % {e.extent};")

    def _entry(self) -> str:
        """The number of the entry at the indices in scope."""
        lengths = [p.axis.extent if p.axis is not None and p.axis in self.shorts else 1 for p in self.s.at]
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        return self.k.register_index(Registers("", strides, self.dtype), self.s.at)

    @property
    def feature(self) -> str:
        """The index of a feature."""
        return self.k.index(self.product.feature)

    @property
    def features(self) -> str:
        """The number of features."""
        return self.k.extent(self.product.feature)

    def _other(self) -> str:
        """The entry of the other factor at the indices in scope."""
        return self.k.typed(self.product.other, self.dtype, {})

    def _sample(self, x: str) -> str:
        """An entry of the array of samples, as a value."""
        return f"({self.ctype})({read(self.buffer.dtype, x)})"

    def _address(self) -> str:
        return self.k.address(self.buffer, self.product.samples.at)
