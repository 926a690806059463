"""`scan`: a loop with values carried from one iteration to the next.

In:  a function of the carry and of one entry of each array, and the first carry.
Out: the last carry, and the results of all iterations, stacked.
Holds: the result is that of a loop in Python. Where only shapes are traced, what one call of the function
records is the body of a `loop`. If that cannot be (a carry changes its dtype), it is applied in each iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpgrad._errors import ShapeError, TraceError, describe, message
from xpgrad._trees import flatten, paths, unflatten
from xpgrad.core import aval_of
from xpgrad.devices.door import admitted
from xpgrad.trace import Traced, graph_of
from xpgrad.trace.symbolic import tracing
from xpgrad.trace.traced import aval_under, is_symbolic
from xpgrad.transforms.derivatives import checkpoint as checkpointed

Fun = Callable[..., Any]


def scan(
    f: Fun,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    checkpoint: int | None = None,
) -> tuple[Any, Any]:
    """Carry a value through a loop over the first axis of arrays, and stack what each iteration gives.

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)``: trees of arrays. The carry keeps its structure and shapes. ``f`` must be
        pure: compiled, it is called once for all iterations.
    init : tree of arrays
        The first carry.
    xs : tree of arrays[n, ...], optional
        Iteration i gets entry i of each, along axis 0; None: each gets None.
    length : int, optional
        The number of iterations, where ``xs`` has no arrays.
    reverse : bool
        Whether the last entry comes first. The entries of ``ys`` stay at the places of their ``xs``.
    checkpoint : int, optional
        Keep the carry alone, once in so many iterations, and compute the others again in the backward sweep:
        memory for time. What ``f`` differentiates must then reach it in the carry or in ``xs``.

    Returns
    -------
    carry : tree of arrays
        The last one.
    ys : tree of arrays[n, ...]

    Raises
    ------
    ShapeError
        Two arrays of ``xs`` differ in length, or from ``length``; a carry comes back in another shape.
    TraceError
        ``f`` gives no pair, or a carry of another structure; neither ``xs`` nor ``length`` says how long.

    Examples
    --------
    Sums of all beginnings of an array:

    >>> xg.scan(lambda total, x: (total + x, total + x), 0.0, np.arange(4.0))[1]
    array([0., 1., 3., 6.])
    """
    slices, structure = flatten(xs)
    slices = [admitted(x, _name, xs, i) for i, x in enumerate(slices)]
    n = _length(slices, xs, length)
    step = _Step(f, init, structure)
    if not n:
        return init, _nothing(f, init, unflatten(structure, [np.empty(x.shape[1:], x.dtype) for x in slices]))
    if checkpoint is None:
        return step.repeated(init, slices, n, reverse)
    if checkpoint < 1:
        raise TraceError(message(f"scan: checkpoint={checkpoint} iterations, but it takes one at least"))
    carry, parts = init, list[Any]()
    starts = range(0, n, checkpoint)
    for k in starts:
        m = min(checkpoint, n - k)
        low = n - k - m if reverse else k
        part = checkpointed(lambda c, xs, m=m: step.repeated(c, xs, m, reverse))
        carry, ys = part(carry, [x[low : low + m] for x in slices])
        parts.append(ys)
    return carry, _joined(parts[::-1] if reverse else parts)


class _Step:
    """One iteration; with shapes alone, what ``f`` recorded when it was first called with these shapes."""

    def __init__(self, f: Fun, init: Any, xs: Any) -> None:
        self._f, self._known, self._xs = f, dict[Any, Any](), xs
        self._structure, self._shapes = flatten(init)[1], [np.shape(x) for x in flatten(init)[0]]

    def repeated(self, carry: Any, xs: Sequence[Any], n: int, reverse: bool) -> tuple[Any, Any]:
        """``n`` iterations: the last carry, and the stacked results."""
        leaves, _ = flatten(carry)
        symbolic = tracing() and any(map(is_symbolic, (*leaves, *xs))) and all(map(_is_data, leaves))
        found = self._as_loop(leaves, xs, n, reverse) if symbolic and n > 1 else None
        if found is not None:
            return found
        ys = []
        for i in range(n)[::-1] if reverse else range(n):
            carry, y = self(carry, unflatten(self._xs, [x[i] for x in xs]))
            ys.append(y)
        return carry, _stacked(ys[::-1] if reverse else ys)

    def _as_loop(
        self, carry: Sequence[Any], xs: Sequence[Any], n: int, reverse: bool
    ) -> tuple[Any, Any] | None:
        """The iterations as one op, if they can be."""
        from xpgrad.passes.scanned import scanned  # eager mode needs no passes

        results: list[Any] = []

        def of_leaves(*leaves: Any) -> Any:
            given, entry = leaves[: len(carry)], leaves[len(carry) :]
            new, y = self._checked(self._f(unflatten(self._structure, given), unflatten(self._xs, entry)))
            results[:] = [flatten(y)[1]]
            return flatten(new)[0], flatten(y)[0]

        backwards = slice(None, None, -1)
        found = scanned(of_leaves, carry, [x[backwards] for x in xs] if reverse else xs, n)
        if found is None:
            return None
        last, stacked = found
        ys = [y[backwards] for y in stacked] if reverse else stacked
        return unflatten(self._structure, last), unflatten(results[0], ys)

    def __call__(self, carry: Any, x: Any) -> tuple[Any, Any]:
        leaves, structure = flatten((carry, x))
        once = tracing() and any(map(is_symbolic, leaves)) and all(map(_is_data, leaves))
        return self._checked(self._again(leaves, structure) if once else self._f(carry, x))

    def _checked(self, out: Any) -> tuple[Any, Any]:
        """The pair that ``f`` gives, if it is one."""
        if type(out) is not tuple or len(out) != 2:
            raise TraceError(message(f"scan: f gives {describe(out)}, not a pair (carry, y)"))
        news, structure = flatten(out[0])
        if structure != self._structure:
            raise TraceError(
                message(
                    "scan: the carry comes back with another structure",
                    {"given": str(self._structure), "returned": str(structure)},
                )
            )
        for k, (new, shape) in enumerate(zip(news, self._shapes, strict=True)):
            if np.shape(new) != shape:
                raise ShapeError(
                    message(
                        f"scan: the carry{paths(out[0])[k]} comes back with another shape",
                        {"given": str(shape), "returned": describe(new)},
                    )
                )
        return out

    def _again(self, leaves: list[Any], structure: Any) -> Any:
        from xpgrad.passes.restabilise import recorded_once  # eager mode needs no passes

        key = structure, tuple(map(aval_under, leaves))
        if key not in self._known:
            self._known[key] = recorded_once(lambda *xs: self._f(*unflatten(structure, xs)), leaves)
        return self._known[key](leaves)


def _is_data(x: Any) -> bool:
    return type(x) is Traced or type(x) in (float, np.ndarray)


def _length(slices: Sequence[Any], xs: Any, length: int | None) -> int:
    for i, x in enumerate(slices):
        if not x.shape:
            raise ShapeError(message(f"scan: {_name(xs, i)} has no axis to go along", {"array": x}))
    lengths = {_name(xs, i): x.shape[0] for i, x in enumerate(slices)}
    if length is not None:
        lengths["length"] = length
    if not lengths:
        raise TraceError(message("scan: no arrays in xs", remedy="length=n says how many iterations there are"))
    if len(set(lengths.values())) > 1:
        raise ShapeError(message("scan: lengths differ", {name: str(n) for name, n in lengths.items()}))
    n: int = next(iter(lengths.values()))
    return n


def _name(xs: Any, i: int) -> str:
    return f"scan: xs{paths(xs)[i]}"


def _stacked(ys: list[Any]) -> Any:
    flat = [flatten(y) for y in ys]
    if any(structure != flat[0][1] for _, structure in flat):
        raise TraceError(message("scan: y has not the same structure in each iteration"))
    columns = zip(*[leaves for leaves, _ in flat], strict=True)
    return unflatten(flat[0][1], [np.stack(column) for column in columns])


def _joined(parts: Sequence[Any]) -> Any:
    """Stacked results of several stretches, one after another."""
    flat = [flatten(part) for part in parts]
    columns = zip(*[leaves for leaves, _ in flat], strict=True)
    return unflatten(flat[0][1], [np.concatenate(column) for column in columns])


def _nothing(f: Fun, init: Any, x: Any) -> Any:
    """What no iterations give: arrays without entries, of the shapes that ``f`` would give."""
    graph, rebuild = graph_of(f, init, x)
    outs = [np.empty((0, *aval_of(v).shape), v.dtype) for v in graph.outputs]
    return rebuild(outs)[1]
