"""Fourier transforms over axes, for complex and for real signals.

Holds: ``axes`` are counted from the front; ``norm`` is ``"backward"``, ``"ortho"`` or
``"forward"``, as in NumPy; the axes are transformed at their full length (cropping and padding
are done before).

The matrix of a transform is symmetric, so that `fftn` is its own transpose. The transforms of
real signals are each other's transpose, but for the frequencies that stand for two: those
between 0 and the highest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, message
from xpgrad.core import Aval, Op
from xpgrad.ops._batching import axes_behind
from xpgrad.ops._define import floating, linear
from xpgrad.ops.complex import conjugate
from xpgrad.ops.shape import full_like, pad

Axes = tuple[int, ...]

_OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def other_way(norm: str) -> str:
    """The norm that scales the inverse direction as ``norm`` scales this one."""
    return _OTHER[norm]


def _complex(x: Aval) -> np.dtype[Any]:
    return np.result_type(floating(x), np.complex64)


def _check(name: str, x: Aval, axes: Axes, *, distinct: bool = True) -> None:
    got = {"operand": str(x)}
    if any(not 0 <= a < x.ndim for a in axes):
        raise ShapeError(message(f"{name}: axes {axes} do not fit an array of {x.ndim} axes", got))
    if distinct and (not axes or len(set(axes)) < len(axes)):
        raise ShapeError(message(f"{name}: needs axes, each once, not {axes}", got))
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(message(f"{name}: no data along an axis of length 0", got))


def _fftn(x: Aval, *, axes: Axes, inverse: bool, norm: str) -> Aval:
    _check("fftn", x, axes, distinct=False)
    return Aval(x.shape, _complex(x))


fftn: Op = linear(
    "fftn",
    _fftn,
    lambda g, _z, _x, *, axes, inverse, norm: fftn(g, axes=axes, inverse=inverse, norm=norm),
    batching=axes_behind,
)


def _twice(x: Any, axis: int, n: int) -> Any:
    """2 for each frequency that stands for two of a real signal of length ``n``, else 1; along ``axis``."""
    inside = (n - 1) // 2
    ones = full_like(x, value=1, shape=(*[1] * axis, inside, *[1] * (len(x.shape) - axis - 1)))
    widths = [(0, 0)] * len(x.shape)
    widths[axis] = (1, n // 2 - inside)
    return 1 + pad(ones, widths=tuple(widths))


def _rfftn(x: Aval, *, axes: Axes, norm: str) -> Aval:
    _check("rfftn", x, axes)
    shape = list(x.shape)
    shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    return Aval(tuple(shape), _complex(x))


def _pull_rfftn(g: Any, _z: Any, _x: Any, *, axes: Axes, norm: str) -> Any:
    n = _x.shape[axes[-1]]
    return irfftn(conjugate(g) / _twice(g, axes[-1], n), n=n, axes=axes, norm=other_way(norm))


def _irfftn(x: Aval, *, n: int, axes: Axes, norm: str) -> Aval:
    _check("irfftn", x, axes)
    if n < 1 or x.shape[axes[-1]] != n // 2 + 1:
        raise ShapeError(
            message(
                f"irfftn: {n} real data have {n // 2 + 1} frequencies along axis {axes[-1]}",
                {"operand": str(x)},
            )
        )
    shape = list(x.shape)
    shape[axes[-1]] = n
    return Aval(tuple(shape), np.empty((), _complex(x)).real.dtype)


def _pull_irfftn(g: Any, _z: Any, _x: Any, *, n: int, axes: Axes, norm: str) -> Any:
    z = rfftn(g, axes=axes, norm=other_way(norm))
    return conjugate(z) * _twice(z, axes[-1], n)


# Real signals; the last of the axes has n // 2 + 1 frequencies for n data.
rfftn: Op = linear("rfftn", _rfftn, _pull_rfftn, batching=axes_behind)
irfftn: Op = linear("irfftn", _irfftn, _pull_irfftn, batching=axes_behind)
