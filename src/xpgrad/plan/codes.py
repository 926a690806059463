"""Entries that integers choose: codes into a table, and the class label of each row.

In:  a `getitem` or a `scatter_add` with arrays in its index.
Out: the axis that its integers choose along, and whether a loop over the samples can do it.
Holds: all of it depends on the index, shapes and dtypes alone, apart from the rows of class labels, which are
a constant ``arange``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.core import Const, Node
from xpgrad.ops.indexing import ARRAY

COPIES = 64
"""The most copies of a table that one loop adds to: one for each chunk (`plan.tiles.CHUNKS`)."""

TINY_TABLE = 1 << 10
"""Entries of a table that may have a copy in each chunk, however few entries are added."""

PRIVATE_TABLE = 1 << 14
"""Entries of a table, at most, that has a copy in each chunk: 128 KiB in float64, which an L2 cache holds."""


def takes_labels(node: Node) -> bool:
    """Whether a `getitem` or `scatter_add` has the index ``[arange(m), labels]`` into an array of m rows.

    It then reads one entry of each row, which the row's class label chooses, or adds to it. An addend that is
    the same for all rows may have length 1, or no axis.
    """
    index = node.params.get("index")
    if type(index) is not tuple or len(index) != 2 or any(p is not ARRAY for p in index):
        return False
    x, rows, labels = node.operands
    m = node.shape[0] if node.ndim else 0
    if node.op.name == "getitem":
        fits = node.ndim == 1 and x.ndim == 2 and x.shape[0] == m
    else:
        fits = node.op.name == "scatter_add" and node.ndim == 2 and x.shape in ((m,), (1,), ())
    return (
        fits
        and isinstance(rows, Const)
        and type(rows.data) is np.ndarray
        and rows.dtype.kind in "iu"
        and labels.shape == rows.shape == (m,)
        and bool(np.array_equal(rows.data, np.arange(m)))
    )


def code_axis(node: Node) -> int | None:
    """The axis of a table along which integer codes choose, as in ``w[codes]`` and ``E[:, codes]``.

    The table is what a `getitem` reads or a `scatter_add` makes; the codes are operand 1. None: the index is
    another one.
    """
    if node.op.name not in ("getitem", "scatter_add") or len(node.operands) != 2:
        return None
    index = node.params["index"]
    parts = list(index) if type(index) is tuple else [index]
    ndim = node.operands[0].ndim if node.op.name == "getitem" else node.ndim
    if sum(1 for p in parts if p is Ellipsis) == 1:
        where = next(k for k, p in enumerate(parts) if p is Ellipsis)
        parts[where : where + 1] = [slice(None)] * (ndim - len(parts) + 1)
    if len(parts) > ndim or node.operands[1].dtype.kind not in "iu":
        return None
    if not all(p is ARRAY or (isinstance(p, slice) and p == slice(None)) for p in parts):
        return None
    return next(k for k, p in enumerate(parts) if p is ARRAY)


def reads_by_code(node: Node) -> bool:
    """Whether ``node`` reads a table at codes."""
    return node.op.name == "getitem" and code_axis(node) is not None


def adds_by_code(node: Node) -> bool:
    """Whether ``node`` adds to the entries of a table of zeros that codes choose."""
    return node.op.name == "scatter_add" and code_axis(node) is not None


def added_shape(node: Node) -> tuple[int, ...]:
    """The shape of ``table[codes]`` for a node that adds by codes."""
    k: Any = code_axis(node)
    return (*node.shape[:k], *node.operands[1].shape, *node.shape[k + 1 :])


def has_large_table(node: Node) -> bool:
    """Whether ``node`` adds by codes to a table that is too large for a copy in each chunk.

    Clearing and combining the copies would take longer than the additions themselves.
    """
    if not adds_by_code(node):
        return False
    if not node.size or node.size > PRIVATE_TABLE:
        return True
    return node.size > TINY_TABLE and node.size * COPIES > int(np.prod(added_shape(node)))
