"""Codes that choose entries of an array: their bounds, and the indices that they mean.

; before the loops of a nest that reads w[codes[i]], of n entries; LLVM vectorises this loop
for i in 0..tile:
    least, most = min(least, codes[i]), max(most, codes[i])
if least < -n or most >= n:
    note it, and leave the function
...
    at = codes[i] + (n if codes[i] < 0 else 0)

Holds: no entry outside an array is read or written. A code outside is noted in the kernel's arguments, and the
call is then repeated node by node, which raises NumPy's error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from xpgrad.backends.cpu.llvm.builder import KernelBuilder, ctype_in_memory
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, loaded
from xpgrad.backends.cpu.llvm.writer import SIZES, Writer
from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.scalar.ops import kind_of

Chosen = tuple[ir.Operand, int]
"""An operand that chooses, and the length of the axis that it chooses along."""


def choices(nest: ir.LoopNest) -> list[Chosen]:
    """The choices of the statements of ``nest``, each once."""
    found: dict[Chosen, None] = {}
    for s in nest.body:
        match s:
            case ir.Gather() | ir.OneHot():
                found[s.chosen, s.length] = None
            case ir.Reduce(choice=ir.Choice() as choice):
                found[choice.chosen, choice.length] = None
    return list(found)


def notes_in_its_loop(nest: ir.LoopNest, chosen: Iterable[Chosen]) -> bool:
    """Whether the loop itself finds out that a call fails, by a value that it has computed."""
    raises = any("raises" in s.node.op.traits for s in nest.assignments())
    return raises or any(not isinstance(x, ir.Load) for x, _ in chosen)


def length_of(k: KernelBuilder, w: Writer, length: int) -> str:
    """The length of an axis that is chosen along, from the kernel's arguments."""
    return k.get(w, k.args.number(("length", length), length))


def leave_if_outside(
    k: KernelBuilder,
    w: Writer,
    found: Mapping[ir.Load, tuple[str, Mapping[ir.Axis, str]]],
    lengths: list[tuple[ir.Load, int]],
) -> None:
    """Leave the function if one of the codes in ``lengths`` is outside.

    ``found`` has their addresses and steps.

    An earlier nest of the same tile may have seen the same codes.
    """
    if not lengths:
        return
    new = [x for x in lengths if x not in k.checked]
    k.checked.update(new)
    outside = (
        [w.op(f"icmp ne i64 {w.load('i64', '%args', str(k.outside()))}, 0")] if len(new) < len(lengths) else []
    )
    for load in dict.fromkeys(load for load, _ in new):
        least, most = _range(k, w, load, *found[load])
        for length in (n for x, n in new if x is load or x == load):
            n = length_of(k, w, length)
            outside.append(w.op(f"icmp sge i64 {most}, {n}"))
            if least is not None:
                outside.append(w.op(f"icmp slt i64 {least}, {w.op(f'sub nsw i64 0, {n}')}"))
    any_ = outside[0]
    for more in outside[1:]:
        any_ = w.op(f"or i1 {any_}, {more}")
    with w.leaving_if(any_):
        w.store("i64", "1", "%args", str(k.outside()))


def _range(
    k: KernelBuilder, w: Writer, load: ir.Load, pointer: str, steps: Mapping[ir.Axis, str]
) -> tuple[str | None, str]:
    """The least and the largest of some codes and 0, as i64; no least one of unsigned codes."""
    kind, ctype = kind_of(load.buffer.dtype) or "", ctype_in_memory(load.buffer)
    signed = kind.startswith("i")
    ends = {"max": w.local(ctype)} | ({"min": w.local(ctype)} if signed else {})
    for place in ends.values():
        w.do(f"store {ctype} 0, ptr {place}")
    order = sorted(steps, key=lambda e: (steps[e] == "1", e.number))
    with ExitStack() as stack:
        at = "0"
        for e in order:
            at = w.plus(at, w.times(stack.enter_context(w.loop(k.extent(w, e))), steps[e]))
        x = loaded(w, load.buffer.dtype, pointer, at).name
        for which, place in ends.items():
            name = f"@llvm.{'s' if signed else 'u'}{which}.{ctype}"
            held = w.op(f"load {ctype}, ptr {place}")
            w.do(f"store {ctype} {w.op(f'call {ctype} {name}({ctype} {held}, {ctype} {x})')}, ptr {place}")
    wide = {
        which: converted(w, Scalar(w.op(f"load {ctype}, ptr {place}"), kind), "i64")
        for which, place in ends.items()
    }
    return wide.get("min"), wide["max"]


def index_of(k: KernelBuilder, w: Writer, x: Scalar, length: int) -> str:
    """The index that a code inside the bounds means, as i64.

    It is computed in 32 bits where they suffice, so that a vector has more of them.
    """
    n = length_of(k, w, length)
    if not x.kind.startswith("i"):
        return converted(w, x, "i64")
    if SIZES[x.ctype] > 4 or length >= 1 << 31:
        return _from_end(w, converted(w, x, "i64"), n, "i64")
    at = _from_end(w, converted(w, x, "i32"), w.op(f"trunc i64 {n} to i32"), "i32")
    return w.op(f"sext i32 {at} to i64")


def _from_end(w: Writer, x: str, n: str, ctype: str) -> str:
    negative = w.op(f"icmp slt {ctype} {x}, 0")
    return w.op(f"select i1 {negative}, {ctype} {w.op(f'add {ctype} {x}, {n}')}, {ctype} {x}")


def checked_index(k: KernelBuilder, w: Writer, x: Scalar, length: int, outside: str) -> str:
    """The index that a code means which the same loop has computed.

    One outside is noted at ``outside`` and replaced by 0.
    """
    n = length_of(k, w, length)
    at = _from_end(w, converted(w, x, "i64"), n, "i64")
    is_inside = w.op(f"icmp ult i64 {at}, {n}")
    note_unless(w, is_inside, outside)
    return w.op(f"select i1 {is_inside}, i64 {at}, i64 0")


def note_unless(w: Writer, ok: str, place: str) -> None:
    """Note at ``place`` that the truth value ``ok`` does not hold."""
    bad = w.op(f"zext i1 {w.op(f'xor i1 {ok}, true')} to i64")
    w.store("i64", w.op(f"or i64 {w.load('i64', place)}, {bad}"), place)
