"""Cubic splines: polynomials of degree 3 from values and slopes at knots."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.interpolate._pieces import PPoly, at_ends, doubles, knots, wide
from xpgrad.ops.banded import solve_banded
from xpgrad.ops.linalg import column
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import concatenate, reshape
from xpgrad.trace.functions._table import axis_of
from xpgrad.transforms import stop_gradient

_CONDITIONS = ("not-a-knot", "clamped", "natural", "periodic")


class CubicHermiteSpline(PPoly):
    """The polynomials of degree 3 with given values and slopes at knots.

    Parameters
    ----------
    x : float[n]
        Knots, increasing; 2 at least.
    y, dydx : float or complex[..., n, ...]
        Values and slopes there.
    axis : int
        Along which the knots stand.
    extrapolate : bool or "periodic", optional
        Whether the first and the last polynomial go on beyond the ends, as they do by default.

    Raises
    ------
    ShapeError
        ``x`` is no vector, or does not fit ``y``, or ``y`` does not fit ``dydx``.
    DataError
        ``x`` does not increase.

    Notes
    -----
    Burden, Faires, *Numerical Analysis*, section 3.4. For its methods see `PPoly`.
    """

    def __init__(self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> None:
        name = "CubicHermiteSpline"
        x, y, axis = _samples(name, x, y, axis)
        s = np.moveaxis(doubles(dydx), axis, 0)
        if tuple(s.shape) != tuple(y.shape):
            raise ShapeError(message(f"{name}: values and slopes differ in shape", {"y": y, "dydx": s}))
        self._set(_hermite(x, y, s), x, extrapolate, axis)


class PchipInterpolator(PPoly):
    """The monotone cubic interpolation of Fritsch and Carlson: no extremum but at knots.

    Parameters
    ----------
    x : float[n]
        Knots, increasing; 2 at least.
    y : float[..., n, ...]
    axis : int
    extrapolate : bool, optional

    Raises
    ------
    ShapeError, DataError
        As of `CubicHermiteSpline`.

    Notes
    -----
    The slope at a knot is a harmonic mean of those beside it, or 0 where they differ in sign: there it has a
    kink as a function of the values. Fritsch, Butland, A method for constructing local monotone piecewise cubic
    interpolants, SIAM J. Sci. Stat. Comput. 5 (1984).
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> None:
        x, y, axis = _samples("PchipInterpolator", x, y, axis)
        h = wide(np.diff(x), len(y.shape) - 1)
        m = np.diff(y, axis=0) / h
        if y.shape[0] == 2:
            s = concatenate(m, m, axis=0)
        else:
            w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
            left, right = m[:-1], m[1:]
            flat = (np.sign(left) != np.sign(right)) | (left == 0) | (right == 0)
            one_left, one_right = np.where(flat, 1.0, left), np.where(flat, 1.0, right)
            mean = (w1 + w2) / (w1 / one_left + w2 / one_right)
            inner = np.where(flat, 0.0, mean)
            first, last = _edge(h[:1], h[1:2], m[:1], m[1:2]), _edge(h[-1:], h[-2:-1], m[-1:], m[-2:-1])
            s = concatenate(first, inner, last, axis=0)
        self._set(_hermite(x, y, s), x, extrapolate, axis)


