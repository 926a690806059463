"""One step of a plan as a kernel: the text of an LLVM module, and its arguments.

In:  a Region or an Untiled step, and the arrays that it reads.
Out: a Kernel.
Holds: ``@run(args, begin, end, partials, workspace)`` computes entries ``begin`` to ``end`` of the tile axis,
tile by tile, and adds to ``partials``, which belong to the chunk; ``workspace`` belongs to the thread.
``@work`` takes chunks until there are none: the threads that share them call it once each. ``@total`` combines
the partials of the chunks, in order. A kernel that `resumes` is called for the parts of a chunk: its ``@run``
goes on from the partials that it finds, and ``@clear`` sets them to their initial values.

    define void @run(ptr %args, i64 %begin, i64 %end, ptr %partials, ptr %workspace)
        for each tile:                      ; an Untiled step has one
            call @nest0(args, tile, pointers...)
            call @nest1(args, tile, pointers...)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from math import prod

from xpgrad.backends.cpu.llvm import build, functions
from xpgrad.backends.cpu.llvm.builder import Call, KernelBuilder, Partial, ctype_in_memory
from xpgrad.backends.cpu.llvm.combining import combined
from xpgrad.backends.cpu.llvm.loops import write_loop
from xpgrad.backends.cpu.llvm.matmul import write_matmul
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, ctype_of, kept, loaded
from xpgrad.backends.cpu.llvm.sums import Total, settled, two_sum
from xpgrad.backends.cpu.llvm.writer import NOT_UNROLLED, Writer, number
from xpgrad.backends.layouts import Layouts
from xpgrad.codegen.kernel_ir import Buffer, c_strides, identity
from xpgrad.plan import Plan
from xpgrad.plan.plan import Step

RUN, WORK, TOTAL, CLEAR = "run", "work", "total", "clear"

TOGETHER = 512
"""The most calls in one function, counted with their pointers: LLVM's time grows with the square."""

_WRITE = {"loop": write_loop, "slices": write_loop, "scatter": write_loop, "matmul": write_matmul}


