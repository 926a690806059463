"""The traced array, and the level of tracing that records its ops.

In:  ops applied to traced arrays.
Out: Records on a Tape, in order.
Holds: a traced array's `data` belongs to the level below its trace (a plain array, or an array
traced further out), so that whatever a rule computes with it is recorded there or computed at
once; a later trace is always further in; no array that the user holds is ever written to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import count, pairwise
from threading import local
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, describe, message
from xpgrad.core import (
    Aval,
    Dispatcher,
    Op,
    aval_of,
    register_dispatcher,
)
from xpgrad.devices.door import SCALARS, admitted, is_numeric
from xpgrad.trace.quiet import here
from xpgrad.trace.views import View, as_array, attach

_levels = count(1)
_NO_PARAMS: dict[str, Any] = {}


STACK = "np.stack([x0, x1]) for np.array([x0, x1]); of rows, np.stack([np.stack([a, b]), np.stack([c, d])])"


class Made(local):
    """The arrays of objects that NumPy has made of traced scalars in this thread, see `trace.elements`."""

    count = 0  # in the outermost call of a user's function
    at = ("", 0)  # file and line of the last one
    refused: Exception | None = (
        None  # what `trace.callers` has raised: some of NumPy's loops go on all the same
    )


made = Made()


def refuse_choice(check: Callable[[Any], None], frame: Any) -> None:
    """``check(frame)``, whose error is kept too, for the end of the user's function."""
    try:
        check(frame)
    except TraceError as error:
        made.refused = error
        raise


class Trace:
    """One level of tracing. Subclasses say what `record` keeps of an op."""

    __slots__ = ("__weakref__", "closed", "level", "portable")
    numbers = "whose numbers are not known while tracing"  # of an array without any

    def __init__(self) -> None:
        self.level = next(_levels)
        self.closed = False
        self.portable = False  # whether one of its arrays was asked for its namespace, see `trace.namespace`

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Carry ``op`` out on the level below and keep what this level needs of it."""
        raise AssertionError("a Trace subclass records")

    def gives_scalar(self, node: Any) -> bool:
        """Whether the array at ``node``, which has no numbers, stands for a scalar."""
        raise AssertionError("a Trace whose arrays have no numbers says so")

    def check_open(self, op: Op) -> None:
        if self.closed:
            raise TraceError(
                message(
                    f"{op.name}: a traced array has escaped the function that it was traced in",
                    remedy="return it from the function, or keep xg.stop_gradient(x) instead",
                )
            )

    def constant_array(self, x: Any) -> Traced:
        """The plain array ``x`` as an array of this trace, which no input reaches."""
        return Traced(self, None, x)

    def operand(self, op: Op, x: Any) -> Any:
        """``x`` brought up to date, on the level below if it belongs to this one."""
        if type(x) is Traced:
            if x._view is not None:
                x.refresh()
            return x._below if x._trace is self else Traced(x._trace, x._node, x._below)
        return x


def record(op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Record ``op`` on the innermost trace among its operands."""
    trace: Trace | None = None
    plain = True
    for x in operands:
        kind = type(x)
        if kind is Traced:
            if x._view is not None:
                x.refresh()  # which may move it to another level
            if trace is None or x._trace.level > trace.level:
                trace = x._trace
        elif kind is np.ndarray:
            plain = plain and is_numeric(x.dtype)
        elif kind not in SCALARS:
            plain = False
    if not plain:
        operands = [admitted(x, _operand, op, i) for i, x in enumerate(operands)]
        trace = max((x._trace for x in operands if type(x) is Traced), key=lambda t: t.level)
    assert trace is not None
    hook = here.hook
    if hook is None:
        out = trace.record(op, operands, params)
        if op.makes_view and type(out) is Traced:
            attach(out, op, operands, params)
    else:
        here.hook = None
        sys.setprofile(None)
        try:
            out = trace.record(op, operands, params)
            if op.makes_view and type(out) is Traced:
                attach(out, op, operands, params)
        finally:
            here.hook = hook
            sys.setprofile(hook)
    if trace.portable and type(out) is not Traced:
        out = lifted(trace, out)
    if made.count and type(out) is Traced and not out.shape and out.dtype.kind == "c":
        check_complex(op, out, operands)
    return out


def lifted(trace: Trace, out: Any) -> Any:
    """``out``, truth values and integers that have no derivative, as arrays of ``trace``."""
    if type(out) is tuple:
        return tuple([x if type(x) is Traced else lifted(trace, x) for x in out])
    return trace.constant_array(out) if hasattr(out, "dtype") else out


