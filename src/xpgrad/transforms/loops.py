"""`scan`: a loop with values carried from one iteration to the next.

In:  a function of the carry and of one entry of each array, and the first carry.
Out: the last carry, and the results of all iterations, stacked.
Holds: the result is that of a loop in Python. Where only shapes are traced, the function is called once for all
carries of the same shapes, and what it records is applied in every iteration; `compile` makes one loop of them.
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
    step = _Step(f, init)
    order = range(n)[::-1] if reverse else range(n)

    def some(carry: Any, xs: Sequence[Any], places: Sequence[int]) -> tuple[Any, list[Any]]:
        found = []
        for i in places:
            carry, y = step(carry, unflatten(structure, [x[i] for x in xs]))
            found.append(y)
        return carry, found

    if not n:
        return init, _nothing(f, init, unflatten(structure, [np.empty(x.shape[1:], x.dtype) for x in slices]))
    carry, ys = init, list[Any]()
    if checkpoint is None:
        carry, ys = some(init, slices, order)
    else:
        if checkpoint < 1:
            raise TraceError(message(f"scan: checkpoint={checkpoint} iterations, but it takes one at least"))
        for start in range(0, n, checkpoint):
            places = order[start : start + checkpoint]
            low, high = min(places), max(places) + 1
            part = checkpointed(lambda c, xs, p=tuple(i - low for i in places): some(c, xs, p))
            carry, more = part(carry, [x[low:high] for x in slices])
            ys += more
    return carry, _stacked(ys[::-1] if reverse else ys)


class _Step:
    """One iteration; with shapes alone, what ``f`` recorded when it was first called with these shapes."""

    def __init__(self, f: Fun, init: Any) -> None:
        self._f, self._known = f, dict[Any, Any]()
        self._structure, self._shapes = flatten(init)[1], [np.shape(x) for x in flatten(init)[0]]

    def __call__(self, carry: Any, x: Any) -> tuple[Any, Any]:
        leaves, structure = flatten((carry, x))
        once = tracing() and any(map(is_symbolic, leaves)) and all(map(_is_data, leaves))
        out = self._again(leaves, structure) if once else self._f(carry, x)
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


def _nothing(f: Fun, init: Any, x: Any) -> Any:
    """What no iterations give: arrays without entries, of the shapes that ``f`` would give."""
    graph, rebuild = graph_of(f, init, x)
    outs = [np.empty((0, *aval_of(v).shape), v.dtype) for v in graph.outputs]
    return rebuild(outs)[1]
