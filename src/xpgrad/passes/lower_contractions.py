"""Lowering of contractions to `dot`, `multiply` and `sum`.

    c = einsum(a, b, subscripts="ij,kj->ki")     becomes    d = transpose(a, axes=(1, 0))
                                                            c = dot(b, d)

Four kinds stay as they are: stacks of matrix products, three operands and more, an index repeated in one
term, and an axis of length 1 that meets a longer one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpgrad.core import Node, Op
from xpgrad.ops import contraction as con
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import reshape, transpose
from xpgrad.passes.rewriting import Rewriting

Rule = Callable[[Rewriting, Node, list[Any]], Any]


def _matmul(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    x, y = xs
    return r.emit(con.dot, x, y) if max(len(x.shape), len(y.shape)) <= 2 else None


def _einsum(r: Rewriting, node: Node, xs: list[Any]) -> Any:
    left, output = node.params["subscripts"].split("->")
    terms = left.split(",")
    if any(len(set(t)) < len(t) for t in (*terms, output)):
        return None
    if len(xs) == 1:
        return _one(r, xs[0], terms[0], output)
    if len(xs) != 2 or not _sizes_agree(xs, terms):
        return None
    return _two(r, node, xs[0], xs[1], terms[0], terms[1], output)


def _sizes_agree(xs: list[Any], terms: list[str]) -> bool:
    sizes: dict[str, int] = {}
    return all(
        sizes.setdefault(letter, n) == n
        for term, x in zip(terms, xs, strict=True)
        for letter, n in zip(term, x.shape, strict=True)
    )


def _one(r: Rewriting, x: Any, term: str, output: str) -> Any:
    axes = tuple(k for k, letter in enumerate(term) if letter not in output)
    if axes:
        # einsum adds integers up in their own type, sum in a wider one.
        if x.dtype.kind not in "fc":
            return None
        x = r.emit(red.sum, x, axis=axes, keepdims=False)
        term = "".join(letter for letter in term if letter in output)
    return _ordered(r, x, term, output)


def _ordered(r: Rewriting, x: Any, have: str, want: str) -> Any:
    return x if have == want else r.emit(transpose, x, axes=tuple(have.index(c) for c in want))


def _two(r: Rewriting, node: Node, x: Any, y: Any, a: str, b: str, output: str) -> Any:
    shared = [c for c in a if c in b]
    contracted = [c for c in shared if c not in output]
    stacked = [c for c in shared if c in output]
    mine = [c for c in a if c not in b]
    other = [c for c in b if c not in a]
    if any(c not in output for c in mine + other):
        return None  # summed over before they meet
    if not contracted:
        return r.emit(ew.multiply, _aligned(r, x, a, output), _aligned(r, y, b, output))
    if not stacked and len(contracted) == 1 and len(mine) <= 1 and len(other) <= 1:
        return _dot(r, x, y, a, b, contracted[0], output)
    if mine and other:
        return None
    if node.dtype.kind not in "fc":
        return None
    letters = output + "".join(contracted)
    both = r.emit(ew.multiply, _aligned(r, x, a, letters), _aligned(r, y, b, letters))
    return r.emit(red.sum, both, axis=tuple(range(len(output), len(letters))), keepdims=False)


def _aligned(r: Rewriting, x: Any, term: str, letters: str) -> Any:
    """``x`` with an axis for each letter, of length 1 if its term lacks the letter."""
    if not term:
        return x
    order = "".join(c for c in letters if c in term)
    x = _ordered(r, x, term, order)
    lengths = dict(zip(order, x.shape, strict=True))
    shape = tuple(lengths.get(c, 1) for c in letters)
    return x if tuple(x.shape) == shape else r.emit(reshape, x, shape=shape)


def _dot(r: Rewriting, x: Any, y: Any, a: str, b: str, k: str, output: str) -> Any:
    mine, other = a.replace(k, ""), b.replace(k, "")
    if mine and other and output == other + mine:
        x, y, a, b, mine, other = y, x, b, a, other, mine
    left = _ordered(r, x, a, mine + k)
    right = _ordered(r, y, b, k + other)
    return r.emit(con.dot, left, right)


CONTRACTIONS: dict[Op, Rule] = {con.matmul: _matmul, con.einsum: _einsum}
