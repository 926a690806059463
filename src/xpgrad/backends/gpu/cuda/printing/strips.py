"""What one thread reads and writes 16 bytes at a time: the entries of its samples, side by side in memory.

; four neighbouring samples of x[2, n]; with x[n, 8] it would be the eight entries of one sample
float x[8];
if (wide && q + 4 <= last) { load<4, 4>(x, p + q); load<4, 4>(x + 4, p + n + q); }
else for (int v = 0; v < 4; ++v) if (q + v < last) { x[v] = p[q + v]; x[4 + v] = p[n + q + v]; }

In:  a KernelBuilder whose kernel gives a thread to each sample.
Out: how many samples a thread takes at a time, and the text that loads and stores arrays that lie so.
Holds: what is not aligned, and the last samples, go entry by entry; the values are the same. An array that is
read in any other way than whole, sample by sample, has no strip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from xpgrad.backends.gpu.cuda.printing.builder import REGISTERS, KernelBuilder, ctype_of, strides_of
from xpgrad.backends.gpu.cuda.printing.layout import Row, Text
from xpgrad.codegen.kernel_ir import Buffer, Gather, Index, Reduce, Store

BYTES = 16
"""The widest load there is."""

NODES = 100
"""Of a region whose text is repeated for several samples, at most: the compiler's time grows with each copy."""


class Kind(NamedTuple):
    """How the entries of neighbouring samples lie: by ``along`` apart, each with ``axes`` (length, stride).

    ``is_column``: neighbours in memory are neighbouring samples; else they are the entries of one sample.
    """

    along: int
    axes: tuple[tuple[int, int], ...]
    is_column: bool

    @property
    def entries(self) -> int:
        """Entries of one sample."""
        return prod(n for n, _ in self.axes)

    @property
    def is_dense(self) -> bool:
        """Whether nothing lies between one sample and the next."""
        return not self.is_column and self.along == self.entries


def kind_of(buffer: Buffer, axis: int) -> Kind | None:
    """How ``buffer`` lies along its ``axis``; None where neither samples nor entries are neighbours."""
    strides = strides_of(buffer)
    lengths = zip(buffer.shape, strides, strict=True)
    axes = tuple(sorted((pair for a, pair in enumerate(lengths) if a != axis and pair[0] > 1), key=_by_stride))
    along = strides[axis]
    if not prod(buffer.shape) or any(s <= 0 for _, s in axes) or len({s for _, s in axes}) < len(axes):
        return None
    if along == 1:
        return Kind(along, axes, is_column=True)
    whole = all(s == prod(n for n, _ in axes[a + 1 :]) for a, (_, s) in enumerate(axes))
    kind = Kind(along, axes, is_column=False)
    return kind if axes and whole and along >= kind.entries else None


def _by_stride(pair: tuple[int, int]) -> int:
    return -pair[1]


@dataclass
class Strip:
    """One array in registers: ``turn`` samples of it.

    Attributes
    ----------
    name : str
        Of the registers.
    pack : int
        Entries that are read or written at once.
    """

    name: str
    buffer: Buffer
    kind: Kind
    turn: int

    @property
    def run(self) -> int:
        """Entries that follow one another in memory."""
        if self.kind.is_column:
            return self.turn
        return self.kind.entries * (self.turn if self.kind.is_dense else 1)

    @property
    def pack(self) -> int:
        pack = BYTES // self.buffer.dtype.itemsize
        while self.run % pack:
            pack //= 2
        return pack

    @property
    def registers(self) -> int:
        """Of 32 bits."""
        return self.kind.entries * self.turn * max(self.buffer.dtype.itemsize, 4) // 4

    def row(self, seen: Buffer, axis: int) -> Row:
        """The registers of sample ``v``, for a view of the array with the samples along ``axis``."""
        entries, turn = self.kind.entries, self.turn if self.kind.is_column else 1
        begin = "v" if self.kind.is_column else f"v * {entries}"
        steps = {s: prod(n for n, _ in self.kind.axes[a + 1 :]) for a, (_, s) in enumerate(self.kind.axes)}
        strides = tuple(
            0 if a == axis or n == 1 else steps[s] * turn
            for a, (n, s) in enumerate(zip(seen.shape, strides_of(seen), strict=True))
        )
        return Row(f"({self.name} + {begin})", strides, self.buffer.dtype)


