"""Python's operators on traced arrays.

The common case, an array on a tape with an array or a scalar, is written out: small programs spend
their time there.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, XpgradError, message
from xpgrad.core import Op, aval_of, is_inexact
from xpgrad.core.scalars import POLES, raised
from xpgrad.devices.door import admitted, is_data
from xpgrad.ops import complex as cx
from xpgrad.ops import elementwise as ew
from xpgrad.ops.contraction import dot, matmul
from xpgrad.ops.shape import astype
from xpgrad.trace import debugging
from xpgrad.trace.apply import explained
from xpgrad.trace.callers import check_comparison
from xpgrad.trace.functions._table import array
from xpgrad.trace.tape import Record, Tape
from xpgrad.trace.traced import (
    Traced,
    aval_under,
    check_complex,
    check_operands,
    made,
    record,
    refuse_choice,
    strip,
)
from xpgrad.trace.views import check_array, is_scalar

_NO_PARAMS: dict[str, Any] = {}
_plain = (float, int, np.ndarray, np.float64, np.float32)
_known = frozenset((Traced, *_plain))
_OBJECT = np.dtype(object)  # of arrays that may hold traced scalars, see `trace.elements`
_failures = (ValueError, TypeError, ArithmeticError)


def _binary(op: Op, apply: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    both, first, second = op.kept((True, True)), op.kept((True, False)), op.kept((False, True))

    def method(self: Any, other: Any) -> Any:
        if self._view is not None:
            self.refresh()
        tape = self._trace
        kind = type(other)
        if type(tape) is not Tape or tape.closed or debugging.nans:
            return _slow(op, self, other)
        if kind is Traced:
            if other._view is not None:
                other.refresh()
            if other._trace is not tape:
                return _slow(op, self, other)
            y, right = other._below, other._node
        elif kind in _plain and (kind is not np.ndarray or other.dtype is not _OBJECT):
            y, right = other, None
        else:
            return _slow(op, self, other)
        x, left = self._below, self._node
        try:
            z = apply(x, y)
        except XpgradError:
            raise
        except _failures as error:
            z = _at_pole(op, x, y, error)
        if left is None and right is None:
            if not is_inexact(z):
                check_operands(op, (x, y))
            return Traced(tape, None, z)
        return _kept(tape, z, x, left, y, right)

    def reflected(self: Any, other: Any) -> Any:
        if self._view is not None:
            self.refresh()
        tape = self._trace
        kind = type(other)
        if type(tape) is not Tape or tape.closed or debugging.nans or kind not in _plain:
            return _slow(op, other, self)
        if kind is np.ndarray and other.dtype is _OBJECT:
            return _slow(op, other, self)
        y, right = self._below, self._node
        try:
            z = apply(other, y)
        except XpgradError:
            raise
        except _failures as error:
            z = _at_pole(op, other, y, error)
        if right is None:
            if not is_inexact(z):
                check_operands(op, (other, y))
            return Traced(tape, None, z)
        return _kept(tape, z, other, None, y, right)

    def _kept(tape: Tape, z: Any, x: Any, left: Any, y: Any, right: Any) -> Traced:
        if type(z) is float or type(z) is complex:
            record = Record(op, (left, right), _NO_PARAMS, (), aval_of(z).dtype, True)
            if made.count and type(z) is complex:
                check_complex(op, z, [Traced(tape, n, v) for n, v in ((left, x), (right, y)) if n is not None])
        else:
            record = Record(op, (left, right), _NO_PARAMS, z.shape, z.dtype)
            if record.dtype.kind != "f":
                if record.dtype.kind != "c":  # of an operand of durations
                    check_operands(op, (x, y))
                elif made.count and not record.shape:
                    check_complex(
                        op, z, [Traced(tape, n, v) for n, v in ((left, x), (right, y)) if n is not None]
                    )
            if type(z) is Traced:
                record.weak = aval_under(z).weak
        if left is None:
            x = tape.constant(x) if second[1] else aval_of(x)
            record.saved = (z if second[0] else record, x, y if second[2] else right)
        elif right is None:
            y = tape.constant(y) if first[2] else aval_of(y)
            record.saved = (z if first[0] else record, x if first[1] else left, y)
        else:
            record.saved = (z if both[0] else record, x if both[1] else left, y if both[2] else right)
        tape.records.append(record)
        return Traced(tape, record, z)

    return method, reflected


def _at_pole(op: Op, x: Any, y: Any, error: Exception) -> Any:
    """NumPy's value at a pole of Python's numbers; otherwise the explained error is raised."""
    try:
        if isinstance(error, POLES):
            return op(x, y)
    except _failures as again:
        error = again
    raise explained(op, (x, y), _NO_PARAMS, error) from error


def _over(reflected: Callable[..., Any]) -> Callable[..., Any]:
    """``1 / x`` is `reciprocal`, the same bits, whose pullback needs the output alone."""

    def method(self: Any, other: Any) -> Any:
        one = type(other) in (int, float) and other == 1 and self.dtype.kind in "fc"  # of integers it is one
        return ew.reciprocal(self) if one else reflected(self, other)

    return method


def _slow(op: Op, x: Any, y: Any) -> Any:
    if not (type(x) in _known and type(y) in _known):
        x, y = as_operand(x), as_operand(y)
        if x is NotImplemented or y is NotImplemented:
            return NotImplemented
    return record(op, (x, y), _NO_PARAMS)


def as_operand(x: Any) -> Any:
    """``x`` as the operand of an op: lists become arrays, what is no number is not implemented."""
    if type(x) in _known:
        return x
    if isinstance(x, (list, tuple, range)):
        return array(x)
    return admitted(x, _what) if is_data(x) else NotImplemented


def _what() -> str:
    return "operand"


def _reflected(op: Op) -> Callable[[Any, Any], Any]:
    return lambda self, other: _slow(op, other, self)


def _compare(op: Op) -> Callable[[Any, Any], Any]:
    """Comparisons have no tangent: the result belongs to the level below."""
    return lambda self, other: _slow(op, self, other)


def _order(op: Op) -> Callable[[Any, Any], Any]:
    """A comparison of size, by which NumPy's loops over objects choose."""

    def method(self: Any, other: Any) -> Any:
        if made.count and not self.shape and (_is_nan(self) or _is_nan(other)):
            refuse_choice(check_comparison, sys._getframe(1))
        return _slow(op, self, other)

    return method


