"""The implementations that NumPy and CuPy share: a function for each op.

An implementation takes arrays positionally and parameters by keyword, as the op does, and writes to no
operand. What one of the two does differently stands in ``backends/cpu`` or ``backends/gpu``.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np

from xpgrad.backends import reference
from xpgrad.backends.linalg import linalg_implementations
from xpgrad.backends.loops import iterate
from xpgrad.backends.requirements import checked, require
from xpgrad.backends.special import special_implementations
from xpgrad.core import Implementation, aval_of
from xpgrad.ops.indexing import filled

_OF_SCALARS = np.dtype(float)
# Operators go by Python's, which is quicker for scalars and keeps Python scalars what they are.
_OPERATORS: dict[str, Implementation] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "negative": operator.neg,
    "positive": operator.pos,
    "absolute": operator.abs,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "matmul": operator.matmul,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "invert": operator.invert,
    "left_shift": operator.lshift,
    "right_shift": operator.rshift,
}

_SAME_NAME = [
    "square",
    "float_power",
    "fmod",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "cbrt",
    "logaddexp",
    "logaddexp2",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "degrees",
    "radians",
    "rad2deg",
    "deg2rad",
    "hypot",
    "arctan2",
    "where",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "clip",
    "fabs",
    "copysign",
    "nan_to_num",
    "sinc",
    "ldexp",
    "nextafter",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "sign",
    "heaviside",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "gcd",
    "lcm",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "conjugate",
    "real",
    "imag",
    "angle",
    "max",
    "min",
    "prod",
    "argmax",
    "argmin",
    "any",
    "all",
    "count_nonzero",
    "mean",
    "cumsum",
    "cumprod",
    "dot",
]


def implementations(xp: Any) -> dict[str, Implementation]:
    """The implementations for the array module ``xp``, by name of op."""
    table: dict[str, Implementation] = {name: getattr(xp, name) for name in _SAME_NAME}
    table |= _OPERATORS

    def at(index: Any, arrays: Any) -> Any:
        """The index with its arrays on this module's device."""
        return filled(index, [a if isinstance(a, xp.ndarray) else xp.asarray(a) for a in arrays])

    table |= special_implementations(xp)
    table |= linalg_implementations(xp)

    def scatter_add(g: Any, *arrays: Any, index: Any, shape: tuple[int, ...]) -> Any:
        out = xp.zeros(shape, g.dtype)
        if arrays:
            xp.add.at(out, at(index, arrays), g)
        else:
            out[index] = g
        return out

    def scatter_sum(*gs: Any, indices: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        out = xp.zeros(shape, dtype)
        for g, index in zip(gs, indices, strict=True):
            out[index] += g
        return out

    def index_update(x: Any, v: Any, *arrays: Any, index: Any) -> Any:
        out = xp.array(x, copy=True)
        out[at(index, arrays)] = v
        return out

    def last_writes(x: Any, *arrays: Any, index: Any) -> Any:
        order = xp.zeros(x.shape, np.intp)
        where = at(index, arrays)
        mine = xp.arange(order[where].size).reshape(order[where].shape)
        xp.maximum.at(order, where, mine)
        return order[where] == mine

    def power(x: Any, y: Any) -> Any:
        """NumPy's operator squares booleans to int8; `power` gives int64."""
        return xp.power(x, y) if getattr(x, "dtype", _OF_SCALARS).kind == "b" else x**y

    def full_like(x: Any, *, value: Any, shape: Any = None, dtype: Any = None) -> Any:
        shape = getattr(x, "shape", ()) if shape is None else shape
        dtype = aval_of(x).dtype if dtype is None else dtype
        negative = isinstance(value, (float, np.floating)) and np.signbit(value)
        return xp.zeros(shape, dtype) if value == 0 and not negative else xp.full(shape, value, dtype)

    def pad(x: Any, *, widths: tuple[tuple[int, int], ...]) -> Any:
        out = xp.zeros(tuple(n + lo + hi for n, (lo, hi) in zip(x.shape, widths, strict=True)), x.dtype)
        out[tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape, widths, strict=True))] = x
        return out

    def loop(*operands: Any, body: Any, **params: Any) -> Any:
        return iterate(xp, partial(reference.run, body), operands, body=body, **params)

    table |= {
        "loop": loop,
        "scatter_add": scatter_add,
        "scatter_sum": scatter_sum,
        "index_update": index_update,
        "last_writes": last_writes,
        "full_like": full_like,
        "pad": pad,
        "power": power,
        "reciprocal": lambda x: (
            xp.reciprocal(x) if getattr(x, "dtype", np.dtype(float)).kind in "biu" else 1 / x
        ),
        "copy": lambda x, *, order: xp.array(x, copy=True, order=order),
        "stop_gradient": lambda x: x,
        "require": require,
        "rounded": lambda x: x,
        "checked": checked,
        "assemble": lambda *xs, shape: xp.stack(xs, axis=-1).reshape(*np.shape(xs[0]), *shape),
        "round": lambda x, *, decimals=0: xp.round(x, decimals),
        "getitem": lambda x, *arrays, index: x[at(index, arrays)] if arrays else x[index],
        "reshape": lambda x, *, shape: xp.reshape(x, shape),
        "transpose": lambda x, *, axes: xp.transpose(x, axes),
        "broadcast_to": lambda x, *, shape: xp.broadcast_to(x, shape),
        "concatenate": lambda *xs, axis: xp.concatenate(xs, axis=axis),
        "astype": lambda x, *, dtype: xp.asarray(x, dtype=dtype),
        "sum": lambda x, *, axis=None, keepdims=False: xp.sum(x, axis=axis, keepdims=keepdims),
        "einsum": lambda *xs, subscripts: xp.einsum(subscripts, *xs),
        "argsort": lambda x, *, axis=-1, stable=False: xp.argsort(
            x, axis=axis, kind="stable" if stable else None
        ),
        "argpartition": lambda x, *, kth, axis=-1: xp.argpartition(x, kth, axis=axis),
        "searchsorted": lambda x, v, *, side="left": xp.searchsorted(x, v, side=side),
    }
    return table
