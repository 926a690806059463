"""Products that contract axes, in terms of `dot`, `matmul` and `einsum`."""

from __future__ import annotations

from operator import index
from string import ascii_letters
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, describe, message
from xpgrad.core import aval_of
from xpgrad.ops import complex as cx
from xpgrad.ops import contraction as con
from xpgrad.ops import reductions as red
from xpgrad.ops.shape import reshape
from xpgrad.trace.functions._table import array, axis_of, cast, implements, ndim, promoting, refuse, shape
from xpgrad.trace.functions.padding import pad
from xpgrad.trace.functions.shapes import moveaxis, stack, transpose
from xpgrad.trace.views import derived


@implements(np.dot, method="dot")
def dot(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        refuse("dot", out=out)
    a, b = promoting(a), promoting(b)
    m, n = ndim(a), ndim(b)
    if m == 0 or n == 0:
        return a * b if m or n else np.multiply(a, b)
    if m <= 2 and n <= 2:
        return con.dot(a, b)
    return tensordot(a, b, ((-1,), (-2 if n > 1 else -1,)))


@implements(np.matmul, np.linalg.matmul)
def matmul(x1: Any, x2: Any, /, **kwargs: Any) -> Any:
    refuse("matmul", **kwargs)
    x1, x2 = array(x1), array(x2)
    _core("matmul", x1, 1, x2, 1)
    return x1 @ x2


def _core(name: str, x: Any, m: int, y: Any, n: int) -> None:
    """Raise unless the operands have the axes that the product is of."""
    if ndim(x) < m or ndim(y) < n:
        rule = f"{name}: needs {m} axes or more on the left, and {n} on the right"
        raise ShapeError(message(rule, {"left": describe(x), "right": describe(y)}))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    a, b = reshape(array(a), shape=(-1,)), reshape(array(b), shape=(-1,))
    return con.dot(cx.conjugate(a) if a.dtype.kind == "c" else a, b)


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = promoting(a), promoting(b)
    if ndim(a) == 0 or ndim(b) == 0:
        return a * b
    if ndim(a) <= 2 and ndim(b) <= 2:
        return con.dot(a, transpose(b))
    return tensordot(a, b, ((-1,), (-1,)))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    refuse("outer", out=out)
    return reshape(array(a), shape=(-1, 1)) * reshape(array(b), shape=(1, -1))


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    x1, x2 = array(x1), array(x2)
    if ndim(x1) != 1 or ndim(x2) != 1:
        raise ShapeError(message("outer: needs two vectors", {"left": x1, "right": x2}))
    return outer(x1, x2)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = array(a), array(b)
    if isinstance(axes, (int, np.integer)):
        if max(axes, 0) > min(ndim(a), ndim(b)):
            raise ShapeError(message(f"tensordot: {axes} axes to sum over", {"left": a, "right": b}))
        left, right = list(range(ndim(a) - axes, ndim(a))), list(range(axes))
    else:
        first, second = axes
        left = [axis_of("tensordot", a, k) for k in np.atleast_1d(np.asarray(first, int)).tolist()]
        right = [axis_of("tensordot", b, k) for k in np.atleast_1d(np.asarray(second, int)).tolist()]
    if [shape(a)[k] for k in left] != [shape(b)[k] for k in right]:
        raise ShapeError(
            message(f"tensordot: axes {left} and {right} differ in length", {"left": a, "right": b})
        )
    free_a = [k for k in range(ndim(a)) if k not in left]
    free_b = [k for k in range(ndim(b)) if k not in right]
    rows, columns = [shape(a)[k] for k in free_a], [shape(b)[k] for k in free_b]
    n = int(np.prod([shape(a)[k] for k in left], dtype=np.intp))
    x = reshape(transpose(a, free_a + left), shape=(int(np.prod(rows, dtype=np.intp)), n))
    y = reshape(transpose(b, right + free_b), shape=(n, int(np.prod(columns, dtype=np.intp))))
    return reshape(con.dot(x, y), shape=(*rows, *columns))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, **kwargs: Any) -> Any:
    refuse("vecdot", **kwargs)
    x1, x2 = array(x1), array(x2)
    _core("vecdot", x1, 1, x2, 1)
    k = index(axis)
    if k != -1:
        x1, x2 = moveaxis(x1, k, -1), moveaxis(x2, k, -1)
    if shape(x1)[-1] != shape(x2)[-1]:
        rule = f"vecdot: lengths differ, {shape(x1)[-1]} and {shape(x2)[-1]}"
        raise ShapeError(message(rule, {"left": x1, "right": x2}))
    if {aval_of(x1).dtype.kind, aval_of(x2).dtype.kind} & set("fc"):
        return red.sum(cx.conjugate(x1) * x2, axis=-1)
    return einsum("...i,...i->...", x1, x2)  # `sum` adds integers up in a wider dtype


@implements(getattr(np, "matvec", None))
def matvec(x1: Any, x2: Any, /, **kwargs: Any) -> Any:
    refuse("matvec", **kwargs)
    x1, x2 = array(x1), array(x2)
    _core("matvec", x1, 2, x2, 1)
    return con.matmul(x1, reshape(x2, shape=(*shape(x2), 1)))[..., 0]


