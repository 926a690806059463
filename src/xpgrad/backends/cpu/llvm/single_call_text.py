"""The function that runs a program of kernels: its text, and its table.

In:  the kernels of a plan, in order.
Out: LLVM IR of ``main(table, begin, end)``.
Holds: for each kernel the table has `FIELDS`, the addresses of its sums, and two words for each scalar: where
it goes, and where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from xpgrad.backends.cpu.llvm.kernel import TOTAL, WORK, Kernel
from xpgrad.backends.cpu.llvm.repeated import MAIN
from xpgrad.backends.cpu.llvm.scalars import converted, loaded
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.core import Value

FIELDS = ("args", "partials", "workspace", "chunks", "chunk", "extent", "stride", "counter")
"""The numbers of a kernel in the table, before the addresses of its sums and scalars."""


def table_size(kernel: Kernel) -> int:
    return len(FIELDS) + len(kernel.partials) + 2 * len(scalar_inputs(kernel))


def scalar_inputs(kernel: Kernel) -> list[tuple[int, Value]]:
    """The scalars among the inputs that a kernel reads, with their slots."""
    return [(slot, source) for slot, source in kernel.args.scalars if isinstance(source, Value)]


def main_text(kernels: Sequence[Kernel]) -> str:
    """The function that runs stages ``begin`` to ``end``, three for each kernel.

    define void @main(ptr %table, i64 %begin, i64 %end)
        if begin <= 0 < end:                    ; the scalars of kernel 0 are put into its arguments
            args[3] = (double)scalar
            counter = 0
        if begin <= 1 < end:                    ; its chunks
            call @work0(args, counter, chunks, chunk, extent, partials, stride, workspace)
        if begin <= 2 < end:                    ; the sums of the chunks
            call @total0(args, partials, chunks, stride, outs)
    """
    w = Writer(MAIN, ["ptr %table", "i64 %begin", "i64 %end"], public=True)
    at = 0
    for k, kernel in enumerate(kernels):
        base = at
        outs = base + len(FIELDS)
        at = base + table_size(kernel)

        def number(slot: int) -> str:
            return w.load("i64", "%table", str(slot))

        def pointer(slot: int) -> str:
            return w.op(f"inttoptr i64 {number(slot)} to ptr")

        def field(name: str, base: int = base) -> str:
            slot = base + FIELDS.index(name)
            return f"ptr {pointer(slot)}" if name in FIELDS[:3] else f"i64 {number(slot)}"

        def stage(number: int) -> str:
            first, last = w.op(f"icmp sle i64 %begin, {number}"), w.op(f"icmp sgt i64 %end, {number}")
            return w.op(f"and i1 {first}, {last}")

        counter = base + FIELDS.index("counter")
        with w.when(stage(3 * k)):
            for j, (_, source) in enumerate(scalar_inputs(kernel)):
                slot = outs + len(kernel.partials) + 2 * j
                to, place = pointer(slot), pointer(slot + 1)
                kind = "i64" if source.dtype.kind in "biu" else "double"
                w.store(kind, converted(w, loaded(w, source.dtype, place, "0"), kind), to)
            w.store("i64", "0", "%table", str(counter))
        with w.when(stage(3 * k + 1)):
            sizes = ", ".join(map(field, ("chunks", "chunk", "extent", "partials", "stride", "workspace")))
            where = w.at("i64", "%table", str(counter))
            w.do(f"call void @{WORK}{kernel.name}({field('args')}, ptr {where}, {sizes})")
        if kernel.partials:
            with w.when(stage(3 * k + 2)):
                sizes = ", ".join(map(field, ("args", "partials", "chunks", "stride")))
                where = w.at("i64", "%table", str(outs))
                w.do(f"call void @{TOTAL}{kernel.name}({sizes}, ptr {where})")
    return w.text()
