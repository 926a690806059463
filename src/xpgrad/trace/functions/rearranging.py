"""Flipping, rolling, repeating, diagonals and triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import elementwise as ew
from xpgrad.ops import shape as sh
from xpgrad.ops.indexing import ARRAY, scatter_add
from xpgrad.ops.indexing import flip as flip_axis
from xpgrad.ops.reductions import sum as sum_
from xpgrad.trace.functions._table import (
    array,
    axes_each_once,
    axis_of,
    beside,
    cast,
    implements,
    ndim,
    promoting,
    refuse,
    shape,
    shape_of,
)
from xpgrad.trace.functions.shapes import broadcast_arrays, swapaxes, transpose
from xpgrad.trace.views import derived, fresh


# ── turning and repeating ────────────────────────────────────────────────────────────────────
@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    m = promoting(m)
    for k in range(ndim(m)) if axis is None else axes_each_once("flip", m, axis):
        m = flip_axis(m, k)
    return m if ndim(m) else m[()]


@implements(np.flipud)
def flipud(m: Any) -> Any:
    return flip(m, 0)


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    return flip(m, 1)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    m = array(m)
    both = axes_each_once("rot90", m, tuple(axes))
    if len(both) != 2:
        raise ShapeError(message(f"rot90: needs two axes, not {axes}", {"operand": m}))
    i, j = both
    k %= 4
    if k == 0:
        return m
    if k == 2:
        return flip(flip(m, i), j)
    return swapaxes(flip(m, j), i, j) if k == 1 else flip(swapaxes(m, i, j), j)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    a = array(a)
    if axis is None:
        return fresh(sh.reshape(roll(sh.reshape(a, shape=(-1,)), shift, 0), shape=shape(a)))
    axes = [axis_of("roll", a, k) for k in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if not ndim(a):
        raise ShapeError(message("roll: needs an axis", {"operand": a}))
    pairs = np.broadcast(shift, axes)
    if pairs.ndim > 1:
        raise ShapeError(message(f"roll: shift {shift} and axis {axis} must be numbers or sequences of them"))
    total = dict.fromkeys(axes, 0)
    for s, k in pairs:
        total[k] += int(s)
    rolled = a
    for k, s in total.items():
        n = shape(a)[k]
        s = s % n if n else 0
        if s:
            head = (slice(None),) * k
            parts = rolled[(*head, slice(n - s, None))], rolled[(*head, slice(None, n - s))]
            rolled = sh.concatenate(*parts, axis=k)
    return sh.copy(a, order="K") if rolled is a else rolled


@implements(np.repeat, method="repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    a = array(a)
    if axis is None:
        a, axis = sh.reshape(a, shape=(-1,)), 0
    if ndim(a) == 0:
        a = sh.reshape(a, shape=(1,))
    k = axis_of("repeat", a, axis)
    n = shape(a)[k]
    times = np.asarray(repeats)
    if times.ndim > 1 or times.size not in (1, n):
        raise ShapeError(
            message(f"repeat: needs one number, or {n} for axis {k}", {"operand": a, "repeats": times})
        )
    index = np.repeat(np.arange(n), times)
    return take_at(a, index, k)


def take_at(a: Any, index: Any, axis: int) -> Any:
    """``a[:, ..., index, ...]`` with the index array on ``axis``."""
    return a[(*(slice(None),) * axis, index)]


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    A = array(A)
    reps = shape_of(reps)
    if any(r < 0 for r in reps):
        raise ShapeError(message(f"tile: the numbers of copies must not be negative, got {reps}"))
    n = max(ndim(A), len(reps))
    old = (1,) * (n - ndim(A)) + shape(A)
    reps = (1,) * (n - len(reps)) + reps
    if all(r == 1 for r in reps):
        return fresh(sh.reshape(sh.copy(A, order="K"), shape=old))  # as NumPy keeps it
    apart = sh.reshape(A, shape=tuple(m for size in old for m in (1, size)))
    wide = sh.broadcast_to(apart, shape=tuple(m for r, size in zip(reps, old, strict=True) for m in (r, size)))
    return fresh(sh.reshape(_in_order(wide), shape=tuple(r * size for r, size in zip(reps, old, strict=True))))


def _in_order(x: Any) -> Any:
    """``x`` in memory of its own, in order C: NumPy's function returns such, and reshapes look into it."""
    return sh.pad(x, widths=((0, 0),) * ndim(x))


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = array(a), array(b)
    n = max(ndim(a), ndim(b))
    p, q = (1,) * (n - ndim(a)) + shape(a), (1,) * (n - ndim(b)) + shape(b)
    left = sh.reshape(a, shape=tuple(m for size in p for m in (size, 1)))
    right = sh.reshape(b, shape=tuple(m for size in q for m in (1, size)))
    return fresh(sh.reshape(left * right, shape=tuple(i * j for i, j in zip(p, q, strict=True))))


# ── triangles and diagonals ──────────────────────────────────────────────────────────────────
def _triangle(m: Any, k: int, keep: Any) -> Any:
    m = array(m)
    if ndim(m) == 0:
        raise ShapeError(message("triu, tril: need an axis", {"operand": m}))
    r, c = (shape(m) * 2)[-2:]  # a vector is every row of a square
    return ew.where(beside(m, keep(r, c, k)), m, False if aval_of(m).dtype.kind == "b" else 0)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return _triangle(m, k, lambda r, c, k: ~np.tri(r, c, k - 1, dtype=bool))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return _triangle(m, k, lambda r, c, k: np.tri(r, c, k, dtype=bool))


@implements(np.diagonal, method="diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A view that cannot be written to, as in NumPy."""
    i, j = axis_of("diagonal", a, axis1), axis_of("diagonal", a, axis2)
    order = [k for k in range(ndim(a)) if k not in (i, j)] + [i, j]

    def of(a: Any) -> Any:
        a = transpose(a, order)
        r, c = _diagonal_index(shape(a)[-2:], offset)
        return a[..., r, c]

    return derived(a, "diagonal", of)


def _diagonal_index(size: tuple[int, ...], offset: int) -> tuple[Any, Any]:
    rows, columns = size
    n = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    k = np.arange(n)
    return k + max(-offset, 0), k + max(offset, 0)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    if ndim(v) == 2:
        return diagonal(v, k)
    if ndim(v) != 1:
        raise ShapeError(message("diag: needs one or two axes", {"operand": v}))
    return embed_diagonal(v, k)


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    return embed_diagonal(sh.reshape(v, shape=(-1,)), k)


def embed_diagonal(v: Any, offset: int = 0) -> Any:
    """Matrices with the last axis of ``v`` on their diagonal, zero elsewhere."""
    n = shape(v)[-1] + abs(offset)
    k = np.arange(shape(v)[-1])
    index = (Ellipsis, ARRAY, ARRAY)
    return scatter_add(v, k + max(-offset, 0), k + max(offset, 0), index=index, shape=(*shape(v)[:-1], n, n))


@implements(np.trace, method="trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    refuse("trace", out=out)
    return sum_(diagonal(cast(a, dtype), offset, axis1, axis2), axis=-1)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', not {indexing!r}")
    n = len(xi)
    flat = [sh.reshape(array(x), shape=(-1,)) for x in xi]
    outs = [sh.reshape(x, shape=(1,) * k + (-1,) + (1,) * (n - k - 1)) for k, x in enumerate(flat)]
    if indexing == "xy" and n > 1:
        outs = [swapaxes(x, 0, 1) for x in outs]
    outs = outs if sparse else list(broadcast_arrays(*outs))
    return tuple(map(_in_order, outs) if copy else outs)
