"""The tape: every op in order, with the data that the backward sweep will need.

In:  ops applied to arrays traced on this level.
Out: Records, in the order in which they were made.
Holds: what a Record keeps cannot be changed behind it: handles are snapshots, small plain arrays
copies, and a write to a large one is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import TraceError, message, user_line
from xpgrad.core import Aval, Const, Input, Node, Op, Value, aval_of, is_inexact
from xpgrad.core.aval import Shape
from xpgrad.trace import debugging
from xpgrad.trace.apply import apply_op, check_numbers
from xpgrad.trace.traced import Trace, Traced, aval_under, is_symbolic

# The most entries of a plain array that is copied when a tape keeps it.
SMALL = 1 << 12


def sample(x: Any) -> bytes:
    """64 entries spread over ``x``."""
    sampled: np.ndarray[Any, Any] = x.flat[:: max(x.size // 64, 1)]
    return sampled.tobytes()


def written_to(x: Any, line: str | None) -> TraceError:
    return TraceError(
        message(
            "a plain array was written to after a traced operation used it: its old value is needed backward",
            {"array": x},
            at=line,
            remedy="write to a copy, or to a new array each time",
        )
    )


def _pick_shape(*_: Any, **__: Any) -> tuple[Aval, ...]:
    return ()


# One of the outputs of an op that has several; the sweep gathers their cotangents.
PICK = Op("pick", _pick_shape, "pick", reads=[[False]])


class Record(Value):
    """One op as the backward sweep reads it.

    Attributes
    ----------
    op : Op
    inputs : sequence of Value or None
        The operands that get a cotangent, each a Record or an Input of the tape, or a Node or an Input of a
        graph; None for the others.
    params : mapping
    saved : tuple
        Output and operands for the derivative rules, each as its data or, where they need its shape
        alone, as a Value or an Aval.
    at : str or None
        The user's line, where an error of the sweep would name it.
    """

    __slots__ = ("at", "inputs", "op", "params", "saved")

    def __init__(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        shape: Shape,
        dtype: np.dtype[Any],
        weak: bool = False,
        at: str | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.weak = weak
        self.at = at
        self.saved: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"Record({self.op.name}, {self.aval})"


def recorded(node: Node) -> Record:
    """The Record of a graph's node: shapes of values without numbers, and the data of constants."""
    inputs = [None if isinstance(u, Const) else u for u in node.operands]
    record = Record(node.op, inputs, node.params, node.shape, node.dtype, node.weak, node.at)
    record.saved = (node, *[u.data if isinstance(u, Const) else u for u in node.operands])
    return record


class Tape(Trace):
    """Records every op, for a backward sweep. Its arrays carry their numbers.

    Attributes
    ----------
    records : list of Record
        In the order in which they were made.
    """

    __slots__ = ("constants", "records")

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.constants: dict[int, tuple[Any, bytes, str | None]] = {}

    def enter(self, x: Any) -> Traced:
        """``x`` as an input of this trace."""
        if type(x) is Traced:
            return Traced(self, Input(aval_under(x)), x.snapshot())
        return Traced(self, Input(aval_of(x)), x)

    def constant(self, x: Any) -> Any:
        """A plain array as the tape keeps it for the backward sweep, safe from later writes.

        A small array is copied. A large one is kept by reference, and what it holds is sampled:
        `check_constants` finds that it was written to since.
        """
        if type(x) is not np.ndarray or not x.flags.writeable:
            return x
        if x.size <= SMALL:
            return x.copy()
        known = self.constants.get(id(x))
        if known is None:
            self.constants[id(x)] = (x, sample(x), user_line())
        elif known[1] != sample(x):
            raise written_to(x, known[2])
        return x

    def check_constants(self) -> None:
        """Raise if a large plain array was written to after a traced op used it."""
        for x, seen, line in self.constants.values():
            if sample(x) != seen:
                raise written_to(x, line)

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
                    datas.append(x._below)
                    continue
                x = Traced(x._trace, x._node, x._below)  # a later write to it must not reach the tape
            inputs.append(None)
            datas.append(x)
        out = apply_op(op, datas, params)
        if type(out) is tuple:
            return self._several(op, inputs, params, datas, out) if active else out
        if not is_inexact(out):
            return check_numbers(op, out, datas)
        if not active or op.is_constant:
            return Traced(self, None, out)
        return Traced(self, self._keep(op, inputs, params, out, datas), out)

    def _record_one(self, op: Op, x: Traced, params: Mapping[str, Any]) -> Any:
        """`record`, for an op of one operand."""
        if x._view is not None:
            x.refresh()
        node = x._node
        out = apply_op(op, (x._below,), params)
        if type(out) is tuple:
            return self._several(op, (node,), params, (x._below,), out) if node is not None else out
        if not is_inexact(out):
            return check_numbers(op, out, (x._below,))
        if node is None or op.is_constant:
            return Traced(self, None, out)
        return Traced(self, self._keep(op, (node,), params, out, (x._below,)), out)

    def _keep(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        out: Any,
        datas: Sequence[Any],
    ) -> Record:
        if isinstance(out, (tuple, float, complex)) and not isinstance(out, np.generic):
            aval = aval_of(out[0] if type(out) is tuple else out)
            record = Record(op, inputs, params, *aval)
        else:
            record = Record(op, inputs, params, out.shape, out.dtype)
            if type(out) is Traced:
                record.weak = aval_under(out).weak
        kept = op.kept(tuple([v is not None for v in inputs]))
        record.saved = (
            out if kept[0] or type(out) is tuple else record,
            *[
                (x if v is not None else self.constant(x)) if keep else (v if v is not None else aval_of(x))
                for x, v, keep in zip(datas, inputs, kept[1:], strict=True)
            ],
        )
        first = out[0] if type(out) is tuple else out
        if op.pulls is None or debugging.nans or (type(first) is Traced and is_symbolic(first)):
            record.at = user_line()
        self.records.append(record)
        return record

    def _several(
        self,
        op: Op,
        inputs: Sequence[Value | None],
        params: Mapping[str, Any],
        datas: Sequence[Any],
        outs: Any,
    ) -> tuple[Any, ...]:
        return tuple(self.picked(self._keep(op, inputs, params, outs, datas), outs))

    def picked(self, parent: Record, outs: Sequence[Any]) -> list[Any]:
        """The outputs of an op that has several, those of floats each with a record of its own."""
        found = []
        for i, out in enumerate(outs):
            if is_inexact(out):
                aval = aval_of(out)
                record = Record(PICK, (parent,), {"index": i}, aval.shape, aval.dtype)
                self.records.append(record)
                found.append(Traced(self, record, out))
            else:
                found.append(out)
        return found
