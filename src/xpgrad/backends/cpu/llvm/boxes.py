"""An array that is put together of parts, as a function: `index_update`, `concatenate`, `pad`, `scatter_sum`.

; u[1:-1] = v
define internal void @nest0(ptr %args, i64 %tile, ptr noalias %p0, ptr noalias %p1, ptr noalias %p2)
    for i in 0..n:      p0[i] = p1[i]
    for i in 0..n - 2:  p0[i + 1] = p2[i]
"""

from __future__ import annotations

from contextlib import ExitStack

from xpgrad.backends.cpu.llvm.frame import Call, Frame, Piece
from xpgrad.backends.cpu.llvm.loops import read_scalar
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted, ctype_of, kept, loaded
from xpgrad.backends.cpu.llvm.storage import Storage
from xpgrad.backends.cpu.llvm.writer import Writer, number
from xpgrad.core import Node
from xpgrad.plan.boxes import Part, parts_of
from xpgrad.plan.nests import Nest, Place


def write_boxes(k: Frame, nest: Nest, name: str) -> Piece:
    """The function that puts the node of ``nest`` together, and the call of it."""
    (node,) = nest.nodes
    labels = k.axes.labels(node)
    last = next((e for e in reversed(labels) if e is not None), None)
    target = k.place(node, last)
    own = tuple(map(Place, labels))
    pointers: list[tuple[Storage, tuple[Place, ...]]] = [(target, own)]
    parts = parts_of(node)
    sources: dict[int, tuple[Storage, int]] = {}
    for part in parts:
        if part.operand is None:
            continue
        access = k.nests.access(node, part.operand)
        if access.is_scalar:
            continue
        storage = k.storage(access)
        sources[part.operand] = storage, len(pointers)
        pointers.append((storage, access.places))
    params = ["ptr %args", "i64 %tile", *[f"ptr noalias %p{i}" for i in range(len(pointers))]]
    w = Writer(name, params)
    for number_, part in enumerate(parts):
        _write_part(k, w, node, number_, part, target, sources)
    return Piece([w], [Call(name, pointers)], [])


def _write_part(
    k: Frame,
    w: Writer,
    node: Node,
    which: int,
    part: Part,
    target: Storage,
    sources: dict[int, tuple[Storage, int]],
) -> None:
    labels = k.axes.labels(node)
    ctype = ctype_of(node.dtype) or ""
    source = sources.get(part.operand) if part.operand is not None else None
    scalar = None
    if part.operand is not None and source is None:
        scalar = read_scalar(k, w, node, part.operand)
    reading = _reading(k, node, part.operand) if part.operand is not None else {}
    with ExitStack() as stack:
        goal = at = "0"
        for a in _order(target):
            length, start, step, mine = part.box[a]
            stride = k.stride(w, target, a)
            if start:
                offset = k.get(w, k.slots.number(("box", node, which, a), start * target.strides[a]))
                goal = w.plus(goal, offset)
            if target.shape[a] == 1 and length == 1:
                continue
            if labels[a] is not None and labels[a] == k.label:
                n = "%tile"
            else:
                n = k.get(w, k.slots.number(("length", node, which, a), length))
            i = stack.enter_context(w.loop(n))
            if step != 1:
                stride = k.get(w, k.slots.number(("step", node, which, a), step * target.strides[a]))
            goal = w.plus(goal, w.times(i, stride))
            if source is not None and mine in reading:
                for axis, s in reading[mine]:
                    at = w.plus(at, w.times(i, k.stride(w, source[0], axis, s)))
        if part.operand is None:
            value = Scalar(number(0, ctype), ctype)
        elif scalar is not None:
            value = scalar
        else:
            assert source is not None
            value = loaded(w, source[0].dtype, f"%p{source[1]}", at)
        value = Scalar(converted(w, value, ctype), ctype)
        if part.adds:
            held = loaded(w, target.dtype, "%p0", goal)
            add = "fadd" if ctype in ("float", "double") else "add"
            value = Scalar(w.op(f"{add} {ctype} {held.name}, {value.name}"), ctype)
        kept(w, value, "%p0", goal)


def _order(target: Storage) -> list[int]:
    """The axes of the output, the one that is contiguous last."""
    return sorted(range(len(target.shape)), key=lambda a: target.strides[a], reverse=True)


def _reading(k: Frame, node: Node, operand: int) -> dict[int | None, list[tuple[int, int]]]:
    """For each axis of the operand: the axes of its array that go along with it, and the step."""
    u = node.operands[operand]
    shape = u.shape
    if k.nests.is_view(u):
        found: dict[int | None, list[tuple[int, int]]] = {}
        for axis, (mine, step, _) in enumerate(k.nests.view_axes(u)):
            if mine is not None and shape[mine] != 1:
                found.setdefault(mine, []).append((axis, step))
        return found
    return {a: [(a, 1)] for a, n in enumerate(shape) if n != 1}
