"""The order of the loops of a nest.

In:  a loop nest, and those buffers that it reads and writes whose layout is known.
Out: its axes, outermost first.
Holds: it depends on which axes are contiguous and on lengths alone.
"""

from __future__ import annotations

from xpgrad.backends.cpu.llvm.builder import KernelBuilder
from xpgrad.codegen.kernel_ir import Axis, LoopNest

SHORT = 16
"""The length below which an axis is not the innermost loop, if another is longer."""


def loop_order(k: KernelBuilder, nest: LoopNest) -> list[Axis]:
    """The axes of ``nest``, outermost first.

    The innermost axis is the one that is contiguous in most arrays, unless it is short. The others are sorted
    by stride, the largest outermost.
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
    longest = max(votes, key=k.length)
    if k.length(inner) < SHORT <= k.length(longest):
        inner = longest
    outer = sorted((e for e in nest.axes if e is not inner), key=lambda e: (reach[e], e.number), reverse=True)
    return [*outer, inner]