def check_complex(op: Op, out: Any, operands: Sequence[Any]) -> None:
    """Refuse a complex scalar made of real ones where arrays of objects are about.

    NumPy takes objects for real numbers: ``.real`` of their array is the array itself, and ``.imag`` is zeros.
    """
    if not any(type(x) is Traced and x.dtype.kind == "c" for x in operands):
        raise refuse_complex(out, op.name)


def refuse_complex(x: Any, what: str = "conversion to a NumPy array") -> TraceError:
    return TraceError(
        message(
            f"{what}: a complex scalar, where NumPy has made an array of objects of a list of traced numbers; "
            "it takes objects to be real",
            {"got": x},
            remedy=f"write {STACK}",
        )
    )


def _operand(op: Op, i: int) -> str:
    return f"{op.name}: operand {i}"


def check_operands(op: Op, operands: Sequence[Any]) -> None:
    """Raise for the first of ``operands`` that holds no numbers.

    Raises
    ------
    DTypeError
    """
    for i, x in enumerate(operands):
        admitted(x, _operand, op, i)


def levels(x: Any) -> int:
    """How many levels of tracing have numbers under them: of one derivative each, or of one batch."""
    n = 0
    while type(x) is Traced and x._below is not None:
        n, x = n + 1, x._below
    return n


def strip(x: Any) -> Any:
    """The array under every level of tracing; a symbolic array stays as it is."""
    while type(x) is Traced and x._below is not None:
        if x._view is not None:
            x.refresh()
        x = x._below
    return x


def aval_under(x: Any) -> Aval:
    """The Aval of ``x`` under every level of tracing, where it may be a Python scalar."""
    while type(x) is Traced:
        if x._below is None:
            found: Aval = x._node.aval
            return found
        x = x._below
    return aval_of(x)


def is_symbolic(x: Any) -> bool:
    """Whether ``x`` has no entries yet, under every level of tracing."""
    while type(x) is Traced:
        if x._below is None:
            return True
        x = x._below
    return False


class Traced:
    """An array on its way through a traced function. It behaves as the array that it stands for.

    Attributes
    ----------
    _trace : Trace
        The level that records it.
    _node : Record, Node, Input or None
        Its place on the tape or in the graph; None for a constant, which no input reaches.
    _below : array or None
        Its numbers, one level down; None when only shapes are traced. (Not ``_data``: where an object has
        that, ``np.ma`` takes it for the array, and the gradient would be lost.)
    _view : View or None
        The array that it looks into, if writing to the one must show in the other.
    _stamp : int
        How often it has been written to.
    _origin : (Traced, int)
        Of an entry that NumPy holds as an object: the array that it was taken from, and its place there.
    """

    __slots__ = ("__weakref__", "_below", "_node", "_origin", "_stamp", "_trace", "_view")
    __array__: Callable[..., Any]  # of `trace.elements`
    logical_xor: Callable[..., Any]
    __array_priority__ = 1000.0
    __pandas_priority__ = 5000  # pandas leaves the operators to us

    def __init__(self, trace: Trace, node: Any, data: Any) -> None:
        self._trace = trace
        self._node = node
        self._below = data
        self._view: View | None = None
        self._stamp = 0

    # ── what it is ───────────────────────────────────────────────────────────────────────────
    @property
    def _facts(self) -> Any:
        if self._view is not None:
            self.refresh()
        return self._node if self._below is None else self._below

    @property
    def shape(self) -> tuple[int, ...]:
        if self._view is not None:
            self.refresh()
        if self._below is None:
            found: tuple[int, ...] = self._node.shape
            return found
        return getattr(self._below, "shape", ())

    @property
    def dtype(self) -> Any:
        facts = self._facts
        if self._below is None:
            return facts.dtype
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
        if type(data) is Traced:
            return getattr(data._trace, "device", "cpu")
        device = getattr(data, "device", "cpu")
        if isinstance(device, str) or device is None:
            return "cpu"
        return f"gpu:{device.id}" if device.id else "gpu"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Traced({describe(self)})" if self._below is None else f"Traced({strip(self)!r})"

    def __format__(self, spec: str) -> str:
        return repr(self) if self._below is None else format(strip(self), spec)

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
        new = as_array(new)  # NumPy's functions give a scalar where there are no axes, but this stays an array
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
        self._trace, self._node, self._below = new._trace, new._node, new._below

    def _read_again(self) -> None:
        assert self._view is not None
        again = self._view.read()
        self._take(again)
        self._view.seen = self._view.root._stamp

    def snapshot(self) -> Traced:
        """Another handle on the present value, which no write reaches."""
        if self._view is not None:
            self.refresh()
        return Traced(self._trace, self._node, self._below)


def _implementation(op: Op) -> Callable[..., Any]:
    return lambda *operands, **params: record(op, operands, params)


register_dispatcher(Dispatcher("traced", 3, lambda kind: kind is Traced, _implementation))
