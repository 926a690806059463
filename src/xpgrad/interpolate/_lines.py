"""Interpolation between samples on a line, by SciPy's `interp1d`."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.interpolate._pieces import PPoly, doubles, entries, interval, knots, placed, wide
from xpgrad.interpolate._splines import CubicSpline
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import broadcast_to
from xpgrad.trace.functions._table import axis_of
from xpgrad.transforms import stop_gradient

_KINDS = ("linear", "slinear", "nearest", "nearest-up", "previous", "zero", "next", "cubic")


class interp1d:
    """A function through samples on a line.

    Parameters
    ----------
    x : float[n]
        Where the samples were taken; sorted if ``assume_sorted`` is False. None twice.
    y : float or complex[..., n, ...]
    kind : str
        "linear", "slinear", "nearest", "nearest-up", "previous", "zero", "next" or "cubic", which is the spline
        "not-a-knot".
    axis : int
        Along which the samples stand.
    bounds_error : bool, optional
        Whether a point outside is an error; None: it is unless it extrapolates.
    fill_value : float, array, tuple of two, or "extrapolate"
        What the function is outside; a tuple is for below and above.
    assume_sorted : bool

    Raises
    ------
    ShapeError
        ``x`` is no vector, or does not fit ``y``.
    DataError
        Two samples at one place; and in a call, a point outside.
    ValueError
        An unknown ``kind``, or an error is asked for where it extrapolates.

    Notes
    -----
    Burden, Faires, *Numerical Analysis*, section 3.1. What takes the value of one sample has no derivative in
    the point.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        kind: str = "linear",
        axis: int = -1,
        bounds_error: bool | None = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        if kind not in _KINDS:
            raise ValueError(message(f"interp1d: kind must be one of {', '.join(_KINDS)}, not {kind!r}"))
        x, y = doubles(x), doubles(y)
        self.axis = axis_of("interp1d", y, axis)
        if len(x.shape) != 1 or x.shape[0] != y.shape[self.axis] or not x.shape[0]:
            rule = f"needs a vector of knots, and a value for each along axis {self.axis}"
            raise ShapeError(message(f"interp1d: {rule}", {"x": x, "y": y}))
        y = np.moveaxis(y, self.axis, 0)
        if not assume_sorted:
            order = np.argsort(stop_gradient(x))
            x, y = entries(x, order), entries(y, order)
        self.x, self.y, self.kind = knots("interp1d", x, 1), y, kind
        self._extrapolates = isinstance(fill_value, str) and fill_value == "extrapolate"
        if self._extrapolates and bounds_error:
            raise ValueError(message("interp1d: it cannot extrapolate and raise an error outside"))
        self.bounds_error = not self._extrapolates if bounds_error is None else bounds_error
        self._fill = fill_value if isinstance(fill_value, tuple) else (fill_value, fill_value)
        self._spline: PPoly | None = CubicSpline(self.x, y) if kind == "cubic" else None

    def __call__(self, x: Any) -> Any:
        """The function at ``x``.

        Parameters
        ----------
        x : float[...]

        Returns
        -------
        array
            The axes of ``x`` stand where those of the samples did.
        """
        v, rest = doubles(x), len(self.y.shape) - 1
        outside = (v < self.x[0]) | (v > self.x[-1])
        if self.bounds_error and not self._extrapolates:
            v = demand(v, ~outside, "interp1d: a point is outside the samples", "x")
        y = self._inside(v)
        if not self._extrapolates:
            below, above = (self._filled(f) for f in self._fill)
            low, high = wide(v < self.x[0], rest), wide(v > self.x[-1], rest)
            y = np.where(low, below, np.where(high, above, y))
        return placed(y, len(v.shape), self.axis)

    def _filled(self, fill: Any) -> Any:
        """What the function is outside, in the shape of one sample, after the axes of points."""
        fill, shape = doubles(fill), tuple(self.y.shape[1:])
        if len(fill.shape) == len(shape) + 1 and fill.shape[self.axis] == 1:
            fill = np.moveaxis(fill, self.axis, 0)[0]
        return broadcast_to(fill, shape=shape) if tuple(fill.shape) != shape else fill

    def _inside(self, v: Any) -> Any:
        x, y, n = self.x, self.y, self.x.shape[0]
        if self._spline is not None:
            return self._spline(v)
        if n == 1:
            return entries(y, np.zeros_like(stop_gradient(v), dtype=int)) + 0.0 * wide(v, len(y.shape) - 1)
        if self.kind in ("linear", "slinear"):
            i = interval(x, v)
            low, high = entries(x, i), entries(x, i + 1)
            t = wide((v - low) / (high - low), len(y.shape) - 1)
            begin = entries(y, i)
            return begin + t * (entries(y, i + 1) - begin)
        at, place = stop_gradient(x), stop_gradient(v)
        if self.kind in ("nearest", "nearest-up"):
            at = (at[1:] + at[:-1]) / 2.0
            i = np.searchsorted(at, place, side="left" if self.kind == "nearest" else "right")
        elif self.kind == "next":
            i = np.searchsorted(at, place, side="left")
        else:
            i = np.searchsorted(at, place, side="right") - 1
            i = np.clip(i, 0, n - 1) if self.kind == "zero" else i
        missing = (i < 0) | (i >= n) | np.isnan(place)
        return np.where(wide(missing, len(y.shape) - 1), np.nan, entries(y, np.clip(i, 0, n - 1)))
