"""Undo broadcasting and promotion: a cotangent gets the shape and dtype of its operand."""

from __future__ import annotations

from math import prod
from typing import Any

from xpgrad.core import Value, aval_of
from xpgrad.ops.complex import real
from xpgrad.ops.reductions import sum as sum_
from xpgrad.ops.shape import astype, reshape


def fitted(c: Any, value: Value, out: tuple[int, ...] | None) -> Any:
    """Undo broadcasting and promotion: give ``c`` the shape and dtype that ``value`` calls for.

    ``out`` is the shape that the op broadcast to; ``c`` may be smaller, standing for equal
    entries. It stays smaller than ``value`` along an axis on which it is constant.
    """
    shape = getattr(c, "shape", ())
    if out != value.shape and (out is not None or shape != value.shape):
        c = _unbroadcast(c, shape, value.shape, shape if out is None else out)
    return fitted_dtype(c, value)


def fitted_dtype(c: Any, value: Value) -> Any:
    """``c`` with the dtype of ``value``; a complex cotangent of a real value gives its real part."""
    dtype = getattr(c, "dtype", None)
    if dtype is not value.dtype and dtype is not None and dtype != value.dtype:
        if dtype.kind == "c" and value.dtype.kind != "c":
            c = real(c)
        if aval_of(c).dtype != value.dtype and not value.weak:
            c = astype(c, dtype=value.dtype)
    elif dtype is None and type(c) is complex and value.dtype.kind != "c":
        c = c.real
    return c


def _unbroadcast(c: Any, shape: Any, target: tuple[int, ...], out: tuple[int, ...]) -> Any:
    n = max(len(out), len(target))
    out = (1,) * (n - len(out)) + out
    have = (1,) * (n - len(shape)) + tuple(shape)
    want = (1,) * (n - len(target)) + tuple(target)
    copies = prod(o for h, w, o in zip(have, want, out, strict=True) if w == 1 and h == 1)
    extra = n - len(shape)
    axes = tuple(a - extra for a, (h, w) in enumerate(zip(have, want, strict=True)) if w == 1 and h != 1)
    if axes and not target:
        c = sum_(c)
    elif axes:
        c = sum_(c, axis=axes, keepdims=True)
    if copies != 1:
        c = c * copies
    rank = len(getattr(c, "shape", ()))
    if rank > len(target):
        c = reshape(c, shape=c.shape[rank - len(target) :])
    return c