@implements(getattr(np, "vecmat", None))
def vecmat(x1: Any, x2: Any, /, **kwargs: Any) -> Any:
    refuse("vecmat", **kwargs)
    x1, x2 = array(x1), array(x2)
    _core("vecmat", x1, 1, x2, 2)
    return con.matmul(cx.conjugate(reshape(x1, shape=(*shape(x1)[:-1], 1, shape(x1)[-1]))), x2)[..., 0, :]


@implements(np.einsum)
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    """With a subscripts string or in the sublist form; dtype and casting as NumPy promotes."""
    refuse("einsum", out=out, **kwargs)
    if isinstance(operands[0], str):
        subscripts, xs = operands[0], [promoting(x) for x in operands[1:]]
    else:
        subscripts, xs = _from_sublists(operands)
    # All are cast to one dtype before anything is summed: several true entries of a mask are a number then.
    of = np.result_type(*[aval_of(x).dtype for x in xs])
    xs = [cast(x, of) for x in xs]
    spelled = explicit(subscripts, [ndim(x) for x in xs])
    term, _, output = spelled.partition("->")
    if len(xs) == 1 and set(term) == set(output):  # nothing is summed: NumPy gives a view
        return derived(xs[0], "einsum", lambda x: con.einsum(x, subscripts=spelled))
    return con.einsum(*xs, subscripts=spelled)


def _from_sublists(operands: Any) -> tuple[str, list[Any]]:
    def letters(sublist: Any) -> str:
        return "".join("..." if i is Ellipsis else ascii_letters[i] for i in sublist)

    pairs = len(operands) // 2
    xs = [promoting(x) for x in operands[: 2 * pairs : 2]]
    terms = ",".join(letters(s) for s in operands[1 : 2 * pairs : 2])
    return (terms + "->" + letters(operands[-1]) if len(operands) % 2 else terms), xs


def explicit(subscripts: str, ndims: list[int]) -> str:
    """Spell ``subscripts`` out: an output, and letters in place of an ellipsis."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ShapeError(
            message(f"einsum: {len(terms)} terms for {len(ndims)} operands", {"subscripts": subscripts})
        )
    free = [c for c in ascii_letters if c not in text]
    extra = [n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True)]
    if any(e < 0 or (e > 0 and "..." not in t) for t, e in zip(terms, extra, strict=True)):
        raise ShapeError(
            message(
                "einsum: a term does not fit its operand's axes",
                {"subscripts": subscripts, "axes": str(ndims)},
            )
        )
    widest = max([e for t, e in zip(terms, extra, strict=True) if "..." in t], default=0)
    dots = "".join(free[:widest])
    terms = [t.replace("...", dots[widest - e :] if e else "") for t, e in zip(terms, extra, strict=True)]
    if arrow:
        output = output.replace("...", dots)
        if len(set(output)) < len(output) or not set(output) <= set("".join(terms)):
            rule = f"einsum: output {output!r} has an index twice, or one that no operand has"
            raise ShapeError(message(rule, {"subscripts": subscripts}))
    else:
        every = "".join(terms)
        output = dots + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))
    return ",".join(terms) + "->" + output


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = array(a), array(b)
    _core("cross", a, 1, b, 1)
    axisa, axisb = axis_of("cross", a, axisa), axis_of("cross", b, axisb)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if shape(a)[-1] not in (2, 3) or shape(b)[-1] not in (2, 3):
        raise ShapeError(message("cross: vectors must have 2 or 3 components", {"left": a, "right": b}))
    flat = shape(a)[-1] == 2 and shape(b)[-1] == 2
    (a0, a1, a2), (b0, b1, b2) = (
        [x[..., k] if k < shape(x)[-1] else 0 * x[..., 0] for k in range(3)] for x in (a, b)
    )
    if flat:
        return a0 * b1 - a1 * b0
    return moveaxis(stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1), -1, axisc)


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = array(x1), array(x2)
    if any(shape(x)[axis_of("cross", x, axis)] != 3 for x in (x1, x2)):
        raise ShapeError(message("cross: vectors must have 3 components", {"left": x1, "right": x2}))
    return cross(x1, x2, axis=axis)


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """A sum over the shorter operand's entries, each shifting the longer one."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"convolve: mode must be full, same or valid, not {mode!r}")
    a, v = (reshape(x, shape=(1,)) if ndim(x) == 0 else x for x in (array(a), array(v)))
    if ndim(a) != 1 or ndim(v) != 1 or not shape(a)[0] or not shape(v)[0]:
        raise ShapeError(message("convolve: needs two non-empty vectors", {"left": a, "right": v}))
    if shape(v)[0] > shape(a)[0]:
        a, v = v, a
    n, k = shape(a)[0], shape(v)[0]
    wide = pad(a, (k - 1, k - 1)) if not isinstance(a, np.ndarray) else np.pad(a, k - 1)
    index = np.arange(n + k - 1)[:, None] + np.arange(k)[None, :]
    full = con.dot(wide[index], v[::-1])
    if mode == "full":
        return full
    if mode == "same":
        start = (k - 1) // 2
        return full[start : start + n]
    return full[k - 1 : n]


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = array(a), array(v)
    if ndim(a) != 1 or ndim(v) != 1:
        raise ShapeError(message("correlate: needs two vectors", {"left": a, "right": v}))
    return convolve(a, cx.conjugate(v)[::-1], mode)
