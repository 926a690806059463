"""The order of the loops of a nest, and the axes that one loop runs through together.

In:  a loop nest, and those buffers that it reads and writes whose layout is known.
Out: its axes, outermost first; later the axes that are merged with the next one inside.
Holds: it depends on which axes are contiguous and on lengths alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from xpgrad.backends.cpu.llvm.builder import KernelBuilder
from xpgrad.codegen.kernel_ir import Axis, Buffer, Gather, Index, LoopNest, OneHot, Reduce, reduced_axes

SHORT = 16
"""The length below which an axis is not the innermost loop, if another is longer and the nest reduces."""

UNROLLED = 4
"""The same where nothing is reduced: a row of four is one vector, and the next one lies beside it."""

WRITTEN = 32
"""The longest innermost loop whose length is written into the text, so that it has no remainder to check."""

Place = tuple[Buffer, Index]


def loop_order(k: KernelBuilder, nest: LoopNest) -> list[Axis]:
    """The axes of ``nest``, outermost first.

    The innermost axis is the one that is contiguous in most arrays, unless it is short. The others are sorted
    by stride, the largest outermost. The axes of codes that choose where to add are outside all others.
    """
    if not nest.axes:
        return []
    places = [(x.buffer, x.at) for x in nest.loads()]
    places += [(s.buffer, s.at) for s in nest.stores() if s.buffer.space == "output" or nest.kind != "loop"]
    votes = dict.fromkeys(nest.axes, 0)
    reach = dict.fromkeys(nest.axes, 0)
    for buffer, index in places:
        unit = buffer.unit
        if unit is not None and index[unit].step == 1 and (axis := index[unit].axis) is not None:
            votes[axis] += 1
        for p, stride in zip(index, buffer.strides or (), strict=True):
            if p.axis is not None:
                reach[p.axis] = max(reach[p.axis], abs(stride))
    inner = max(votes, key=lambda e: (votes[e], k.length(e)))
    outer = sorted((e for e in nest.axes if e is not inner), key=lambda e: (reach[e], e.number), reverse=True)
    longest = max(votes, key=k.length)
    if any(isinstance(s, Reduce) for s in nest.body):
        if k.length(inner) < SHORT <= k.length(longest):
            outer = sorted([*outer, inner], key=lambda e: (reach[e], e.number), reverse=True)
            outer.remove(longest)
            inner = longest
    elif k.length(inner) < UNROLLED and not merged(k, nest, [*outer, inner], places).get(inner):
        long = [e for e in outer if k.length(e) >= UNROLLED]
        if long:  # the one whose entries lie closest together
            outer = [e for e in (*outer, inner) if e is not long[-1]]
            inner = long[-1]
    found = [*outer, inner]
    if nest.kind == "scatter":  # an entry of the codes chooses once, for all entries of its row
        gone = reduced_axes(next(nest.reductions()), nest)
        found.sort(key=lambda e: e not in gone)
    return found


def merged(
    k: KernelBuilder, nest: LoopNest, order: Sequence[Axis], places: Sequence[Place]
) -> dict[Axis, list[Axis]]:
    """For each loop the loops around it that are one loop with it.

    In all ``places`` a step of the outer loop is as far as a whole run of the inner one. Tiles are of one
    length but for the last, so that nothing around the tile axis is merged with it.
    """
    if any(isinstance(s, (Reduce, Gather, OneHot)) for s in nest.body):
        return {}
    strides = [_strides(place) for place in places]
    found: dict[Axis, list[Axis]] = {}
    inner, length = None, 1
    for e in reversed(order):
        together = inner is not None and all(s.get(e, 0) == s.get(inner, 0) * length for s in strides)
        if inner is not None and together and not inner.is_tile and length:
            found.setdefault(inner, []).append(e)
            length *= k.length(e)
            if e.is_tile:
                inner = None
        else:
            inner, length = e, k.length(e)
    return found


def _strides(place: Place) -> dict[Axis, int]:
    """The distance in entries of one step along each axis."""
    buffer, index = place
    found: dict[Axis, int] = {}
    for p, stride in zip(index, buffer.strides or [0] * len(index), strict=True):
        if p.axis is not None:
            found[p.axis] = found.get(p.axis, 0) + stride * p.step
    return found
