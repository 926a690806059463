"""Vectorized loads and stores: one thread reads or writes up to 16 contiguous bytes at once.

; four neighbouring samples of x[2, n]; of x[n, 8] it would be the eight entries of one sample
float x[8];
if (aligned && q + 4 <= last) { load<4, 4>(x, p + q); load<4, 4>(x + 4, p + n + q); }
else for (int v = 0; v < 4; ++v) if (q + v < last) { x[v] = p[q + v]; x[4 + v] = p[n + q + v]; }

In:  a KernelBuilder whose kernel has one thread per sample.
Out: the number of samples per thread, and the text that loads and stores the arrays that allow it.
Holds: unaligned arrays, and the last samples, go entry by entry, with the same values. An array is vectorized
only if every access reads or writes all entries of one sample, sample by sample.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, ctype_of, strides_of
from xpgrad.backends.gpu.cuda.printing.layout import Registers, Text
from xpgrad.backends.gpu.limits import LOAD_BYTES
from xpgrad.codegen.kernel_ir import Buffer, Gather, Index, Reduce, Store


class SampleLayout(NamedTuple):
    """The layout of neighbouring samples: their distance ``along``, and the ``axes`` (length, stride) of each.

    ``samples_adjoin``: neighbours in memory are neighbouring samples; else they are entries of one sample.
    """

    along: int
    axes: tuple[tuple[int, int], ...]
    samples_adjoin: bool

    @property
    def entries(self) -> int:
        """Entries per sample."""
        return prod(n for n, _ in self.axes)

    @property
    def is_dense(self) -> bool:
        """True if one sample follows the other without a gap."""
        return not self.samples_adjoin and self.along == self.entries


def layout_along(buffer: Buffer, axis: int) -> SampleLayout | None:
    """The layout of ``buffer`` with the samples along ``axis``; None where no neighbours are contiguous."""
    strides = strides_of(buffer)
    lengths = zip(buffer.shape, strides, strict=True)
    axes = tuple(sorted((pair for a, pair in enumerate(lengths) if a != axis and pair[0] > 1), key=_by_stride))
    along = strides[axis]
    if not prod(buffer.shape) or any(s <= 0 for _, s in axes) or len({s for _, s in axes}) < len(axes):
        return None
    if along == 1:
        return SampleLayout(along, axes, samples_adjoin=True)
    whole = all(s == prod(n for n, _ in axes[a + 1 :]) for a, (_, s) in enumerate(axes))
    layout = SampleLayout(along, axes, samples_adjoin=False)
    return layout if axes and whole and along >= layout.entries else None


def _by_stride(pair: tuple[int, int]) -> int:
    return -pair[1]


Placed = tuple[SampleLayout, int]
"""The layout of a buffer, and its axis of samples."""


@dataclass
class VectorArray:
    """One array in registers: ``samples`` neighbouring samples of it.

    Attributes
    ----------
    name : str
        The name of the registers.
    width : int
        Entries per load or store.
    """

    name: str
    buffer: Buffer
    layout: SampleLayout
    samples: int

    @property
    def run(self) -> int:
        """Entries that are contiguous in memory."""
        if self.layout.samples_adjoin:
            return self.samples
        return self.layout.entries * (self.samples if self.layout.is_dense else 1)

    @property
    def width(self) -> int:
        width = LOAD_BYTES // self.buffer.dtype.itemsize
        while self.run % width:
            width //= 2
        return width

    @property
    def register_count(self) -> int:
        """Registers of 32 bits."""
        return self.layout.entries * self.samples * max(self.buffer.dtype.itemsize, 4) // 4

    def seen_as(self, view: Buffer, axis: int) -> Registers:
        """The registers of sample ``v``, for a view of the array with the samples along ``axis``."""
        entries, samples = self.layout.entries, self.samples if self.layout.samples_adjoin else 1
        begin = "v" if self.layout.samples_adjoin else f"v * {entries}"
        steps = {s: prod(n for n, _ in self.layout.axes[a + 1 :]) for a, (_, s) in enumerate(self.layout.axes)}
        strides = tuple(
            0 if a == axis or n == 1 else steps[s] * samples
            for a, (n, s) in enumerate(zip(view.shape, strides_of(view), strict=True))
        )
        return Registers(f"({self.name} + {begin})", strides, self.buffer.dtype)


class VectorLoads:
    """The vectorized arrays of a kernel; none, and one sample per thread, where `Limits` switches them off.

    Attributes
    ----------
    samples : int
        Samples per thread and iteration.
    loads, stores : dict of Buffer to VectorArray
    registers : dict of Buffer to Registers
        The registers of sample ``v`` among these.
    """

    def __init__(self, k: KernelBuilder) -> None:
        self.k = k
        self.samples = 1
        self.registers: dict[Buffer, Registers] = {}
        self.loads: dict[Buffer, VectorArray] = {}
        self.stores: dict[Buffer, VectorArray] = {}
        if k.limits.vector_loads:
            self._choose(dict(_loads(k)), dict(_stores(k)))

    def _choose(self, loads: dict[Buffer, Placed], stores: dict[Buffer, Placed]) -> None:
        k, found, limit = self.k, loads | stores, self.k.limits.vector_registers
        # Views of one array with one layout are one vectorized array.
        arrays = {(k.name(buffer), buffer.offset, layout): buffer for buffer, (layout, _) in found.items()}
        if not _is_long(k) and not _reads_beside(k, loads):
            self.samples = _samples([(buffer, layout) for (_, _, layout), buffer in arrays.items()], limit)
        vectors: dict[tuple[str, int, SampleLayout], VectorArray] = {}
        for key, buffer in arrays.items():
            vector = VectorArray(f"x{len(vectors)}", buffer, key[-1], self.samples)
            if vector.width > 1 and vector.register_count <= limit:
                limit -= vector.register_count
                vectors[key] = vector
        for buffer, (layout, axis) in found.items():
            vector_of = vectors.get((k.name(buffer), buffer.offset, layout))
            if vector_of is not None:
                (self.loads if buffer in loads else self.stores)[buffer] = vector_of
                self.registers[buffer] = vector_of.seen_as(buffer, axis)

    def in_words(self) -> str:
        """The words that `explain` adds to the form of the kernel."""
        if not self.registers:
            return ""
        together = f", {self.samples} at a time" if self.samples > 1 else ""
        return f"{together}, with vectorized loads"

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def declare(self, w: Text) -> None:
        """Declare, before the loop, whether all of these arrays are aligned."""
        w(f"const bool aligned = {' && '.join(map(self._aligned, self._all())) or 'false'};")

    def load(self, w: Text) -> None:
        """Load the samples of an iteration, of which ``q`` is the first."""
        vectors = _once(self.loads)
        for vector in self._all():
            w(f"{ctype_of(vector.buffer)} {vector.name}[{vector.layout.entries * vector.samples}];")
        if vectors:
            self._either(w, vectors, "xg::load", "{x} = {p};")

    def store(self, w: Text) -> None:
        """Store the samples of an iteration."""
        vectors = _once(self.stores)
        if vectors:
            self._either(w, vectors, "xg::store", "{p} = {x};")

    def _all(self) -> list[VectorArray]:
        return _once(self.loads | self.stores)

    def _aligned(self, vector: VectorArray) -> str:
        """The test whether every load of a vector is aligned: of the first address and all distances."""
        buffer, layout = vector.buffer, vector.layout
        terms = [self.k.name(buffer), *self.k.beginning(buffer)]
        apart: list[int] = []
        if layout.samples_adjoin:
            terms.append("first")
            apart = [s for _, s in layout.axes]
        elif layout.is_dense:
            terms.append(f"first * {layout.entries}")
        else:
            apart = [layout.along]
        size = buffer.dtype.itemsize
        bits = [f"(long long)({' + '.join(terms)})"]
        bits += [f"{self.k.distance(buffer, s)} * {size}" for s in dict.fromkeys(apart)]
        return f"({' | '.join(bits)}) % {vector.width * size} == 0"

    def _either(self, w: Text, vectors: list[VectorArray], move: str, one: str) -> None:
        """Vectorized accesses where all samples are there and aligned; otherwise entry by entry."""
        with w.block(f"if (aligned && q + {self.samples} <= last)"):
            for vector in vectors:
                self._vectorized(w, vector, move)
        with w.block("else"):
            w("#pragma unroll")
            with w.block(f"for (int v = 0; v < {self.samples}; ++v)"), w.block("if (q + v < last)"):
                for vector in vectors:
                    self._single(w, vector, one)

    def _vectorized(self, w: Text, vector: VectorArray, move: str) -> None:
        k, layout, buffer = self.k, vector.layout, vector.buffer
        call = f"{move}<{vector.run}, {vector.width}>"
        with ExitStack() as stack:
            if layout.samples_adjoin:
                at, x = self._loops(w, vector, stack)
                at, x = [*at, "q"], [f"({n}) * {vector.samples}" for n in x]
            elif layout.is_dense:
                at, x = [f"q * {layout.entries}"], []
            else:
                w("#pragma unroll")
                stack.enter_context(w.block(f"for (int v = 0; v < {vector.samples}; ++v)"))
                at, x = [f"(q + v) * {k.distance(buffer, layout.along)}"], [f"v * {layout.entries}"]
            place = " + ".join([k.name(buffer), *k.beginning(buffer), *at])
            w(f"{call}({' + '.join([vector.name, *x])}, {place});")

    def _single(self, w: Text, vector: VectorArray, one: str) -> None:
        k, layout, buffer = self.k, vector.layout, vector.buffer
        with ExitStack() as stack:
            at, x = self._loops(w, vector, stack)
            at.append("q + v" if layout.samples_adjoin else f"(q + v) * {k.distance(buffer, layout.along)}")
            if layout.samples_adjoin:
                index = " + ".join([*(f"({n}) * {vector.samples}" for n in x), "v"])
            else:
                index = " + ".join([*x, f"v * {layout.entries}"])
            place = " + ".join([*k.beginning(buffer), *at])
            w(one.format(x=f"{vector.name}[{index}]", p=f"{k.name(buffer)}[{place}]"))

    def _loops(self, w: Text, vector: VectorArray, stack: ExitStack) -> tuple[list[str], list[str]]:
        """Loops over the entries of one sample: the terms of an entry's address, and of its number."""
        at, number = [], []
        for a, (n, s) in enumerate(vector.layout.axes):
            w("#pragma unroll")
            stack.enter_context(w.block(f"for (int e{a} = 0; e{a} < {n}; ++e{a})"))
            at.append(f"e{a} * {self.k.distance(vector.buffer, s)}")
            step = prod(k for k, _ in vector.layout.axes[a + 1 :])
            number.append(f"e{a} * {step}")
        return at, [" + ".join(number)] if number else []


