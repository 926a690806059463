"""Time the contenders in turn, and compare each with the notes' formulas.

In:  contenders.
Out: a Result for each: seconds per step, and how far its loss and gradient are from float64.
Holds: a contender that is timed has been checked; the device has finished whenever a clock is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from xpgrad.cli.contenders import Contender, Point
from xpgrad.cli.problem import Array
from xpgrad.devices import asnumpy, synchronize

# The largest difference from float64 that counts as rounding, relative to the size of the summed terms.
# float32: eps is 1.2e-7; the worst seen is 1.5e-7, up to 8,000,000 samples and up to 2,000 columns.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

CHUNK = 8192  # samples of X held in float64 at a time


@dataclass(frozen=True)
class Result:
    """The result of one contender.

    Attributes
    ----------
    seconds : float
        Time of one step on all ``rows_of`` samples: the median of the repeats, scaled by ``rows_of / rows``.
    repeats : list of float
        Seconds of each timed step, on ``rows`` samples, not scaled.
    loss : float
        At the point of the race, over ``rows`` samples.
    difference : float
        The largest relative difference of the loss and of any entry of the gradient from float64.
    first_call : float
        Seconds of the first step, whose result was checked.
    preparation : str
        What the first step did besides, once for all the others; empty if nothing.
    """

    key: str
    label: str
    device: str
    dtype: str
    rows: int
    rows_of: int
    seconds: float
    repeats: list[float]
    loss: float
    difference: float
    first_call: float
    preparation: str

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype]

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance


def measure(
    contenders: Sequence[Contender],
    point: Point,
    X: Array,
    Y: Array,
    repeats: int,
    on_step: Callable[[str], None] = lambda label: None,
) -> list[Result]:
    """Run each contender once to check it, then all in turn, ``repeats`` times.

    Taking turns spreads whatever else the machine does over all of them alike.
    """
    truths: dict[int, Truth] = {}
    checked = []
    for contender in contenders:
        on_step(contender.label)
        rows = contender.rows
        if rows not in truths:
            truths[rows] = in_float64(point, X[:, :rows], Y[:, :rows])
        start = time.perf_counter()
        value, (dW, db) = asnumpy(contender.step())
        first = time.perf_counter() - start
        why = contender.preparation() if contender.preparation is not None else ""
        checked.append((float(value), truths[rows].difference(value, dW, db), first, why))

    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(repeats):
        for contender, taken in zip(contenders, seconds, strict=True):
            on_step(contender.label)
            taken.append(_seconds(contender))

    m = X.shape[1]
    return [
        Result(c.key, c.label, c.device, c.dtype, c.rows, m, median(t) * m / c.rows, t, *check)
        for c, t, check in zip(contenders, seconds, checked, strict=True)
    ]


SETTLE_S = 0.15
"""The threads of a BLAS library look for more work for up to 100 ms, on the cores of whose turn comes next."""


def _seconds(contender: Contender) -> float:
    time.sleep(SETTLE_S)
    contender.step()  # untimed: whose turn comes after the loop's would else find the caches cold
    synchronize(contender.device)
    start = time.perf_counter()
    contender.step()
    synchronize(contender.device)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Truth:
    """The step in float64 by the notes' formulas, and the mean size of the terms that its sums add up.

    Attributes
    ----------
    loss : float
    gradient : float64[n_x + 1]
        ``dW``, then ``db``.
    terms : float64[n_x + 1]
        ``mean |x_j dz|`` over the samples; where terms cancel, rounding shows relative to these, not to
        what is left.
    """

    loss: float
    gradient: Array
    terms: Array

    def difference(self, value: object, dW: object, db: object) -> float:
        """The largest relative difference of a loss and its gradient from these; infinite for a NaN."""
        parts = [np.asarray(part, np.float64).reshape(-1) for part in (value, dW, db)]
        of_loss = np.abs(parts[0] - self.loss) / self.loss
        of_gradient = np.abs(np.concatenate(parts[1:]) - self.gradient) / self.terms
        largest = float(np.max(np.concatenate([of_loss, of_gradient])))
        return largest if np.isfinite(largest) else float("inf")


def in_float64(point: Point, X: Array, Y: Array) -> Truth:
    """Compute the notes' formulas in float64, a chunk of samples at a time."""
    W, b = (p.astype(np.float64) for p in point)
    n, m = X.shape
    loss, gradient, terms = 0.0, np.zeros(n + 1), np.zeros(n + 1)
    for start in range(0, m, CHUNK):
        x = np.ones((n + 1, min(CHUNK, m - start)))
        x[:n], y = X[:, start : start + CHUNK], Y[:, start : start + CHUNK].astype(np.float64)
        A = 1 / (1 + np.exp(-(np.dot(W.T, x[:n]) + b)))
        loss -= float(np.sum(y * np.log(A) + (1 - y) * np.log(1 - A)))
        dz = A - y
        gradient += np.dot(x, dz.T)[:, 0]
        terms += np.dot(np.abs(x), np.abs(dz).T)[:, 0]
    return Truth(loss / m, gradient / m, terms / m)
