"""L-BFGS within bounds on the parameters.

In:  an Objective, parameters on their device, a Box.
Out: a Fit; the loss is never asked outside of the box.
Holds: vectors stay on their device; the host sees the loss and a few inner products.

Bertsekas, Projected Newton methods for optimization problems with simple constraints (1982): entries that a
bound holds move down the gradient, the others by the inverse Hessian among themselves, and each trial step is
projected onto the box. The inverse Hessian is that of L-BFGS with its pairs cut to the free entries.
"""

from __future__ import annotations

from collections import deque
from math import inf, isfinite
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad._trees import flatten, paths, prefix_leaves, unflatten
from xpgrad.core import aval_of
from xpgrad.devices import asnumpy, namespace
from xpgrad.optim.evaluation import fetch
from xpgrad.optim.first_order import like
from xpgrad.optim.flat import Flat
from xpgrad.optim.line_search import C1, MAX_EVALUATIONS
from xpgrad.optim.quasi_newton import (
    NO_DECREASE,
    NO_PROMISE,
    PATIENCE,
    STALLED_GRADIENT,
    Memory,
    Smooth,
    rounding,
    stuck,
)
from xpgrad.optim.records import Fit, Run

# A bound holds an entry that is within this of it and would cross it, or nearer where the gradient is small.
_NEAR = 1e-3


class Box:
    """The least and the largest value of each entry of the parameters.

    Parameters
    ----------
    bounds : pair
        The lower and the upper bound, each None (there is none), a number, or a tree like the parameters whose
        leaves are None, numbers, or arrays that broadcast to the parameter.
    params : tree
        Real.

    Raises
    ------
    ShapeError
        A bound is no such tree, or does not broadcast.
    DataError
        A parameter is complex; a bound is NaN, or a lower one above the upper one.
    """

    def __init__(self, bounds: Any, params: Any) -> None:
        if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
            raise ShapeError(message("minimize: bounds must be a pair (lower, upper)", {"bounds": bounds}))
        names = [f"params{path}" for path in paths(params)]
        leaves, self._structure = flatten(params)
        for name, x in zip(names, leaves, strict=True):
            if aval_of(x).dtype.kind == "c":
                raise DataError(message("minimize: bounds are for real parameters", {name: x}))
        self._lower = _side("lower", bounds[0], params, names, -inf)
        self._upper = _side("upper", bounds[1], params, names, inf)
        for name, low, high in zip(names, self._lower, self._upper, strict=True):
            if not (low <= high).all():
                raise DataError(
                    message(
                        "minimize: a lower bound is above the upper one, or NaN",
                        {f"lower {name}": low, f"upper {name}": high},
                    )
                )

    def inside(self, params: Any) -> Any:
        """The parameters, each entry outside of the box moved to its bound."""
        found = []
        for x, low, high in zip(flatten(params)[0], self._lower, self._upper, strict=True):
            xp = namespace(x)
            found.append(like(x, xp.clip(xp.asarray(x), xp.asarray(low), xp.asarray(high))))
        return unflatten(self._structure, found)

    def vectors(self, flat: Flat) -> tuple[Any, Any]:
        """Both sides in the layout of ``flat``."""
        low, high = (flat.vector(unflatten(self._structure, side)) for side in (self._lower, self._upper))
        return low, high


def _side(which: str, bound: Any, params: Any, names: list[str], none: float) -> list[Any]:
    leaves = flatten(params)[0]
    if bound is None or isinstance(bound, (int, float, np.number)):
        given: list[Any] = [bound] * len(leaves)
    else:
        found = prefix_leaves(bound, params)
        if found is None:
            raise ShapeError(
                message(
                    f"minimize: the {which} bound must be None, a number, or a tree like the parameters",
                    {"bound": bound, "params": params},
                )
            )
        given = found
    sides = []
    for name, b, x in zip(names, given, leaves, strict=True):
        shape = aval_of(x).shape
        values = np.asarray(none if b is None else asnumpy(b), np.float64)
        try:
            sides.append(np.broadcast_to(values, shape))
        except ValueError:
            raise ShapeError(
                message(
                    f"minimize: the {which} bound does not broadcast to the parameter", {"bound": b, name: x}
                )
            ) from None
    return sides


