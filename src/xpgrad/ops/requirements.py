"""A demand of a function on its data, as an op, so that it goes wherever the graph goes.

``require(x, seen, ok, rule=..., name=...)`` is ``x``, if ``ok`` holds everywhere. With numbers that is
looked up at once. On shapes alone it becomes a node: transforms carry it along as they carry any other, and
`xpgrad.passes.requirements` takes it out of a graph, with the question that is left to ask in each call.
"""

from __future__ import annotations

from typing import Any

from xpgrad.core import Aval, Op
from xpgrad.ops._batching import Mapped, Operands, Params, Shared, lifted, shape_of
from xpgrad.ops._define import zero


def _shape(x: Aval, _seen: Aval, _ok: Aval, *, rule: str, name: str) -> Aval:
    return x


def _through(t: Any, _z: Any, _x: Any, _seen: Any, _ok: Any, *, rule: str, name: str) -> Any:
    return t


def _batch(op: Op, size: int, xs: Operands, mapped: Mapped, params: Params) -> Any:
    """The demand holds of every sample; ``ok`` has an axis for each of ``seen``."""
    x, seen, ok = xs
    ndim = len(shape_of(seen, mapped[1]))
    found = op(x, lifted(seen, mapped[1], len(shape_of(ok, mapped[2]))), lifted(ok, mapped[2], ndim), **params)
    return found if mapped[0] else Shared(found)


# ``seen`` is what the error shows: ``x``, or a number made of it. ``rule`` is the headline of the error,
# "loss: labels must be ...", ``name`` what ``x`` is called in it.
require = Op(
    "require",
    _shape,
    "requirement",
    pushes=(_through, zero, zero),
    pulls=(_through, zero, zero),
    reads=[[False]],
    takes_scalar=True,
    batching=_batch,
)


def demand(x: Any, ok: Any, rule: str, name: str, *, seen: Any = None) -> Any:
    """``x``, or a DataError where ``ok`` does not hold.

    Parameters
    ----------
    x : number[...]
    ok : bool[...]
        For each entry of ``seen``, or one for all.
    rule : str
        The headline of the error: ``"hinge: labels must be -1 or 1"``.
    name : str
        What ``x`` is called in the error.
    seen : number[...]
        Whose entries the error shows; ``x`` by default.

    Returns
    -------
    number[...]
        To be used in place of ``x``: what nothing uses is not demanded.
    """
    return require(x, x if seen is None else seen, ok, rule=rule, name=name)
