"""Op: a name, a shape rule and a derivative; and the dispatch to an implementation.

An op holds its shape rule and its derivative; it computes nothing. The type of its operands leads to
a Dispatcher, which has an implementation: a backend's for its arrays, or the tracer's for traced
arrays. Dispatchers are registered from outside, so that this stage knows no arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DeviceError, DTypeError, describe, message
from xpgrad.core.scalars import RAISING, without_poles

Rule = Callable[..., Any]
Implementation = Callable[..., Any]

OPS: dict[str, Op] = {}

TRAITS = {
    "pointwise": "each entry of the output depends on one entry of each operand, by broadcasting",
    "cheap": "computing it again takes less time than writing and reading an array",
    "same": "the numbers are the operand's, at most in another dtype or at other indices",
    "view": "the entries of one operand, at other indices",
    "slices": "the output is written slice by slice",
    "contraction": "sums of products over an axis of both operands",
    "entries": "the operands are the entries along the last axes of the output",
    "raises": "raises an error where an operand says so",
    "bits": "tells kinds of floats apart, in the dtype of the operand",
}
"""The facts about an op that planning and code generation ask for."""
SCALAR_TYPES: tuple[type, ...] = (bool, int, float, complex, np.generic)

_SCALAR, _NUMPY, _CUPY, _TRACED = range(4)


class Dispatcher(NamedTuple):
    """Finds the implementations of ops for one kind of operand.

    Attributes
    ----------
    name : str
        ``"numpy"``, ``"cupy"`` or ``"traced"``.
    priority : int
        If operands of several kinds meet, the dispatcher with the highest priority has the implementation.
    accepts : callable
        ``accepts(type) -> bool``.
    implementation : callable
        ``implementation(op) -> function``, asked once for each op; raises if the op is declined.
    """

    name: str
    priority: int
    accepts: Callable[[type], bool]
    implementation: Callable[[Op], Implementation]


_dispatchers: dict[int, Dispatcher] = {}
_priority_of_type: dict[type, int] = {}


def register_dispatcher(dispatcher: Dispatcher) -> None:
    """Let ``dispatcher`` find the implementations for the types that it accepts."""
    _dispatchers[dispatcher.priority] = dispatcher
    _priority_of_type.clear()
    for op in OPS.values():
        op.implementations = [None] * len(op.implementations)


def dispatcher_of(x: Any) -> Dispatcher | None:
    """The dispatcher for ``x``; None for a scalar, which combines with arrays of every kind."""
    priority = _priority_of_type.get(type(x))
    return _dispatchers.get(_priority(x) if priority is None else priority)


def is_dispatched(kind: type) -> bool:
    """Whether a dispatcher accepts arrays of this type: those of a backend, and traced arrays."""
    return any(dispatcher.accepts(kind) for dispatcher in _dispatchers.values())


def _priority(x: Any) -> int:
    kind = type(x)
    if issubclass(kind, SCALAR_TYPES):
        priority = _SCALAR
    else:
        found = [k for k, dispatcher in _dispatchers.items() if dispatcher.accepts(kind)]
        if not found and getattr(kind, "xpgrad_source", False):
            np.asarray(x)  # a source of samples says itself who takes it
        if not found:
            raise DTypeError(
                message(f"an operand of type {kind.__name__} is no array", {"operand": describe(x)})
            )
        priority = max(found)
    _priority_of_type[kind] = priority
    return priority


class Op:
    """One operation: a name, a shape rule, and its derivative.

    Attributes
    ----------
    name : str
        NumPy's or SciPy's name where there is one.
    shape : callable
        ``shape(*avals, **params) -> Aval`` (or a tuple of them); raises ShapeError or DTypeError.
    pushes : sequence of callables or None
        For each operand, ``push(t, z, *xs, **params)``: the part of the output's tangent that is due to it.
    pulls : sequence of callables or None
        For each operand, ``pull(g, z, *xs, **params)``: its cotangent, before un-broadcasting.
    push : callable or None
        Instead of both: ``push(ts, z, *xs, **params)`` with None for absent tangents. The
        pullback is its transpose.
    reads : sequence of sequence of bool, or None
        For each operand, whether its pull reads the numbers of each of ``(z, *xs)``. If not, the pull is
        given the Value, which has shape and dtype, and the array is not kept. The last entry of a row
        stands for all further operands, and so does the last row. None: all.
    steps : sequence of steps or None, or None
        For each operand, its pull as a sequence of products and quotients, if it is one.
    domain : (low, high), or one pair for each operand
        The interval from which tests draw the operands of an elementwise op.
    holomorphic : bool
        Whether tests draw complex operands too.
    operands : int or None
        The number of operands, from the first, that can be differentiated; None: all.
    takes_scalar : bool
        A pull accepts a scalar cotangent that stands for an array of equal entries.
    broadcasts : bool
        The output has the common shape of the operands, and a pull may give a cotangent of any
        shape that broadcasts to it.
    makes_view : bool
        In NumPy the output may look into the first operand's memory.
    host_indices : bool
        The operands after the first may be index arrays on the CPU for data on a GPU.
    traits : frozenset of str
        Keys of `TRAITS`.
    monoid : str or None
        The operation that combines the entries of a reduction over ``axis``: ``sum max min prod any all``.
    composed : callable or None
        ``composed(*xs)``: the op in terms of others, by which it is carried out, and compiled.
    batching : callable or None
        ``batching(op, size, xs, mapped, params)``: the op on a batch of operands (see `ops._batching`).
    """

    def __init__(
        self,
        name: str,
        shape: Rule,
        kind: str,
        *,
        pushes: Sequence[Rule | None] | None = None,
        pulls: Sequence[Rule | None] | None = None,
        push: Rule | None = None,
        reads: Sequence[Sequence[bool]] | None = None,
        steps: Sequence[Sequence[tuple[str, Any]] | None] | None = None,
        domain: Any = None,
        holomorphic: bool = False,
        operands: int | None = None,
        takes_scalar: bool = False,
        broadcasts: bool = False,
        makes_view: bool = False,
        host_indices: bool = False,
        traits: str = "",
        monoid: str | None = None,
        composed: Rule | None = None,
        batching: Rule | None = None,
    ) -> None:
        assert name not in OPS, f"op {name} is defined twice"
        OPS[name] = self
        self.name, self.shape, self.kind = name, shape, kind
        self.pushes, self.pulls, self.push = pushes, pulls, push
        self.reads, self.steps = reads, steps
        self.domain, self.holomorphic = domain, holomorphic
        self.operands, self.takes_scalar = operands, takes_scalar
        self.is_elementwise = kind == "elementwise"
        self.is_constant = kind == "constant"
        self.broadcasts = broadcasts or self.is_elementwise
        self.makes_view = makes_view
        self.host_indices = host_indices
        self.traits = frozenset(traits.split()) | ({"pointwise"} if self.is_elementwise else set())
        assert self.traits <= TRAITS.keys(), f"op {name} has a trait that is none"
        self.monoid = monoid
        self.composed = composed
        self.batching = batching
        self.implementations: list[Implementation | None] = [None] * 4
        self._kept: dict[tuple[bool, ...], tuple[bool, ...]] = {}

    def __repr__(self) -> str:
        return f"Op({self.name})"

    def kept(self, active: tuple[bool, ...]) -> tuple[bool, ...]:
        """Whether the pulls of the active operands read the numbers of each of ``(z, *xs)``."""
        found = self._kept.get(active)
        if found is None:
            n = len(active)
            rows = [self._row_read(i, n) for i in range(n) if active[i]]
            found = self._kept[active] = tuple(any(row[k] for row in rows) for k in range(n + 1))
        return found

    def _row_read(self, i: int, n: int) -> list[bool]:
        if self.reads is None:
            return [True] * (n + 1)
        row = list(self.reads[min(i, len(self.reads) - 1)])
        return row[: n + 1] + [row[-1]] * (n + 1 - len(row))

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Compute the op, or record it, depending on the types of the operands."""
        if len(operands) == 1:
            known = _priority_of_type.get(type(operands[0]))
            implementation = None if known is None else self.implementations[known]
            if implementation is not None:
                return implementation(*operands, **params)
        priority = 0
        seen = 0
        for x in operands:
            k = _priority_of_type.get(type(x))
            if k is None:
                k = _priority(x)
            seen |= 1 << k
            if k > priority:
                priority = k
        if seen & 0b110 == 0b110 and not self.host_indices:
            raise two_devices(self.name, operands)
        implementation = self.implementations[priority]
        if implementation is None:
            implementation = self._find(priority)
        return implementation(*operands, **params)

    def _find(self, priority: int) -> Implementation:
        implementation = _dispatchers[priority or _NUMPY].implementation(self)
        if priority == _SCALAR and self.name in RAISING:
            implementation = without_poles(implementation)
        self.implementations[priority] = implementation
        return implementation


def two_devices(name: str, operands: Sequence[Any]) -> DeviceError:
    """The error for operands of one op that live on two devices."""
    got = {}
    for i, x in enumerate(operands):
        dispatcher = dispatcher_of(x)
        if dispatcher is not None:  # a scalar is on no device
            where = getattr(x, "xpgrad_device", _PLACE[dispatcher.priority])
            got[f"operand {i}"] = f"{describe(x)} on the {'GPU' if where.startswith('gpu') else 'CPU'}"
    return DeviceError(
        message(f"{name}: operands on two devices", got, remedy='move one with xg.to_device(x, "gpu") or "cpu"')
    )


_PLACE = {_SCALAR: "cpu", _NUMPY: "cpu", _CUPY: "gpu", _TRACED: "cpu"}
