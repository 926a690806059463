"""Batches: each op is carried out on the samples of a batch at once.

In:  ops applied to arrays of one sample.
Out: the same ops on a batch, one level down, by the rules that the ops state (`ops._batching`).
Holds: a traced array of a Batch has the shape of one sample and no numbers, for each sample has its own; what
all samples share is a constant, with numbers. The batch axis is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpgrad._errors import TraceError, XpgradError, message
from xpgrad._trees import flatten, unflatten
from xpgrad.core import Aval, Op, aval_of, is_inexact
from xpgrad.core.graph import Value
from xpgrad.devices import device_of
from xpgrad.ops._batching import Shared, batch
from xpgrad.ops.reductions import sum as sum_
from xpgrad.trace import debugging
from xpgrad.trace.apply import LIBRARY_ERRORS, apply_op, check_numbers, explained
from xpgrad.trace.boundary import call, fresh
from xpgrad.trace.traced import Trace, Traced, aval_under
from xpgrad.trace.views import is_scalar, is_scalar_output

Fun = Callable[..., Any]


class Samples(Value):
    """An array for each sample.

    Attributes
    ----------
    data : array[size, ...]
        All of them, one level down; shape and dtype are those of one sample.
    scalar : bool
        Whether a sample is a scalar, which no one can write to.
    """

    __slots__ = ("data", "scalar")

    def __init__(self, aval: Aval, data: Any, scalar: bool) -> None:
        self.shape, self.dtype, self.weak = aval
        self.data, self.scalar = data, scalar


class Batch(Trace):
    """A trace whose arrays stand for ``size`` samples each."""

    __slots__ = ("device", "largest", "size")
    numbers = "of which each sample of vmap has its own"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.device = "cpu"
        self.largest = 1  # entries of a sample of any array so far

    def enter(self, x: Any) -> Traced:
        """The samples of ``x``, along its first axis."""
        if self.device == "cpu":
            self.device = device_of(x)
        aval = Aval(tuple(x.shape[1:]), aval_of(x).dtype)
        return Traced(self, Samples(aval, _snapshot(x), not aval.shape), None)

    def taken(self, x: Any) -> tuple[Any, bool]:
        """``x`` one level down, and whether it is a batch."""
        x = fresh(x)
        if type(x) is not Traced or x._trace is not self:
            return x, False
        return (x._below, False) if x._node is None else (x._node.data, True)

    def gives_scalar(self, node: Any) -> bool:
        return bool(node.scalar)

    def record(self, op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
        self.check_open(op)
        parts = [self.taken(x) for x in operands]
        datas = [_snapshot(x) for x, _ in parts]
        mapped = [m for _, m in parts]
        if not any(mapped):
            out = apply_op(op, datas, params)
            return tuple(map(self._shared, out)) if type(out) is tuple else self._shared(out, op, datas)
        avals = [x._node.aval if m else aval_under(x) for x, m in zip(operands, mapped, strict=True)]
        ruled = op.shape(*avals, **params)
        if op.batching is None:
            got = {f"operand {i}": str(aval) for i, aval in enumerate(avals)}
            raise TraceError(message(f"vmap: {op.name} has no batching rule", got))
        try:
            out = op.batching(op, self.size, datas, mapped, params)
        except XpgradError:
            raise
        except LIBRARY_ERRORS as error:
            raise explained(op, operands, params, error) from error
        if type(out) is Shared:
            return self._shared(out.value, op, datas)
        if debugging.nans:
            debugging.check(op.name, out, datas)
        if type(ruled) is tuple:
            return tuple([self._samples(x, aval, False) for x, aval in zip(out, ruled, strict=True)])
        scalar = not ruled.shape and is_scalar_output(op, params, lambda: is_scalar(operands[0]))
        return self._samples(out, ruled, scalar)

    def _samples(self, data: Any, aval: Aval, scalar: bool) -> Traced:
        assert data.shape == (self.size, *aval.shape), f"{data.shape} is no batch of {self.size} {aval}"
        self.largest = max(self.largest, aval.size)
        return Traced(self, Samples(Aval(aval.shape, aval_of(data).dtype), data, scalar), None)

    def _shared(self, out: Any, op: Op | None = None, datas: Sequence[Any] = ()) -> Any:
        """What all samples share: a constant, of which Python may look at the numbers."""
        if is_inexact(out):
            return Traced(self, None, out)
        return out if op is None else check_numbers(op, out, datas)

    def whole(self, x: Any) -> Any:
        """``x`` as a batch, one level down."""
        data, mapped = self.taken(x)
        return batch(data, mapped, self.size)


def _snapshot(x: Any) -> Any:
    """``x``, safe from what is written to its handle later."""
    return x.snapshot() if type(x) is Traced else x


# ── calls with a rule of their own ───────────────────────────────────────────────────────────
class BatchedCall:
    """A function with a derivative of its own, as a function of a whole batch with such a derivative.

    Parameters
    ----------
    f, fwd, bwd : callable
        As `custom_vjp` has them.
    size : int
    mapped : sequence of bool
        For each leaf of the arguments, whether it is a batch.
    structure : tree structure of the arguments
    """

    def __init__(
        self, rules: tuple[Fun, Fun, Fun], size: int, mapped: Sequence[bool], structure: Any, name: str
    ) -> None:
        self._f, self._fwd, self._bwd = rules
        self.size, self.mapped, self.structure, self.name = size, mapped, structure, name
        self.out_structure: Any = None

    def _run(self, f: Fun, *groups: tuple[Any, Sequence[Any], Sequence[bool]]) -> tuple[Batch, Any]:
        """``f`` of trees, each given as structure, leaves, and whether each leaf is a batch."""
        trace = Batch(self.size)
        trees = [
            unflatten(structure, [trace.enter(x) if m else x for x, m in zip(leaves, mapped, strict=True)])
            for structure, leaves, mapped in groups
        ]
        return trace, call(f, trees)

    def _finished(self, trace: Batch, leaves: Sequence[Any]) -> list[Any]:
        trace.closed = True
        return list(leaves)

    def f(self, *leaves: Any) -> list[Any]:
        trace, out = self._run(lambda args: self._f(*args), (self.structure, leaves, self.mapped))
        outs, self.out_structure = flatten(out)
        return self._finished(trace, [trace.whole(x) for x in outs])

    def fwd(self, *leaves: Any) -> Any:
        trace, (out, residuals) = self._run(
            lambda args: self._fwd(*args), (self.structure, leaves, self.mapped)
        )
        outs, self.out_structure = flatten(out)
        kept, structure = flatten(residuals)
        parts = [trace.taken(x) for x in kept]
        data, mapped = [x for x, _ in parts], [m for _, m in parts]
        return self._finished(trace, [trace.whole(x) for x in outs]), (data, mapped, structure)

    def bwd(self, residuals: Any, gs: Sequence[Any]) -> tuple[Any, ...]:
        data, mapped, structure = residuals
        trace, cs = self._run(
            self._bwd, (structure, data, mapped), (self.out_structure, list(gs), [True] * len(gs))
        )
        cs = cs if isinstance(cs, tuple) else (cs,)
        args = unflatten(self.structure, list(range(len(self.mapped))))
        if len(cs) != len(args):
            raise TraceError(message(f"{self.name}: bwd gave {len(cs)} cotangents for {len(args)} arguments"))
        found: list[Any] = [None] * len(self.mapped)
        for places, c in zip(args, cs, strict=True):
            if c is None:
                continue
            for k, g in zip(flatten(places)[0], flatten(c)[0], strict=True):
                found[k] = trace.whole(g) if self.mapped[k] else self._summed(trace, g)
        return tuple(self._finished(trace, found))

    def _summed(self, trace: Batch, g: Any) -> Any:
        """The cotangent of what all samples share: the sum of theirs."""
        data, mapped = trace.taken(g)
        return sum_(data, axis=0) if mapped else data * self.size