def _once(vectors: dict[Buffer, VectorArray]) -> list[VectorArray]:
    return list({vector.name: vector for vector in vectors.values()}.values())


def _is_long(k: KernelBuilder) -> bool:
    """True if the body is too long to be repeated, or has a loop that is not unrolled.

    Such a loop reads the entries of one sample, which no vectorized array holds. With several samples per
    thread it would run once for each, and the lanes of a warp would read entries that are not neighbours.
    """
    long = any(not e.is_tile and e not in k.unrolled for e in k.ir.axes())
    return long or len(k.step.nodes) > k.limits.vector_nodes


def _reads_beside(k: KernelBuilder, loads: Collection[Buffer]) -> bool:
    """True if an array that is not vectorized has contiguous samples, which neighbouring lanes must read."""
    for x in (x for nest in k.ir.nests for x in nest.loads()):
        if x.buffer.space == "memory" and x.buffer not in loads:
            unit = x.buffer.unit
            axis = None if unit is None else x.at[unit].axis
            if axis is not None and axis.is_tile:
                return True
    return False


def _samples(found: list[tuple[Buffer, SampleLayout]], limit: int) -> int:
    """Samples per thread that fill the widest load; fewer where they need more than ``limit`` registers."""
    columns = [buffer.dtype.itemsize for buffer, layout in found if layout.samples_adjoin]
    dense = [layout.entries * buffer.dtype.itemsize for buffer, layout in found if layout.is_dense]
    samples = 1
    if columns:
        samples = LOAD_BYTES // max(columns)
    elif dense:
        while samples < 4 and max(dense) * samples % LOAD_BYTES:
            samples *= 2
    while samples > 1 and sum(VectorArray("", *pair, samples).register_count for pair in found) > limit:
        samples //= 2
    return max(samples, 1)


