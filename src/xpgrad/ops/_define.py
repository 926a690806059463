"""The functions that define an op; each definition serves forward and reverse mode.

*elementwise*: for each operand the map from a tangent of the operand to a tangent of the output.
It multiplies by the local partial, and so it is its own transpose: on the way back the same map
takes the cotangent. Broadcasting is no concern of a rule.

*linear*: linear in each operand (or in all of them jointly). Forward mode is the op itself,
applied to the tangent; the rule states the transpose.

*general*: the rule states how tangents go forward; the way back is found by transposing it.

*constant*: piecewise constant or not numeric; no tangent comes out.

Names: ``t`` tangent (or cotangent, where the same map serves), ``g`` cotangent, ``z`` output,
``x`` and ``y`` operands. A rule whose parameter begins with an underscore reads no numbers of
it: it is given a Value, which knows shape and dtype, and the array is not kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, ShapeError, message
from xpgrad.core import OPS, Aval, Op, aval_of
from xpgrad.core.op import Rule
from xpgrad.ops._batching import pointwise
from xpgrad.ops._steps import parameters, steps_of


def zero(*_: Any, **__: Any) -> None:
    """The rule of an operand on which the output does not depend differentiably."""
    return


def elementwise(
    name: str,
    *rules: Rule | None,
    pulls: Sequence[Rule | None] | None = None,
    dtype: Callable[..., np.dtype[Any]] | None = None,
    domain: Any = (-2.0, 2.0),
    holomorphic: bool = True,
    traits: str = "",
    composed: Rule | None = None,
) -> Op:
    """State an elementwise op, broadcasting over its operands.

    Parameters
    ----------
    name : str
        With a NumPy ufunc of that name, dtypes follow the ufunc.
    rules : callable or None
        For each operand ``rule(t, z, *xs)``; None: no derivative is known in this operand.
    pulls : sequence of callables, optional
        Only where the map is real-linear but not complex-linear, so that it is not its own
        transpose: ``pull(g, z, *xs)`` for each operand.
    dtype : callable, optional
        ``dtype(*avals)``, for an op that is no NumPy ufunc.
    domain : (low, high), or one such pair for each operand
        Where tests draw operands from: off the singularities and kinks.
    holomorphic : bool
        Whether tests draw complex operands too.
    traits : str
        Words of `TRAITS`; that it is pointwise need not be said.
    composed : callable, optional
        The op in terms of others, of operands of its dtype: it needs no implementation and no instructions.
    """
    ruled = dtype or _ufunc_dtype(name)

    def shape(*avals: Aval, **params: Any) -> Aval:
        return Aval(broadcast(name, *avals), ruled(*avals))

    return Op(
        name,
        shape,
        "elementwise",
        pushes=rules,
        pulls=rules if pulls is None else pulls,
        steps=[steps_of(rule) for rule in (rules if pulls is None else pulls)],
        reads=[_reads(len(rules), rule) for rule in (rules if pulls is None else pulls)],
        domain=domain,
        holomorphic=holomorphic,
        traits=traits,
        composed=None if composed is None else _brought(ruled, composed),
        batching=pointwise,
    )


def _brought(ruled: Callable[..., np.dtype[Any]], composed: Rule) -> Rule:
    """``composed`` of operands brought to the op's dtype; a Python scalar gives way by itself."""
    known: dict[tuple[Any, ...], np.dtype[Any] | None] = {}

    def of(*xs: Any) -> Any:
        key = tuple([getattr(x, "dtype", None) for x in xs])
        if key not in known:
            dtype = ruled(*[aval_of(x) for x in xs])
            known[key] = dtype if any(d not in (None, dtype) for d in key) else None
        wanted = known[key]
        if wanted is None:
            return composed(*xs)
        astype = OPS["astype"]
        return composed(
            *[x if d in (None, wanted) else astype(x, dtype=wanted) for x, d in zip(xs, key, strict=True)]
        )

    return of


def linear(
    name: str,
    shape: Rule,
    *pulls: Rule | None,
    jointly: bool = False,
    variadic: Callable[..., Any] | None = None,
    push: Rule | None = None,
    operands: int | None = None,
    takes_scalar: bool = False,
    reads: Sequence[Sequence[bool]] | None = None,
    traits: str = "",
    monoid: str | None = None,
    batching: Rule | None = None,
) -> Op:
    """State an op that is linear in each operand.

    Parameters
    ----------
    pulls : callable or None
        For each operand the transpose ``pull(g, z, *xs, **params)``; None for an operand that
        is no number to differentiate, such as an index.
    jointly : bool
        Linear in all operands together (`concatenate`), not in each while the others stand.
    variadic : callable
        In place of ``pulls`` for any number of operands: ``pull(i, g, z, *xs, **params)``.
    push : callable
        Where the op applied to the tangents is not the forward rule: ``push(ts, z, *xs, **params)``.
    operands : int
        How many operands, from the first, are numbers to differentiate; all by default.
    takes_scalar : bool
        The rule accepts a cotangent that is a scalar standing for an array of equal entries.
    reads : sequence of sequence of bool
        As `Op` has it, where a variadic rule reads the numbers of some operands only.
    traits, monoid, batching
        As `Op` has them; what is pointwise needs no rule for batches.
    """
    every: Sequence[Rule | None] = pulls if variadic is None else _Each(variadic)
    if reads is None:
        reads = [_reads_variadic(variadic)] if variadic else [_reads(len(pulls), pull) for pull in pulls]
    op = Op(name, shape, "linear", pulls=every, reads=reads, push=push, traits=traits, monoid=monoid)
    op.operands, op.takes_scalar = operands, takes_scalar
    op.batching = batching or _batching_of(op)
    if jointly:
        op.push = lambda ts, z, *xs, **params: op(*_with_zeros(ts, xs), **params)
    elif push is None:
        op.pushes = _Each(lambda i, t, _z, *xs, **params: op(*xs[:i], t, *xs[i + 1 :], **params))
    return op


