"""Lowering of sums of slices so that each operand has the axes of the output.

c = scatter_sum(a, b, indices=(0, 1))     becomes    d = reshape(a, shape=(1,))
                                                     e = reshape(b, shape=(1,))
                                                     c = scatter_sum(d, e, indices=(0:1, 1:2))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import Const, Node, Op
from xpgrad.ops.indexing import scatter_add, scatter_sum
from xpgrad.ops.shape import reshape
from xpgrad.passes.rewriting import Rewriting

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def _scatter_sum(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    if all(x.shape for x in xs):
        return None
    return _summed(r, node, xs, node.params["indices"])


def _scatter_add(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    return _summed(r, node, xs, (node.params["index"],)) if len(xs) == 1 and node.ndim else None


def _summed(r: Rewriting, node: Node, xs: list[Any], indices: Any) -> Any:
    parts, places = [], []
    for x, index in zip(xs, indices, strict=True):
        numbers = index if type(index) is tuple else (index,)
        at_one = len(numbers) == node.ndim and all(type(i) is int for i in numbers)
        if not x.shape and not isinstance(x, Const) and at_one:
            x = r.emit(reshape, x, shape=(1,) * node.ndim)
            index = tuple([slice(i % n, i % n + 1) for i, n in zip(numbers, node.shape, strict=True)])
        parts.append(x)
        places.append(index)
    return r.emit(scatter_sum, *parts, indices=tuple(places), shape=node.shape, dtype=node.dtype)


WRITES: dict[Op, Rule] = {scatter_sum: _scatter_sum, scatter_add: _scatter_add}
