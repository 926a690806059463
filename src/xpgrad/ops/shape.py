"""Operations that move entries and change none."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import Aval, Op
from xpgrad.ops._batching import Mapped, Operands, Params, Shared, batch, lifted, shape_of
from xpgrad.ops._define import constant, linear, promote, zero

Shape = tuple[int, ...]


def _axes(g: Any) -> int:
    """The number of axes; a cotangent without any stands for an array of equal entries."""
    return len(getattr(g, "shape", ()))


def _reshape(x: Aval, *, shape: Shape) -> Aval:
    if -1 in shape:
        known = prod(n for n in shape if n != -1)
        if shape.count(-1) == 1 and known and x.size % known == 0:
            shape = tuple(x.size // known if n == -1 else n for n in shape)
    if prod(shape) != x.size or any(n < 0 for n in shape):
        raise ShapeError(message(f"reshape: {x.size} entries do not fit shape {shape}", {"operand": str(x)}))
    return Aval(tuple(shape), x.dtype)


def _batch_reshape(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    own = _reshape(Aval(shape_of(xs[0], True), xs[0].dtype), shape=params["shape"]).shape
    return op(xs[0], shape=(size, *own))


reshape = linear(
    "reshape",
    _reshape,
    lambda g, _z, _x, *, shape: reshape(g, shape=_x.shape) if _axes(g) else g,
    takes_scalar=True,
    traits="cheap same view",
    batching=_batch_reshape,
)


def _transpose(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(message(f"transpose: {axes} is no permutation of {x.ndim} axes", {"operand": str(x)}))
    return Aval(tuple(x.shape[a] for a in axes), x.dtype)


def inverse_axes(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes ``axes``."""
    inverse = [0] * len(axes)
    for k, a in enumerate(axes):
        inverse[a] = k
    return tuple(inverse)


def _batch_transpose(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    return op(xs[0], axes=(0, *(a + 1 for a in params["axes"])))


transpose = linear(
    "transpose",
    _transpose,
    lambda g, _z, _x, *, axes: transpose(g, axes=inverse_axes(axes)) if _axes(g) else g,
    takes_scalar=True,
    traits="cheap view",
    batching=_batch_transpose,
)


def _broadcast_to(x: Aval, *, shape: Shape) -> Aval:
    try:
        fits = np.broadcast_shapes(x.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(message(f"broadcast_to: does not broadcast to shape {shape}", {"operand": str(x)}))
    return Aval(tuple(shape), x.dtype)


def _batch_broadcast_to(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    shape = params["shape"]
    return op(lifted(xs[0], True, len(shape)), shape=(size, *shape))


# The sweep sums the cotangent over the broadcast axes, as for every op.
broadcast_to = linear(
    "broadcast_to",
    _broadcast_to,
    lambda g, _z, _x, *, shape: g,
    takes_scalar=True,
    traits="cheap same view",
    batching=_batch_broadcast_to,
)
broadcast_to.broadcasts = True
for _op in (reshape, transpose, broadcast_to):
    _op.makes_view = True


def _concatenate(*xs: Aval, axis: int) -> Aval:
    if not xs:
        raise ShapeError(message("concatenate: no arrays given"))
    ndim = xs[0].ndim
    got = {f"operand {i}": str(x) for i, x in enumerate(xs)}
    if ndim == 0 or not 0 <= axis < ndim:
        raise ShapeError(message(f"concatenate: axis {axis} does not fit arrays of {ndim} axes", got))
    others = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in xs}
    if len(others) > 1 or any(x.ndim != ndim for x in xs):
        raise ShapeError(message(f"concatenate: shapes differ off axis {axis}", got))
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    return Aval(tuple(shape), promote(*xs))


def _pull_concatenate(i: int, g: Any, _z: Any, *_xs: Any, axis: int) -> Any:
    start = sum(x.shape[axis] for x in _xs[:i])
    return g[(*(slice(None),) * axis, slice(start, start + _xs[i].shape[axis]))]


def _batch_concatenate(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    return op(*[batch(x, m, size) for x, m in zip(xs, mapped, strict=True)], axis=params["axis"] + 1)


concatenate = linear(
    "concatenate",
    _concatenate,
    variadic=_pull_concatenate,
    jointly=True,
    traits="slices",
    batching=_batch_concatenate,
)


def _pad(x: Aval, *, widths: tuple[tuple[int, int], ...]) -> Aval:
    if len(widths) != x.ndim or any(w < 0 for pair in widths for w in pair):
        raise ShapeError(message(f"pad: widths {widths} do not fit {x.ndim} axes", {"operand": str(x)}))
    return Aval(tuple(n + lo + hi for n, (lo, hi) in zip(x.shape, widths, strict=True)), x.dtype)


def _batch_pad(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    return op(xs[0], widths=((0, 0), *params["widths"]))


# With zeros; other fills and modes are written in terms of it and of indexing.
pad = linear(
    "pad",
    _pad,
    lambda g, _z, _x, *, widths: g[
        tuple(slice(lo, lo + n) for (lo, _), n in zip(widths, _x.shape, strict=True))
    ],
    traits="slices",
    batching=_batch_pad,
)


def _astype(x: Aval, *, dtype: np.dtype[Any]) -> Aval:
    if np.dtype(dtype).kind not in "biufc":
        raise DTypeError(message(f"astype: no numbers in dtype {dtype}", {"operand": str(x)}))
    return Aval(x.shape, np.dtype(dtype))


# The sweep takes the cotangent back to the operand's dtype, as for every op.
astype = linear(
    "astype", _astype, lambda g, _z, _x, *, dtype: g, takes_scalar=True, traits="pointwise cheap same"
)


def _copy(x: Aval, *, order: str) -> Aval:
    return x


# The order matters to what reshapes of the copy are views, as in NumPy.
copy = linear("copy", _copy, lambda g, _z, _x, *, order: g, takes_scalar=True, traits="pointwise same")


def _full_like(x: Aval, *, value: Any, shape: Shape | None = None, dtype: Any = None) -> Aval:
    return Aval(x.shape if shape is None else tuple(shape), x.dtype if dtype is None else np.dtype(dtype))


def _batch_full_like(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    shape = params.get("shape")
    return Shared(op(xs[0], **{**params, "shape": shape_of(xs[0], True) if shape is None else shape}))


# The operand gives the device and, by default, shape and dtype; its numbers are not read.
full_like = constant("full_like", _full_like, traits="cheap", batching=_batch_full_like)


# A constant to every derivative, where only shapes are traced: with numbers the array itself is taken out.
stop_gradient = constant("stop_gradient", lambda x: x, traits="pointwise same")
stop_gradient.pulls = stop_gradient.pushes = (zero,)
