"""A loop by Python: its body runs once for each iteration.

In:  the operands of a `loop` op, and a function that runs its body.
Out: its outputs: the final carries, and the stacked values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xpgrad.core import Graph

Run = Callable[[Sequence[Any]], Sequence[Any]]


def iterate(
    xp: Any, run: Run, operands: Sequence[Any], *, body: Graph, length: int, invariants: int, carries: int
) -> tuple[Any, ...]:
    """The outputs of a loop whose body is ``run``, in arrays of the module ``xp``."""
    fixed = operands[:invariants]
    carried = list(operands[invariants : invariants + carries])
    slices = operands[invariants + carries :]
    stacks = [xp.empty((length, *v.shape), v.dtype) for v in body.outputs[carries:]]
    for t in range(length):
        outs = run([*fixed, *carried, *[x[t] for x in slices]])
        carried = list(outs[:carries])
        for stack, x in zip(stacks, outs[carries:], strict=True):
            stack[t] = x
    finals = [xp.asarray(x, v.dtype)[()] for x, v in zip(carried, body.outputs, strict=False)]
    return (*finals, *stacks)
