"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops import linalg as la
from xpgrad.ops import reductions as red
from xpgrad.ops.decompositions import svd
from xpgrad.ops.shape import astype, reshape, transpose
from xpgrad.trace.functions._table import array, axis_of, cast, implements, ndim, scalar_of, shape


def squares(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of squared moduli."""
    square = cx.real(x * cx.conjugate(x)) if la.is_complex(x) else x * x
    return red.sum(square, axis=axis, keepdims=keepdims)


def _floating(x: Any) -> Any:
    x = array(x)
    x = x if hasattr(x, "shape") else np.asarray(x)
    return x if aval_of(x).dtype.kind in "fc" else cast(x, float)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """At a zero vector the 2-norm has derivative 0, a subgradient."""
    x = _floating(x)
    n = ndim(x)
    if axis is None and (ord is None or (ord in ("f", "fro") and n == 2) or (ord == 2 and n == 1)):
        return la.root(squares(x, keepdims=keepdims))
    axes = tuple(range(n)) if axis is None else _axes("norm", x, axis)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, *axes, keepdims)
    raise ValueError(f"norm: order {ord} needs one axis or two, not {len(axes)}")


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = _floating(x)
    axes = tuple(range(ndim(x))) if axis is None else _axes("vector_norm", x, axis)
    return _vector_norm(x, ord, axes, keepdims)


def _axes(name: str, x: Any, axis: Any) -> tuple[int, ...]:
    """A number is rounded down, as NumPy does here; of several each is an integer."""
    if isinstance(axis, tuple):
        return tuple(axis_of(name, x, a) for a in axis)
    if isinstance(axis, list):
        raise TypeError(f"{name}: axis must be an integer or a tuple of integers, not {axis!r}")
    return (axis_of(name, x, int(axis)),)


def _largest(x: Any, axis: Any, keepdims: bool) -> Any:
    """The largest of numbers that are not negative; of none it is 0."""
    if aval_of(x).size:
        return red.max(x, axis=axis, keepdims=keepdims)
    return red.sum(x, axis=axis, keepdims=keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    x = _floating(x)
    if ndim(x) < 2:
        raise ShapeError(message("matrix_norm: needs a matrix, or a stack of them", {"operand": x}))
    return _matrix_norm(x, ord, ndim(x) - 2, ndim(x) - 1, keepdims)


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return la.root(squares(x, axes, keepdims))
    if isinstance(ord, str):
        raise ValueError(f"norm: no order {ord!r} for vectors")
    size = abs(x)
    if ord == np.inf:
        return _largest(size, axes, keepdims)
    if ord == -np.inf:
        return red.min(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        return red.sum(astype(x != 0, dtype=aval_of(size).dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return red.sum(size, axis=axes, keepdims=keepdims)
    if 0 < ord < 2 and aval_of(size).size:
        return _of_low_order(size, ord, axes, keepdims)
    total = red.sum(size**ord, axis=axes, keepdims=keepdims)
    if ord < 0:
        return total ** (1 / ord)
    return scalar_of(ew.where(total == 0, 0, ew.where(total == 0, 1, total) ** (1 / ord)))


def _of_low_order(size: Any, ord: float, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The norm of an order below 2, without the infinite derivatives of powers at a zero vector."""
    nothing = red.max(size, axis=axes, keepdims=True) == 0
    total = red.sum(ew.where(nothing, 1, size) ** ord, axis=axes, keepdims=keepdims)
    return scalar_of(ew.where(reshape(nothing, shape=shape(total)), 0, total ** (1 / ord)))


def _matrix_norm(x: Any, ord: Any, r: int, c: int, keepdims: bool) -> Any:
    if r == c:
        raise ShapeError(message(f"norm: axis {r} is given twice", {"operand": x}))
    if ord in (None, "fro", "f"):
        return la.root(squares(x, (r, c), keepdims))
    if ord in (1, -1, np.inf, -np.inf):
        summed, ranged = (r, c) if ord in (1, -1) else (c, r)
        lengths = red.sum(abs(x), axis=summed, keepdims=True)
        out = (_largest if ord > 0 else red.min)(lengths, axis=ranged, keepdims=True)
    elif ord in (2, -2, "nuc"):
        rest = [a for a in range(ndim(x)) if a not in (r, c)]
        s = svd(transpose(x, axes=(*rest, r, c)), full_matrices=False)[1]
        reduced = red.sum if ord == "nuc" else _largest if ord > 0 else red.min
        out = reduced(s, axis=-1, keepdims=False)
    else:
        raise ValueError(f"norm: no order {ord!r} for matrices")
    kept = tuple(1 if a in (r, c) else n for a, n in enumerate(shape(x)) if keepdims or a not in (r, c))
    return scalar_of(reshape(out, shape=kept))
