"""Structured matrices, from what determines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, describe, message
from xpgrad.ops.shape import broadcast_to, concatenate, full_like
from xpgrad.trace.functions._table import array


def block_diag(*arrays: Any) -> Any:
    """The matrix with these blocks on its diagonal, and zeros elsewhere.

    Parameters
    ----------
    *arrays : array[m, n], array[n] or scalar
        At least one. A vector is a row, a scalar a block of one entry.

    Returns
    -------
    array[sum of m, sum of n]
        Of the common dtype.

    Raises
    ------
    ShapeError
        No block, or one with more than two axes.

    Notes
    -----
    Golub, Van Loan, *Matrix Computations*, section 1.3.
    """
    blocks = [array(x) for x in arrays]
    if not blocks or any(len(np.shape(x)) > 2 for x in blocks):
        given = ", ".join(map(describe, blocks)) or "none"
        raise ShapeError(message("block_diag: blocks must be matrices, one at least", {"blocks": given}))
    blocks = [x if len(np.shape(x)) == 2 else np.reshape(x, (1, -1)) for x in blocks]
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        m, n = x.shape
        sides = [full_like(x, value=0, shape=(m, k)) for k in (before, width - before - n)]
        rows.append(concatenate(sides[0], x, sides[1], axis=1))
        before += n
    return concatenate(*rows, axis=0)


def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix that is constant along its diagonals.

    Parameters
    ----------
    c : array[..., m]
        The first column.
    r : array[..., n], optional
        The first row, of which the first entry is not read; None: the conjugate of ``c``.

    Returns
    -------
    array[..., m, n]

    Notes
    -----
    Golub, Van Loan, *Matrix Computations*, section 4.7.
    """
    c = np.atleast_1d(array(c))
    r = np.conjugate(c) if r is None else np.atleast_1d(array(r))
    m, n = c.shape[-1], r.shape[-1]
    stack = np.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    c, r = (broadcast_to(x, shape=(*stack, x.shape[-1])) for x in (c, r))
    entries = concatenate(np.flip(c, -1), r[..., 1:], axis=len(c.shape) - 1)
    return entries[..., np.arange(m)[::-1, None] + np.arange(n)]
