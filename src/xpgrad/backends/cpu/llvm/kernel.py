"""One step of a plan as a kernel: the text of an LLVM module, and its arguments.

In:  a Region or an Untiled step, and the arrays that it reads.
Out: a Kernel.
Holds: ``@run(args, begin, end, partials, workspace)`` computes entries ``begin`` to ``end`` of the tile axis,
tile by tile, and adds to ``partials``, which belong to the chunk; ``workspace`` belongs to the thread.
``@work`` takes chunks until there are none: the threads that share them call it once each.

    define void @run(ptr %args, i64 %begin, i64 %end, ptr %partials, ptr %workspace)
        for each tile:                      ; an Untiled step has one
            call @nest0(args, tile, pointers...)
            call @nest1(args, tile, pointers...)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xpgrad.backends.cpu.llvm import build, functions
from xpgrad.backends.cpu.llvm.builder import Call, KernelBuilder, ctype_in_memory
from xpgrad.backends.cpu.llvm.loops import write_loop
from xpgrad.backends.cpu.llvm.matmul import write_matmul
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.backends.layouts import Layouts
from xpgrad.codegen.kernel_ir import Buffer, identity
from xpgrad.plan import Plan
from xpgrad.plan.plan import Step

RUN, WORK = "run", "work"

TOGETHER = 512
"""The most calls in one function, counted with their pointers: LLVM's time grows with the square."""

_WRITE = {"loop": write_loop, "slices": write_loop, "matmul": write_matmul}


class Kernel(KernelBuilder):
    """A step as a kernel.

    Attributes
    ----------
    functions : str
        LLVM IR; the entry is ``@run`` followed by ``name``, as in the names of all its functions.

    Raises
    ------
    Declined
        A node has no loops or no instructions here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts, name: str = "") -> None:
        super().__init__(step, plan, layouts)
        self.name = name
        self._parts = 0
        self.functions = self._write()

    @property
    def text(self) -> str:
        """A module with this kernel alone."""
        return module([self], self.work)

    def _write(self) -> str:
        pieces = [_WRITE[nest.kind](self, nest, f"nest{self.name}.{k}") for k, nest in enumerate(self.ir.nests)]
        run = Writer(
            RUN + self.name,
            ["ptr %args", "i64 %begin", "i64 %end", "ptr %partials", "ptr %workspace"],
            public=True,
        )
        self._clear_partials(run)
        written = [f for piece in pieces for f in piece.functions]
        written += self._calls(run, [c for piece in pieces for c in piece.before], "0", "0")
        calls = [c for piece in pieces for c in piece.calls]
        if self.ir.tile_axis is None:
            written += self._calls(run, calls, "0", "0")
        else:
            tile = self.get(run, self.args.number("tile", self.tile))
            with run.loop("%end", "%begin", tile) as t:
                n = run.least(tile, run.minus("%end", t))
                written += self._calls(run, calls, t, n)
        return "\n".join([*(f.text() for f in written), run.text()])

    @property
    def work(self) -> str:
        """``@work``: it takes the next chunk from ``counter`` until there are none."""
        sizes = "i64 %chunks, i64 %chunk, i64 %extent"
        return f"""
define void @{WORK}(ptr %args, ptr %counter, {sizes}, ptr %partials, i64 %stride, ptr %workspace) {{
start:
  br label %next
next:
  %c = atomicrmw add ptr %counter, i64 1 monotonic
  %more = icmp slt i64 %c, %chunks
  br i1 %more, label %take, label %done
take:
  %begin = mul nsw i64 %c, %chunk
  %stop = add nsw i64 %begin, %chunk
  %end = call i64 @llvm.smin.i64(i64 %stop, i64 %extent)
  %offset = mul nsw i64 %c, %stride
  %mine = getelementptr i8, ptr %partials, i64 %offset
  call void @{RUN}{self.name}(ptr %args, i64 %begin, i64 %end, ptr %mine, ptr %workspace)
  br label %next
done:
  ret void
}}
"""

    def _calls(self, run: Writer, calls: Sequence[Call], begin: str, tile: str) -> list[Writer]:
        """Write ``calls``; those of a long program go into functions of their own, which are returned."""
        if sum(1 + len(call.pointers) for call in calls) <= TOGETHER:
            for call in calls:
                self._call(run, call, begin, tile)
            return []
        parts: list[Writer] = []
        room = 0
        for call in calls:
            room -= 1 + len(call.pointers)
            if room < 0:
                self._parts += 1
                name = f"part{self.name}.{self._parts}"
                parts.append(
                    Writer(name, ["ptr %args", "i64 %begin", "i64 %n", "ptr %partials", "ptr %workspace"])
                )
                run.do(f"call void @{name}(ptr %args, i64 {begin}, i64 {tile}, ptr %partials, ptr %workspace)")
                room = TOGETHER
            self._call(parts[-1], call, "%begin", "%n")
        return parts

    def _clear_partials(self, run: Writer) -> None:
        """Set the reductions of the chunk to their initial values."""
        for part in self.partials:
            buffer, ctype = part.buffer, ctype_in_memory(part.buffer)
            count = self.get(run, self.args.number(("count", part.node), prod(part.node.shape)))
            held = [buffer, self.lost[buffer]] if buffer in self.lost else [buffer]
            pointers = [self._base(run, b) for b in held]
            start = number(identity(part.monoid, part.node.dtype), ctype)
            with run.loop(count) as i:
                for pointer in pointers:
                    run.store(ctype, start, pointer, i)

    def _base(self, run: Writer, buffer: Buffer) -> str:
        if buffer.space in ("memory", "output"):
            return run.op(f"load ptr, ptr {run.at('i64', '%args', str(self.slot(buffer)))}")
        whole = "%partials" if buffer.space == "partial" else "%workspace"
        return run.op(f"getelementptr i8, ptr {whole}, i64 {self.get(run, self.slot(buffer))}")

    def _call(self, run: Writer, call: Call, begin: str, tile: str) -> None:
        args = ["ptr %args", f"i64 {tile}"]
        for buffer, index in call.pointers:
            pointer = self._base(run, buffer)
            at = "0"
            for a, p in enumerate(index):
                if p.offset:
                    assert buffer.strides is not None
                    key = ("offset", buffer, a, p.offset)
                    at = run.plus(at, self.get(run, self.args.number(key, p.offset * buffer.strides[a])))
                if p.axis is not None and p.axis.is_tile and not buffer.is_tiled:
                    at = run.plus(at, run.times(begin, self.stride(run, buffer, a, p.step)))
            args.append(f"ptr {run.at(ctype_in_memory(buffer), pointer, at)}")
        run.do(f"call void @{call.function}({', '.join(args)})")


def module(kernels: Sequence[Kernel], more: str = "") -> str:
    """An LLVM module with the functions of ``kernels``, what they call, and ``more``."""
    calls = set().union(*[k.calls for k in kernels])
    return "\n".join([functions.definitions(calls, build.scales()), *[k.functions for k in kernels], more])
