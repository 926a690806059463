"""The traced array and the tape that records what happens to it.

In:  ops applied to traced arrays.
Out: Values on a Tape, in order.
Holds: a traced array's `data` belongs to the level below its trace (a plain array, or an array
traced further out), so that whatever a rule computes with it is recorded there or computed at
once; a later trace is always further in; no array that the user holds is ever written to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, OutOfBoundsError, TraceError, XpgradError, describe, message, user_line
from xpgrad.core import (
    Aval,
    Carrier,
    Op,
    Value,
    aval_of,
    carrier_of,
    is_inexact,
    register_carrier,
)
from xpgrad.core.graph import input_value
from xpgrad.core.op import two_devices
from xpgrad.trace import debugging
from xpgrad.trace.views import View, attach

_levels = count(1)
_NO_PARAMS: dict[str, Any] = {}


# Up to how many entries a plain array is copied when a tape keeps it.
_SMALL = 1 << 12


def _sample(x: Any) -> bytes:
    """64 entries spread over ``x``."""
    sampled: np.ndarray[Any, Any] = x.flat[:: max(x.size // 64, 1)]
    return sampled.tobytes()


def _written_to(x: Any, line: str | None) -> TraceError:
    return TraceError(
        message(
            "a plain array was written to after a traced operation used it: its old value is needed backward",
            {"array": x},
            at=line,
            remedy="write to a copy, or to a new array each time",
        )
    )


class Trace:
    """One level of tracing. Subclasses say what `record` keeps of an op."""

    __slots__ = ("closed", "level")

    def __init__(self) -> None:
        self.level = next(_levels)
        self.closed = False

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Carry ``op`` out on the level below and keep what this level needs of it."""
        raise AssertionError("a Trace subclass records")

    def check_open(self, op: Op) -> None:
        if self.closed:
            raise TraceError(
                message(
                    f"{op.name}: a traced array has escaped the function that it was traced in",
                    remedy="return it from the function, or keep xg.stop_gradient(x) instead",
                )
            )

    def operand(self, op: Op, x: Any) -> Any:
        """``x`` brought up to date, on the level below if it belongs to this one."""
        if type(x) is Traced:
            if x._view is not None:
                x.refresh()
            return x._data if x._trace is self else Traced(x._trace, x._node, x._data)
        return x


class Tape(Trace):
    """Records every op, for a backward sweep. Its arrays carry their numbers.

    Attributes
    ----------
    nodes : list of Value
        In the order in which they were made.
    """

    __slots__ = ("constants", "nodes")

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Value] = []
        self.constants: dict[int, tuple[Any, bytes, str | None]] = {}

    def enter(self, x: Any) -> Traced:
        """``x`` as an input of this trace."""
        return Traced(self, input_value(x), x.snapshot() if type(x) is Traced else x)

    def constant(self, x: Any) -> Any:
        """A plain array as the tape keeps it for the backward sweep, safe from later writes.

        A small array is copied. A large one is kept by reference, and what it holds is sampled:
        `check_constants` finds that it was written to since.
        """
        if type(x) is not np.ndarray or not x.flags.writeable:
            return x
        if x.size <= _SMALL:
            return x.copy()
        known = self.constants.get(id(x))
        if known is None:
            self.constants[id(x)] = (x, _sample(x), user_line())
        elif known[1] != _sample(x):
            raise _written_to(x, known[2])
        return x

    def check_constants(self) -> None:
        """Raise if a large plain array was written to after a traced op used it."""
        for x, sample, line in self.constants.values():
            if _sample(x) != sample:
                raise _written_to(x, line)

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        if self.closed:
            self.check_open(op)
        if len(operands) == 1:
            return self._record_one(op, operands[0], params)
        datas = []
        inputs: list[Value | None] = []
        active = False
        for x in operands:
            if type(x) is Traced:
                if x._view is not None:
                    x.refresh()
                if x._trace is self:
                    node = x._node
                    active = active or node is not None
                    inputs.append(node)
                    datas.append(x._data)
                    continue
                x = Traced(x._trace, x._node, x._data)  # a later write to it must not reach the tape
            inputs.append(None)
            datas.append(x)
        out = carry_out(op, datas, params)
        if type(out) is tuple:
            return self._several(op, inputs, params, datas, out) if active else out
        if not is_inexact(out):
            return out
        if not active or op.is_constant:
            return Traced(self, None, out)
        value = self._keep(op, inputs, params, out, datas)
        return Traced(self, value, out)

    def _record_one(self, op: Op, x: Traced, params: Mapping[str, Any]) -> Any:
        """`record`, for an op of one operand."""
        if x._view is not None:
            x.refresh()
        node = x._node
        out = carry_out(op, (x._data,), params)
        if type(out) is tuple:
            return self._several(op, (node,), params, (x._data,), out) if node is not None else out
        if not is_inexact(out):
            return out
        if node is None or op.is_constant:
            return Traced(self, None, out)
        return Traced(self, self._keep(op, (node,), params, out, (x._data,)), out)

    def _keep(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        out: Any,
        datas: Sequence[Any],
    ) -> Value:
        if isinstance(out, (tuple, float, complex)) and not isinstance(out, np.generic):
            aval = aval_of(out[0] if type(out) is tuple else out)
            value = Value(op, inputs, params, aval.shape, aval.dtype, weak=aval.weak)
        else:
            value = Value(op, inputs, params, out.shape, out.dtype)
        kept = op.kept(tuple([v is not None for v in inputs]))
        value.saved = (
            out if kept[0] or type(out) is tuple else value,
            *[
                (x if v is not None else self.constant(x)) if keep else (v if v is not None else aval_of(x))
                for x, v, keep in zip(datas, inputs, kept[1:], strict=True)
            ],
        )
        if op.pulls is None or debugging.nans:
            value.at = user_line()
        self.nodes.append(value)
        return value

    def _several(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        datas: Sequence[Any],
        outs: Any,
    ) -> tuple[Any, ...]:
        parent = self._keep(op, inputs, params, outs, datas)
        picked = []
        for i, out in enumerate(outs):
            aval = aval_of(out)
            if not is_inexact(out):
                picked.append(out)
                continue
            value = Value(PICK, (parent,), {"index": i}, aval.shape, aval.dtype)
            value.saved = (value, parent)
            self.nodes.append(value)
            picked.append(Traced(self, value, out))
        return tuple(picked)


