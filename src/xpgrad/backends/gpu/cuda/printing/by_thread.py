"""A region by thread: one thread computes everything for one sample, in registers.

; loss and gradient of one logistic regression on two features
for (long long g = first + threadIdx.x; g < last; g += blockDim.x) {
    float z[1];  z[0] = w[0] * x[0 * n + g] + w[1] * x[1 * n + g];
    ...
    a[0] += x[0 * n + g] * d[0];  a[1] += x[1 * n + g] * d[0];
}

In:  a KernelBuilder.
Out: the body of a kernel, and the sums that each thread holds at its end.
Holds: no array of the samples' length is written except the outputs; each array is read once, as long as a
thread's registers suffice. With vectorized loads one thread takes several neighbouring samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xpgrad.backends.gpu.cuda.printing.builder import KernelBuilder, Values
from xpgrad.backends.gpu.cuda.printing.expressions import identity
from xpgrad.backends.gpu.cuda.printing.layout import Registers, Text
from xpgrad.backends.gpu.cuda.printing.phases import held_dtype
from xpgrad.backends.gpu.cuda.printing.vector_loads import VectorLoads
from xpgrad.codegen.kernel_ir import Axis, Buffer, Index, LoopNest, Reduce, Store, index_axes, reduced_axes


def why_not(k: KernelBuilder) -> str | None:
    """The reason why this form does not fit the kernel; None where it does."""
    for nest in k.ir.nests:
        if nest.kind == "slices":
            return "an array is put together of parts"
        for s in nest.body:
            if not isinstance(s, (Store, Reduce)):
                continue
            if not all(e.is_tile or e in k.unrolled for e in index_axes(s.at)):
                return "a value of one sample does not fit into registers"
            reduced = reduced_axes(s, nest) if isinstance(s, Reduce) else frozenset()
            long = [e for e in reduced if not e.is_tile and e not in k.unrolled]
            if not long:
                continue
            if k.tile_axis in reduced:
                return "a sum over the samples and another long axis"
            assert k.tile_axis is not None
            if k.lane({*long, k.tile_axis}, [s]) is not k.tile_axis:
                return "the entries of one sample are contiguous"
    return None


class ByThread:
    """Writes the body.

    Attributes
    ----------
    sums : dict of Reduce to Registers
        Each thread's part of each sum over the tile axis.
    """

    def __init__(self, k: KernelBuilder) -> None:
        self.k = k
        self.vectors = VectorLoads(k)
        self.sums: dict[Reduce, Registers] = {}

    def write(self, w: Text) -> None:
        k, vectors = self.k, self.vectors
        for nest in k.ir.nests:
            for s in nest.reductions():
                if s.buffer.space == "partial":
                    dtype = held_dtype(k, s, nest, max(prod(s.node.shape), 1))
                    begin = identity(s.monoid, dtype)
                    self.sums[s] = k.declared(w, w.fresh("sum"), s.node.shape, dtype, begin)
        if not vectors.registers:
            with w.block("for (long long g = first + threadIdx.x; g < last; g += blockDim.x)"):
                self._sample(w)
            return
        count = vectors.samples
        vectors.declare(w)
        head = f"long long q = first + threadIdx.x * {count}; q < last; q += blockDim.x * {count}"
        with w.block(f"for ({head})"):
            vectors.load(w)
            w("#pragma unroll")
            with w.block(f"for (int v = 0; v < {count}; ++v)"):
                w("const long long g = q + v;")
                with w.block("if (g < last)"):
                    k.registers.update({buffer: vectors.registers[buffer] for buffer in vectors.loads})
                    self._sample(w)
            vectors.store(w)

    def _sample(self, w: Text) -> None:
        """Everything for sample ``g``."""
        for nest in self.k.ir.nests:
            self._nest(w, nest)

    def _nest(self, w: Text, nest: LoopNest) -> None:
        k = self.k
        targets: dict[Store | Reduce, Registers] = {}
        for s in nest.body:
            if isinstance(s, Reduce):
                begin = identity(s.monoid, s.node.dtype)
                targets[s] = self.sums.get(s) or self._declared(w, s.buffer, s.at, begin)
            elif isinstance(s, Store) and s.buffer in k.read:
                targets[s] = self._declared(w, s.buffer, s.at)
        values: Values = {}
        with k.loops(w, self._order(nest)):
            k.emit(w, nest.cone([s for s in nest.body if isinstance(s, (Store, Reduce))]), values)
            for s in nest.body:
                if isinstance(s, (Store, Reduce)):
                    self._keep(w, s, values, targets.get(s))
        for s, held in targets.items():
            if s not in self.sums:
                k.registers[s.buffer] = held
                if isinstance(s, Reduce) and s.buffer.space == "output":
                    self._store(w, s, held)

    def _declared(self, w: Text, buffer: Buffer, at: Index, begin: str | None = None) -> Registers:
        """Registers for one sample of ``buffer``."""
        lengths = [1 if p.axis is None or p.axis.is_tile else p.axis.extent for p in at]
        return self.k.declared(w, w.fresh("r"), lengths, buffer.dtype, begin)

    def _order(self, nest: LoopNest) -> Sequence[Axis]:
        """The axes other than the tile axis, long loops outermost."""
        axes = [e for e in nest.axes if not e.is_tile]
        return sorted(axes, key=lambda e: (e in self.k.unrolled, -e.extent, e.number))

    def _keep(self, w: Text, s: Store | Reduce, values: Values, held: Registers | None) -> None:
        k = self.k
        at = "" if held is None else k.register(held, s.at)
        if isinstance(s, Reduce):
            assert held is not None
            w(f"{at} = {k.added(s, at, held.stored, values)};")
            return
        value, _ = k.operand(s.value, values)
        if held is not None:
            w(f"{at} = {value};")
        if s.buffer.space == "output":
            w(f"{self._place(s)} = {value};")

    def _store(self, w: Text, s: Reduce, held: Registers) -> None:
        k = self.k
        with k.loops(w, [e for e in index_axes(s.at) if not e.is_tile]):
            w(f"{self._place(s)} = {k.register(held, s.at)};")

    def _place(self, s: Store | Reduce) -> str:
        """The place of an output's entry: in memory, or in registers that a vectorized store writes later."""
        k = self.k
        if s.buffer in self.vectors.stores:
            return k.register(self.vectors.registers[s.buffer], s.at)
        return f"{k.name(s.buffer)}[{k.address(s.buffer, s.at)}]"