def projected_quasi_newton(
    objective: Smooth, params: Any, run: Run, *, box: Box, max_iter: int, tol: float, memory: int = 10
) -> Fit:
    """L-BFGS within ``box``, noting each iteration in ``run``.

    The norm in records, and what ``tol`` is for, is that of the projected gradient: the largest magnitude in
    ``x - P(x - g)``, where ``P`` moves each entry into the box.
    """
    params = box.inside(params)
    objective.check_data(params)
    value, gradient = objective(params)
    flat = Flat(params, namespace((params, gradient)))
    xp = namespace((params, gradient))
    x, g = flat.vector(params), flat.gradient_vector(gradient)
    low, high = (xp.asarray(side) for side in box.vectors(flat))
    eps = rounding(flat.dtype, aval_of(value).dtype)

    def inside(z: Any) -> Any:
        return xp.minimum(xp.maximum(z, low), high)

    number, norm = fetch(value, abs(x - inside(x - g)).max())
    inverse = Memory(memory)
    state = (0, x, g, number, norm, norm, inverse.state(x), np.array([number]))
    k, x, g, number, norm, norm_at_start, pairs, last = run.begin(state, number, norm, params)
    if not (isfinite(number) and isfinite(norm)):
        return run.bad_start(params, number, norm)
    inverse.begin_at(pairs)
    recent = deque(map(float, last), maxlen=PATIENCE + 1)

    while norm > tol:
        if k == max_iter:
            return run.out_of_iterations(flat.tree(x), number, norm, max_iter)
        near = min(_NEAR, norm)
        free = ~(((x <= low + near) & (g > 0)) | ((x >= high - near) & (g < 0)))
        d = xp.where(free, -inverse.times_within(g, free), -g)
        moved, length, sized = fetch(abs(x) @ abs(g), abs(g).max(), g @ d)
        if not sized < 0:
            inverse.clear()
            d = -g
        step = 1.0 if inverse else min(1.0, 1.0 / length)
        for _ in range(MAX_EVALUATIONS):
            with np.errstate(all="ignore"):  # a step too far may overflow; the search steps back
                at = inside(x + step * d)
                new, gradient = objective(flat.tree(at))
                there = flat.gradient_vector(gradient)
                found, promise = fetch(new, g @ (at - x))
            if isfinite(found) and found <= number + C1 * promise:
                break
            step *= 0.5
        else:
            if abs(promise) <= eps * (NO_PROMISE * abs(number) + moved):
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(flat.tree(x), number, norm, STALLED_GRADIENT * norm_at_start, text)
            if inverse:
                inverse.clear()
                continue
            return run.fit(flat.tree(x), number, False, stuck(norm))
        s, y = at - x, there - g
        sy, ss, yy, norm = fetch(s @ y, s @ s, y @ y, abs(at - inside(at - there)).max())
        inverse.learn(s, y, sy, ss, yy)
        x, g, number = at, there, found
        k += 1
        stop = run.note(k, number, norm, lambda: flat.tree(x))  # noqa: B023 - called at once
        recent.append(number)
        decrease = recent[0] - number
        if norm > tol and len(recent) > PATIENCE and decrease <= NO_DECREASE * eps * abs(number):
            text = f"in {PATIENCE} iterations the loss fell by {decrease:.3g}, within its rounding"
            return run.stalled(flat.tree(x), number, norm, STALLED_GRADIENT * norm_at_start, text)
        if norm > tol and stop:
            return run.called_back(flat.tree(x), number, k)
        run.keep(
            lambda: (k, x, g, number, norm, norm_at_start, inverse.state(x), np.array(recent))  # noqa: B023
        )
    return run.within_tol(flat.tree(x), number, norm, tol)
