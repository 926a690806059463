"""Products of the samples with many features, each of which belongs to one thread or one warp.

In:  a Frame whose region runs in tiles.
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

from xpgrad.backends.gpu.cuda.printing.expressions import read, value_type
from xpgrad.backends.gpu.cuda.printing.frame import Frame
from xpgrad.backends.gpu.cuda.printing.layout import Memory, Row, Text, c_strides
from xpgrad.core import Const, Node
from xpgrad.plan.nests import Access, Nest

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
    node : Value
    samples : int
        Which operand is the samples' array.
    feature : int
        The label of the features.
    sums_features : bool
        Whether the features are summed up, ``X @ w``; else the samples are, ``X.T @ dz``.
    samples_adjoin : bool
        Whether neighbours in memory are neighbouring samples; else they are neighbouring features.
    """

    node: Node
    samples: int
    feature: int
    sums_features: bool
    samples_adjoin: bool


def product_of(frame: Frame, nest: Nest) -> Product | None:
    """The product that ``nest`` is, if it is one of samples with many features."""
    if nest.kind != "product" or frame.label is None:
        return None
    (node,) = nest.nodes
    if node.dtype.kind != "f" or frame.monoid(node) != "sum" or len(node.operands) != 2:
        return None
    accesses = [frame.nests.access(node, i) for i in range(2)]
    for i, access in enumerate(accesses):
        found = _features(frame, access)
        if found is None:
            continue
        feature, samples_adjoin = found
        labels = {p.label for p in accesses[1 - i].places if p.label is not None}
        reduced = frame.reduced([node])
        if reduced not in ({feature}, {frame.label}) or not reduced <= labels:
            return None
        rest = (labels | set(frame.own(node))) - {feature, frame.label}
        if {feature, frame.label} <= labels or not rest <= frame.unrolled:
            return None
        if not all(frame.axes.extent[e] for e in rest):  # there is nothing to own
            return None
        return Product(node, i, feature, reduced == {feature}, samples_adjoin)
    return None


def _features(frame: Frame, access: Access) -> tuple[int, bool] | None:
    """The features' label of an array of samples with many features, and whether samples are neighbours."""
    if isinstance(access.root, Const) or access.is_scalar or access.root in frame.step.nodes:
        return None
    labels = [p.label for p in access.places if p.label is not None]
    if len(labels) != 2 or len(set(labels)) != 2 or frame.label not in labels:
        return None
    if any(p.label is not None and (p.step != 1 or p.offset) for p in access.places):
        return None
    unit = frame.memory(access).unit
    feature = next(e for e in labels if e != frame.label)
    if unit is None or access.places[unit].label is None or feature in frame.unrolled:
        return None
    return feature, access.places[unit].label == frame.label


class Owned(ABC):
    """Writes one such product.

    Parameters
    ----------
    frame : Frame
    product : Product
    threads : int
        Of a block.
    tile : int
        Samples at most.

    Attributes
    ----------
    parts : Memory or None
        What each warp made of the sums over features.
    """

    def __init__(self, frame: Frame, product: Product, threads: int, tile: int) -> None:
        self.frame, self.product, self.threads, self.tile = frame, product, threads, tile
        self.node = product.node
        self.ctype = value_type(self.node.dtype)
        self.access = frame.nests.access(self.node, product.samples)
        self.memory = frame.memory(self.access)
        self.shorts: Sequence[int] = [e for e in frame.own(self.node) if e in frame.unrolled]
        self.count = prod(frame.axes.extent[e] for e in self.shorts)
        self.warps = -(-threads // 32)
        self.held = ""
        self.sum: Memory | None = None
        self.parts: Memory | None = None
        if product.sums_features:
            shape = self.warps, tile, self.count
            self.parts = Memory("", self.node.dtype, shape, c_strides(shape), tiled=True)

    @property
    def words(self) -> int:
        """Registers of one entry."""
        return self.node.dtype.itemsize // 4

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

    def declare(self, w: Text, total: Memory | None) -> None:
        """Before the first tile; ``total`` is the block's sum over the samples."""
        self.sum, self.held = total, w.fresh("own")
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
        frame, node, parts, count = self.frame, self.node, self.parts, self.count
        assert parts is not None
        memory = frame.memories[node]
        with w.block(f"for (long long o = thread; o < m * {count}; o += threads)"):
            w(f"{self.ctype} a = 0;")
            w(f"for (int k = 0; k < {self.warps}; ++k) a += {parts.name}[k * {self.tile * count} + o];")
            w(f"const long long t = o / {count}, g = begin + t;")
            self._decode(w, f"(int)(o % {count})")
            w(f"{memory.name}[{frame.own_address(memory, node)}] = a;")

    def finish(self, w: Text) -> None:
        """After the last tile: what is held goes to the block's sum."""
        if self.sum is not None:
            self._flush(w, f"last - first <= {(self._turns - 1) * self.tile}")

    def _flush(self, w: Text, is_first: str) -> None:
        """Add what is held to the block's sum, which it is the first time, and begin anew."""
        with w.block(""):
            w(f"const bool is_first = {is_first};")
            with self._owned_entries(w) as (entry, is_mine):
                assert self.sum is not None
                total, wider = self.sum_entry(), f"({self.sum.ctype}){entry}"
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
    def sum_entry(self) -> str:
        """The entry of the block's sum at the indices in scope."""
        assert self.sum is not None
        return f"{self.sum.name}[{self.frame.own_address(self.sum, self.node)}]"

    def _decode(self, w: Text, number: str) -> None:
        """The indices of the entry of that number among those of one sample or feature."""
        step = self.count
        for e in self.shorts:
            n = self.frame.axes.extent[e]
            step //= n
            w(f"const int {self.frame.index(e)} = {number} / {step} % {n};")

    def _entry(self) -> str:
        """The number of the entry at the indices in scope."""
        labels, extent = self.frame.axes.labels(self.node), self.frame.axes.extent
        lengths = [extent[e] if e is not None and e in self.shorts else 1 for e in labels]
        strides = tuple(s if n > 1 else 0 for s, n in zip(c_strides(lengths), lengths, strict=True))
        return self.frame.row_index(Row("", strides), self.frame.places(self.node))

    @property
    def feature(self) -> str:
        """The index of a feature."""
        return self.frame.index(self.product.feature)

    @property
    def features(self) -> str:
        """How many there are."""
        return self.frame.extent(self.product.feature)

    def _other(self) -> str:
        """The entry of the other factor at the indices in scope."""
        return f"({self.ctype})({self.frame.operand(self.node, 1 - self.product.samples, {})[0]})"

    def _sample(self, x: str) -> str:
        """An entry of the samples' array, read."""
        return f"({self.ctype})({read(self.memory.dtype, x)})"

    def _address(self) -> str:
        return self.frame.address(self.memory, self.access.places)
