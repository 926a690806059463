"""Systems of equations with a banded matrix, in time of order n.

A matrix of ``lower`` diagonals below the main one and ``upper`` above it is kept as its diagonals, in SciPy's
layout: entry (i, j) is ``ab[upper + i - j, j]``. What lies outside the matrix is not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Aval, Op
from xpgrad.ops._batching import stacked
from xpgrad.ops._define import linear
from xpgrad.ops.linalg import matrix_dtype
from xpgrad.ops.reductions import sum as sum_
from xpgrad.ops.shape import concatenate, full_like, reshape


def check(ab: Aval, b: Aval, *, lower: int, upper: int) -> Aval:
    """The shape and dtype of the solution, or a ShapeError."""
    got = {"diagonals": str(ab), "right-hand side": str(b)}
    if ab.ndim < 2 or b.ndim < 2 or ab.shape[-1] != b.shape[-2]:
        rule = "needs diagonals of as many entries as the right-hand side has rows"
        raise ShapeError(message(f"solve_banded: {rule}", got))
    if ab.shape[-2] != lower + upper + 1:
        rule = f"{lower} + {upper} + 1 diagonals are {lower + upper + 1}, not {ab.shape[-2]}"
        raise ShapeError(message(f"solve_banded: {rule}", got))
    try:
        stack = np.broadcast_shapes(ab.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(message("solve_banded: stacks do not broadcast", got)) from None
    return Aval((*stack, *b.shape[-2:]), matrix_dtype("solve_banded", ab, b))


def shifted(x: Any, d: int) -> Any:
    """The rows of each matrix moved up by ``d``, or down by ``-d``, and zeros where there are none."""
    n = x.shape[-2]
    zeros = full_like(x, value=0, shape=(*x.shape[:-2], min(abs(d), n), x.shape[-1]))
    if abs(d) >= n:
        return zeros
    if not d:
        return x
    parts = (x[..., d:, :], zeros) if d > 0 else (zeros, x[..., :d, :])
    return concatenate(*parts, axis=len(x.shape) - 2)


def _column(ab: Any, k: int) -> Any:
    """Diagonal ``k`` of those that are kept, as a column."""
    return reshape(ab[..., k, :], shape=(*ab.shape[:-2], ab.shape[-1], 1))


def _rows(columns: list[Any]) -> Any:
    """Columns as the rows of one matrix."""
    rows = [reshape(c, shape=(*c.shape[:-2], 1, c.shape[-2])) for c in columns]
    return concatenate(*rows, axis=len(rows[0].shape) - 2)


def transposed(ab: Any, *, lower: int, upper: int) -> Any:
    """The diagonals of the transpose, which has ``upper`` below and ``lower`` above."""
    return _rows([shifted(_column(ab, upper - d), d) for d in range(-lower, upper + 1)])


def product(ab: Any, x: Any, *, lower: int, upper: int) -> Any:
    """The banded matrix times ``x``."""
    total = shifted(_column(ab, 0) * x, upper)
    for k in range(1, lower + upper + 1):
        total = total + shifted(_column(ab, k) * x, upper - k)
    return total


def _push(ts: Any, z: Any, ab: Any, _b: Any, *, lower: int, upper: int) -> Any:
    tab, tb = ts
    band = {"lower": lower, "upper": upper}
    if tab is None:
        return solve_banded(ab, tb, **band)
    change = -product(tab, z, **band)
    return solve_banded(ab, change if tb is None else tb + change, **band)


def _pull_right(g: Any, _z: Any, ab: Any, _b: Any, *, lower: int, upper: int) -> Any:
    return solve_banded(transposed(ab, lower=lower, upper=upper), g, lower=upper, upper=lower)


def _pull_diagonals(g: Any, z: Any, ab: Any, _b: Any, *, lower: int, upper: int) -> Any:
    w = _pull_right(g, z, ab, _b, lower=lower, upper=upper)
    columns = [sum_(shifted(w, d) * z, axis=len(z.shape) - 1) for d in range(-upper, lower + 1)]
    return -_rows([reshape(c, shape=(*c.shape, 1)) for c in columns])


# Linear in the right-hand side alone; stated as `apply_inverse` is.
solve_banded: Op = linear("solve_banded", check, _pull_diagonals, _pull_right, push=_push, batching=stacked)
