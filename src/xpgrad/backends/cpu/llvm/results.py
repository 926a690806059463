"""The result of a product: its sums are stored, or added to sums in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xpgrad.backends.cpu.llvm.factors import Factor
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, kept
from xpgrad.backends.cpu.llvm.sums import Total, add_to, two_sum
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Axis


class Result(NamedTuple):
    """Where sums of the type ``ctype`` go.

    Attributes
    ----------
    to : Factor
        The result, or the float64 buffer in which it is added up.
    lost : Factor or None
        The rounding errors of a float64 sum.
    adds : bool
        Whether sums are added to what ``to`` has.
    lanes : int
        The length of a vector of them.
    """

    to: Factor
    lost: Factor | None
    ctype: str
    adds: bool
    lanes: int

    def contiguous(self, axis: Axis | None) -> bool:
        return all(f.contiguous(axis) for f in (self.to, self.lost) if f is not None)

    def place(self, w: Writer, indices: Sequence[tuple[str, Axis | None]]) -> tuple[str, str]:
        """The offset of the entry at ``(index, axis)`` in both."""
        found = ["0", "0"]
        for k, factor in enumerate((self.to, self.lost)):
            for i, axis in indices if factor is not None else ():
                assert factor is not None
                found[k] = w.plus(found[k], w.times(i, factor.step(axis)))
        return found[0], found[1]

    def put(self, w: Writer, value: str, place: tuple[str, str]) -> None:
        """Store or add one sum."""
        if not self.adds:
            kept(w, Scalar(value, self.ctype), self.to.pointer, place[0])
            return
        beside = None if self.lost is None else w.at("double", self.lost.pointer, place[1])
        total = Total(converted(w, Scalar(value, self.ctype), "double"), None)
        add_to(w, total, w.at("double", self.to.pointer, place[0]), beside)

    def put_vector(self, w: Writer, value: str, place: tuple[str, str], mask: str = "") -> None:
        """Store or add a vector of sums; with a mask, the lanes where that is true."""
        lanes, to, lost = self.lanes, self.to, self.lost
        if not self.adds:
            w.store(self.ctype, value, to.pointer, place[0], lanes, mask)
            return
        kind = f"<{lanes} x double>"
        if self.ctype != "double":
            value = w.op(f"fpext <{lanes} x {self.ctype}> {value} to {kind}")
        held = w.load("double", to.pointer, place[0], lanes, mask)
        if lost is None:
            value = w.op(f"fadd {kind} {held}, {value}")
        else:
            value, more = two_sum(w, held, value, kind)
            old = w.load("double", lost.pointer, place[1], lanes, mask)
            more = w.op(f"fadd {kind} {old}, {more}")
            w.store("double", more, lost.pointer, place[1], lanes, mask)
        w.store("double", value, to.pointer, place[0], lanes, mask)

    def put_all(
        self, w: Writer, sums: Factor, axes: tuple[Axis | None, Axis | None], rows: int, length: str
    ) -> None:
        """Put ``rows`` rows of sums, which lie in memory; ``axes``: along the rows and across them."""
        along, across = axes
        for i in range(rows):
            for v, mask in w.vectors(length, self.lanes):
                at = w.plus(w.times(str(i), sums.step(across)), v)
                value = w.load(self.ctype, sums.pointer, at, self.lanes, mask)
                self.put_vector(w, value, self.place(w, [(str(i), across), (v, along)]), mask)