class Kernel(KernelBuilder):
    """A step as a kernel.

    ``resumes``: chunks are computed part by part; the entries are ``@run``, ``@clear`` and ``@total``.

    Attributes
    ----------
    functions : str
        LLVM IR; the entries are ``@work`` and ``@total``, followed by ``name`` as the names of all functions.

    Raises
    ------
    Declined
        A node has no loops or no instructions here.
    """

    def __init__(self, step: Step, plan: Plan, layouts: Layouts, name: str = "", resumes: bool = False) -> None:
        super().__init__(step, plan, layouts)
        self.name, self.resumes = name, resumes
        self._parts = 0
        self.functions = self._write()

    @property
    def text(self) -> str:
        """A module with this kernel alone."""
        return module([self])

    def _write(self) -> str:
        pieces = [_WRITE[nest.kind](self, nest, f"nest{self.name}.{k}") for k, nest in enumerate(self.ir.nests)]
        run = Writer(
            RUN + self.name,
            ["ptr %args", "i64 %begin", "i64 %end", "ptr %partials", "ptr %workspace"],
            public=self.resumes,
        )
        if not self.resumes:
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
        takes = self._clear() if self.resumes else self._work()
        return "\n".join([*(f.text() for f in written), run.text(), takes, self._total()])

    def _clear(self) -> str:
        """``@clear``: it sets the partials of a chunk to their initial values."""
        w = Writer(CLEAR + self.name, ["ptr %args", "ptr %partials"], public=True)
        self._clear_partials(w)
        return w.text()

    def _work(self) -> str:
        """``@work``: it takes the next chunk from ``counter`` until there are none."""
        sizes = "i64 %chunks, i64 %chunk, i64 %extent"
        return f"""
define void @{WORK}{self.name}(ptr %args, ptr %counter, {sizes}, ptr %partials, i64 %stride, ptr %workspace) {{
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

    def _total(self) -> str:
        """``@total``: it adds the partials of each chunk to those of the first, and converts them.

        define void @total(ptr %args, ptr %partials, i64 %chunks, i64 %stride, ptr %outs)
            for c in 1..chunks:
                for i in 0..count: partials[0][i] += partials[c][i]
            for i in 0..count: outs[0][i] = (float)partials[0][i]
        """
        params = ["ptr %args", "ptr %partials", "i64 %chunks", "i64 %stride", "ptr %outs"]
        w = Writer(TOTAL + self.name, params, public=True)
        for k, part in enumerate(self.partials):
            held = self._base(w, part.buffer)
            lost = self._base(w, self.lost[part.buffer]) if part.buffer in self.lost else None
            count = self.get(w, self.args.number(("count", part.node), prod(part.node.shape)))
            with w.loop("%chunks", "1") as c:
                offset = w.times(c, "%stride")
                others = [
                    w.op(f"getelementptr i8, ptr {p}, i64 {offset}") for p in (held, lost) if p is not None
                ]
                with w.loop(count) as i:
                    self._add_partial(w, part, held, lost, others, i)
            out = w.op(f"load ptr, ptr {w.at('i64', '%outs', str(k))}")
            self._write_total(w, part, held, lost, out, count)
        return w.text()

    def _add_partial(
        self, w: Writer, part: Partial, held: str, lost: str | None, others: Sequence[str], i: str
    ) -> None:
        """Combine entry ``i`` of the partials at ``others`` with the entry at ``held``."""
        ctype, dtype = ctype_in_memory(part.buffer), part.buffer.dtype
        mine, other = loaded(w, dtype, held, i), loaded(w, dtype, others[0], i)
        if lost is None:
            if part.monoid == "sum" and ctype != "float":  # in order; `combined` may add in any
                add = "fadd" if ctype == "double" else "add"
                found = Scalar(w.op(f"{add} {mine.ctype} {mine.name}, {other.name}"), mine.ctype)
            else:
                found = combined(w, part.node, mine, other)
            kept(w, Scalar(converted(w, found, mine.ctype), mine.ctype), held, i)
            return
        total, more = two_sum(w, mine.name, other.name)
        before = w.op(f"fadd double {w.load(ctype, lost, i)}, {w.load(ctype, others[1], i)}")
        w.store(ctype, total, held, i)
        w.store(ctype, w.op(f"fadd double {before}, {more}"), lost, i)

    def _write_total(self, w: Writer, part: Partial, held: str, lost: str | None, out: str, count: str) -> None:
        """Convert the partials at ``held`` to the type of the value, and store them in C order."""
        buffer, node, ctype = part.buffer, part.node, ctype_of(part.node.dtype) or ""
        assert buffer.strides is not None
        with ExitStack() as loops:
            if in_c_order(buffer):
                at = place = loops.enter_context(w.loop(count))
            else:
                at = place = "0"
                for a, stride in enumerate(c_strides(node.shape)):
                    n = self.get(w, self.args.number(("total", node, a), node.shape[a]))
                    i = loops.enter_context(w.loop(n))
                    at = w.plus(at, w.times(i, self.stride(w, buffer, a)))
                    place = w.plus(place, w.times(i, self.get(w, self.args.number(("c", node, a), stride))))
            x = loaded(w, buffer.dtype, held, at)
            if lost is not None:
                x = Scalar(settled(w, Total(x.name, w.load("double", lost, at))), "double")
            kept(w, Scalar(converted(w, x, ctype), ctype), out, place)

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


def in_c_order(buffer: Buffer) -> bool:
    """Whether the entries lie in C order; an axis of length 1 may have any stride."""
    strides = zip(buffer.shape, buffer.strides or (), c_strides(buffer.shape), strict=True)
    return all(n == 1 or s == t for n, s, t in strides)


def module(kernels: Sequence[Kernel], more: str = "") -> str:
    """An LLVM module with the functions of ``kernels``, what they call, and ``more``."""
    calls = set().union(*[k.calls for k in kernels])
    texts = [functions.definitions(calls, build.scales()), *[k.functions for k in kernels], more, NOT_UNROLLED]
    return "\n".join(texts)
