"""A step along a direction that satisfies the strong Wolfe conditions.

In:  ``phi(a) = f(x + a d)`` with its slope, and the point at ``a = 0``, where the slope is negative.
Out: a step ``a`` with ``phi(a) <= phi(0) + c1 a phi'(0)`` (the loss falls enough) and
     ``|phi'(a)| <= -c2 phi'(0)`` (the slope has flattened).
Holds: a point where the loss or the slope is NaN or infinite counts as too far.

Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, inf, isfinite, sqrt
from typing import Any, NamedTuple

C1 = 1e-4
C2 = 0.9
MAX_EVALUATIONS = 20

# A new trial stays this far, in widths of the bracket, from both of its ends.
_MARGIN = 0.1
# While the loss still falls, the next step lies this far beyond, in widths of the last.
_REACH = (1.1, 9.0)


class Trial(NamedTuple):
    """One point of the line.

    Attributes
    ----------
    step, value, slope : float
        ``a``, ``phi(a)`` and ``phi'(a)``.
    x, gradient : vector
        The point and the gradient there, on their device; the search does not look at them.
    """

    step: float
    value: float
    slope: float
    x: Any = None
    gradient: Any = None

    @property
    def is_finite(self) -> bool:
        return isfinite(self.value) and isfinite(self.slope)


Phi = Callable[[float], Trial]


def falls_enough(start: Trial, trial: Trial) -> bool:
    """The first Wolfe condition (Armijo); False where the loss is NaN."""
    return trial.value <= start.value + C1 * trial.step * start.slope


def is_flat(start: Trial, trial: Trial) -> bool:
    """The second strong Wolfe condition."""
    return abs(trial.slope) <= -C2 * start.slope


def strong_wolfe(phi: Phi, start: Trial, step: float) -> Trial | None:
    """Find a step that satisfies both conditions, within `MAX_EVALUATIONS`.

    Parameters
    ----------
    phi : callable
        Evaluates a step.
    start : Trial
        At step 0, with a negative slope.
    step : float
        The first to try, positive.

    Returns
    -------
    Trial or None
        Where the evaluations run out, the best point that at least falls enough; None if there
        is none.
    """
    previous, ceiling = start, inf
    for used in range(1, MAX_EVALUATIONS + 1):
        trial = phi(step)
        if not trial.is_finite:
            ceiling = step
            step = previous.step + _MARGIN * (step - previous.step)
            continue
        rises = previous is not start and trial.value >= previous.value
        if rises or not falls_enough(start, trial):
            return _zoom(phi, start, previous, trial, MAX_EVALUATIONS - used)
        if is_flat(start, trial):
            return trial
        if trial.slope >= 0:
            return _zoom(phi, start, trial, previous, MAX_EVALUATIONS - used)
        step = _beyond(previous, trial, ceiling)
        previous = trial
    return None if previous is start else previous


def _beyond(a: Trial, b: Trial, ceiling: float) -> float:
    """A longer step than ``b``, which still goes down: where a cubic has its minimum, if that is near."""
    width = b.step - a.step
    low, high = (b.step + reach * width for reach in _REACH)
    guess = cubic_minimum(a, b)
    step = high if guess is None or guess <= b.step else min(max(guess, low), high)
    return min(step, (b.step + ceiling) / 2)


def _zoom(phi: Phi, start: Trial, low: Trial, high: Trial, evaluations: int) -> Trial | None:
    """Narrow a bracket that holds steps which satisfy both conditions.

    ``low`` falls enough (or is the start) and has the lower value; its slope points to ``high``.
    """
    before, width = inf, abs(high.step - low.step)
    for _ in range(evaluations):
        step = _inside(low, high, bisect=width > 0.66 * before)
        if step in (low.step, high.step):
            break
        trial = phi(step)
        if not trial.is_finite or not falls_enough(start, trial) or trial.value >= low.value:
            high = trial
        else:
            if is_flat(start, trial):
                return trial
            if trial.slope * (high.step - low.step) >= 0:
                high = low
            low = trial
        before, width = width, abs(high.step - low.step)
    return None if low is start else low


def _inside(low: Trial, high: Trial, *, bisect: bool) -> float:
    """A step between the two: where a cubic has its minimum, kept off both ends."""
    middle = low.step + (high.step - low.step) / 2
    guess = None if bisect else cubic_minimum(low, high)
    if guess is None:
        return middle
    left, right = sorted((low.step, high.step))
    margin = _MARGIN * (right - left)
    return min(max(guess, left + margin), right - margin)


def cubic_minimum(a: Trial, b: Trial) -> float | None:
    """The minimiser of the cubic through two values and slopes; None if there is none.

    Nocedal and Wright, eq. 3.59.
    """
    if not (a.is_finite and b.is_finite) or a.step == b.step:
        return None
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not (isfinite(square) and square >= 0):
        return None
    d2 = copysign(sqrt(square), b.step - a.step)
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return None
    step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / denominator
    return step if isfinite(step) else None
