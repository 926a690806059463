"""Polynomials, one in each interval between knots, and where a point lies among knots."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.linalg._operands import floats
from xpgrad.ops import linalg as la
from xpgrad.ops.indexing import ARRAY, getitem
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import astype, broadcast_to, concatenate, full_like, reshape
from xpgrad.transforms import stop_gradient


def doubles(x: Any) -> Any:
    """``x`` as an array of double precision, in which SciPy interpolates."""
    x = floats(x)
    wanted = np.dtype(np.complex128 if la.is_complex(x) else np.float64)
    return x if x.dtype == wanted else astype(x, dtype=wanted)


def knots(name: str, x: Any, least: int = 2) -> Any:
    """``x`` as knots: a vector that increases."""
    x = doubles(x)
    if len(x.shape) != 1 or x.shape[0] < least:
        raise ShapeError(message(f"{name}: needs a vector of knots, {least} at least", {"x": x}))
    return demand(x, np.diff(stop_gradient(x)) > 0, f"{name}: the knots must increase", "x", seen=np.diff(x))


def interval(x: Any, v: Any) -> Any:
    """The interval between the knots ``x`` where each entry of ``v`` lies; the first and last have no ends."""
    x, v = stop_gradient(x), stop_gradient(v)
    return np.clip(np.searchsorted(x, v, side="right") - 1, 0, x.shape[0] - 2)


def entries(x: Any, *at: Any) -> Any:
    """``x[at]``, where either may be traced."""
    return getitem(x, *at, index=(ARRAY,) * len(at))


def wide(v: Any, n: int) -> Any:
    """``v`` with ``n`` axes of length 1 more."""
    return reshape(v, shape=(*v.shape, *(1,) * n))


class PPoly:
    """A polynomial in each interval: ``sum over m of c[m] (x - x[i]) ** (k - m)`` in that from ``x[i]``.

    Parameters
    ----------
    c : float or complex[..., k + 1, n, ...]
        Coefficients, that of the highest power first. The attribute ``c`` has these two axes in front.
    x : float[n + 1]
        Where the intervals end, increasing.
    extrapolate : bool or "periodic"
        Whether the first and the last go on beyond the ends; else it is NaN there.
    axis : int
        Where the two stand in ``c``, and the axes of points in the result.

    Raises
    ------
    ShapeError
        ``x`` is no vector, or does not fit ``c``.
    DataError
        ``x`` does not increase.

    Notes
    -----
    SciPy's class, without ``roots`` and ``solve``.
    """

    def __init__(self, c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> None:
        c, x = doubles(c), knots("PPoly", x)
        rule = message("PPoly: needs c[k + 1, n] and x[n + 1]", {"c": c, "x": x})
        if len(c.shape) < 2 or not 0 <= axis < len(c.shape) - 1:
            raise ShapeError(rule)
        c = np.moveaxis(c, (axis, axis + 1), (0, 1))
        if c.shape[1] != x.shape[0] - 1 or not c.shape[0]:
            raise ShapeError(rule)
        self._set(c, x, extrapolate, axis)

    def _set(self, c: Any, x: Any, extrapolate: Any, axis: int) -> Any:
        self.c, self.x, self.axis = c, x, axis
        self.extrapolate = True if extrapolate is None else extrapolate
        return self

    def _like(self, c: Any) -> PPoly:
        return PPoly.__new__(PPoly)._set(c, self.x, self.extrapolate, self.axis)  # type: ignore[no-any-return]

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The polynomials at ``x``, or their derivatives.

        Parameters
        ----------
        x : float[...]
        nu : int
            Which derivative; a negative one is an antiderivative.
        extrapolate : bool or "periodic", optional
            In place of what the object was made with.

        Returns
        -------
        array
            The axes of ``x`` stand where the axis of the intervals did.
        """
        if nu:
            changed = self.derivative(nu) if nu > 0 else self.antiderivative(-nu)
            return changed(x, 0, self.extrapolate if extrapolate is None else extrapolate)
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        v, x = doubles(x), self.x
        if extrapolate == "periodic":
            v = x[0] + np.remainder(v - x[0], x[-1] - x[0])
        i = interval(x, v)
        rest = len(self.c.shape) - 2
        d = wide(v - entries(x, i), rest)
        y: Any = entries(self.c[0], i) + 0.0 * d
        for k in range(1, self.c.shape[0]):
            y = y * d + entries(self.c[k], i)
        if not extrapolate:
            inside = stop_gradient(wide((v >= x[0]) & (v <= x[-1]), rest))
            y = np.where(inside, y, np.nan)
        return placed(y, len(v.shape), self.axis)

    def derivative(self, nu: int = 1) -> PPoly:
        """The derivative of order ``nu``, another such object."""
        if nu < 0:
            return self.antiderivative(-nu)
        k = self.c.shape[0] - 1
        if not nu:
            return self._like(self.c)
        if nu > k:
            return self._like(0.0 * self.c[:1])
        factors = [float(np.prod([p - j for j in range(nu)])) for p in range(k, nu - 1, -1)]
        return self._like(np.stack([f * self.c[m] for m, f in enumerate(factors)]))

    def antiderivative(self, nu: int = 1) -> PPoly:
        """The antiderivative of order ``nu`` that begins with 0, another such object."""
        if nu < 0:
            return self.derivative(-nu)
        out = self
        for _ in range(nu):
            out = out._integrated()
        if nu and out.extrapolate == "periodic":
            out.extrapolate = False
        return out

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """The integral from ``a`` to ``b``, float scalars.

        Parameters
        ----------
        a, b : float
        extrapolate : bool or "periodic", optional

        Returns
        -------
        array
            Without the axis of the intervals.
        """
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        whole = self.antiderivative()
        a, b = doubles(a), doubles(b)
        if extrapolate == "periodic":
            first, period = self.x[0], self.x[-1] - self.x[0]
            turns = [stop_gradient(np.floor((v - first) / period)) for v in (a, b)]
            low, high = (whole(v - k * period, 0, True) for v, k in zip((a, b), turns, strict=True))
            return high - low + (turns[1] - turns[0]) * (whole(self.x[-1], 0, True) - whole(first, 0, True))
        return whole(b, 0, extrapolate) - whole(a, 0, extrapolate)

    def _integrated(self) -> PPoly:
        k, rest = self.c.shape[0], len(self.c.shape) - 2
        c = self.c / np.reshape(np.arange(k, 0, -1.0), (k, *(1,) * (rest + 1)))
        h = wide(np.diff(self.x), rest)
        rise: Any = 0.0
        for m in range(k):
            rise = (rise + c[m]) * h
        begin = np.cumsum(rise, 0)
        begin = concatenate(full_like(begin, value=0, shape=(1, *begin.shape[1:])), begin[:-1], axis=0)
        return self._like(concatenate(c, reshape(begin, shape=(1, *begin.shape)), axis=0))


def placed(y: Any, n: int, axis: int) -> Any:
    """``y`` with its first ``n`` axes at ``axis``."""
    if not axis or not n:
        return y
    return np.moveaxis(y, tuple(range(n)), tuple(range(axis, axis + n)))


def at_ends(y: Any, value: Any) -> Any:
    """``value`` in the shape of one entry of ``y``."""
    value = doubles(value)
    return broadcast_to(value, shape=y.shape[1:]) if tuple(value.shape) != tuple(y.shape[1:]) else value
