"""Entering and leaving a trace: the arguments of a user's function, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DTypeError, TraceError, XpgradError, message
from xpgrad._trees import flatten, paths, unflatten
from xpgrad.core import aval_of
from xpgrad.devices.door import admitted
from xpgrad.trace.calls import call_settled
from xpgrad.trace.tape import Tape
from xpgrad.trace.traced import Traced

Fun = Callable[..., Any]
Argnums = int | np.integer[Any] | Sequence[int]


def enter(tape: Tape, args: Sequence[Any], argnums: Argnums, what: str) -> tuple[list[Traced], Fun, list[Any]]:
    """Trace the leaves of the chosen arguments; how to rebuild trees like theirs; the new args."""
    traced = list(args)
    if isinstance(argnums, (int, np.integer)):
        where = argnum(argnums, args, what)
        leaves, structure = flatten(args[where])
        leaves = [admitted(x, _argument, what, args[where], where, i) for i, x in enumerate(leaves)]
        check_floating(leaves, None, what, args[where], where)
        entered = [tape.enter(x) for x in leaves]
        inputs = [x.snapshot() for x in entered]  # the function may write to its arguments
        traced[where] = unflatten(structure, entered)
        return inputs, lambda gs: unflatten(structure, gs), traced
    wheres = [argnum(k, args, what) for k in argnums]
    if len(set(wheres)) < len(wheres):
        raise TraceError(message(f"{what}: argnums {tuple(argnums)} name an argument twice"))
    chosen = tuple(args[k] for k in wheres)
    leaves, structure = flatten(chosen)
    leaves = [admitted(x, _argument, what, chosen, None, i) for i, x in enumerate(leaves)]
    check_floating(leaves, None, what, chosen, None)
    entered = [tape.enter(x) for x in leaves]
    inputs = [x.snapshot() for x in entered]
    for k, part in zip(wheres, unflatten(structure, entered), strict=True):
        traced[k] = part
    return inputs, lambda gs: unflatten(structure, gs), traced


def call(f: Fun, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
    """Call the user's function; NumPy hides our error behind its own where it asks for a float."""
    try:
        return call_settled(f, args, kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, XpgradError):
            raise error.__cause__ from None
        raise


def argnum(k: int | np.integer[Any], args: Sequence[Any], what: str) -> int:
    """``k`` counted from the front, if there is such an argument."""
    if not -len(args) <= k < len(args):
        raise TraceError(message(f"{what}: argnums {k}, but {len(args)} positional arguments were given"))
    return int(k) % len(args)


def check_floating(
    leaves: Sequence[Any], names: Sequence[str] | None, what: str, tree: Any = None, where: int | None = None
) -> None:
    for i, leaf in enumerate(leaves):
        if type(leaf) is np.ndarray or type(leaf) is Traced:
            kind = leaf.dtype.kind
        elif type(leaf) is float:
            continue
        else:
            try:
                kind = aval_of(leaf).dtype.kind
            except (AttributeError, TypeError):
                kind = "O"
        if kind not in "fc":
            if names is None:
                name = _named(tree, where, i)
            else:
                name = names[i]
            scalar = isinstance(leaf, (int, np.integer))
            raise DTypeError(
                message(
                    f"{what}: only float and complex arrays can be differentiated",
                    {name: leaf},
                    remedy=f"write {float(leaf)!r}" if scalar else "convert it: np.asarray(x, dtype=float)",
                )
            )


def admitted_arguments(leaves: Sequence[Any], args: Any, kwargs: Any, what: str) -> list[Any]:
    """The leaves of all arguments of a call, those that are data as arrays and numbers."""
    return [admitted(x, _of_call, what, (args, kwargs), i) for i, x in enumerate(leaves)]


def _of_call(what: str, both: Any, i: int) -> str:
    path = paths(both)[i]
    return f"{what}: {'args' if path.startswith('[0]') else 'kwargs'}{path[3:]}"


def _named(tree: Any, where: int | None, i: int) -> str:
    path = paths(tree)[i]
    return f"argument {where}{path}" if where is not None else f"arguments{path}"


def _argument(what: str, tree: Any, where: int | None, i: int) -> str:
    return f"{what}: {_named(tree, where, i)}"


def fresh(x: Any) -> Any:
    if type(x) is Traced and x._view is not None:
        x.refresh()
    return x


def leave(trace: Any, x: Any) -> Any:
    """``x`` one level down, if it belongs to ``trace``."""
    x = fresh(x)
    return x._below if type(x) is Traced and x._trace is trace else x
