"""Integrals of functions that are given by samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad.ops.shape import concatenate, full_like
from xpgrad.trace.functions._table import array, axis_of

_PARAMETERS = """
    Parameters
    ----------
    y : float or complex[..., n, ...]
        Samples of the function.
    x : float[n] or float[..., n, ...], optional
        Where they were taken, increasing along the axis; None: ``dx`` apart.
    dx : float
        The distance of samples where there is no ``x``.
    axis : int
        Which axis of ``y`` they stand along.
"""
_RAISES = """
    Raises
    ------
    ShapeError
        ``axis`` does not fit, or ``x`` has another length than ``y``, or another shape.
"""


def _documented(f: Any) -> Any:
    f.__doc__ = f.__doc__.replace("PARAMETERS", _PARAMETERS.strip()).replace("RAISES", _RAISES.strip())
    return f


@_documented
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of samples by the trapezoidal rule.

    PARAMETERS

    Returns
    -------
    array[...]
        Without the axis.

    RAISES

    Notes
    -----
    Exact for lines. Burden, Faires, *Numerical Analysis*, section 4.4.
    """
    y, h = _samples("trapezoid", y, x, dx, axis)
    return np.sum(h * (y[..., 1:] + y[..., :-1]), -1) / 2.0


@_documented
def cumulative_trapezoid(
    y: Any, x: Any = None, dx: float = 1.0, axis: int = -1, initial: float | None = None
) -> Any:
    """The integrals of the samples so far by the trapezoidal rule.

    PARAMETERS
    initial : 0, optional
        Put in front, for the integral up to the first sample.

    Returns
    -------
    array[..., n - 1, ...]
        With ``initial`` of length n.

    RAISES
    DataError
        ``initial`` is not 0.

    Notes
    -----
    Burden, Faires, *Numerical Analysis*, section 4.4.
    """
    if initial is not None and initial != 0:
        raise DataError(message(f"cumulative_trapezoid: initial must be 0 or None, not {initial!r}"))
    y, h = _samples("cumulative_trapezoid", y, x, dx, axis)
    out = np.cumsum(h * (y[..., 1:] + y[..., :-1]) / 2.0, -1)
    if initial is not None:
        out = concatenate(full_like(out, value=0, shape=(*out.shape[:-1], 1)), out, axis=-1)
    return np.moveaxis(out, -1, axis)


@_documented
def simpson(y: Any, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of samples by Simpson's rule.

    PARAMETERS

    Returns
    -------
    array[...]
        Without the axis. Of two samples it is the trapezoidal rule.

    RAISES

    Notes
    -----
    Parabolas through three samples each; of an even number of samples the last interval is integrated by that
    through the last three, which is exact for parabolas too. Cartwright, Simpson's rule cumulative integration
    with MS Excel and irregularly-spaced data, J. Math. Sci. Math. Educ. 12 (2017).
    """
    y, h = _samples("simpson", y, x, dx, axis)
    n = y.shape[-1]
    if n == 2:
        return np.sum(h * (y[..., 1:] + y[..., :-1]), -1) / 2.0
    end = n - 1 if n % 2 else n - 2  # intervals that make pairs
    a, b = h[..., 0:end:2], h[..., 1:end:2]
    left, middle, right = y[..., 0:end:2], y[..., 1 : end + 1 : 2], y[..., 2 : end + 1 : 2]
    width = a + b
    parts = width / 6.0 * ((2.0 - b / a) * left + width**2 / (a * b) * middle + (2.0 - a / b) * right)
    total = np.sum(parts, -1)
    if n % 2:
        return total
    a, b = h[..., -2], h[..., -1]
    last = (2.0 * b**2 + 3.0 * a * b) / (6.0 * (a + b)) * y[..., -1]
    return (
        total + last + (b**2 + 3.0 * a * b) / (6.0 * a) * y[..., -2] - b**3 / (6.0 * a * (a + b)) * y[..., -3]
    )


def _samples(name: str, y: Any, x: Any, dx: float, axis: int) -> tuple[Any, Any]:
    """The samples along the last axis, and the distances between them."""
    y = array(y)
    n = np.shape(y)[axis_of(name, y, axis)]
    y = np.moveaxis(y, axis, -1)
    if x is None:
        return y, full_like(y, value=1, shape=(max(n - 1, 0),)) * dx
    x = array(x)
    if len(np.shape(x)) > 1:
        if np.shape(x)[axis_of(name, x, axis)] != n or len(x.shape) != len(y.shape):
            raise ShapeError(message(f"{name}: x does not match y", {"x": x, "y": y}))
        x = np.moveaxis(x, axis, -1)
    elif np.shape(x) != (n,):
        raise ShapeError(message(f"{name}: x does not match axis {axis} of y", {"x": x, "y": y}))
    return y, np.diff(x)
