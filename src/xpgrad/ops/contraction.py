"""Contractions: ``dot`` up to two axes, ``matmul`` on stacks, ``einsum``; none conjugates."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Aval, Op, aval_of
from xpgrad.ops._batching import Mapped, Operands, Params, lifted, moved, shape_of
from xpgrad.ops._define import linear, promote
from xpgrad.ops.indexing import ARRAY, ScatterAdd
from xpgrad.ops.shape import reshape, transpose


def _T(x: Any) -> Any:
    axes = tuple(range(len(x.shape)))
    return transpose(x, axes=(*axes[:-2], axes[-1], axes[-2]))


def _outer(x: Any, y: Any) -> Any:
    return reshape(x, shape=(*x.shape, 1)) * y


def _contract(name: str, x: Aval, y: Aval) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of ``x`` and ``y`` without the contracted axis."""
    got = {"left": x, "right": y}
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(message(f"{name}: a scalar has no axis to contract", got, remedy="use *"))
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise ShapeError(message(f"{name}: inner axes differ, {x.shape[-1]} and {inner}", got))
    return x.shape[:-1], (y.shape[-1:] if y.ndim > 1 else ())


def _dot(x: Aval, y: Aval) -> Aval:
    left, right = _contract("dot", x, y)
    assert max(x.ndim, y.ndim) <= 2, "stacks go to matmul"
    return Aval(left + right, promote(x, y))


def _pull_dot_left(g: Any, _z: Any, _x: Any, y: Any) -> Any:
    if len(_x.shape) == 1:
        return g * y if len(y.shape) == 1 else dot(y, g)
    return _outer(g, y) if len(y.shape) == 1 else dot(g, _T(y))


def _pull_dot_right(g: Any, _z: Any, x: Any, _y: Any) -> Any:
    if len(x.shape) == 1:
        return g * x if len(_y.shape) == 1 else _outer(x, g)
    return dot(_T(x), g)


# Up to this many columns a product for each sample takes longer than moving the samples beside each other.
_NARROW = 16


def _batch_product(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """A matrix that all samples share meets them in one product."""
    x, y = xs
    m, n = (len(shape_of(x, mapped[0])), len(shape_of(y, mapped[1])))
    if max(m, n) > 2:
        return _batch_stacks(x, y, mapped, m, n)
    if not mapped[0]:
        return _batch_right(x, y, m, n)
    if not mapped[1]:
        flat = reshape(x, shape=(size * x.shape[1], x.shape[2])) if m == 2 else x
        found = dot(flat, y)
        return reshape(found, shape=(size, x.shape[1], *found.shape[1:])) if m == 2 else found
    if m == n == 1:
        return einsum(x, y, subscripts="ab,ab->a")
    return _batch_stacks(x, y, mapped, m, n)


def _batch_right(x: Any, y: Any, m: int, n: int) -> Any:
    """``x @ y`` for each ``y`` of a batch."""
    size = y.shape[0]
    if n == 1:
        return dot(y, _T(x) if m == 2 else x)
    if m == 2 and y.shape[2] <= _NARROW:
        flat = reshape(moved(y, 0, 1), shape=(y.shape[1], size * y.shape[2]))
        return moved(reshape(dot(x, flat), shape=(x.shape[0], size, y.shape[2])), 1, 0)
    return matmul(x, y)


def _batch_stacks(x: Any, y: Any, mapped: Mapped, m: int, n: int) -> Any:
    """Stacks of matrices with one axis more; a vector of a batch is a matrix with a row or a column."""
    if m == 1 and mapped[0]:
        x = reshape(x, shape=(x.shape[0], 1, x.shape[1]))
    if n == 1 and mapped[1]:
        y = reshape(y, shape=(*y.shape, 1))
    ndim = max(m, n, 2)
    found = matmul(lifted(x, mapped[0], ndim), lifted(y, mapped[1], ndim))
    if n == 1 and mapped[1]:
        found = found[..., 0]
    if m == 1 and mapped[0]:
        found = found[..., 0, :] if not (n == 1 and mapped[1]) else found[..., 0]
    return found


dot = linear("dot", _dot, _pull_dot_left, _pull_dot_right, traits="contraction", batching=_batch_product)


def _matmul(x: Aval, y: Aval) -> Aval:
    left, right = _contract("matmul", x, y)
    try:
        stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ShapeError(
            message("matmul: stacks do not broadcast", {"left": str(x), "right": str(y)})
        ) from None
    return (
        Aval((*stack, *left[-1:], *right), promote(x, y))
        if x.ndim > 1
        else Aval((*stack, *right), promote(x, y))
    )


def _pull_matmul_left(g: Any, _z: Any, _x: Any, y: Any) -> Any:
    if len(y.shape) == 1:
        return g * y if len(_x.shape) == 1 else _outer(g, y)
    if len(_x.shape) == 1:
        return matmul(y, reshape(g, shape=(*g.shape, 1)))[..., 0]
    return matmul(g, _T(y))


def _pull_matmul_right(g: Any, _z: Any, x: Any, _y: Any) -> Any:
    if len(x.shape) == 1:
        if len(_y.shape) == 1:
            return g * x
        return reshape(x, shape=(*x.shape, 1)) * reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1]))
    if len(_y.shape) == 1:
        return matmul(_T(x), reshape(g, shape=(*g.shape, 1)))[..., 0]
    return matmul(_T(x), g)


