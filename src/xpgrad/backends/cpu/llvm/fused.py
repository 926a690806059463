"""A small program in one call: every step in one module, everything that it touches in one block of memory.

In:  the kernels of a plan whose steps have one chunk each, for inputs in C order.
Out: outputs, by one call of one function.
Holds: the block belongs to one call at a time; what is given back is copied out of it.

For ten numbers the call itself is the work: nothing is looked up that could be written down before.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.kernel import RUN, Kernel, module
from xpgrad.backends.cpu.llvm.memory import address
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, ctype_of, kept, loaded
from xpgrad.backends.cpu.llvm.sums import Total, settled
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Buffer, c_strides
from xpgrad.core import Const, Value
from xpgrad.plan import Plan, Region

LIMIT = 1 << 18
"""Bytes of all arrays together, above which a program runs step by step."""

MAIN = "main"


class Fused:
    """The kernels of a plan behind one function without arguments.

    Raises
    ------
    ValueError
        The program is too large, or its inputs are not in C order; it then runs step by step.
    """

    def __init__(
        self,
        plan: Plan,
        kernels: Sequence[Kernel],
        inputs: Sequence[Any],
        sources: Any,
        fixed: dict[Value, Any],
        ready: Any,
    ) -> None:
        if not _fits(plan, kernels, inputs):
            raise ValueError("too large, or not in C order")
        self._pinned = _Pinned()
        self._places: dict[Value, Any] = {}
        self._outside: list[Any] = []
        for value, x in zip(plan.graph.inputs, inputs, strict=True):
            self._places[value] = self._pinned.array(x.shape, x.dtype)
        tables = []
        for kernel in kernels:
            for node in kernel.outs:
                self._places[node] = self._pinned.array(node.shape, node.dtype)
            for node in (p.node for p in kernel.partials):
                self._places[node] = self._pinned.array(node.shape, node.dtype)
            tables.append(self._table(kernel, sources, fixed))
        self.text = module(kernels, _main(tables))
        found, self.fresh = ready(self.text, MAIN + "0")
        table = self._pinned.array((max(sum(map(len, [t[1] for t in tables])), 1),), np.dtype(np.int64))
        flat = [number for t in tables for number in t[1]]
        table[: len(flat)] = flat
        self._loaded = found
        where = address(table)
        run = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(found.loaded[MAIN + "0"])
        argument = ctypes.c_void_p(where)
        self._call: Callable[[], None] = lambda: run(argument)
        self._inputs = [self._places[v] for v in plan.graph.inputs]
        self._outputs = [self._places[v] for v in plan.graph.outputs]
        self._takers = [x.copy if x.ndim else x.__getitem__ for x in self._outputs]
        self._lock = threading.Lock()

    def _table(self, kernel: Kernel, sources: Any, fixed: dict[Value, Any]) -> tuple[Kernel, list[int], Any]:
        """The arguments of one kernel, all known but scalars, which are read where they lie."""
        slots = kernel.args
        values = list(slots.values)
        for slot, source in slots.pointers:
            if not isinstance(source, Const) and source not in fixed:
                base, offset = sources.get(source, (source, 0))
                values[slot] = address(self._places[base]) + offset
            else:
                array = np.asarray(source.data if isinstance(source, Const) else fixed[source])
                self._pinned.keep(array)
                values[slot] = address(array)
        copies = []
        for slot, source in slots.scalars:
            if isinstance(source, Value):
                copies.append((slot, source))
            else:
                values[slot] = bits(source)
        args = self._pinned.array((max(len(values), 1),), np.dtype(np.int64))
        args[: len(values)] = values
        if kernel.may_be_outside is not None:
            self._outside.append(args[kernel.may_be_outside :][:1])
        partials = self._pinned.array((kernel.partial_bytes // 8 + 8,), np.dtype(np.float64))
        scratch = self._pinned.array((kernel.scratch_bytes // 8 + 8,), np.dtype(np.float64))
        numbers = [address(args), address(partials), address(scratch)]
        step = kernel.step
        numbers.append(step.extent if isinstance(step, Region) else 0)
        for part in kernel.partials:
            node = part.node
            numbers += [address(partials) + part.offset, address(self._places[node]), prod(node.shape)]
            if part.lost is not None:
                numbers.append(address(partials) + part.lost)
        for slot, source in copies:
            numbers += [address(args) + 8 * slot, address(self._places[source])]
        return kernel, numbers, copies

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Outputs of the graph; None where another thread is in the block, or an index outside its axis."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            for place, x in zip(self._inputs, inputs, strict=True):
                place[...] = x
            self._call()
            if any(self._outside):
                for slot in self._outside:
                    slot[...] = 0
                return None
            return [take() if x.ndim else take(()) for take, x in zip(self._takers, self._outputs, strict=True)]
        finally:
            self._lock.release()


class _Pinned:
    """Arrays at addresses that stay what they are."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def array(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        n = prod(shape)
        block = np.zeros(n * dtype.itemsize + 64, np.uint8)
        self._held.append(block)
        start = -address(block) % 64
        return block[start : start + n * dtype.itemsize].view(dtype).reshape(shape)

    def keep(self, array: Any) -> None:
        self._held.append(array)


