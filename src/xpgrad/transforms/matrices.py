"""Matrices of derivatives and products with them: `jacobian`, `hessian`, `hvp`, `linearize`.

A matrix is a batch of products with the vectors of a basis: by the pullback, or by the pushforward where there
are fewer inputs than outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from xpgrad._errors import ShapeError, describe, message
from xpgrad._trees import flatten, tree_map, unflatten
from xpgrad.autodiff import Batch
from xpgrad.core import SCALAR_TYPES, aval_of
from xpgrad.devices.door import admitted_leaves
from xpgrad.ops._batching import moved
from xpgrad.ops.linalg import embed_diagonal
from xpgrad.ops.shape import concatenate, full_like, reshape
from xpgrad.trace import strip
from xpgrad.trace.boundary import argnum
from xpgrad.trace.symbolic import tracing
from xpgrad.transforms.derivatives import grad, jvp, named, vjp

Fun = Callable[..., Any]

# Entries of the batch of one intermediate array that a block of rows or columns may take: 128 MiB in float64.
_ENTRIES = 1 << 24
_FIRST = 8


def jacobian(f: Fun, argnums: int = 0) -> Fun:
    """A function that returns the Jacobian of ``f`` in one argument.

    Returns
    -------
    callable
        For an output of shape ``s`` and an argument of shape ``t``: an array of shape
        ``(*s, *t)``; for an argument that is a tree, a tree of such.

    Notes
    -----
    One pass for all entries of the output at once: a batched pullback, or, where a real argument has fewer
    entries than the output, a batched pushforward. Rows (or columns) are computed in blocks, so that no batch
    of an intermediate array takes more than 128 MiB in float64: how large these are the first block of 8 shows,
    or, where only shapes are traced, the output and the argument. For complex arguments the entries follow the
    convention of `value_and_grad`.
    """

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        where = argnum(argnums, args, "jacobian")

        def partial(x: Any) -> Any:
            return f(*args[:where], x, *args[where + 1 :], **kwargs)

        leaves, structure = admitted_leaves(args[where], f"jacobian: argument {where}")
        x = unflatten(structure, leaves)
        out, pullback = vjp(partial, x)
        if not hasattr(out, "shape") and not isinstance(out, SCALAR_TYPES):
            raise ShapeError(message(f"jacobian: the function must return an array, not {describe(out)}"))
        n = sum(aval_of(x).size for x in leaves)
        if n < aval_of(out).size and all(aval_of(x).dtype.kind == "f" for x in leaves):
            return _by_columns(partial, x, out)
        return _by_rows(pullback, x, out)

    return named(jacobian_of, jacobian, f, argnums)


def _by_rows(pullback: Fun, x: Any, out: Any) -> Any:
    """The Jacobian of a function, by its pullback at ``x``."""
    shape = _shape(out)
    n = prod(shape)
    if not n:
        return tree_map(lambda leaf: full_like(leaf, value=0, shape=(*shape, *_shape(leaf))), x)

    def rows(g: Any) -> Any:
        found = pullback(g)[0]
        if aval_of(out).dtype.kind != "c":
            return found
        # The cotangent of a real argument is real: 1 reads the real part of the derivative, -i the other.
        return tree_map(_with_imaginary, found, pullback(-1j * g)[0])

    largest = max([n, *[aval_of(leaf).size for leaf in flatten(x)[0]]])
    return tree_map(
        lambda *parts: reshape(_joined(parts), shape=(*shape, *parts[0].shape[1:])),
        *_in_blocks(rows, out, largest),
    )


def _by_columns(f: Fun, x: Any, out: Any) -> Any:
    """The Jacobian of ``f`` by its pushforward at ``x``, whose leaves are real; ``out`` is like ``f(x)``."""
    leaves, structure = flatten(x)
    outs, whole = flatten(out)
    found: list[list[Any]] = []  # for each leaf of x, a block for each leaf of the output
    for k, leaf in enumerate(leaves):

        def columns(t: Any, k: int = k) -> Any:
            def of_leaf(one: Any) -> Any:
                return f(unflatten(structure, [*leaves[:k], one, *leaves[k + 1 :]]))

            return jvp(of_leaf, (leaves[k],), (t,))[1]

        n, shapes = aval_of(leaf).size, [(*_shape(o), *_shape(leaf)) for o in outs]
        if not n:
            pairs = zip(outs, shapes, strict=True)
            found.append([full_like(o, value=0, shape=shape) for o, shape in pairs])
            continue
        largest = max(n, *[aval_of(o).size for o in outs])
        blocks = zip(*[flatten(block)[0] for block in _in_blocks(columns, leaf, largest)], strict=True)
        found.append([reshape(moved(_joined(b), 0, -1), shape=s) for b, s in zip(blocks, shapes, strict=True)])
    return unflatten(whole, [unflatten(structure, list(parts)) for parts in zip(*found, strict=True)])


def _in_blocks(f: Fun, like: Any, largest: int) -> list[Any]:
    """``f`` of the vectors of the basis of ``like``, as many at a time as memory allows: trees of rows."""
    n, shape = aval_of(like).size, _shape(like)
    found: list[Any] = []
    start, step = 0, max(1, _ENTRIES // largest)
    if not tracing():
        step = min(step, _FIRST)
    while start < n:
        stop = min(start + step, n)
        trace = Batch(stop - start)
        basis = reshape(_basis(like, n, start, stop), shape=(stop - start, *shape))
        found.append(tree_map(trace.whole, f(trace.enter(basis))))
        trace.closed = True
        start = stop
        if not tracing():
            step = max(1, _ENTRIES // max(largest, trace.largest))
    return found


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else concatenate(*parts, axis=0)


def _basis(like: Any, n: int, start: int, stop: int) -> Any:
    """Rows ``start`` to ``stop`` of the identity matrix of ``n`` rows."""
    ones = full_like(strip(like), value=1, shape=(stop - start,), dtype=aval_of(like).dtype)
    return embed_diagonal(ones, offset=start, size=(stop - start, n))


def hessian(f: Fun, argnums: int = 0) -> Fun:
    """A function that returns the matrix of second derivatives of the scalar ``f``.

    For an argument of shape ``t`` it has shape ``(*t, *t)``; for a tree of real arrays it is a tree of trees:
    block ``[i][j]`` has the shapes of leaves ``i`` and ``j``, one after the other. Forward over reverse, for
    all entries of a leaf at once (in blocks, as `jacobian` has them): the Hessian of a loss of a linear model
    is one matrix product. `hvp` gives products with it without forming it.
    """
    gradient = grad(f, argnums)

    def hessian_of(*args: Any, **kwargs: Any) -> Any:
        where = argnum(argnums, args, "hessian")
        leaves, structure = admitted_leaves(args[where], f"hessian: argument {where}")
        if not leaves or not all(_is_real(x) for x in leaves):
            return jacobian(gradient, argnums)(*args, **kwargs)

        def partial(x: Any) -> Any:
            return gradient(*args[:where], x, *args[where + 1 :], **kwargs)

        x = unflatten(structure, leaves)
        return _by_columns(partial, x, x)

    return named(hessian_of, hessian, f, argnums)


def _is_real(x: Any) -> bool:
    """Whether ``x`` is a real array or number, for which columns will do."""
    try:
        return aval_of(x).dtype.kind == "f"
    except (AttributeError, TypeError):
        return False


def hvp(f: Fun, argnums: int = 0) -> Fun:
    """A function ``g(*args, v)``: the Hessian of the scalar ``f``, times ``v``.

    ``v`` has the structure and shapes of the argument. Forward over reverse: the cost is a small
    multiple of that of a gradient, in time and in memory.
    """

    def product(*args: Any) -> Any:
        *rest, v = args
        where = argnum(argnums, rest, "hvp")

        def gradient(x: Any) -> Any:
            return grad(f, where)(*rest[:where], x, *rest[where + 1 :])

        return jvp(gradient, (rest[where],), (v,))[1]

    return named(product, hvp, f, argnums)


def linearize(f: Fun, *primals: Any) -> tuple[Any, Fun]:
    """``f``'s output and its pushforward, which takes tangents of ``primals`` to a tangent of the output.

    Parameters
    ----------
    f : callable
        Returns a tree of arrays.
    *primals : trees of float or complex arrays

    Returns
    -------
    out : tree
        ``f(*primals)``.
    pushforward : callable
        ``pushforward(*tangents)``, with the structure and shapes of ``primals``. It is linear, and runs ``f``
        forward for each call, as `jvp` does.
    """

    def pushforward(*tangents: Any) -> Any:
        return jvp(f, primals, tangents)[1]

    return vjp(f, *primals)[0], pushforward


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


def _with_imaginary(re: Any, im: Any) -> Any:
    return re if aval_of(re).dtype.kind == "c" else re + 1j * im
