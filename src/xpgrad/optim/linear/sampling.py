"""The Hessian from some of the samples, where all of them would cost many passes.

In:  a Design of many columns of numbers, and the curvature of its samples.
Out: ``X' D X`` as each ``step``-th sample tells it, scaled to all of them; or None where these tell too little.
Holds: what is estimated is the step alone. Value and gradient are of all samples, and so is the minimum.

Erdogdu and Montanari, Convergence rates of sub-sampled Newton methods (2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.data.reading import in_order
from xpgrad.devices import asnumpy
from xpgrad.devices.door import is_source
from xpgrad.optim.linear.design import Design
from xpgrad.optim.linear.gram import IN_LOOP, weighted_gram
from xpgrad.optim.linear.programs import Programs

# Rows for each column, and at least; a Hessian of p columns from m rows is right to about sqrt(p / m).
_ROWS_PER_COLUMN, _ROWS = 200, 1 << 14
_LESS = 8  # times fewer rows than all, or all are taken
_EFFECTIVE = 100  # samples that a column must stand on


class Sampled:
    """Each ``step``-th sample of a Design.

    Parameters
    ----------
    design : Design
    step : int
    programs : Programs, optional
        Of the fit, which says how a source is read: once.
    """

    def __init__(self, design: Design, step: int, programs: Programs | None = None) -> None:
        self._step = step
        numbers = design.numbers
        if is_source(numbers):
            assert programs is not None
            assert programs.streaming is not None
            parts = in_order([numbers], programs.streaming.kept, step)
            numbers = np.concatenate([part[::step].copy() for _, _, (part,) in parts])
        else:
            numbers = numbers[::step].copy()
        self._squares = numbers**2
        self._design = Design(numbers, intercept=design.intercept)

    def gram(self, d: Any) -> Any:
        """``X' diag(d) X`` of all samples, float64[p, p], or None: a column stands on too few of them.

        Parameters
        ----------
        d : float[n]
            Of all samples, none negative.
        """
        part = d[:: self._step].copy()
        sums = (part @ self._squares, part**2 @ self._squares**2)
        total, square = (x.astype(np.float64) for x in asnumpy(sums))
        whole, some = (float(x) for x in asnumpy((d.sum(dtype=np.float64), part.sum(dtype=np.float64))))
        if not (some > 0 and (square > 0).all() and (total**2 >= _EFFECTIVE * square).all()):
            return None
        return weighted_gram(self._design, part) * (whole / some)


def sampled(design: Design, programs: Programs | None = None) -> Sampled | None:
    """Some of the samples of a Design, if they spare much and say enough."""
    numbers = design.numbers
    if numbers is None or design.is_sparse or design.codes or numbers.shape[1] <= IN_LOOP:
        return None
    step = design.size // max(_ROWS, _ROWS_PER_COLUMN * design.columns)
    return Sampled(design, step, programs) if step >= _LESS else None