def _edge(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    """The slope at an end, of the parabola through three values, limited so that the shape is kept."""
    d = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    d = np.where((np.sign(m0) != np.sign(m1)) & (np.abs(d) > 3.0 * np.abs(m0)), 3.0 * m0, d)
    return np.where(np.sign(d) != np.sign(m0), 0.0, d)


class CubicSpline(PPoly):
    """The cubic spline through values at knots, with two continuous derivatives.

    Parameters
    ----------
    x : float[n]
        Knots, increasing; 2 at least.
    y : float or complex[..., n, ...]
    axis : int
        Along which the knots stand.
    bc_type : str, or tuple of two
        At both ends: "not-a-knot", "clamped", "natural" or "periodic"; or for each end one of the first three,
        or a pair of the order of a derivative, 1 or 2, and its value.
    extrapolate : bool or "periodic", optional
        Whether the first and the last polynomial go on beyond the ends; by default they do, and a periodic
        spline repeats itself.

    Raises
    ------
    ShapeError
        ``x`` is no vector, or does not fit ``y``.
    DataError
        ``x`` does not increase, or the first value of a periodic spline is not its last.
    ValueError
        An unknown ``bc_type``.
    DependencyError
        SciPy is not installed, on the CPU.

    Notes
    -----
    One tridiagonal system for the slopes, in time of order n, as its derivatives. De Boor, *A Practical Guide
    to Splines* (1978), chapter IV. For its methods see `PPoly`.

    Examples
    --------
    >>> x = np.arange(5.0)
    >>> xg.grad(xg.interpolate.CubicSpline(x, x**2))(1.5)
    np.float64(3.0)
    """

    def __init__(
        self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None
    ) -> None:
        x, y, axis = _samples("CubicSpline", x, y, axis)
        periodic = isinstance(bc_type, str) and bc_type == "periodic"
        if periodic:
            first, last = stop_gradient(y[0]), stop_gradient(y[-1])
            near = np.abs(first - last) <= 1e-15 + 1e-15 * np.abs(last)
            rule = "CubicSpline: the first value must be the last, as it is periodic"
            y = demand(y, near, rule, "y", seen=np.real(first))
        shape = y.shape[1:]
        flat = reshape(y, shape=(y.shape[0], int(np.prod(shape))))
        h = np.diff(x)
        m = np.diff(flat, axis=0) / column(h)
        s = _periodic_slopes(h, m) if periodic else _slopes(h, flat, m, _conditions(bc_type, y))
        if extrapolate is None:
            extrapolate = "periodic" if periodic else True
        self._set(_hermite(x, y, reshape(s, shape=y.shape)), x, extrapolate, axis)


def _conditions(bc_type: Any, y: Any) -> list[Any]:
    """For each end None, not a knot, or the order of a derivative and its values."""
    both = (bc_type, bc_type) if isinstance(bc_type, str) else tuple(bc_type)
    if len(both) != 2 or "periodic" in [b for b in both if isinstance(b, str)]:
        raise ValueError(message(f"CubicSpline: bc_type must say what holds at two ends, not {bc_type!r}"))
    found: list[Any] = []
    for one in both:
        if isinstance(one, str):
            if one not in _CONDITIONS:
                rule = f"bc_type must be one of {', '.join(_CONDITIONS)} or a pair, not {one!r}"
                raise ValueError(message(f"CubicSpline: {rule}"))
            found.append(None if one == "not-a-knot" else (1 if one == "clamped" else 2, _row(y, 0.0)))
            continue
        order, value = one
        if order not in (1, 2):
            raise ValueError(message(f"CubicSpline: a derivative of order 1 or 2 can be given, not {order}"))
        found.append((order, _row(y, value)))
    return found


def _row(y: Any, value: Any) -> Any:
    """``value`` as a row with an entry for each column of values."""
    return reshape(at_ends(y, value), shape=(1, int(np.prod(y.shape[1:]))))


def _slopes(h: Any, y: Any, m: Any, ends: list[Any]) -> Any:
    """The slopes at knots: from intervals ``h``, values ``y`` and secants ``m``, both as columns."""
    n = y.shape[0]
    if n == 2:
        ends = [end or (1, m) for end in ends]
    if n == 3 and ends == [None, None]:
        # The parabola through three values.
        middle = (h[0] * m[1:] + h[1] * m[:1]) / (h[0] + h[1])
        return concatenate(2.0 * m[:1] - middle, middle, 2.0 * m[1:] - middle, axis=0)
    first = _end(ends[0], h[0], h[1] if n > 2 else h[0], m[:1], m[1:2], 1.0)
    last = _end(ends[1], h[-1], h[-2] if n > 2 else h[-1], m[-1:], m[-2:-1], -1.0)
    diagonal = [first[0], 2.0 * (h[:-1] + h[1:]), last[0]]
    above, below = [first[1], h[:-1]], [h[1:], last[1]]
    rows = [
        np.concatenate([0.0 * h[:1], *above]),
        np.concatenate(diagonal),
        np.concatenate([*below, 0.0 * h[:1]]),
    ]
    inner = 3.0 * (column(h[1:]) * m[:-1] + column(h[:-1]) * m[1:])
    b = concatenate(first[2], inner, last[2], axis=0)
    return solve_banded(np.stack(rows), b, lower=1, upper=1)


def _end(end: Any, h0: Any, h1: Any, m0: Any, m1: Any, sign: float) -> tuple[Any, Any, Any]:
    """The equation at an end: coefficients of the slope there and of the next, and the right-hand side."""
    vector = (1,)
    if end is None:
        d = h0 + h1
        right = ((h0 + 2.0 * d) * h1 * m0 + h0**2 * m1) / d
        return np.reshape(h1, vector), np.reshape(d, vector), right
    order, value = end
    if order == 1:
        return np.reshape(1.0 + 0.0 * h0, vector), np.reshape(0.0 * h0, vector), value + 0.0 * m0
    return (
        np.reshape(2.0 * h0, vector),
        np.reshape(h0, vector),
        3.0 * h0 * m0 - sign * 0.5 * h0**2 * value,
    )


def _periodic_slopes(h: Any, m: Any) -> Any:
    """The slopes at knots where the last is the first: a cyclic system, of which one unknown is taken out."""
    k = h.shape[0]
    if k == 1:
        return concatenate(0.0 * m, 0.0 * m, axis=0)
    if k == 2:
        s = (h[1] * m[:1] + h[0] * m[1:]) / (h[0] + h[1])
        return concatenate(s, s, s, axis=0)
    before, secant = np.roll(h, 1), np.roll(m, 1, 0)
    # h[i] s[i - 1] + 2 (h[i - 1] + h[i]) s[i] + h[i - 1] s[i + 1] = 3 (h[i] m[i - 1] + h[i - 1] m[i])
    middle, right = 2.0 * (before + h), 3.0 * (column(h) * secant + column(before) * m)
    zero = 0.0 * h[:1]
    rows = [
        np.concatenate([zero, before[: k - 2]]),
        middle[: k - 1],
        np.concatenate([h[1 : k - 1], zero]),
    ]
    other = np.concatenate([h[:1], np.zeros_like(h[1 : k - 2]), before[k - 2 : k - 1]])
    b = concatenate(right[: k - 1], column(-other) + 0.0 * right[:1, :1], axis=1)
    found = solve_banded(np.stack(rows), b, lower=1, upper=1)
    a, c = found[:, :-1], found[:, -1:]
    # The last equation: h s[k - 2] + middle s[k - 1] + before s[0].
    last = (right[k - 1 :] - h[k - 1] * a[k - 2 :] - before[k - 1] * a[:1]) / (
        middle[k - 1] + h[k - 1] * c[k - 2 :] + before[k - 1] * c[:1]
    )
    s = a + c * last
    return concatenate(s, last, s[:1], axis=0)


def _samples(name: str, x: Any, y: Any, axis: int) -> tuple[Any, Any, int]:
    """Knots, values along the first axis, and where that axis was."""
    x, y = knots(name, x), doubles(y)
    axis = axis_of(name, y, axis)
    if y.shape[axis] != x.shape[0]:
        raise ShapeError(message(f"{name}: needs a value for each knot along axis {axis}", {"x": x, "y": y}))
    return x, np.moveaxis(y, axis, 0), axis


def _hermite(x: Any, y: Any, s: Any) -> Any:
    """The coefficients, from values and slopes."""
    h = wide(np.diff(x), len(y.shape) - 1)
    m = np.diff(y, axis=0) / h
    t = (s[:-1] + s[1:] - 2.0 * m) / h
    return np.stack([t / h, (m - s[:-1]) / h - t, s[:-1] + 0.0 * m, y[:-1] + 0.0 * m])
