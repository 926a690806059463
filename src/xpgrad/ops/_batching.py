"""Batching rules: an op on a whole batch of operands at once, in terms of ops.

In:  operands, those of a batch with the batch axis in front; the parameters of one sample.
Out: the outputs of all samples, the batch axis in front.
Holds: entry ``i`` of the output is what the op gives of entry ``i`` of each operand that is a batch, and of the
       others as they are.

A rule is ``rule(op, size, xs, mapped, params)``: ``mapped[k]`` says whether operand ``k`` is a batch of
``size`` samples; at least one is. What no sample decides is returned as `Shared`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from xpgrad.core import OPS, Op
from xpgrad.core.aval import Shape

Operands = Sequence[Any]
Mapped = Sequence[bool]
Params = Mapping[str, Any]


class Shared(NamedTuple):
    """An output that is the same for all samples, without a batch axis."""

    value: Any


# ── operands ─────────────────────────────────────────────────────────────────────────────────
def shape_of(x: Any, mapped: bool) -> Shape:
    """The shape of one sample of ``x``."""
    shape = tuple(getattr(x, "shape", ()))
    return shape[1:] if mapped else shape


def lifted(x: Any, mapped: bool, ndim: int) -> Any:
    """``x`` with ``ndim`` axes in each sample: what is missing comes in front of them, with length 1."""
    own = shape_of(x, mapped)
    if not mapped or len(own) >= ndim:
        return x
    return OPS["reshape"](x, shape=(x.shape[0], *(1,) * (ndim - len(own)), *own))


def spread(x: Any, mapped: bool, size: int, shape: Shape) -> Any:
    """``x`` as a batch of samples of ``shape``, to which it broadcasts."""
    x = lifted(x, mapped, len(shape))
    if tuple(getattr(x, "shape", ())) == (size, *shape):
        return x
    if not hasattr(x, "shape"):
        return OPS["broadcast_to"](OPS["reshape"](x, shape=(1,) * (len(shape) + 1)), shape=(size, *shape))
    return OPS["broadcast_to"](x, shape=(size, *shape))


def batch(x: Any, mapped: bool, size: int) -> Any:
    """``x`` as a batch: one that is shared stands for each sample."""
    return x if mapped else spread(x, mapped, size, shape_of(x, mapped))


def moved(x: Any, source: int, target: int) -> Any:
    """``x`` with the axis ``source`` at ``target``."""
    n = len(x.shape)
    source, target = source % n, target % n
    if source == target:
        return x
    axes = [a for a in range(n) if a != source]
    axes.insert(target, source)
    return OPS["transpose"](x, axes=tuple(axes))


# ── rules that many ops share ────────────────────────────────────────────────────────────────
def pointwise(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """Samples broadcast as before, each operand with as many axes as the longest."""
    ndim = max(len(shape_of(x, m)) for x, m in zip(xs, mapped, strict=True))
    return op(*[lifted(x, m, ndim) for x, m in zip(xs, mapped, strict=True)], **params)


def over_axes(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """A reduction over ``axis``: None stands for all the axes of a sample."""
    (x,) = xs
    own, axis = shape_of(x, True), params.get("axis")
    if not own:  # 0 and -1 of a scalar are no axis of it
        return op(OPS["reshape"](x, shape=(size, 1)), **{**params, "axis": (1,), "keepdims": False})
    return op(x, **{**params, "axis": _behind(axis, len(own))})


def _behind(axis: Any, ndim: int) -> Any:
    """``axis`` of a sample with ``ndim`` axes, as axes behind that of the batch."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, tuple):
        return tuple(int(a) % ndim + 1 for a in axis)
    return int(axis) % ndim + 1


def along(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """An op that keeps the shape and works along ``axis``, an int, a tuple, or None for all."""
    (x,) = xs
    if not shape_of(x, True):  # a scalar is all that there is along no axes
        return OPS["reshape"](op(OPS["reshape"](x, shape=(size, 1)), **{**params, "axis": (1,)}), shape=(size,))
    return op(x, **{**params, "axis": _behind(params.get("axis"), len(shape_of(x, True)))})


def axes_behind(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """As `along`, of a parameter ``axes`` that counts from the front."""
    return op(xs[0], **{**params, "axes": tuple(a + 1 for a in params["axes"])})


def along_last(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """As `along`, where an ``axis`` that is not given is the last."""
    return along(op, size, xs, mapped, {**params, "axis": params.get("axis", -1)})


def position(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """`argmax` and `argmin`, which take one axis, or None for the place among all entries."""
    (x,) = xs
    own, axis, keepdims = shape_of(x, True), params.get("axis"), params.get("keepdims", False)
    if axis is not None and own:
        return op(x, **{**params, "axis": _behind(axis, len(own))})
    found = op(OPS["reshape"](x, shape=(size, -1) if x.size else (size, 0)), axis=1)
    return OPS["reshape"](found, shape=(size, *(1,) * len(own))) if keepdims else found


def stacked(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """An op on stacks of matrices: the batch is one more axis of the stack, in front."""
    ndim = max(len(shape_of(x, m)) for x, m in zip(xs, mapped, strict=True))
    return op(*[lifted(x, m, ndim) for x, m in zip(xs, mapped, strict=True)], **params)


def stacked_alike(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """As `stacked`, for an op whose operands have one shape."""
    return op(*[batch(x, m, size) for x, m in zip(xs, mapped, strict=True)], **params)