class Strips:
    """The strips of a kernel.

    Attributes
    ----------
    turn : int
        Samples that a thread takes at a time.
    loads, stores : dict of Buffer to Strip
    rows : dict of Buffer to Row
        The registers of sample ``v`` of the turn.
    """

    def __init__(self, k: KernelBuilder) -> None:
        self.k = k
        loads, stores = dict(_loads(k)), dict(_stores(k))
        found = loads | stores
        # Views of one array that lie alike are one strip.
        lie = {(k.name(buffer), buffer.offset, kind): buffer for buffer, (kind, _) in found.items()}
        self.turn = 1
        if not _is_long(k) and not _reads_beside(k, loads):
            self.turn = _turn([(buffer, kind) for (_, _, kind), buffer in lie.items()])
        strips: dict[tuple[str, int, Kind], Strip] = {}
        left = REGISTERS
        for key, buffer in lie.items():
            strip = Strip(f"x{len(strips)}", buffer, key[-1], self.turn)
            if strip.pack > 1 and strip.registers <= left:
                left -= strip.registers
                strips[key] = strip
        self.rows: dict[Buffer, Row] = {}
        self.loads: dict[Buffer, Strip] = {}
        self.stores: dict[Buffer, Strip] = {}
        for buffer, (kind, axis) in found.items():
            strip_of = strips.get((k.name(buffer), buffer.offset, kind))
            if strip_of is not None:
                (self.loads if buffer in loads else self.stores)[buffer] = strip_of
                self.rows[buffer] = strip_of.row(buffer, axis)

    # ── text ─────────────────────────────────────────────────────────────────────────────────
    def declare(self, w: Text) -> None:
        """Before the loop: whether all of these arrays are aligned."""
        w(f"const bool wide = {' && '.join(map(self._aligned, self._all())) or 'false'};")

    def load(self, w: Text) -> None:
        """At the head of a turn, which begins with sample ``q``."""
        strips = _once(self.loads)
        for strip in _once(self.loads | self.stores):
            w(f"{ctype_of(strip.buffer)} {strip.name}[{strip.kind.entries * strip.turn}];")
        if strips:
            self._either(w, strips, "xg::load", "{x} = {p};")

    def store(self, w: Text) -> None:
        """At the end of a turn."""
        strips = _once(self.stores)
        if strips:
            self._either(w, strips, "xg::store", "{p} = {x};")

    def _all(self) -> list[Strip]:
        return _once(self.loads | self.stores)

    def _aligned(self, strip: Strip) -> str:
        """Whether all of a strip's loads are, as far as what they add to the first one's address."""
        buffer, kind = strip.buffer, strip.kind
        terms = [self.k.name(buffer), *self.k.beginning(buffer)]
        apart: list[int] = []
        if kind.is_column:
            terms.append("first")
            apart = [s for _, s in kind.axes]
        elif kind.is_dense:
            terms.append(f"first * {kind.entries}")
        else:
            apart = [kind.along]
        size = buffer.dtype.itemsize
        bits = [f"(long long)({' + '.join(terms)})"]
        bits += [f"{self.k.distance(buffer, s)} * {size}" for s in dict.fromkeys(apart)]
        return f"({' | '.join(bits)}) % {strip.pack * size} == 0"

    def _either(self, w: Text, strips: list[Strip], move: str, one: str) -> None:
        with w.block(f"if (wide && q + {self.turn} <= last)"):
            for strip in strips:
                self._wide(w, strip, move)
        with w.block("else"):
            w("#pragma unroll")
            with w.block(f"for (int v = 0; v < {self.turn}; ++v)"), w.block("if (q + v < last)"):
                for strip in strips:
                    self._single(w, strip, one)

    def _wide(self, w: Text, strip: Strip, move: str) -> None:
        k, kind, buffer = self.k, strip.kind, strip.buffer
        call = f"{move}<{strip.run}, {strip.pack}>"
        with ExitStack() as stack:
            if kind.is_column:
                at, x = self._loops(w, strip, stack)
                at, x = [*at, "q"], [f"({n}) * {strip.turn}" for n in x]
            elif kind.is_dense:
                at, x = [f"q * {kind.entries}"], []
            else:
                w("#pragma unroll")
                stack.enter_context(w.block(f"for (int v = 0; v < {strip.turn}; ++v)"))
                at, x = [f"(q + v) * {k.distance(buffer, kind.along)}"], [f"v * {kind.entries}"]
            place = " + ".join([k.name(buffer), *k.beginning(buffer), *at])
            w(f"{call}({' + '.join([strip.name, *x])}, {place});")

    def _single(self, w: Text, strip: Strip, one: str) -> None:
        k, kind, buffer = self.k, strip.kind, strip.buffer
        with ExitStack() as stack:
            at, x = self._loops(w, strip, stack)
            at.append("q + v" if kind.is_column else f"(q + v) * {k.distance(buffer, kind.along)}")
            if kind.is_column:
                index = " + ".join([*(f"({n}) * {strip.turn}" for n in x), "v"])
            else:
                index = " + ".join([*x, f"v * {kind.entries}"])
            place = " + ".join([*k.beginning(buffer), *at])
            w(one.format(x=f"{strip.name}[{index}]", p=f"{k.name(buffer)}[{place}]"))

    def _loops(self, w: Text, strip: Strip, stack: ExitStack) -> tuple[list[str], list[str]]:
        """Over the entries of one sample: the terms of where they lie, and of their number."""
        at, number = [], []
        for a, (n, s) in enumerate(strip.kind.axes):
            w("#pragma unroll")
            stack.enter_context(w.block(f"for (int e{a} = 0; e{a} < {n}; ++e{a})"))
            at.append(f"e{a} * {self.k.distance(strip.buffer, s)}")
            step = prod(k for k, _ in strip.kind.axes[a + 1 :])
            number.append(f"e{a} * {step}")
        return at, [" + ".join(number)] if number else []


