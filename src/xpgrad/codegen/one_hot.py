"""Additions to a table by codes, as a sum over entries that are zero but where a code chooses.

In:  the loop nests of a kernel.
Out: the same, without choices in a `Reduce`: each such nest has a loop over the entries of the table.
Holds: the sum of an entry is in the order of the samples, whichever thread has it. No two threads add to one
entry at once, as they would where each adds at the code of its own sample.

    scatter i                                    loop i, j0
      t moved by c[i] of 5 along axis 0 sum= g[i]   h = g[i] if c[i] == j0 else 0
                                                    t[j0] sum= h
"""

from __future__ import annotations

from collections.abc import Iterable

from xpgrad.codegen import kernel_ir as ir
from xpgrad.codegen.kernel_ir import Choice, Local, LoopNest, OneHot, Reduce


def without_choices(nests: Iterable[LoopNest]) -> list[LoopNest]:
    """``nests`` with a nest for each `Reduce` that has a choice."""
    found: list[LoopNest] = []
    for nest in nests:
        if nest.kind == "scatter":
            found += [_one_hot(nest, s) for s in nest.reductions()]
        else:
            found.append(nest)
    return found


def _one_hot(nest: LoopNest, s: Reduce) -> LoopNest:
    choice = s.choice
    assert isinstance(choice, Choice)
    assert s.operand is not None
    axis = choice.whole[choice.axis].axis
    axes = nest.axes if axis is None else (*nest.axes, axis)
    entry = OneHot(s.node, s.operand, choice.chosen, axis, choice.length)
    added = Reduce(s.node, s.buffer, choice.whole, s.monoid, Local(s.node), None)
    return LoopNest("loop", tuple(sorted(axes, key=lambda e: e.number)), [entry, added])


def table_axes(nests: Iterable[LoopNest]) -> list[ir.Axis]:
    """The loops over the entries of tables in `without_choices`, one for each table."""
    sums = (s.choice for nest in nests for s in nest.reductions())
    return [e for c in sums if c is not None and (e := c.whole[c.axis].axis) is not None]
