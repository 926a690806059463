"""Products of the samples with many features, each of which belongs to one thread or one warp.

In:  a KernelBuilder whose kernel runs in tiles.
Out: which of its products are such, and what the two ways to write them have in common.
Holds: the owner of a feature is known from its number. What several warps add to one sum is added in the order
of the warps, and what a block adds to a feature's sum goes to float64 every so many samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, ctype_of
from xpgrad.backends.gpu.cuda.printing.expressions import read, value_type
from xpgrad.backends.gpu.cuda.printing.layout import Row, Text
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

AHEAD = 8
"""Loads at most that are on their way from memory to one thread."""

OWNED = 40
"""Registers at most for what a product reads of the features that a thread owns, or for their sums."""

FLUSHED = 512
"""After so many samples what is summed in registers is added to a sum in float64."""


class Product(NamedTuple):
    """A product of the samples' array with something else.

    Attributes
    ----------
    s : Reduce
    samples, other : Operand
        The samples' array, and the other factor.
    feature : Axis
    sums_features : bool
        Whether the features are summed up, ``X @ w``; else the samples are, ``X.T @ dz``.
    samples_adjoin : bool
        Whether neighbours in memory are neighbouring samples; else they are neighbouring features.
    """

    s: Reduce
    samples: Load
    other: Operand
    feature: Axis
    sums_features: bool
    samples_adjoin: bool


def product_of(k: KernelBuilder, nest: LoopNest) -> Product | None:
    """The product that ``nest`` is, if it is one of samples with many features."""
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
        if not all(e.extent for e in rest):  # there is nothing to own
            return None
        return Product(s, x, other, feature, reduced == {feature}, samples_adjoin)
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


class Owned(ABC):
    """Writes one such product.

    Parameters
    ----------
    k : KernelBuilder
    product : Product
    threads : int
        Of a block.
    tile : int
        Samples at most.

    Attributes
    ----------
    parts : Buffer or None
        What each warp made of the sums over features.
    """

    def __init__(self, k: KernelBuilder, product: Product, threads: int, tile: int) -> None:
        self.k, self.product, self.threads, self.tile = k, product, threads, tile
        self.s = product.s
        self.dtype = product.s.node.dtype
        self.ctype = value_type(self.dtype)
        self.buffer = product.samples.buffer
        self.shorts: Sequence[Axis] = [e for e in index_axes(self.s.at) if e in k.unrolled]
        self.count = prod(e.extent for e in self.shorts)
        self.warps = -(-threads // 32)
        self.held = ""
        self.parts: Buffer | None = None
        if product.sums_features:
            shape = self.warps, tile, self.count
            self.parts = Buffer(("parts", self.s.node), "workspace", self.dtype, shape, c_strides(shape))

    @property
    def words(self) -> int:
        """Registers of one entry."""
        return self.dtype.itemsize // 4

    @property
    @abstractmethod
    def entries(self) -> int:
        """Of sums or weights that a thread keeps from tile to tile."""

    @property
    @abstractmethod
    def registers(self) -> int:
        """That a thread keeps from tile to tile, or has for its part of a sum over features."""

    @property
    def fits(self) -> bool:
        """Whether they are few enough."""
        return self.registers <= OWNED

    def declare(self, w: Text) -> None:
        """Before the first tile."""
        self.held = w.fresh("own")
        self._declare(w)

    @abstractmethod
    def _declare(self, w: Text) -> None: ...

    def write(self, w: Text) -> None:
        """In each tile."""
        if self.product.sums_features:
            self._over_features(w)
            w("__syncthreads();")
            self._combine(w)
            return
        self._over_samples(w)
        turns = self._turns
        with w.block(f"if ((begin - first) / {self.tile} % {turns} == {turns - 1})"):
            self._flush(w, f"begin - first < {turns * self.tile}")

    @property
    def _turns(self) -> int:
        """Tiles, after which sums go to float64."""
        return max(FLUSHED // self.tile, 1)

    @abstractmethod
    def _over_features(self, w: Text) -> None:
        """``X @ w``: into ``parts`` what each warp's features add."""

    @abstractmethod
    def _over_samples(self, w: Text) -> None:
        """``X.T @ dz``: to what is held of each feature what the samples of the tile add."""

    def _combine(self, w: Text) -> None:
        """The parts of all warps, in order."""
        parts, count = self.parts, self.count
        assert parts is not None
        with w.block(f"for (long long o = thread; o < m * {count}; o += threads)"):
            w(f"{self.ctype} a = 0;")
            w(f"for (int k = 0; k < {self.warps}; ++k) a += {self.k.name(parts)}[k * {self.tile * count} + o];")
            w(f"const long long t = o / {count}, g = begin + t;")
            self._decode(w, f"(int)(o % {count})")
            w(f"{self.k.place(self.s.buffer, self.s.at)} = a;")

    def finish(self, w: Text) -> None:
        """After the last tile: what is held goes to the block's sum."""
        if not self.product.sums_features:
            self._flush(w, f"last - first <= {(self._turns - 1) * self.tile}")

    def _flush(self, w: Text, is_first: str) -> None:
        """Add what is held to the block's sum, which it is the first time, and begin anew."""
        with w.block(""):
            w(f"const bool is_first = {is_first};")
            with self._owned_entries(w) as (entry, is_mine):
                total, wider = self.k.place(self.s.buffer, self.s.at), f"({ctype_of(self.s.buffer)}){entry}"
                w(f"if ({is_mine}) {total} = is_first ? {wider} : {total} + {wider};")
            self._forget(w)

    def _forget(self, w: Text) -> None:
        w("#pragma unroll")
        w(f"for (int k = 0; k < {self.entries}; ++k) {self.held}[k] = 0;")

    @abstractmethod
    @contextmanager
    def _owned_entries(self, w: Text) -> Iterator[tuple[str, str]]:
        """A loop over the sums that a thread holds: the entry, and whether it is one, indices in scope."""

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def _decode(self, w: Text, number: str) -> None:
        """The indices of the entry of that number among those of one sample or feature."""
        step = self.count
        for e in self.shorts:
            step //= e.extent
            w(f"const int {self.k.index(e)} = {number} / {step} % {e.extent};")

    def _entry(self) -> str:
        """The number of the entry at the indices in scope."""
        lengths = [p.axis.extent if p.axis is not None and p.axis in self.shorts else 1 for p in self.s.at]
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        return self.k.row_index(Row("", strides, self.dtype), self.s.at)

    @property
    def feature(self) -> str:
        """The index of a feature."""
        return self.k.index(self.product.feature)

    @property
    def features(self) -> str:
        """How many there are."""
        return self.k.extent(self.product.feature)

    def _other(self) -> str:
        """The entry of the other factor at the indices in scope."""
        return self.k.typed(self.product.other, self.dtype, {})

    def _sample(self, x: str) -> str:
        """An entry of the samples' array, read."""
        return f"({self.ctype})({read(self.buffer.dtype, x)})"

    def _address(self) -> str:
        return self.k.address(self.buffer, self.product.samples.at)
