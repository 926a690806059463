"""The backward sweep: reverse mode over the Records of a tape.

In:  the Records of a tape in order, cotangents of some of them.
Out: cotangents of the inputs.
Holds: each Record is visited once, after all that use it; whatever a rule computes is carried out
(or recorded) on the level below the tape; a cotangent may be smaller than its value where it is
constant along an axis, and is made whole only for a rule that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numpy.linalg import LinAlgError

from xpgrad._errors import NotDifferentiableError, at_line, message
from xpgrad.autodiff.fitting import fitted, fitted_dtype
from xpgrad.autodiff.pending import Pending
from xpgrad.autodiff.slices import Slices
from xpgrad.core import SCALAR_TYPES, Graph, Op, Value, aval_of
from xpgrad.core.scalars import POLES, by_numpy
from xpgrad.ops.indexing import ScatterAdd, scatter_add
from xpgrad.ops.shape import broadcast_to, full_like
from xpgrad.trace import debugging, quiet
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.tape import PICK, Record, recorded
from xpgrad.trace.traced import Traced, is_symbolic

# Entries from which an array is worth writing to in place of making another.
_LARGE = 1 << 12


def pull(
    records: Sequence[Record],
    seeds: Sequence[tuple[Value, Any]],
    inputs: Sequence[Value],
    *,
    like: Any,
    free: bool = False,
) -> list[Any]:
    """Cotangents of ``inputs``, given those of some values.

    Parameters
    ----------
    records : sequence of Record
        A tape, in the order in which it was recorded.
    seeds : sequence of (Record or Input, cotangent)
        A cotangent is an array of the value's shape, or a scalar that stands for one.
    inputs : sequence of Input
    like : array
        Any array on the device (and level) where the sweep is to compute.
    free : bool
        Drop what each record keeps as soon as it has been used; the tape can be swept once.

    Returns
    -------
    list of arrays
        Each with the shape and dtype of its input, each an array of its own; zeros where the
        outputs do not depend on the input.
    """
    if quiet.here.hook is not None and not any("pull" in record.params for record in records):
        with quiet.unobserved():
            return pull(records, seeds, inputs, like=like, free=free)
    sweep = _Sweep(like)
    for value, g in seeds:
        sweep.add(value, g)
    found, symbolic = sweep.found, is_symbolic(like)
    for record in reversed(records):
        g = found.pop(record, None)
        if g is not None:
            if symbolic:  # what the graph then holds for a derivative has the line that it is the derivative of
                with at_line(record.at):
                    sweep.visit(record, g, record in sweep.owned)
            else:
                sweep.visit(record, g, record in sweep.owned)
            g = None
        if free:
            record.saved = ()
    return sweep.results(inputs, [g for _, g in seeds])


class _Sweep:
    """Cotangents found so far, and which of them no one else holds.

    Attributes
    ----------
    found : dict of Value to cotangent
    owned : set of Value
        Those whose cotangent is an array of the sweep's own: it may be written to.
    within : bool
        Whether this is the sweep of one op's rule; the op, not its steps, answers for NaN.
    """

    def __init__(self, like: Any, within: bool = False) -> None:
        self.like = like
        self.within = within
        self.kind = None if type(like) is Traced or isinstance(like, SCALAR_TYPES) else type(like)
        self.found: dict[Value, Any] = {}
        self.owned: set[Value] = set()

    def visit(self, record: Record, g: Any, ours: bool) -> None:
        """Pass the cotangent of ``record``, which is ``ours`` to write to or not, on to its operands."""
        op = record.op
        if type(g) is Slices:
            g = g.settle()
        if ours:
            if self.postpone(op, record, g):
                return
            if type(g) is Pending:
                g = g.settle()
        pulls = op.pulls
        if pulls is None:
            self.visit_other(op, record, g)
            return
        broadcasts = op.broadcasts
        as_it_is = op.is_elementwise or (op.takes_scalar and _shape(g) == ())
        if not as_it_is and (_shape(g) != record.shape or isinstance(g, (float, int, complex))):
            g = self.whole(g, record)
        params, saved, inputs = record.params, record.saved, record.inputs
        last = len(inputs) if op.operands is None else op.operands
        while last and inputs[last - 1] is None:
            last -= 1
        alone = True  # no other operand had a share in g
        for i in range(last):
            value = inputs[i]
            if value is None:
                continue
            rule = pulls[i]
            if rule is None:
                raise NotDifferentiableError(
                    message(f"{op.name}: no derivative is known in operand {i}", _got(record), at=record.at)
                )
            try:
                c = rule(g, *saved, **params) if params else rule(g, *saved)
            except POLES:
                c = by_numpy(rule, g, *saved, **params)
            if c is None:
                continue
            if debugging.nans and not self.within:
                debugging.check(f"derivative of {op.name}", getattr(c, "g", c), at=record.at)
            if type(c) is ScatterAdd:
                self._scatter(value, c)
                continue
            if type(c) is not self.kind:
                self.add(value, fitted(c, value, record.shape if broadcasts else None))
                alone = False
                continue
            widened = broadcasts and record.shape != value.shape
            if widened or c.shape != value.shape or c.dtype is not value.dtype:
                c = fitted(c, value, record.shape if broadcasts else None)
            mine = (c is not g or (ours and alone and i == last - 1)) and getattr(c, "base", self) is None
            alone = False
            self.add(value, c, owned=mine and c.size >= _LARGE)

    def run(self, graph: Graph, seeds: Iterable[tuple[Value, Any]]) -> None:
        """Sweep a linear program, given cotangents of some of its values."""
        for value, g in seeds:
            self.add(value, g)
        for node in reversed(graph.nodes):
            g = self.found.pop(node, None)
            if g is not None:
                self.visit(recorded(node), g, node in self.owned)

    def postpone(self, op: Op, record: Record, g: Any) -> bool:
        """Leave the products and quotients of a rule for later, where ``g`` is needed for nothing else."""
        if op.steps is None or debugging.nans:
            return False
        active = [(op.steps[i], v) for i, v in enumerate(record.inputs) if v is not None]
        if len(active) != 1:
            return False
        steps, value = active[0]
        if steps is None or g.shape != value.shape or record.shape != value.shape or g.dtype != value.dtype:
            return False
        pending = g if type(g) is Pending else Pending(g)
        if not pending.then(steps, record.saved):
            return False
        if value in self.found:
            self.add(value, pending.settle(), owned=True)
        else:
            self.found[value] = pending
            self.owned.add(value)
        return True

    def settled(self, value: Value) -> Any:
        """The cotangent of ``value``, with all deferred steps computed."""
        g = self.found.get(value)
        if type(g) is Pending or type(g) is Slices:
            g = self.found[value] = g.settle()
        return g

    def visit_other(self, op: Op, record: Record, g: Any) -> None:
        """Pass on what no rule for each operand says: several outputs, custom rules, transposes."""
        if op is PICK:
            outs = self.found.setdefault(record.inputs[0], {})  # type: ignore[arg-type]
            index = record.params["index"]
            outs[index] = outs[index] + g if index in outs else g
        elif "pull" in record.params:
            self.custom(record, g)
        else:
            if type(g) is not dict and not (op.takes_scalar and _shape(g) == ()):
                g = self.whole(g, record)
            self.transpose(record, g)

    def add(self, value: Value, c: Any, *, owned: bool = False) -> None:
        """Add ``c`` to the cotangent of ``value``, in place where one of the two is the sweep's own."""
        found = self.found
        before = self.settled(value)
        if before is None:
            found[value] = c
            if owned:
                self.owned.add(value)
            return
        if type(c) is type(before) is self.kind and before.shape == c.shape and before.dtype is c.dtype:
            if value in self.owned:
                before += c
                return
            if owned:
                c += before
                found[value] = c
                self.owned.add(value)
                return
        found[value] = before + c
        self.owned.discard(value)

    def _scatter(self, value: Value, c: ScatterAdd) -> None:
        before: Any = self.found.get(value)
        if type(before) is not Slices:
            before = self.settled(value)
        total: Any
        g = c.g
        if self.kind is None and not c.arrays:
            self._gather(value, before, c)
            return
        if type(g) is Traced or type(before) is Traced or self.kind is None or _any_traced(c.arrays):
            whole = scatter_add(self.whole_at(c, value), *c.arrays, index=c.index, shape=value.shape)
            self.add(value, fitted(whole, value, None))
            return
        if value in self.owned and type(before) is self.kind and before.shape == value.shape:
            total = before
        else:
            total = full_like(self.like, value=0, shape=value.shape, dtype=value.dtype)
            if before is not None:
                total += before
            self.found[value] = total
            self.owned.add(value)
        if c.arrays:
            total += scatter_add(self.whole_at(c, value), *c.arrays, index=c.index, shape=value.shape)
        else:
            total[c.index] += g

    def _gather(self, value: Value, before: Any, c: ScatterAdd) -> None:
        """Keep slices of a cotangent that is recorded further out, to be put together in one op."""
        if before is None:
            before = self.found[value] = Slices(value)
        elif type(before) is not Slices:
            rest = Slices(value)
            rest.take(self.whole(before, value), ...)
            before = self.found[value] = rest
        before.take(fitted_dtype(self.whole_at(c, value), value), c.index)

    def whole_at(self, c: ScatterAdd, value: Value) -> Any:
        g = c.g
        if isinstance(g, SCALAR_TYPES):
            g = full_like(self.like, value=g, shape=(), dtype=value.dtype)
        return g

    def custom(self, record: Record, parts: dict[int, Any]) -> None:
        """Pull back by the rule that came with the call."""
        outs = record.params["outs"]
        gs = [
            self.whole(parts[k], aval_of(z)) if k in parts else full_like(z, value=0)
            for k, z in enumerate(outs)
        ]
        gs = [copied(g) for g in gs]  # the rule may write to what it is given
        with at_line(None):  # it has lines of its own
            cs = record.params["pull"](gs)
        for value, c in zip(record.inputs, cs, strict=True):
            if value is not None and c is not None:
                c = copied(c)  # and may give back what it has saved
                if debugging.nans:
                    debugging.check("bwd of custom_vjp", c, at=record.at)
                self.add(value, fitted(c, value, None))

    def transpose(self, record: Record, g: Any) -> None:
        """Pull ``g`` back through an op that states only how tangents go forward.

        The rule is linear in the tangents: it is run on their shapes alone, and the program that
        this records is swept backward in its turn.
        """
        op = record.op
        if op.push is None:
            raise NotDifferentiableError(
                message(f"{op.name}: no derivative is known", _got(record), at=record.at)
            )
        symbols = Symbols()
        last = len(record.inputs) if op.operands is None else op.operands
        ts = [None if v is None or i >= last else symbols.enter(v) for i, v in enumerate(record.inputs)]
        try:
            out = op.push(ts, *record.saved, **record.params)
        except LinAlgError as error:
            raise LinAlgError(
                message(f"derivative of {op.name}: {error}", _got(record), at=record.at)
            ) from error
        outs = out if type(out) is tuple else (out,)
        parts = g if type(g) is dict else {0: g}
        seeds = [
            (o._node, parts[k])
            for k, o in enumerate(outs)
            if k in parts and type(o) is Traced and o._trace is symbols
        ]
        targets = [
            (v, t._node) for v, t in zip(record.inputs, ts, strict=True) if t is not None and v is not None
        ]
        inner = _Sweep(self.like, within=True)
        inner.run(symbols.graph, [(value, inner.whole(part, value)) for value, part in seeds])
        for value, target in targets:
            c = inner.settled(target)
            if c is not None:
                if debugging.nans:
                    debugging.check(f"derivative of {op.name}", c, at=record.at)
                self.add(value, c)

    def whole(self, g: Any, value: Any) -> Any:
        """``g`` with the shape of ``value``."""
        if _shape(g) == value.shape and not isinstance(g, SCALAR_TYPES):
            return g
        if isinstance(g, SCALAR_TYPES):
            return full_like(self.like, value=g, shape=value.shape, dtype=value.dtype)
        return broadcast_to(g, shape=value.shape)

    def results(self, inputs: Sequence[Value], seeds: Sequence[Any]) -> list[Any]:
        """The cotangent of each input, whole, in memory of its own."""
        seen = set(map(id, seeds))
        results = []
        for value in inputs:
            g = self.settled(value)
            if g is None:
                g = full_like(self.like, value=0, shape=value.shape, dtype=value.dtype)
            elif not value.shape:
                pass
            else:
                if _shape(g) != value.shape or isinstance(g, SCALAR_TYPES):
                    g = self.whole(g, value)
                if type(g) is not Traced and (getattr(g, "base", None) is not None or id(g) in seen):
                    g = g.copy()
            seen.add(id(g))
            results.append(g)
        return results


