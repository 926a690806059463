"""Sums of floats in which errors do not add up: not less exact than NumPy's pairwise sum, however long.

; the entries of x, float64, 8 in a vector: what each addition loses is kept beside the sum
for i in 0..n step 8:
    t = s + x[i : i + 8]
    lost += what rounding took from t
    s = t

In:  entries of float32 or float64.
Out: their sum in float64, and of float64 what it has lost.
Holds: entries of float32 are added in float64, in which they hardly lose anything; the order depends on sizes
alone. Nothing counts that is lost where the sum is no finite number.
"""

from __future__ import annotations

from typing import NamedTuple

from xpgrad.backends.cpu.llvm.scalars import Scalar, converted
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.core import Node

LANES, GROUP = 8, 4
"""Of a vector of float64, and how many vectors are added at a time, each to a sum of its own."""

BLOCK = 512
"""Entries that a loop nest makes before they are added."""

LONG = 512
"""Many sums of fewer entries of float64 each: they lose about as much as NumPy's."""

_VECTOR = f"<{LANES} x double>"


class Total(NamedTuple):
    """A sum in float64, and what it has lost; None where that is not kept."""

    sum: str
    lost: str | None


def is_sum(node: Node) -> bool:
    """Whether ``node`` is a sum over axes, of floats or of their products."""
    return node.op.name in ("sum", "dot", "matmul") and node.dtype.kind == "f"


def keeps_lost(node: Node) -> bool:
    """Whether it takes more than float64 to hold the sum: a sum of float32 fits into one."""
    return node.dtype.itemsize == 8


def two_sum(w: Writer, a: str, b: str, kind: str = "double") -> tuple[str, str]:
    """``a + b`` and what its rounding has lost (Knuth)."""
    t = w.op(f"fadd {kind} {a}, {b}")
    z = w.op(f"fsub {kind} {t}, {a}")
    first = w.op(f"fsub {kind} {a}, {w.op(f'fsub {kind} {t}, {z}')}")
    second = w.op(f"fsub {kind} {b}, {z}")
    return t, w.op(f"fadd {kind} {first}, {second}")


def settled(w: Writer, total: Total) -> str:
    """The sum as one number."""
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
    """The sum of a loop nest over its inner index.

    Parameters
    ----------
    once : bool
        Whether there is but one, or each is long: what is kept of it costs little then.
    """

    def __init__(self, w: Writer, node: Node, ctype: str, once: bool) -> None:
        self.ctype = ctype
        self.keeps_lost = keeps_lost(node) and once
        self.entries = w.local(f"[{BLOCK} x {ctype}]")
        self._sums = [w.local(_VECTOR) for _ in range(1 if self.keeps_lost else GROUP)]
        self._lost = w.local(_VECTOR)
        self._rest = w.local("double")

    def begin(self, w: Writer) -> None:
        """Nothing is added up yet."""
        for place in (*self._sums, self._lost):
            w.do(f"store {_VECTOR} zeroinitializer, ptr {place}")
        w.do(f"store double {number(0, 'double')}, ptr {self._rest}")

    def add(self, w: Writer, entries: str, count: str) -> None:
        """Add ``count`` entries that lie side by side, groups of them, then single vectors, then one by one."""
        done = "0"
        for size in (GROUP * LANES, LANES):
            whole = w.plus(done, w.times(w.op(f"sdiv i64 {w.minus(count, done)}, {size}"), str(size)))
            with w.loop(whole, done, str(size)) as i:
                self._add_group(w, [self._vector(w, entries, i, k) for k in range(size // LANES)])
            done = whole
        with w.loop(count, done) as i:
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
        """What has been added up."""
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
