"""A small program as a single call: one module for all steps, one table of addresses.

In:  the kernels of a plan whose steps have one chunk each.
Out: outputs, by one call of one function.
Holds: the table, and the memory that is kept, belong to one call at a time; an output is copied out of that
memory, or was made for the call.

For ten numbers the call itself is the work, so all that is known before is written down before. Larger arrays
are not copied: their addresses are put into the table.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad.backends.cpu.llvm.arguments import bits
from xpgrad.backends.cpu.llvm.buffer_pool import address
from xpgrad.backends.cpu.llvm.kernel import RUN, Kernel, module
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, ctype_of, kept, loaded
from xpgrad.backends.cpu.llvm.sums import Total, settled
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.codegen.kernel_ir import Buffer, c_strides
from xpgrad.core import Const, Value
from xpgrad.plan import Plan, Region

LIMIT = 1 << 18
"""Bytes that are kept from call to call, above which a program runs step by step."""

WHOLE = 1 << 22
"""Bytes of all arrays together, above which it does so, too: more threads could then share the work."""

COPIED = 1 << 12
"""Bytes of an array that are copied in less time than its address is found."""

MAIN = "main"


class SingleCall:
    """The kernels of a plan behind one function without arguments.

    Raises
    ------
    ValueError
        The program is too large; it then runs step by step.
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
        self._plan = plan
        given = [v for v, x in zip(plan.graph.inputs, inputs, strict=True) if not _is_copied(x)]
        outputs = [v for v in plan.graph.outputs if v.size * v.dtype.itemsize > COPIED]
        if not _fits(plan, kernels, inputs, {*given, *outputs}):
            raise ValueError("too large")
        self._pinned = _Pinned()
        self._places: dict[Value, Any] = {}
        self._outside: list[Any] = []
        # For each input that is not copied, and each output that is made anew, the slots of its address.
        self._spots: dict[Value, list[tuple[Any, int, int]]] = {v: [] for v in (*given, *outputs)}
        made = [n for k in kernels for n in (*k.outs, *(p.node for p in k.partials))]
        for value in (*plan.graph.inputs, *made):
            if value not in self._spots:
                self._places[value] = self._pinned.array(value.shape, value.dtype)
        sizes = [self._table_size(kernel) for kernel in kernels]
        table = self._pinned.array((max(sum(sizes), 1),), np.dtype(np.int64))
        tables, at = [], 0
        for kernel, size in zip(kernels, sizes, strict=True):
            tables.append((kernel, self._fill(kernel, sources, fixed, table[at : at + size])))
            at += size
        self.text = module(kernels, _main(tables))
        self._loaded, self.fresh = ready(self.text, MAIN + "0")
        run = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(self._loaded.loaded[MAIN + "0"])
        argument = ctypes.c_void_p(address(table))
        self._call: Callable[[], None] = lambda: run(argument)
        order = {v: k for k, v in enumerate(plan.graph.inputs)}
        self._given = [(order[v], self._spots[v]) for v in given]
        self._copies = [(k, self._places[v]) for v, k in order.items() if v in self._places]
        self._new = [(v.shape, v.dtype, self._spots[v]) for v in outputs]
        self._takers = [self._taker(v, outputs) for v in plan.graph.outputs]
        self._lock = threading.Lock()

    def _taker(self, value: Value, outputs: Sequence[Value]) -> Callable[[list[Any]], Any]:
        """The function that gives an output: a copy out of the kept memory, or an array made for the call."""
        if value in outputs:
            k = outputs.index(value)
            return lambda made: made[k]
        place = self._places[value]
        if place.ndim:
            return lambda made: place.copy()
        return lambda made: place[()]

    # ── the table ────────────────────────────────────────────────────────────────────────────
    def _table_size(self, kernel: Kernel) -> int:
        sums = sum(3 + (part.lost is not None) for part in kernel.partials)
        return 4 + sums + 2 * len(_scalar_inputs(kernel))

    def _put(self, array: Any, k: int, value: Value, offset: int) -> None:
        """Put the address of ``value`` into ``array[k]``, now or in each call."""
        if value in self._spots:
            self._spots[value].append((array, k, offset))
        else:
            array[k] = address(self._places[value]) + offset

    def _fill(self, kernel: Kernel, sources: Any, fixed: dict[Value, Any], table: Any) -> list[Any]:
        """Write the addresses that one kernel needs into ``table``; returns the scalar inputs."""
        args = self._pinned.array((max(len(kernel.args.values), 1),), np.dtype(np.int64))
        args[: len(kernel.args.values)] = kernel.args.values
        for slot, source in kernel.args.pointers:
            if not isinstance(source, Const) and source not in fixed:
                base, offset = sources.get(source, (source, 0))
                self._put(args, slot, base, offset)
            else:
                array = np.asarray(source.data if isinstance(source, Const) else fixed[source])
                self._pinned.keep(array)
                args[slot] = address(array)
        for slot, source in kernel.args.scalars:
            if not isinstance(source, Value):
                args[slot] = bits(source)
        if kernel.may_be_outside is not None:
            self._outside.append(args[kernel.may_be_outside :][:1])
        partials = self._pinned.array((kernel.partial_bytes // 8 + 8,), np.dtype(np.float64))
        workspace = self._pinned.array((kernel.workspace_bytes // 8 + 8,), np.dtype(np.float64))
        extent = kernel.step.extent if isinstance(kernel.step, Region) else 0
        table[:4] = address(args), address(partials), address(workspace), extent
        at = 4
        for part in kernel.partials:
            table[at] = address(partials) + part.offset
            self._put(table, at + 1, part.node, 0)
            table[at + 2] = prod(part.node.shape)
            at += 3
            if part.lost is not None:
                table[at] = address(partials) + part.lost
                at += 1
        copies = _scalar_inputs(kernel)
        for slot, source in copies:
            table[at] = address(args) + 8 * slot
            self._put(table, at + 1, source, 0)
            at += 2
        return copies

    def run(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Outputs of the graph; None if another thread is in the call, or an index was outside its axis."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            for k, place in self._copies:
                place[...] = inputs[k]
            for k, spots in self._given:
                at = address(inputs[k])
                for array, slot, offset in spots:
                    array[slot] = at + offset
            made = []
            for shape, dtype, spots in self._new:
                x = np.empty(shape, dtype)
                made.append(x)
                at = address(x)
                for array, slot, offset in spots:
                    array[slot] = at + offset
            self._call()
            if any(self._outside):
                for slot in self._outside:
                    slot[...] = 0
                return None
            return [take(made) for take in self._takers]
        finally:
            self._lock.release()


def _scalar_inputs(kernel: Kernel) -> list[tuple[int, Value]]:
    """The scalars among the inputs that a kernel reads, with their slots."""
    return [(slot, source) for slot, source in kernel.args.scalars if isinstance(source, Value)]


class _Pinned:
    """Arrays whose addresses do not change."""

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


def _is_copied(x: Any) -> bool:
    return bool(x.nbytes <= COPIED and x.flags.c_contiguous)


def _fits(plan: Plan, kernels: Sequence[Kernel], inputs: Sequence[Any], apart: set[Value]) -> bool:
    """Whether the program is small enough; ``apart`` has the arrays that are not kept from call to call."""
    made = [n for k in kernels for n in (*k.outs, *(p.node for p in k.partials))]
    sizes = {v: v.size * v.dtype.itemsize for v in (*plan.graph.inputs, *made)}
    kept_bytes = sum(k.workspace_bytes + k.partial_bytes for k in kernels)
    kept_bytes += sum(size for v, size in sizes.items() if v not in apart)
    outputs = plan.graph.outputs
    return (
        kept_bytes <= LIMIT
        and kept_bytes + sum(sizes[v] for v in apart if v in sizes) <= WHOLE
        and all(not isinstance(k.step, Region) or k.step.chunks == 1 for k in kernels)
        and all(v in made for v in outputs)
        and all(_in_c_order(p.buffer) for k in kernels for p in k.partials)
        and len(set(outputs)) == len(outputs)
    )


def _in_c_order(buffer: Buffer) -> bool:
    strides = zip(buffer.shape, buffer.strides or (), c_strides(buffer.shape), strict=True)
    return all(n == 1 or s == t for n, s, t in strides)


def _main(tables: Sequence[tuple[Kernel, list[Any]]]) -> str:
    """The function that runs the kernels one after another; its addresses are in one table.

    define void @main0(ptr %table)
        args, partials, workspace, extent = table[0:4]
        call @run0(args, 0, extent, partials, workspace)
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

    for kernel, copies in tables:
        args, partials, workspace, extent = pointer(), pointer(), pointer(), number()
        sums = [
            (p, pointer(), pointer(), number(), pointer() if p.lost is not None else "")
            for p in kernel.partials
        ]
        for _, source in copies:
            slot, place = pointer(), pointer()
            x = loaded(w, source.dtype, place, "0")
            kind = "i64" if source.dtype.kind in "biu" else "double"
            w.store(kind, converted(w, x, kind), slot)
        w.do(f"call void @{RUN}{kernel.name}(ptr {args}, i64 0, i64 {extent}, ptr {partials}, ptr {workspace})")
        for part, held, place, count, lost in sums:
            out = ctype_of(part.node.dtype) or ""
            with w.loop(count) as i:
                x = loaded(w, part.buffer.dtype, held, i)
                if lost:
                    x = Scalar(settled(w, Total(x.name, w.load("double", lost, i))), "double")
                kept(w, Scalar(converted(w, x, out), out), place, i)
    return w.text()