def _loads(k: KernelBuilder) -> Iterator[tuple[Buffer, Placed]]:
    """The arrays of which every load reads entries of one sample at indices that stand in the text."""
    places: dict[Buffer, list[Index]] = {}
    refused: set[Buffer] = set()
    for nest in k.ir.nests:
        for x in nest.loads():
            if x.buffer.space == "memory":
                places.setdefault(x.buffer, []).append(x.at)
        # The index of a gathered entry is known only when the kernel runs.
        refused.update(s.load.buffer for s in nest.body if isinstance(s, Gather))
    for buffer, indices in places.items():
        axes = {_along(k, at) for at in indices}
        axis = axes.pop()
        if buffer in refused or axes or axis is None:
            continue
        layout = layout_along(buffer, axis)
        if layout is not None:
            yield buffer, (layout, axis)


def _along(k: KernelBuilder, at: Index) -> int | None:
    """The axis of the samples, if they are counted one by one and every other axis is unrolled."""
    found = None
    for a, p in enumerate(at):
        if p.axis is not None and p.axis.is_tile:
            if found is not None or p.step != 1 or p.offset:
                return None
            found = a
        elif p.axis is not None and p.axis not in k.unrolled:
            return None
    return found


def _stores(k: KernelBuilder) -> Iterator[tuple[Buffer, Placed]]:
    for nest in k.ir.nests:
        for s in nest.body:
            if not isinstance(s, (Store, Reduce)) or s.buffer.space != "output":
                continue
            axis = _along(k, s.at)
            layout = None if axis is None else layout_along(s.buffer, axis)
            if axis is not None and layout is not None:
                yield s.buffer, (layout, axis)
