"""Forward mode: each op's tangent is computed along with its output.

In:  ops applied to dual arrays.
Out: dual arrays: data, and in `node` its tangent (None where it is zero).
Holds: a tangent has the shape of its data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.linalg import LinAlgError

from xpgrad._errors import NotDifferentiableError, describe, message
from xpgrad.core import Op, is_inexact
from xpgrad.core.scalars import POLES, by_numpy
from xpgrad.ops.complex import real
from xpgrad.ops.shape import astype, broadcast_to, full_like
from xpgrad.trace import debugging
from xpgrad.trace.apply import apply_op, check_numbers
from xpgrad.trace.traced import Trace, Traced


class Duals(Trace):
    """A trace whose arrays carry their tangents along."""

    __slots__ = ()

    def enter(self, x: Any, t: Any) -> Traced:
        """``x`` with tangent ``t``."""
        return Traced(self, t, x)

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        self.check_open(op)
        datas = [self.operand(op, x) for x in operands]
        ts = [x._node if type(x) is Traced and x._trace is self else None for x in operands]
        z = apply_op(op, datas, params)
        several = type(z) is tuple
        if not several and not is_inexact(z):
            return check_numbers(op, z, datas)
        if op.is_constant or all(t is None for t in ts):
            return tuple(Traced(self, None, part) for part in z) if several else Traced(self, None, z)
        try:
            tangent = push(op, ts, z, datas, params)
        except LinAlgError as error:
            got = {f"operand {i}": describe(x) for i, x in enumerate(datas)}
            raise LinAlgError(message(f"derivative of {op.name}: {error}", got)) from error
        if debugging.nans:
            debugging.check(f"derivative of {op.name}", tangent)
        if several:
            return tuple(
                Traced(self, t, part) if is_inexact(part) else part for part, t in zip(z, tangent, strict=True)
            )
        return Traced(self, None if tangent is None else _whole(tangent, z), z)


def push(op: Op, ts: Sequence[Any], z: Any, xs: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """The tangent of ``z = op(*xs)``; None is a zero tangent."""
    if op.push is not None:
        return op.push(ts, z, *xs, **params)
    if op.pushes is None:
        raise NotDifferentiableError(
            message(
                f"{op.name}: no derivative is known", {f"operand {i}": describe(x) for i, x in enumerate(xs)}
            )
        )
    total = None
    last = len(xs) if op.operands is None else op.operands
    for i, t in enumerate(ts[:last]):
        if t is None:
            continue
        rule = op.pushes[i]
        if rule is None:
            raise NotDifferentiableError(
                message(f"{op.name}: no derivative is known in operand {i}", {f"operand {i}": describe(xs[i])})
            )
        try:
            part = rule(t, z, *xs, **params)
        except POLES:
            part = by_numpy(rule, t, z, *xs, **params)
        if part is not None:
            total = part if total is None else total + part
    return total


def _whole(t: Any, z: Any) -> Any:
    """``t`` with the shape and dtype of ``z``."""
    dtype, own = getattr(z, "dtype", None), getattr(t, "dtype", None)
    if dtype is not None and own is not None and own != dtype:
        if own.kind == "c" and dtype.kind != "c":
            t = real(t)
        t = astype(t, dtype=dtype)
    shape = getattr(z, "shape", ())
    if getattr(t, "shape", ()) == shape:
        return t
    return broadcast_to(t, shape=shape) if hasattr(t, "shape") else full_like(z, value=t)