def _pick_shape(*_: Any, **__: Any) -> tuple[Aval, ...]:
    return ()


# One of the outputs of an op that has several; the sweep gathers their cotangents.
PICK = Op("pick", _pick_shape, "pick", reads=[[False]])


def carry_out(op: Op, datas: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Apply ``op`` one level down; an error of the array library is told in our terms."""
    try:
        out = op(*datas, **params)
    except XpgradError:
        raise
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise explained(op, datas, params, error) from error
    if debugging.nans:
        debugging.check(op.name, out, datas)
    return out


def explained(op: Op, datas: Sequence[Any], params: Mapping[str, Any], error: Exception) -> Exception:
    """The shape rule's account of what is wrong, or else the library's, with the operands."""
    if len({c.rank for c in map(carrier_of, datas) if c is not None and c.name != "traced"}) > 1:
        return two_devices(op.name, datas)
    try:
        op.shape(*[aval_of(x) for x in datas], **params)
    except XpgradError as ours:
        return ours
    except Exception:
        pass
    got = {f"operand {i}": describe(x) for i, x in enumerate(datas)}
    kind = OutOfBoundsError if isinstance(error, IndexError) else type(error)
    text = message(f"{op.name}: {error}", got)
    if isinstance(error, np.linalg.LinAlgError):
        return np.linalg.LinAlgError(text)
    return DTypeError(text) if issubclass(kind, TypeError) else kind(text)


def record(op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Record ``op`` on the innermost trace among its operands."""
    trace: Trace | None = None
    for x in operands:
        if type(x) is Traced:
            if x._view is not None:
                x.refresh()  # which may move it to another level
            if trace is None or x._trace.level > trace.level:
                trace = x._trace
    assert trace is not None
    out = trace.record(op, operands, params)
    if op.makes_view and type(out) is Traced:
        attach(out, op, operands, params)
    return out


def strip(x: Any) -> Any:
    """The array under every level of tracing; a symbolic array stays as it is."""
    while type(x) is Traced and x._data is not None:
        if x._view is not None:
            x.refresh()
        x = x._data
    return x


class Traced:
    """An array on its way through a traced function. It behaves as the array that it stands for.

    Attributes
    ----------
    _trace : Trace
        The level that records it.
    _node : Value or None
        Its place on the tape; None for a constant, which no input reaches.
    _data : array or None
        Its numbers, one level down; None when only shapes are traced.
    _view : View or None
        The array that it looks into, if writing to the one must show in the other.
    _stamp : int
        How often it has been written to.
    """

    __slots__ = ("__weakref__", "_data", "_node", "_stamp", "_trace", "_view")
    __array_priority__ = 1000.0

    def __init__(self, trace: Trace, node: Any, data: Any) -> None:
        self._trace = trace
        self._node = node
        self._data = data
        self._view: View | None = None
        self._stamp = 0

    # ── what it is ───────────────────────────────────────────────────────────────────────────
    @property
    def _facts(self) -> Any:
        if self._view is not None:
            self.refresh()
        return self._node if self._data is None else self._data

    @property
    def shape(self) -> tuple[int, ...]:
        return getattr(self._facts, "shape", ())

    @property
    def dtype(self) -> Any:
        facts = self._facts
        return facts.dtype if hasattr(facts, "dtype") else aval_of(facts).dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return aval_of(self).size

    @property
    def xpgrad_device(self) -> str:
        """``"cpu"``, ``"gpu"``, ``"gpu:1"``, as `xpgrad.devices` names them."""
        data = strip(self)
        device = getattr(data, "device", "cpu")
        if isinstance(device, str) or device is None:
            return "cpu"
        return f"gpu:{device.id}" if device.id else "gpu"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Traced({describe(self)})" if self._data is None else f"Traced({strip(self)!r})"

    def __format__(self, spec: str) -> str:
        return repr(self) if self._data is None else format(strip(self), spec)

    def __hash__(self) -> int:
        raise TypeError("a traced array, like any array, is not hashable")

    # ── views and writing ────────────────────────────────────────────────────────────────────
    def refresh(self) -> None:
        """See what was written to the arrays that this one looks into."""
        stale: list[Traced] = []
        x = self
        while x._view is not None and x._view.stale():
            stale.append(x)
            x = x._view.base
        for x in reversed(stale):
            x._read_again()

    def become(self, new: Any) -> None:
        """Take the value ``new``, as a write would leave it; arrays that share memory see it too.

        Raises
        ------
        TraceError
            The array is a view that cannot be written through; nothing has changed then.
        """
        looking = [self]
        while (view := looking[-1]._view) is not None:
            view.check_writable(looking[-1])
            looking.append(view.base)
        self._take(new)
        for x, base in pairwise(looking):
            assert x._view is not None
            base._take(x._view.put(x))
        looking.pop()._stamp += 1
        for x in reversed(looking):
            x._read_again()  # NumPy's layout in memory is that of the base

    def _take(self, new: Any) -> None:
        self._trace, self._node, self._data = new._trace, new._node, new._data

    def _read_again(self) -> None:
        assert self._view is not None
        again = self._view.read()
        self._take(again)
        self._view.seen = self._view.root._stamp

    def snapshot(self) -> Traced:
        """Another handle on the present value, which no write reaches."""
        if self._view is not None:
            self.refresh()
        return Traced(self._trace, self._node, self._data)

    # ── what leaves the trace ────────────────────────────────────────────────────────────────
    def __bool__(self) -> bool:
        if self._data is None:
            raise _needs_value("bool()", "np.where(condition, x, y) chooses without Python's if")
        return bool(strip(self))

    def __float__(self) -> float:
        raise _leaves(
            "float()",
            "float(xg.stop_gradient(x)) if it is only looked at; np.sin for math.sin; to store it, an "
            "array made by np.zeros_like(x, shape=...)",
        )

    def __int__(self) -> int:
        raise _leaves("int()", "int(xg.stop_gradient(x))")

    def __complex__(self) -> complex:
        raise _leaves("complex()", "complex(xg.stop_gradient(x))")

    def __index__(self) -> int:
        raise _leaves("an index", "int(xg.stop_gradient(x))")

    def item(self, *_: Any) -> Any:
        raise _leaves("item()", "xg.stop_gradient(x).item()")

    def tolist(self) -> Any:
        raise _leaves("tolist()", "xg.stop_gradient(x).tolist()")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise _leaves(
            "conversion to a NumPy array",
            "np.stack or np.where builds an array of traced parts; np.zeros_like(x, shape=...) makes "
            "one to write into; xg.special has SciPy's functions; xg.stop_gradient(x) gives the plain array",
        )


def _leaves(what: str, remedy: str) -> TraceError:
    return TraceError(message(f"{what} of a traced array would lose its derivative", remedy=remedy))


def _needs_value(what: str, remedy: str) -> TraceError:
    return TraceError(message(f"{what} of an array whose numbers are not known while tracing", remedy=remedy))


def _row(op: Op) -> Callable[..., Any]:
    return lambda *operands, **params: record(op, operands, params)


register_carrier(Carrier("traced", 3, lambda kind: kind is Traced, _row))