def _with_zeros(ts: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
    """The tangents, with zeros of the operand's shape for those that are absent."""
    like = OPS["full_like"]
    return [like(x, value=0) if t is None else t for t, x in zip(ts, xs, strict=True)]


def _batching_of(op: Op) -> Rule | None:
    return pointwise if "pointwise" in op.traits else None


def general(
    name: str, shape: Rule, push: Rule, *, batching: Rule | None = None, monoid: str | None = None
) -> Op:
    """State an op by how tangents go forward: ``push(ts, z, *xs, **params)``, linear in ``ts``.

    An absent tangent is None. The rule computes with ops; what depends on ``ts`` must be
    linear ops of them, for the pullback is the transpose of the rule.
    """
    return Op(name, shape, "general", push=push, monoid=monoid, batching=batching)


def constant(
    name: str,
    shape: Rule | None = None,
    *,
    domain: Any = (-2.0, 2.0),
    traits: str = "",
    monoid: str | None = None,
    batching: Rule | None = None,
) -> Op:
    """State an op whose output no small change of its operands changes, or that is no number.

    Without a rule for its shape it is a NumPy ufunc, and pointwise.
    """
    if shape is None:
        traits += " pointwise"
        ruled = _ufunc_dtype(name)

        def shape(*avals: Aval, **params: Any) -> Aval:
            return Aval(broadcast(name, *avals), ruled(*avals))

    op = Op(name, shape, "constant", reads=[[False]], domain=domain, traits=traits, monoid=monoid)
    op.batching = batching or _batching_of(op)
    return op


class _Each(Sequence[Rule]):
    """A rule for each of any number of operands, made of one rule that takes the number of the operand."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def __getitem__(self, i: Any) -> Any:
        rule = self._rule
        return lambda *args, **params: rule(i, *args, **params)

    def __len__(self) -> int:
        return 1 << 30


def _reads(n: int, rule: Rule | None) -> list[bool]:
    """For ``(z, *xs)``: does the rule read its numbers?"""
    reads = [False] * (n + 1)
    if rule is None or rule is zero:
        return reads
    names, rest = parameters(rule)
    for k, name in enumerate(names[1:]):
        reads[k] = not name.startswith("_")
    if rest is not None:
        k = len(names) - 1
        reads[k:] = [not rest.startswith("_")] * (n + 1 - k)
    return reads


def _reads_variadic(rule: Rule) -> list[bool]:
    names, rest = parameters(rule)
    assert rest is not None
    return [not names[2].startswith("_"), not rest.startswith("_")]


def broadcast(name: str, *avals: Aval) -> tuple[int, ...]:
    """The common shape of ``avals``, or a ShapeError that names the operands."""
    try:
        return np.broadcast_shapes(*[a.shape for a in avals])
    except ValueError:
        names = ("left", "right") if len(avals) == 2 else tuple(f"operand {i}" for i in range(len(avals)))
        raise ShapeError(
            message(f"{name}: shapes do not broadcast", {n: str(a) for n, a in zip(names, avals, strict=True)})
        ) from None


def promote(*avals: Aval) -> np.dtype[Any]:
    """NumPy's promotion of the operands' dtypes; Python scalars give way (NEP 50)."""
    return np.result_type(*[a.promoting for a in avals])


def floating(*avals: Aval) -> np.dtype[Any]:
    """As `promote`, with integers and booleans taken to float64."""
    dtype = promote(*avals)
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _ufunc_dtype(name: str) -> Callable[..., np.dtype[Any]]:
    ufunc = getattr(np, name)

    def dtype(*avals: Aval) -> np.dtype[Any]:
        kinds = tuple(type(a.promoting) if a.weak and a.dtype != bool else a.dtype for a in avals)
        if all(a.weak for a in avals):
            kinds = tuple(a.dtype for a in avals)
        try:
            resolved: np.dtype[Any] = ufunc.resolve_dtypes((*kinds, None))[-1]
        except TypeError:
            raise DTypeError(
                message(
                    f"{name}: no such operation for these dtypes",
                    {f"operand {i}": str(a) for i, a in enumerate(avals)},
                )
            ) from None
        return resolved

    return dtype
