"""Write LLVM IR as text: a function, its instructions, its loops.

>>> w = Writer("f", ["ptr noalias %p", "i64 %n"])
>>> with w.loop("%n") as i:
...     x = w.load("float", "%p", i)
...     w.store("float", w.op(f"fadd float {x}, {x}"), "%p", i)
>>> print(w.text())
define internal void @f(ptr noalias %p, i64 %n) noinline "prefer-vector-width"="512" {
...
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

NOT_UNROLLED = """
!0 = distinct !{!0, !{!"llvm.loop.unroll.disable"}}
"""
"""The metadata of loops that LLVM does not unroll: a part of each module with such a loop.

A block of a product fills the registers. LLVM would make up to eight copies of its loop, above all for AMD's
processors: they are no faster, and take longer to compile than all the rest.
"""

SIZES = {"float": 4, "double": 8, "i8": 1, "i1": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8}
SUFFIXES = {"float": "f32", "double": "f64"}


def number(value: float, ctype: str) -> str:
    """A literal. LLVM writes a float in the bits of the double that it equals."""
    if ctype == "float":
        value = struct.unpack("f", struct.pack("f", value))[0]
    if ctype in ("float", "double"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if ctype == "i1":
        return "true" if value else "false"
    return str(int(value))


class Writer:
    """The body of one function.

    Attributes
    ----------
    params : list of str
        The parameters; more may be added while the body is written.
    """

    def __init__(self, name: str, params: Sequence[str], public: bool = False) -> None:
        self.params = list(params)
        self._name, self._public = name, public
        self._allocas: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._block = "start"

    def op(self, text: str) -> str:
        """Append an instruction; returns the name of its result."""
        self._count += 1
        self._lines.append(f"  %v{self._count} = {text}")
        return f"%v{self._count}"

    def do(self, text: str) -> None:
        """Append an instruction without a result."""
        self._lines.append("  " + text)

    def local(self, ctype: str) -> str:
        """A variable of the function; LLVM turns it into a register."""
        self._count += 1
        self._allocas.append(f"  %l{self._count} = alloca {ctype}")
        return f"%l{self._count}"

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._block = name

    @contextmanager
    def loop(self, end: str, start: str = "0", step: str = "1", unroll: bool = True) -> Iterator[str]:
        """A loop over i64 from ``start`` while below ``end``; gives the index.

        ``unroll``: whether LLVM may unroll it; otherwise the module has `NOT_UNROLLED`.
        """
        self._count += 1
        k = self._count
        before = self._block
        self.do(f"%g{k} = icmp slt i64 {start}, {end}")
        self.do(f"br i1 %g{k}, label %body{k}, label %end{k}")
        self.label(f"body{k}")
        place = len(self._lines)
        self._lines.append("")
        yield f"%i{k}"
        latch = self._block
        self._lines[place] = f"  %i{k} = phi i64 [ {start}, %{before} ], [ %n{k}, %{latch} ]"
        self.do(f"%n{k} = add nsw i64 %i{k}, {step}")
        self.do(f"%c{k} = icmp slt i64 %n{k}, {end}")
        hint = "" if unroll else ", !llvm.loop !0"
        self.do(f"br i1 %c{k}, label %body{k}, label %end{k}{hint}")
        self.label(f"end{k}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Instructions that run only if an i1 is true."""
        self._count += 1
        k = self._count
        self.do(f"br i1 {condition}, label %then{k}, label %after{k}")
        self.label(f"then{k}")
        yield
        self.do(f"br label %after{k}")
        self.label(f"after{k}")

    @contextmanager
    def leaving_if(self, condition: str) -> Iterator[None]:
        """Instructions after which the function returns, if an i1 is true."""
        self._count += 1
        k = self._count
        self.do(f"br i1 {condition}, label %leave{k}, label %stay{k}")
        self.label(f"leave{k}")
        yield
        self.do("ret void")
        self.label(f"stay{k}")

    def at(self, ctype: str, pointer: str, index: str) -> str:
        """The address of entry ``index``."""
        return pointer if index == "0" else self.op(f"getelementptr {ctype}, ptr {pointer}, i64 {index}")

    def load(self, ctype: str, pointer: str, index: str = "0", vector: int = 1, mask: str = "") -> str:
        """An entry or a vector; of a vector with a mask, 0 where that is false, which is not read."""
        whole = f"<{vector} x {ctype}>" if vector > 1 else ctype
        at = self.at(ctype, pointer, index)
        if not mask:
            return self.op(f"load {whole}, ptr {at}, align {SIZES[ctype]}")
        name = f"@llvm.masked.load.v{vector}{SUFFIXES[ctype]}.p0"
        given = f"ptr {at}, i32 {SIZES[ctype]}, <{vector} x i1> {mask}, {whole} zeroinitializer"
        return self.op(f"call {whole} {name}({given})")

    def store(
        self, ctype: str, value: str, pointer: str, index: str = "0", vector: int = 1, mask: str = ""
    ) -> None:
        """Store an entry or a vector; of a vector with a mask, the lanes where that is true."""
        whole = f"<{vector} x {ctype}>" if vector > 1 else ctype
        at = self.at(ctype, pointer, index)
        if not mask:
            self.do(f"store {whole} {value}, ptr {at}, align {SIZES[ctype]}")
            return
        name = f"@llvm.masked.store.v{vector}{SUFFIXES[ctype]}.p0"
        given = f"{whole} {value}, ptr {at}, i32 {SIZES[ctype]}, <{vector} x i1> {mask}"
        self.do(f"call void {name}({given})")

    def vectors(self, length: str, lanes: int, begin: str = "0") -> Iterator[tuple[str, str]]:
        """Loops over vectors of entries from ``begin`` on: whole ones, then one with a mask for the rest.

        Yields
        ------
        index, mask : str
            What is written meanwhile is the body of the loop. The mask of whole vectors is "".
        """
        whole = self.plus(
            begin, self.times(self.op(f"sdiv i64 {self.minus(length, begin)}, {lanes}"), str(lanes))
        )
        with self.loop(whole, begin, str(lanes), unroll=False) as i:
            yield i, ""
        with self.loop(length, whole, str(lanes), unroll=False) as i:
            yield i, self.first_lanes(self.minus(length, i), lanes)

    def first_lanes(self, count: str, vector: int) -> str:
        """The mask of a vector's first ``count`` lanes."""
        kind = f"<{vector} x i64>"
        one = self.op(f"insertelement {kind} poison, i64 {count}, i64 0")
        every = self.op(f"shufflevector {kind} {one}, {kind} poison, <{vector} x i32> zeroinitializer")
        lanes = ", ".join(f"i64 {i}" for i in range(vector))
        return self.op(f"icmp slt {kind} <{lanes}>, {every}")

    def prefetch(self, pointer: str) -> None:
        """Prefetch the cache line at ``pointer``, which need not exist."""
        self.do(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 2, i32 1)")

    def times(self, a: str, b: str) -> str:
        if a == "1" or b == "1":
            return b if a == "1" else a
        return "0" if "0" in (a, b) else self.op(f"mul nsw i64 {a}, {b}")

    def plus(self, a: str, b: str) -> str:
        if a == "0" or b == "0":
            return b if a == "0" else a
        return self.op(f"add nsw i64 {a}, {b}")

    def minus(self, a: str, b: str) -> str:
        return a if b == "0" else self.op(f"sub nsw i64 {a}, {b}")

    def least(self, a: str, b: str) -> str:
        return self.op(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def text(self) -> str:
        how, tail = ("", "") if self._public else ("internal ", " noinline")
        head = f'define {how}void @{self._name}({", ".join(self.params)}){tail} "prefer-vector-width"="512" {{'
        return "\n".join([head, "start:", *self._allocas, *self._lines, "  ret void", "}", ""])