matmul = linear(
    "matmul", _matmul, _pull_matmul_left, _pull_matmul_right, traits="contraction", batching=_batch_product
)


def _einsum(*xs: Aval, subscripts: str) -> Aval:
    inputs, output = _terms(subscripts)
    sizes: dict[str, int] = {}
    got = {"subscripts": subscripts} | {f"operand {i}": str(x) for i, x in enumerate(xs)}
    if len(inputs) != len(xs):
        raise ShapeError(message(f"einsum: {len(inputs)} terms for {len(xs)} operands", got))
    for term, x in zip(inputs, xs, strict=True):
        if len(term) != x.ndim:
            raise ShapeError(message(f"einsum: term {term!r} does not fit {x.ndim} axes", got))
        for letter, n in zip(term, x.shape, strict=True):
            if sizes.setdefault(letter, n) != n and 1 not in (n, sizes[letter]):
                raise ShapeError(message(f"einsum: index {letter!r} has lengths {sizes[letter]} and {n}", got))
            sizes[letter] = n if sizes[letter] == 1 else sizes[letter]
    return Aval(tuple(sizes[letter] for letter in output), promote(*xs))


def _terms(subscripts: str) -> tuple[list[str], str]:
    left, output = subscripts.split("->")
    return left.split(","), output


def _pull_einsum(i: int, g: Any, _z: Any, *xs: Any, subscripts: str) -> Any:
    """Exchange the cotangent with the operand; indices that it alone has are put back after."""
    inputs, output = _terms(subscripts)
    mine, rest = inputs[i], [(t, x) for k, (t, x) in enumerate(zip(inputs, xs, strict=True)) if k != i]
    if len(set(mine)) < len(mine):
        return _pull_diagonal(g, xs[i], mine, output, rest)
    known = set(output).union(*[set(t) for t, _ in rest])
    have = "".join(letter for letter in mine if letter in known)
    back = ",".join([output, *[t for t, _ in rest]]) + "->" + have
    out = einsum(g, *[x for _, x in rest], subscripts=back)
    # An index that only this operand has was summed over: its cotangent is the same all along.
    # The axis comes back with length 1 and broadcasts.
    lengths = iter(out.shape)
    return reshape(out, shape=tuple(next(lengths) if letter in known else 1 for letter in mine))


def _pull_diagonal(g: Any, x: Any, mine: str, output: str, rest: list[tuple[str, Any]]) -> Any:
    """A repeated index reads a diagonal: pull back to the diagonal, then scatter it."""
    letters = "".join(dict.fromkeys(mine))
    sizes = dict(zip(mine, x.shape, strict=True))
    grids = np.indices(tuple(sizes[c] for c in letters))
    index = tuple(grids[letters.index(c)] for c in mine)
    diagonal = aval_of(x).dtype
    stand_in = Aval(tuple(sizes[c] for c in letters), diagonal)
    others = [t for t, _ in rest]
    out = _pull_einsum(
        0, g, None, stand_in, *[x for _, x in rest], subscripts=",".join([letters, *others]) + "->" + output
    )
    return ScatterAdd(out, index, (ARRAY,) * len(mine), tuple(x.shape))


def _batch_einsum(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """One more letter, that of the batch."""
    inputs, output = _terms(params["subscripts"])
    used = set("".join(inputs) + output)
    letter = next(c for c in ascii_letters if c not in used)
    terms = [letter + term if m else term for term, m in zip(inputs, mapped, strict=True)]
    return op(*xs, subscripts=",".join(terms) + "->" + letter + output)


# Every subscript spelled out, with "->"; an ellipsis is resolved before it comes here.
einsum = linear("einsum", _einsum, variadic=_pull_einsum, batching=_batch_einsum)
