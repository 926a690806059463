"""Sums of floats that are at least as exact as NumPy's pairwise sums.

; the entries of x, float64, 8 in a vector: the rounding error of each addition is kept beside the sum
for i in 0..n step 8:
    t = s + x[i : i + 8]
    lost += the rounding error of t
    s = t

In:  entries of float32 or float64.
Out: their sum in float64, and for entries of float64 its rounding error.
Holds: entries of float32 are added in float64, where the error is negligible; the order depends on sizes
alone. The rounding error of a sum that is not finite is ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.backends.cpu.llvm.scalars import Scalar, converted
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.core import Node

LANES, GROUP = 8, 4
"""Lanes of a vector of float64; vectors that are added at a time, each to a sum of its own."""

BLOCK = 512
"""Entries that a nest computes before they are added."""

LONG = 512
"""The least length of a float64 sum, one of many, whose rounding error is kept; shorter ones lose about as much
as NumPy's."""

_VECTOR = f"<{LANES} x double>"


class Total(NamedTuple):
    """A sum in float64, and its rounding error; None if that is not kept."""

    sum: str
    lost: str | None


def is_sum(node: Node) -> bool:
    """Whether ``node`` is a sum over axes, of floats or of their products, or over the codes of a table."""
    return node.op.name in ("sum", "dot", "matmul", "scatter_add") and node.dtype.kind == "f"


def keeps_lost(node: Node) -> bool:
    """Whether the rounding error of the sum is kept; a float64 sum of float32 does not need it."""
    return node.dtype.itemsize == 8


def two_sum(w: Writer, a: str, b: str, kind: str = "double") -> tuple[str, str]:
    """``a + b`` and its rounding error (Knuth)."""
    t = w.op(f"fadd {kind} {a}, {b}")
    z = w.op(f"fsub {kind} {t}, {a}")
    first = w.op(f"fsub {kind} {a}, {w.op(f'fsub {kind} {t}, {z}')}")
    second = w.op(f"fsub {kind} {b}, {z}")
    return t, w.op(f"fadd {kind} {first}, {second}")


def settled(w: Writer, total: Total) -> str:
    """The sum with its rounding error added, as one number."""
    if total.lost is None:
        return total.sum
    size = w.op(f"call double @llvm.fabs.f64(double {total.sum})")
    finite = w.op(f"fcmp olt double {size}, {number(float('inf'), 'double')}")
    known = w.op(f"fcmp ord double {total.lost}, {total.lost}")
    whole = w.op(f"fadd double {total.sum}, {total.lost}")
    use = w.op(f"and i1 {finite}, {known}")
    return w.op(f"select i1 {use}, double {whole}, double {total.sum}")


def add_to(w: Writer, total: Total, held: str, lost: str | None, index: str = "0") -> None:
    """Add a total to the one at ``held`` and ``lost`` in memory."""
    old = w.load("double", held, index)
    if lost is None:
        w.store("double", w.op(f"fadd double {old}, {total.sum}"), held, index)
        return
    new, more = two_sum(w, old, total.sum)
    w.store("double", new, held, index)
    if total.lost is not None:
        more = w.op(f"fadd double {more}, {total.lost}")
    w.store("double", w.op(f"fadd double {w.load('double', lost, index)}, {more}"), lost, index)


class Running:
    """The sum of a nest over its inner axis.

    Parameters
    ----------
    once : bool
        Whether there is one sum only, or each is long, so that keeping its rounding error costs little.
    """

    def __init__(self, w: Writer, node: Node, ctype: str, once: bool) -> None:
        self.ctype = ctype
        self.keeps_lost = keeps_lost(node) and once
        self.entries = w.local(f"[{BLOCK} x {ctype}]")
        self._sums = [w.local(_VECTOR) for _ in range(1 if self.keeps_lost else GROUP)]
        self._lost = w.local(_VECTOR)
        self._rest = w.local("double")

    def begin(self, w: Writer) -> None:
        """Set the sum to zero."""
        for place in (*self._sums, self._lost):
            w.do(f"store {_VECTOR} zeroinitializer, ptr {place}")
        w.do(f"store double {number(0, 'double')}, ptr {self._rest}")

    def add(self, w: Writer, entries: str, count: str) -> None:
        """Add ``count`` contiguous entries: groups of vectors, then single vectors, then single entries."""
        done = "0"
        for size in (GROUP * LANES, LANES):
            whole = w.plus(done, w.times(w.op(f"sdiv i64 {w.minus(count, done)}, {size}"), str(size)))
            with w.loop(whole, done, str(size)) as i:
                self._add_group(w, [self._vector(w, entries, i, k) for k in range(size // LANES)])
            done = whole
        with w.loop(count, done, unroll=False) as i:
            x = converted(w, Scalar(w.load(self.ctype, entries, i), self.ctype), "double")
            held = w.op(f"load double, ptr {self._rest}")
            w.do(f"store double {w.op(f'fadd double {held}, {x}')}, ptr {self._rest}")

    def _vector(self, w: Writer, entries: str, i: str, k: int) -> str:
        x = w.load(self.ctype, w.at(self.ctype, entries, i), str(k * LANES), LANES)
        return x if self.ctype == "double" else w.op(f"fpext <{LANES} x float> {x} to {_VECTOR}")

    def _add_group(self, w: Writer, xs: list[str]) -> None:
        for k, x in enumerate(xs):
            place = self._sums[k % len(self._sums)]
            held = w.op(f"load {_VECTOR}, ptr {place}")
            if self.keeps_lost:
                total, more = two_sum(w, held, x, _VECTOR)
                lost = w.op(f"load {_VECTOR}, ptr {self._lost}")
                w.do(f"store {_VECTOR} {w.op(f'fadd {_VECTOR} {lost}, {more}')}, ptr {self._lost}")
            else:
                total = w.op(f"fadd {_VECTOR} {held}, {x}")
            w.do(f"store {_VECTOR} {total}, ptr {place}")

    def total(self, w: Writer) -> Total:
        """The sum so far."""
        first, *others = [w.op(f"load {_VECTOR}, ptr {place}") for place in self._sums]
        for other in others:
            first = w.op(f"fadd {_VECTOR} {first}, {other}")
        rest = w.op(f"load double, ptr {self._rest}")
        if not self.keeps_lost:
            return Total(_reduced(w, first, rest), None)
        lost = _reduced(w, w.op(f"load {_VECTOR}, ptr {self._lost}"), number(0, "double"))
        total = rest
        for lane in range(LANES):
            x = w.op(f"extractelement {_VECTOR} {first}, i64 {lane}")
            total, more = two_sum(w, total, x)
            lost = w.op(f"fadd double {lost}, {more}")
        return Total(total, lost)


def _reduced(w: Writer, x: str, start: str) -> str:
    name = f"@llvm.vector.reduce.fadd.v{LANES}f64"
    return w.op(f"call reassoc double {name}(double {start}, {_VECTOR} {x})")
