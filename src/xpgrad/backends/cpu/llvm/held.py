"""Reductions that are combined in memory: begun before the loops, and settled after them.

; the sums of float32 x[n, r] along its first axis: added up in float64
for i in 0..r: held[i] = 0
...
for i in 0..r: y[i] = (float)held[i]

In:  a node that a nest adds to entry by entry, or block by block.
Out: functions around those of the nest, and the calls of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from xpgrad.backends.cpu.llvm.frame import Call, Frame, Piece, identity
from xpgrad.backends.cpu.llvm.scalars import Scalar, converted
from xpgrad.backends.cpu.llvm.storage import Storage
from xpgrad.backends.cpu.llvm.sums import is_sum
from xpgrad.backends.cpu.llvm.writer import Writer
from xpgrad.core import Node
from xpgrad.plan.nests import Place


class Around(NamedTuple):
    """What is called before and after the functions of a nest."""

    functions: list[Writer]
    before: list[Call]
    after: list[Call]


def enclosed(around: Sequence[Around], piece: Piece) -> Piece:
    """``piece`` with all that goes around it."""
    functions = [f for part in around for f in part.functions]
    before = [call for part in around for call in part.before]
    after = [call for part in around for call in part.after]
    return Piece([*functions, *piece.functions], [*before, *piece.calls, *after], piece.before)


def held_in(k: Frame, node: Node) -> list[Storage]:
    """Where a reduction is combined in memory, and what a sum of floats loses."""
    if not is_sum(node):
        return [k.storages[node]]
    held = k.held(node)
    return [held, k.lost[node]] if node in k.lost else [held]


def around_sum(k: Frame, node: Node, name: str) -> Around:
    """What goes around a nest that combines ``node``, which has its place."""
    place = k.storages[node]
    if place.kind == "partial":  # of the chunk, not of a tile
        return Around([], [], [])
    own = tuple(map(Place, k.axes.labels(node)))
    held = held_in(k, node)[0]
    found = Around([], [], [])
    w = Writer(f"{name}.clear", ["ptr %args", "i64 %tile", "ptr noalias %p0"])
    with _entries(k, w, node, [held]) as (at,):
        w.store(held.ctype, identity(node, held.ctype), "%p0", at)
    found.functions.append(w)
    found.before.append(Call(f"{name}.clear", [(held, own)]))
    if held is not place:
        w = Writer(f"{name}.settle", ["ptr %args", "i64 %tile", "ptr noalias %p0", "ptr noalias %p1"])
        with _entries(k, w, node, [place, held]) as (to, at):
            x = Scalar(w.load("double", "%p1", at), "double")
            w.store(place.ctype, converted(w, x, place.ctype), "%p0", to)
        found.functions.append(w)
        found.after.append(Call(f"{name}.settle", [(place, own), (held, own)]))
    return found


@contextmanager
def _entries(k: Frame, w: Writer, node: Node, storages: Sequence[Storage]) -> Iterator[list[str]]:
    """Loops over the entries of ``node``, and where each lies in arrays that hold them."""
    with ExitStack() as stack:
        at = ["0"] * len(storages)
        for a, e in enumerate(k.axes.labels(node)):
            length = storages[0].shape[a]
            if e is None and length == 1:
                continue
            slot = k.slots.number(("length", node, a), length)
            i = stack.enter_context(w.loop(k.extent(w, e) if e is not None else k.get(w, slot)))
            for j, storage in enumerate(storages):
                at[j] = w.plus(at[j], w.times(i, k.stride(w, storage, a)))
        yield at
