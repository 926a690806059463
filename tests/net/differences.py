"""Derivatives by central differences, where a function is smooth, with an estimate of their error."""

import numpy as np

from xpgrad._trees import flatten

_STEPS = (4e-4, 2e-4, 1e-4)
_NEAR = (2e-5, 5e-6)


def moved_by(xs, ts, h):
    """``xs + h ts``, in the dtypes of ``xs``; Python floats stay such."""
    return [
        x + h * t if not isinstance(x, (float, complex)) else type(x)(x + h * t)
        for x, t in zip(xs, ts, strict=True)
    ]


def along(f, xs, ts):
    """The derivative of ``f(*xs)`` along ``ts``: ``(values, allowed)`` for each inexact leaf.

    ``allowed`` is infinite where the function is not seen to be smooth: where differences with several steps
    do not converge, or those to the left and to the right do not approach one another.
    """

    def at(h):
        return [np.asarray(y) for y in flatten(f(*moved_by(xs, ts, h)))[0]]

    with np.errstate(all="ignore"):
        here = at(0.0)
        left, right = [at(-h) for h in _STEPS + _NEAR], [at(h) for h in _STEPS + _NEAR]
        floats = [k for k, y in enumerate(here) if y.dtype.kind in "fc"]
        return [_derivative(here[k], [y[k] for y in left], [y[k] for y in right]) for k in floats]


def is_smooth(f, xs, ts):
    """Whether all that ``f(*xs)`` gives is finite, of moderate size, and smooth along ``ts``.

    What is no float must be the same on both sides: a comparison that is decided otherwise next to ``xs``
    has no derivative here, whatever comes of it.
    """
    with np.errstate(all="ignore"):
        here = [np.asarray(y) for y in flatten(f(*xs))[0]]
        if any(y.dtype in (np.float32, np.complex64) for y in here):
            return False
        if any(y.size and not np.max(np.abs(y)) < 1e100 for y in here if y.dtype.kind in "fc"):
            return False
        for h in (*_STEPS, *_NEAR):
            for sign in (-1, 1):
                there = [np.asarray(y) for y in flatten(f(*moved_by(xs, ts, sign * h)))[0]]
                if any(np.any(a != b) for a, b in zip(here, there, strict=True) if a.dtype.kind in "biu"):
                    return False
    other = [_other(t) for t in ts]
    both = [t + u for t, u in zip(ts, other, strict=True)]
    # One direction shows no kink to a median of equal entries: the slope along a sum is the sum of the slopes.
    for (a, e), (b, u), (c, v) in zip(*(along(f, xs, d) for d in (ts, other, both)), strict=True):
        if not np.all(np.isfinite(e)) or np.any(np.abs(a + b - c) > e + u + v + 1e-6 * (np.abs(a) + np.abs(b))):
            return False
    return True


def _derivative(here, left, right):
    """Central differences, extrapolated (Richardson), and what they may be wrong by."""
    first, second, third = ((b - a) / (2 * h) for a, b, h in zip(left, right, _STEPS, strict=False))
    # By how much the slope differs on the two sides, with a step and with a fourth of it.
    wide, close = ((b - 2 * here + a) / h for a, b, h in zip(left[-2:], right[-2:], _NEAR, strict=True))
    coarse, fine = (4 * second - first) / 3, (4 * third - second) / 3
    size = np.maximum(np.abs(fine), np.abs(here))
    noise = 1e-15 * np.abs(here) / _STEPS[-1]
    error = np.abs(fine - coarse)
    slack = 1e-15 * np.abs(here) / _NEAR[-1] * 8
    smooth = (error <= 1e-5 * size + 4 * noise) & (
        np.abs(close) <= 0.5 * np.abs(wide) + slack + 1e-7 * np.abs(fine)
    )
    smooth &= np.abs(close) <= 1e-2 * np.maximum(np.abs(fine), 1e-3) + slack
    allowed = np.where(smooth & np.isfinite(fine), 1e-5 * np.abs(fine) + 10 * error + 40 * noise + 1e-9, np.inf)
    return fine, allowed


def _other(t):
    """A direction that is not ``t``."""
    u = np.roll(np.ravel(t), 1).reshape(np.shape(t)) * -0.7 + 0.3 * np.abs(t)
    return u if np.ndim(t) else type(t)(u)
