"""Interpolation on regular grids of any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.interpolate._pieces import doubles, entries, interval, knots, wide
from xpgrad.interpolate._splines import CubicSpline
from xpgrad.ops.linalg import column
from xpgrad.ops.requirements import demand
from xpgrad.trace.traced import Traced
from xpgrad.transforms import stop_gradient

_METHODS = ("linear", "slinear", "nearest", "cubic")


class RegularGridInterpolator:
    """A function from its values on a grid, the points of which may be at any distances along each axis.

    Parameters
    ----------
    points : sequence of float[n]
        The places along each axis, increasing; or decreasing, where their numbers are known.
    values : float or complex[n0, n1, ..., ...]
        With the axes of the grid in front.
    method : {"linear", "slinear", "nearest", "cubic"}
        Products of such functions of each coordinate; "cubic" is the spline "not-a-knot".
    bounds_error : bool
        Whether a point outside is an error.
    fill_value : float, optional
        What the function is outside where that is no error; None: it is extrapolated.

    Raises
    ------
    ShapeError
        The points do not fit the values, or there are fewer than 4 for a cubic axis.
    DataError
        The places along an axis do not increase; and in a call, a point outside.
    ValueError
        An unknown method.

    Notes
    -----
    "linear" takes the 2^d corners of a cell; "cubic" multiplies with the weights of all places along each axis,
    in time of the size of the grid for each point; SciPy finds its coefficients by iteration, to 1e-5. Weiser,
    Zarantonello, A note on piecewise linear and multilinear table interpolation in many dimensions, Math.
    Comp. 50 (1988).
    """

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = True,
        fill_value: float | None = np.nan,
    ) -> None:
        name = "RegularGridInterpolator"
        self.method = _known(name, method)
        self.bounds_error, self.fill_value = bounds_error, fill_value
        values, axes = doubles(values), [doubles(p) for p in points]
        if len(axes) > len(values.shape) or not axes:
            rule = f"{len(axes)} axes of points, but {len(values.shape)} of values"
            raise ShapeError(message(f"{name}: {rule}", {"values": values}))
        least = 4 if method == "cubic" else 1
        for k, x in enumerate(axes):
            if len(x.shape) != 1 or x.shape[0] != values.shape[k]:
                got = {"points": x, "values": values}
                raise ShapeError(message(f"{name}: the points do not fit axis {k} of the values", got))
            if _decreases(x):
                axes[k], values = np.flip(x, 0), np.flip(values, k)
            axes[k] = knots(name, axes[k], least)
        self.grid, self.values = tuple(axes), values

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The function at points.

        Parameters
        ----------
        xi : float[..., d], or a tuple of d arrays that broadcast
            Coordinates.
        method : str, optional
            In place of what the object was made with.

        Returns
        -------
        array[..., ...]
            The axes of points, then those of the values behind the grid.
        """
        method = self.method if method is None else _known("RegularGridInterpolator", method)
        vs = self._coordinates(xi)
        shape = vs[0].shape
        outside: Any = False
        for k, (x, v) in enumerate(zip(self.grid, vs, strict=True)):
            off = (v < x[0]) | (v > x[-1])
            if self.bounds_error:
                rule = f"RegularGridInterpolator: a point is outside the grid along axis {k}"
                vs[k] = demand(v, ~off, rule, "xi")
            outside = outside | off
        y = self._products(vs) if method == "cubic" else self._corners(vs, method == "nearest")
        y = np.reshape(y, (*shape, *self.values.shape[len(self.grid) :]))
        rest = len(self.values.shape) - len(self.grid)
        if not self.bounds_error and self.fill_value is not None:
            y = np.where(wide(outside, rest), self.fill_value, y)
        unknown: Any = False
        for v in vs:
            unknown = unknown | np.isnan(stop_gradient(v))
        return np.where(wide(unknown, rest), np.nan, y)

    def _coordinates(self, xi: Any) -> list[Any]:
        d = len(self.grid)
        if isinstance(xi, tuple):
            vs = list(np.broadcast_arrays(*[doubles(v) for v in xi])) if len(xi) > 1 else [doubles(xi[0])]
        else:
            xi = doubles(xi)
            if len(xi.shape) == 1:
                xi = column(xi) if d == 1 else np.reshape(xi, (1, -1))
            vs = [xi[..., k] for k in range(xi.shape[-1])] if xi.shape else [xi]
        if len(vs) != d:
            rule = f"{len(vs)} coordinates, but the grid has {d} axes"
            raise ShapeError(message(f"RegularGridInterpolator: {rule}"))
        return [doubles(v) for v in vs]

    def _corners(self, vs: Sequence[Any], nearest: bool) -> Any:
        """By the entries at the corners of the cell that each point is in."""
        places, shares = list[Any](), list[Any]()
        for x, v in zip(self.grid, vs, strict=True):
            if x.shape[0] == 1:
                places.append(np.zeros_like(stop_gradient(v), dtype=int))
                shares.append(None)
                continue
            i = interval(x, v)
            places.append(i)
            low = entries(x, i)
            shares.append((v - low) / (entries(x, i + 1) - low))
        if nearest:
            at = [i if t is None else np.where(t <= 0.5, i, i + 1) for i, t in zip(places, shares, strict=True)]
            return entries(self.values, *at)
        rest, total = len(self.values.shape) - len(vs), None
        for corner in product(*[(0,) if t is None else (0, 1) for t in shares]):
            weight: Any = 1.0
            for t, up in zip(shares, corner, strict=True):
                if t is not None:
                    weight = weight * (t if up else 1.0 - t)
            at = [i + up for i, up in zip(places, corner, strict=True)]
            entry = entries(self.values, *at)
            entry = entry * (wide(weight, rest) if hasattr(weight, "shape") else weight)
            total = entry if total is None else total + entry
        return total

    def _products(self, vs: Sequence[Any]) -> Any:
        """By the weights of all places along each axis: those of a spline are splines too."""
        out = self.values
        for k, (x, v) in enumerate(zip(self.grid, vs, strict=True)):
            weights = CubicSpline(x, np.eye(x.shape[0]))(np.reshape(v, (-1,)))
            if not k:
                flat = np.reshape(out, (out.shape[0], -1))
                out = np.reshape(weights @ flat, (weights.shape[0], *out.shape[1:]))
                continue
            flat = np.reshape(out, (*out.shape[:2], -1))
            out = np.reshape(np.sum(column(weights) * flat, 1), (out.shape[0], *out.shape[2:]))
        return out


def interpn(
    points: Sequence[Any],
    values: Any,
    xi: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: float | None = np.nan,
) -> Any:
    """The interpolation of values on a grid at points: `RegularGridInterpolator` in one call.

    Parameters
    ----------
    points, values
        As of `RegularGridInterpolator`.
    xi : float[..., d], or a tuple of d arrays that broadcast
    method, bounds_error, fill_value
        As of `RegularGridInterpolator`.

    Returns
    -------
    array[..., ...]

    Raises
    ------
    ShapeError, DataError, ValueError
        As of `RegularGridInterpolator`.

    Notes
    -----
    SciPy's method "splinef2d" is not here; "cubic" is close to it.
    """
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)


def _known(name: str, method: str) -> str:
    if method not in _METHODS:
        raise ValueError(message(f"{name}: method must be one of {', '.join(_METHODS)}, not {method!r}"))
    return method


def _decreases(x: Any) -> bool:
    """Whether the numbers are known, and decrease."""
    plain = stop_gradient(x)
    return type(plain) is not Traced and plain.shape[0] > 1 and bool((np.diff(plain) < 0).all())