def _fits(plan: Plan, kernels: Sequence[Kernel], inputs: Sequence[Any]) -> bool:
    total = sum(x.nbytes for x in inputs) + sum(k.scratch_bytes + k.partial_bytes for k in kernels)
    total += sum(node.size * node.dtype.itemsize for k in kernels for node in k.outs)
    made = {n for k in kernels for n in [*k.outs, *[p.node for p in k.partials]]}
    outputs = plan.graph.outputs
    return (
        total <= LIMIT
        and all(x.flags.c_contiguous for x in inputs)
        and all(not isinstance(k.step, Region) or k.step.chunks == 1 for k in kernels)
        and all(v in made for v in outputs)
        and all(_in_c_order(p.buffer) for k in kernels for p in k.partials)
        and len(set(outputs)) == len(outputs)
    )


def _in_c_order(buffer: Buffer) -> bool:
    strides = zip(buffer.shape, buffer.strides or (), c_strides(buffer.shape), strict=True)
    return all(n == 1 or s == t for n, s, t in strides)


def _main(tables: Sequence[tuple[Kernel, list[int], Any]]) -> str:
    """The function that runs the kernels one after another; its addresses are in one table.

    define void @main0(ptr %table)
        args, partials, scratch, extent = table[0:4]
        call @run0(args, 0, extent, partials, scratch)
        ; each sum of the chunk, in the type of its value
    """
    w = Writer(MAIN + "0", ["ptr %table"], public=True)
    at = 0

    def number() -> str:
        nonlocal at
        at += 1
        return w.load("i64", "%table", str(at - 1))

    def pointer() -> str:
        return w.op(f"inttoptr i64 {number()} to ptr")

    for kernel, _, copies in tables:
        args, partials, scratch, extent = pointer(), pointer(), pointer(), number()
        sums = [
            (p, pointer(), pointer(), number(), pointer() if p.lost is not None else "")
            for p in kernel.partials
        ]
        for _, source in copies:
            slot, place = pointer(), pointer()
            x = loaded(w, source.dtype, place, "0")
            kind = "i64" if source.dtype.kind in "biu" else "double"
            w.store(kind, converted(w, x, kind), slot)
        w.do(f"call void @{RUN}{kernel.name}(ptr {args}, i64 0, i64 {extent}, ptr {partials}, ptr {scratch})")
        for part, held, place, count, lost in sums:
            out = ctype_of(part.node.dtype) or ""
            with w.loop(count) as i:
                x = loaded(w, part.buffer.dtype, held, i)
                if lost:
                    x = Scalar(settled(w, Total(x.name, w.load("double", lost, i))), "double")
                kept(w, Scalar(converted(w, x, out), out), place, i)
    return w.text()
