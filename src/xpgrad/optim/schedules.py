"""Learning rates that change from step to step: functions of the number of steps done."""

from __future__ import annotations

from math import cos, isfinite, pi

from xpgrad._errors import message
from xpgrad.optim.first_order import Schedule


def cosine(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine from ``rate`` down to ``final`` in ``steps`` steps, which then stays.

    Parameters
    ----------
    rate : float
        Of the first step; positive.
    steps : int
        Positive.
    final : float
        From 0 up to ``rate``.

    Notes
    -----
    Loshchilov and Hutter, SGDR (2017), equation 5, without restarts. ``final=0`` ends training: later steps
    have a rate of 0, which optimisers refuse; they get the rate of the last step.

    Examples
    --------
    >>> import xpgrad as xg
    >>> rate = xg.optim.cosine(0.1, 4)
    >>> [round(rate(step), 3) for step in range(4)]
    [0.1, 0.085, 0.05, 0.015]
    """
    _check("cosine", "rate", rate, rate > 0)
    _check("cosine", "steps", steps, steps >= 1)
    _check("cosine", "final", final, 0 <= final <= rate)

    def at(step: int) -> float:
        done = min(step, steps if final else steps - 1) / steps
        return final + (rate - final) * (1 + cos(pi * done)) / 2

    return at


def warmup(rate: float | Schedule, steps: int) -> Schedule:
    """A linear rise in ``steps`` steps to a rate, or to the first rate of a schedule, which then begins.

    Parameters
    ----------
    rate : float or callable
    steps : int
        0 is no rise.

    Examples
    --------
    >>> import xpgrad as xg
    >>> rate = xg.optim.warmup(0.1, 4)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    """
    _check("warmup", "steps", steps, steps >= 0)
    if not callable(rate):
        _check("warmup", "rate", rate, rate > 0)

    def later(step: int) -> float:
        return rate(step) if callable(rate) else float(rate)

    return lambda step: later(0) * (step + 1) / steps if step < steps else later(step - steps)


def inverse_scaling(rate: float, power: float, per_pass: int, samples: int) -> Schedule:
    """``rate / (samples seen + 1) ** power``, with the samples seen in the passes that are done.

    Parameters
    ----------
    rate, power : float
    per_pass : int
        Steps in a pass over the samples.
    samples : int
        In a pass.
    """
    return lambda step: float(rate / (step // per_pass * samples + 1) ** power)


def _check(function: str, name: str, value: float, holds: bool) -> None:
    if not (holds and isfinite(value)):
        raise ValueError(message(f"{function}: {name} is out of range, got {value!r}"))
