"""A region in which one thread does all that concerns one sample, in registers.

; loss and gradient of one logistic regression on two features
for (long long g = first + threadIdx.x; g < last; g += blockDim.x) {
    float z[1];  z[0] = w[0] * x[0 * n + g] + w[1] * x[1 * n + g];
    ...
    a[0] += x[0 * n + g] * d[0];  a[1] += x[1 * n + g] * d[0];
}

In:  a Frame.
Out: the body of a kernel, and the sums that each thread holds at its end.
Holds: nothing of the samples' length is written but what the step stores; each array is read once, as far
as a thread's registers go. Neighbouring samples are one thread's where that makes its loads wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xpgrad.backends.gpu.cuda.printing.expressions import identity, value_type
from xpgrad.backends.gpu.cuda.printing.frame import Frame
from xpgrad.backends.gpu.cuda.printing.layout import Row, Text
from xpgrad.backends.gpu.cuda.printing.phases import held_dtype
from xpgrad.backends.gpu.cuda.printing.strips import Strips
from xpgrad.core import Node, Value
from xpgrad.plan.nests import Nest, is_reduction


def fits(frame: Frame) -> str | None:
    """Why this form does not fit the region; None where it does."""
    for nest in frame.nests.nests:
        if nest.kind == "boxes":
            return "an array is put together of parts"
        for node in nest.nodes:
            reduces = set(frame.axes.reduced(node))
            is_sum = (nest.kind == "product" or is_reduction(node)) and reduces
            if not is_sum and not frame.is_needed(node):
                continue
            if any(e != frame.label and e not in frame.unrolled for e in frame.own(node)):
                return "a value of one sample does not fit into registers"
            long = [e for e in reduces if e != frame.label and e not in frame.unrolled]
            if long and frame.label in reduces:
                return "a sum over the samples and another long axis"
            lane = frame.lane({*long, frame.label} - {None}, [node]) if long else frame.label  # type: ignore[arg-type]
            if lane != frame.label:
                return "the entries of one sample lie side by side"
    return None


class ByThread:
    """Writes the body.

    Attributes
    ----------
    sums : dict of Node to Row
        Where a thread holds its part of each sum over the region's axis.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.strips = Strips(frame)
        self.sums: dict[Node, Row] = {}

    def write(self, w: Text) -> None:
        frame = self.frame
        for nest in frame.nests.nests:
            for node in nest.nodes:
                if node in frame.sums:
                    dtype = held_dtype(frame, node, max(prod(node.shape), 1))
                    begin = identity(frame.monoid(node), dtype)
                    row = frame.row(w, node, w.fresh("sum"), value_type(dtype) or "", begin)
                    self.sums[node] = row._replace(stored=dtype)
        strips = self.strips
        if not strips.rows:
            with w.block("for (long long g = first + threadIdx.x; g < last; g += blockDim.x)"):
                self._sample(w)
            return
        turn = strips.turn
        strips.declare(w)
        head = f"long long q = first + threadIdx.x * {turn}; q < last; q += blockDim.x * {turn}"
        with w.block(f"for ({head})"):
            strips.load(w)
            w("#pragma unroll")
            with w.block(f"for (int v = 0; v < {turn}; ++v)"):
                w("const long long g = q + v;")
                with w.block("if (g < last)"):
                    frame.rows.update({node: strips.rows[node] for node in strips.loads})
                    self._sample(w)
            strips.store(w)

    def _sample(self, w: Text) -> None:
        """All of sample ``g``."""
        for nest in self.frame.nests.nests:
            self._nest(w, nest)

    def _nest(self, w: Text, nest: Nest) -> None:
        frame = self.frame
        targets: dict[Value, Row] = {}
        for node in nest.nodes:
            if node in frame.sums:
                targets[node] = self.sums[node]
            elif self._is_sum(nest, node):
                begin = identity(frame.monoid(node), node.dtype)
                targets[node] = frame.row(w, node, w.fresh("r"), value_type(node.dtype) or "", begin)
            elif node in frame.read:
                targets[node] = frame.row(w, node, w.fresh("r"), value_type(node.dtype) or "")
        order = self._order(nest)
        values: dict[Value, str] = {}
        with frame.loops(w, order):
            frame.emit(w, nest.nodes, values)
            for node in nest.nodes:
                self._keep(w, nest, node, values, targets)
        for node in nest.nodes:
            if node not in frame.sums and node in targets:
                frame.rows[node] = targets[node]
                if self._is_sum(nest, node) and node in frame.stores:
                    self._store_row(w, node, targets[node])

    def _is_sum(self, nest: Nest, node: Node) -> bool:
        return nest.kind == "product" or is_reduction(node)

    def _order(self, nest: Nest) -> Sequence[int]:
        """The labels beside the region's, long loops outside."""
        labels = (nest.labels | self.frame.reduced(nest.nodes)) - {self.frame.label}
        return sorted(labels, key=lambda e: (e in self.frame.unrolled, -self.frame.axes.extent[e], e))

    def _keep(
        self, w: Text, nest: Nest, node: Node, values: dict[Value, str], targets: dict[Value, Row]
    ) -> None:
        frame, value = self.frame, values[node]
        places = frame.places(node)
        if node in targets:
            row = targets[node]
            at = f"{row.name}[{frame.row_index(row, places)}]"
            held = row.stored or node.dtype
            w(f"{at} = {frame.added(node, at, held, values) if self._is_sum(nest, node) else value};")
        if node in frame.stores and not self._is_sum(nest, node):
            w(f"{self._place(node)} = {value};")

    def _store_row(self, w: Text, node: Node, row: Row) -> None:
        frame = self.frame
        with frame.loops(w, [e for e in frame.own(node) if e != frame.label]):
            w(f"{self._place(node)} = {row.name}[{frame.row_index(row, frame.places(node))}];")

    def _place(self, node: Node) -> str:
        """Where the entry of a stored node goes: to memory, or to registers that go there together."""
        frame = self.frame
        if node in self.strips.stores:
            row = self.strips.rows[node]
            return f"{row.name}[{frame.row_index(row, frame.places(node))}]"
        memory = frame.output(node)
        return f"{memory.name}[{frame.own_address(memory, node)}]"