def _once(strips: dict[Buffer, Strip]) -> list[Strip]:
    return list({strip.name: strip for strip in strips.values()}.values())


def _is_long(k: KernelBuilder) -> bool:
    """Whether the text for one sample has a loop that is not unrolled, or so much that one copy is enough.

    Such a loop reads the entries of one sample, which no strip holds: with several samples it would go through
    them once for each, its lanes not side by side.
    """
    return any(not e.is_tile and e not in k.unrolled for e in k.ir.axes()) or len(k.step.nodes) > NODES


def _reads_beside(k: KernelBuilder, loads: Collection[Buffer]) -> bool:
    """Whether samples of an array without a strip lie side by side: lanes are then to read them so."""
    for x in (x for nest in k.ir.nests for x in nest.loads()):
        if x.buffer.space == "memory" and x.buffer not in loads:
            unit = x.buffer.unit
            axis = None if unit is None else x.at[unit].axis
            if axis is not None and axis.is_tile:
                return True
    return False


def _turn(found: list[tuple[Buffer, Kind]]) -> int:
    """As many samples as fill the widest load, and fewer where registers do not hold them."""
    columns = [buffer.dtype.itemsize for buffer, kind in found if kind.is_column]
    dense = [kind.entries * buffer.dtype.itemsize for buffer, kind in found if kind.is_dense]
    turn = 1
    if columns:
        turn = BYTES // max(columns)
    elif dense:
        while turn < 4 and max(dense) * turn % BYTES:
            turn *= 2
    while turn > 1 and sum(Strip("", buffer, kind, turn).registers for buffer, kind in found) > REGISTERS:
        turn //= 2
    return max(turn, 1)


def _loads(k: KernelBuilder) -> Iterator[tuple[Buffer, tuple[Kind, int]]]:
    """Arrays of which the kernel reads all entries of a sample, and no others with them."""
    places: dict[Buffer, list[Index]] = {}
    refused: set[Buffer] = set()
    for nest in k.ir.nests:
        for x in nest.loads():
            if x.buffer.space == "memory":
                places.setdefault(x.buffer, []).append(x.at)
        refused.update(s.load.buffer for s in nest.body if isinstance(s, Gather))  # its entry is known late
    for buffer, indices in places.items():
        axes = {_along(k, at) for at in indices}
        axis = axes.pop()
        if buffer in refused or axes or axis is None:
            continue
        kind = kind_of(buffer, axis)
        if kind is not None:
            yield buffer, (kind, axis)


def _along(k: KernelBuilder, at: Index) -> int | None:
    """The axis along which the samples are counted, one by one, if the other indices are known in the text."""
    found = None
    for a, p in enumerate(at):
        if p.axis is not None and p.axis.is_tile:
            if found is not None or p.step != 1 or p.offset:
                return None
            found = a
        elif p.axis is not None and p.axis not in k.unrolled:
            return None
    return found


def _stores(k: KernelBuilder) -> Iterator[tuple[Buffer, tuple[Kind, int]]]:
    for nest in k.ir.nests:
        for s in nest.body:
            if not isinstance(s, (Store, Reduce)) or s.buffer.space != "output":
                continue
            axis = _along(k, s.at)
            kind = None if axis is None else kind_of(s.buffer, axis)
            if axis is not None and kind is not None:
                yield s.buffer, (kind, axis)