def _any_traced(arrays: Sequence[Any]) -> bool:
    return any(type(x) is Traced for x in arrays)


def transposed(pull_: Callable[[list[Any]], list[Any]], outs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """Tangents of ``outs`` from those of the operands, by the transpose of their pullback.

    ``pull_`` takes cotangents of the outputs to those of the operands (None: none); it is run on
    shapes alone, and the program that this records is swept backward.
    """
    symbols = Symbols()
    gs = [symbols.enter(z) for z in outs]
    cs = pull_(list(gs))
    sweep = _Sweep(next((z for z in outs if hasattr(z, "shape")), 0.0))
    ours = [t is not None and type(c) is Traced and c._trace is symbols for c, t in zip(cs, ts, strict=True)]
    sweep.run(symbols.graph, [(c._node, t) for c, t, here in zip(cs, ts, ours, strict=True) if here])
    return sweep.results([g._node for g in gs], ts)


def copied(x: Any) -> Any:
    """An array of its own with the value of ``x``."""
    if type(x) is Traced:
        return x.snapshot()
    return x.copy() if hasattr(x, "copy") else x


def _shape(g: Any) -> Any:
    return getattr(g, "shape", ())


def _got(record: Record) -> dict[str, Any]:
    operands = [x if v is None else v for v, x in zip(record.inputs, record.saved[1:], strict=True)]
    return {f"operand {i}": str(aval_of(x)) for i, x in enumerate(operands)}