def _is_nan(x: Any) -> bool:
    x = strip(x)
    return type(x) is not Traced and not getattr(x, "shape", ()) and bool(x != x)


def _in_place(op: Callable[[Any, Any], Any], name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        out = op(self, other)
        if out is NotImplemented or is_scalar(self):
            return out  # a NumPy scalar is immutable: the name is bound to the new value.
        return written(self, out, name)

    return method


def written(target: Any, out: Any, name: str) -> Any:
    """Put ``out`` into the array ``target`` with its shape and dtype, as ``out=target`` would."""
    check_array(target, name)
    if out.shape != target.shape:
        raise ShapeError(
            message(f"{name}: the result does not fit the array in place", {"array": target, "result": out})
        )
    if out.dtype != target.dtype:
        if not np.can_cast(out.dtype, target.dtype, "same_kind"):
            raise DTypeError(
                message(f"{name}: the result cannot be cast in place", {"array": target, "result": out})
            )
        out = astype(out, dtype=target.dtype)
    if type(out) is not Traced:  # truth values and integers, of which no trace keeps account
        target[...] = out
        return target
    target.become(out)
    return target


def _matmul(x: Any, y: Any) -> Any:
    x, y = as_operand(x), as_operand(y)
    if x is NotImplemented or y is NotImplemented:
        return NotImplemented
    left, right = getattr(x, "shape", ()), getattr(y, "shape", ())
    if not left or not right:
        got = {"left": aval_of(x), "right": aval_of(y)}
        raise ShapeError(message("matmul: a scalar has no axis to contract", got, remedy="use *"))
    flat = len(left) <= 2 and len(right) <= 2
    return record(dot if flat else matmul, (x, y), _NO_PARAMS)


def _pow(self: Any, other: Any, modulo: Any = None) -> Any:
    if modulo is not None:
        return NotImplemented
    if type(other) is int and other == 2 and self.dtype == bool and not is_scalar(self):
        return record(ew.square, (self,), _NO_PARAMS)  # as NumPy's operator, which gives int8 there
    return _power(self, other)


_power, _rpower = _binary(ew.power, raised)

_ARITHMETIC = {
    "add": (ew.add, operator.add),
    "sub": (ew.subtract, operator.sub),
    "mul": (ew.multiply, operator.mul),
    "truediv": (ew.divide, operator.truediv),
    "floordiv": (ew.floor_divide, operator.floordiv),
    "mod": (ew.remainder, operator.mod),
}


def install() -> None:
    """Give `Traced` its operators."""
    for name, (op, apply) in _ARITHMETIC.items():
        method, reflected = _binary(op, apply)
        if op is ew.divide:
            reflected = _over(reflected)
        if op.is_constant:
            method, reflected = _compare(op), lambda self, other, op=op: _slow(op, other, self)
        setattr(Traced, f"__{name}__", method)
        setattr(Traced, f"__r{name}__", reflected)
        setattr(Traced, f"__i{name}__", _in_place(method, op.name))
    methods: dict[str, Callable[..., Any]] = {
        "__pow__": _pow,
        "__rpow__": _rpower,
        "__ipow__": _in_place(_power, "power"),
        "__matmul__": _matmul,
        "__rmatmul__": lambda self, other: _matmul(other, self),
        "__imatmul__": _in_place(_matmul, "matmul"),
        "__neg__": lambda self: record(ew.negative, (self,), _NO_PARAMS),
        "__pos__": lambda self: record(ew.positive, (self,), _NO_PARAMS),
        "__abs__": lambda self: record(cx.absolute, (self,), _NO_PARAMS),
        "__divmod__": lambda self, other: (self // other, self % other),
        "__rdivmod__": lambda self, other: (other // self, other % self),
        "__invert__": lambda self: record(ew.invert, (self,), _NO_PARAMS),
    }
    comparisons = {
        "eq": ew.equal,
        "ne": ew.not_equal,
        "lt": ew.less,
        "le": ew.less_equal,
        "gt": ew.greater,
        "ge": ew.greater_equal,
        "and": ew.bitwise_and,
        "or": ew.bitwise_or,
        "xor": ew.bitwise_xor,
        "rand": ew.bitwise_and,
        "ror": ew.bitwise_or,
        "rxor": ew.bitwise_xor,
    }
    methods |= {f"__{name}__": _compare(op) for name, op in comparisons.items()}
    methods |= {f"__{name}__": _order(comparisons[name]) for name in ("lt", "le", "gt", "ge")}
    for name, op in {"lshift": ew.left_shift, "rshift": ew.right_shift}.items():
        methods |= {
            f"__{name}__": _compare(op),
            f"__r{name}__": _reflected(op),
        }
    # Without these Python would bind the name anew, and a view of the array would not see it.
    for name in ("and", "or", "xor", "lshift", "rshift"):
        methods[f"__i{name}__"] = _in_place(methods[f"__{name}__"], name)
    for name, method in methods.items():
        setattr(Traced, name, method)


install()
