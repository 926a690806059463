"""Polynomials by their coefficients, of which the highest comes first."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, TraceError, message
from xpgrad.core import aval_of
from xpgrad.ops.shape import full_like
from xpgrad.trace.functions._table import array, cast, implements, ndim, shape, whole
from xpgrad.trace.functions.linalg import inv, lstsq
from xpgrad.trace.functions.shapes import atleast_1d, concatenate, stack, transpose


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    p, x = array(p), array(x)
    y: Any = full_like(x, value=0)
    for k in range(shape(p)[0]):
        y = y * x + p[k]
    return y


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Powers as columns, each the one before times ``x``."""
    x = whole(x)
    if ndim(x) != 1:
        raise ShapeError(message("vander: needs a vector", {"operand": x}))
    n = shape(x)[0] if N is None else index(N)
    x = cast(x, np.promote_types(aval_of(x).dtype, int))
    columns = [full_like(x, value=1)]
    while len(columns) < n:
        columns.append(columns[-1] * x if len(columns) > 1 else x)
    if n <= 0:
        return full_like(x, value=0, shape=(shape(x)[0], 0))
    return stack(columns if increasing else columns[::-1], 1)


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Least squares on powers that are scaled to the norm 1, as in NumPy."""
    x, y, order = whole(x) + 0.0, whole(y) + 0.0, index(deg) + 1
    if order < 1:
        raise ValueError(f"polyfit: the degree must not be negative, got {deg}")
    if ndim(x) != 1 or ndim(y) not in (1, 2) or shape(x)[:1] != shape(y)[:1] or not shape(x)[0]:
        raise DTypeError(message("polyfit: needs a vector x, and y of the same length", {"x": x, "y": y}))
    rcond = shape(x)[0] * np.finfo(aval_of(x).dtype).eps if rcond is None else rcond
    left, right = vander(x, order), y
    if w is not None:
        w = whole(w) + 0.0
        if shape(w) != shape(y)[:1]:
            raise DTypeError(message("polyfit: needs a weight for each point", {"y": y, "w": w}))
        left, right = left * w[:, None], right * (w[:, None] if ndim(y) == 2 else w)
    scale = np.sqrt((left * left).sum(axis=0))
    left = left / scale
    c, residuals, rank, s = lstsq(left, right, rcond)
    c = transpose(transpose(c) / scale)
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    base = inv(transpose(left) @ left) / (scale[:, None] * scale)
    if cov == "unscaled":
        factor: Any = 1
    else:
        if shape(x)[0] <= order:
            raise ValueError("polyfit: more points than coefficients are needed for cov=True")
        factor = residuals / (shape(x)[0] - order)
    return (c, base * factor) if ndim(y) == 1 else (c, base[:, :, None] * factor)


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    p, m = whole(p), index(m)
    if m < 0:
        raise ValueError(f"polyder: the order must not be negative, got {m}")
    for _ in range(m):
        n = max(shape(p)[0] - 1, 0)
        p = p[:n] * np.arange(n, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    p, m = whole(p), index(m)
    if m < 0:
        raise ValueError(f"polyint: the order must not be negative, got {m}")
    constants = atleast_1d(whole(0.0 if k is None else k))
    if shape(constants)[0] not in (1, m):
        raise ValueError(f"polyint: needs one constant or {m}, got {shape(constants)[0]}")
    for i in range(m):
        constant = constants[i % shape(constants)[0], None]
        p = concatenate([p / np.arange(shape(p)[0], 0, -1), constant], 0)
    return p


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = atleast_1d(whole(a1)), atleast_1d(whole(a2))
    n = max(shape(a1)[0], shape(a2)[0])
    return _extended(a1, n) + _extended(a2, n)


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    return polyadd(a1, -whole(a2))


def _extended(a: Any, n: int) -> Any:
    """``a`` with zeros for its missing higher powers."""
    missing = n - shape(a)[0]
    return concatenate([full_like(a, value=0, shape=(missing,)), a], 0) if missing else a


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with these real zeros."""
    zeros = array(seq_of_zeros)
    if ndim(zeros) != 1 or aval_of(zeros).dtype.kind == "c":
        rule = "poly: of traced arrays, of a vector of real zeros"
        raise TraceError(message(rule, {"zeros": zeros}, remedy="np.linalg.eigvals gives those of a matrix"))
    one = full_like(zeros, value=1, shape=(1,))
    out = one
    for k in range(shape(zeros)[0]):
        out = concatenate([out, 0 * one], 0) - concatenate([0 * one, out * zeros[k]], 0)
    return out
