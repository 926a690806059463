"""L-BFGS, for losses that can be evaluated on all the data.

In:  an Objective and parameters on their device.
Out: a Fit.
Holds: vectors stay on their device; the host sees the loss and a few inner products.

Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5.
"""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import Any, NamedTuple, Protocol

import numpy as np

from xpgrad.core import aval_of
from xpgrad.devices import common_device, namespace, using
from xpgrad.optim.evaluation import Loss, Objective, fetch, fetch_value_and_norm, peaks
from xpgrad.optim.flat import Flat
from xpgrad.optim.line_search import Trial, strong_wolfe
from xpgrad.optim.records import Callback, Evaluated, Fit, Run

# In units of the rounding of the loss: a smaller decrease is none, and a smaller predicted decrease cannot be
# distinguished from one, because the sum over the samples in the loss has errors of its own.
NO_DECREASE = 4
PATIENCE = 5
NO_PROMISE = 100

# A stall at rounding level is convergence only where the gradient is this small beside that of the start.
STALLED_GRADIENT = 1e-2


def lbfgs(
    loss: Loss,
    params: Any,
    data: tuple[Any, ...] = (),
    *,
    memory: int = 10,
    max_iter: int = 1000,
    tol: float = 1e-5,
    callback: Callback | None = None,
    compile: bool | None = None,
) -> Fit:
    """Minimise a smooth loss by limited-memory BFGS with a strong Wolfe line search.

    Parameters
    ----------
    loss : callable
        ``loss(params, *data)``, a real scalar.
    params : tree of float or complex arrays and scalars
        Where to start; the fit runs on their device. A complex entry counts as two real ones.
    data : tuple
    memory : int
        How many steps to keep; each takes two vectors of the size of the parameters.
    max_iter : int
    tol : float
        For the largest magnitude in the gradient.
    callback : callable, optional
        Called with an `Info` after each iteration; returns True to stop.
    compile : bool, optional
        As in `minimize`.

    Returns
    -------
    Fit
        Converged when the gradient is within ``tol``; or when the loss falls by no more than its own
        rounding and the gradient is at most a hundredth of that of the start. The message says which.

    Notes
    -----
    About one evaluation of loss and gradient for each iteration. `minimize` adds the choice of
    device and a progress bar.
    """
    if memory < 1:
        raise ValueError(f"lbfgs: memory must be at least 1, got {memory}")
    place = common_device((params, *data), name="args", operation="lbfgs")
    with using(place):
        objective = Objective(loss, data, compile=compile, method="lbfgs")
        run = Run(objective, params, callback)
        return quasi_newton(objective, params, run, max_iter=max_iter, tol=tol, memory=memory)


class _Pair(NamedTuple):
    """A step, the change of the gradient along it, and one over their inner product."""

    s: Any
    y: Any
    rho: float


class Memory:
    """The inverse Hessian, as the last pairs tell it."""

    def __init__(self, size: int) -> None:
        self._pairs: deque[_Pair] = deque(maxlen=size)
        self._scale = 1.0

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def clear(self) -> None:
        self._pairs.clear()

    def times(self, g: Any) -> Any:
        """The inverse Hessian times ``g``, by the two-loop recursion; the identity at first."""
        q = g
        alphas = []
        for pair in reversed(self._pairs):
            alpha = pair.rho * (pair.s @ q)
            alphas.append(alpha)
            q = q - alpha * pair.y
        if self._pairs:
            q = q * self._scale
        for pair, alpha in zip(self._pairs, reversed(alphas), strict=True):
            q = q + pair.s * (alpha - pair.rho * (pair.y @ q))
        return q

    def times_within(self, g: Any, free: Any) -> Any:
        """As `times`, among the entries that are ``free``, with the curvature along these; 0 elsewhere."""
        pairs = [(pair.s * free, pair.y * free) for pair in self._pairs]
        q = g * free
        if not pairs:
            return q
        products = fetch(*[s @ y for s, y in pairs], *[s @ s for s, _ in pairs], *[y @ y for _, y in pairs])
        n, cut = len(pairs), Memory(len(pairs))
        for (s, y), sy, ss, yy in zip(pairs, products[:n], products[n : 2 * n], products[2 * n :], strict=True):
            cut.learn(s, y, sy, ss, yy)
        return cut.times(q)

    def state(self, x: Any) -> Any:
        """The pairs and the scale, as a tree that is always the same; ``x`` is like a step."""
        none = _Pair(x[:0], x[:0], 0.0)
        missing = (self._pairs.maxlen or 0) - len(self._pairs)
        return [tuple(pair) for pair in (*self._pairs, *[none] * missing)], self._scale

    def begin_at(self, state: Any) -> None:
        """Be what the memory was that gave this `state`."""
        pairs, self._scale = state
        self._pairs.extend(_Pair(*pair) for pair in pairs if len(pair[0]))

    def learn(self, s: Any, y: Any, sy: float, ss: float, yy: float) -> None:
        """Keep a pair, if the curvature ``s y`` along it is positive beyond rounding and underflow."""
        if yy > 0 and sy > np.finfo(s.dtype).eps * (ss * yy) ** 0.5:
            self._pairs.append(_Pair(s, y, 1 / sy))
            self._scale = sy / yy


class Smooth(Evaluated, Protocol):
    """Value and gradient of all the data at a tree of parameters; an Objective is one."""

    def __call__(self, params: Any, /) -> tuple[Any, Any]: ...

    def check_data(self, params: Any, /) -> None:
        """Ask what the loss demands of its data, before the first step."""


def quasi_newton(
    objective: Smooth, params: Any, run: Run, *, max_iter: int, tol: float, memory: int = 10
) -> Fit:
    """`lbfgs` on an Objective, noting each iteration in ``run``."""
    objective.check_data(params)
    value, gradient = objective(params)
    number, norm = fetch_value_and_norm(value, gradient)
    flat = Flat(params, namespace((params, gradient)))
    eps = rounding(flat.dtype, aval_of(value).dtype)
    x, g = flat.vector(params), flat.gradient_vector(gradient)
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
        d, start = _direction(inverse, g, number, x)
        if not start.slope < 0:  # the square of a gradient within tol=0 may vanish
            return run.fit(flat.tree(x), number, False, stuck(norm))
        first = 1.0 if inverse else min(1.0, 1.0 / abs(start.slope) ** 0.5)
        found = strong_wolfe(_line(objective, flat, x, d), start, first)
        if found is None:
            # Rounding moves the loss by its own error, and by that of the parameters.
            (moved,) = fetch(abs(x) @ abs(g))
            if -start.slope * first <= eps * (NO_PROMISE * abs(number) + moved):
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(flat.tree(x), number, norm, STALLED_GRADIENT * norm_at_start, text)
            if inverse:
                inverse.clear()
                continue
            return run.fit(flat.tree(x), number, False, stuck(norm))
        s, y = found.x - x, found.gradient - g
        sy, ss, yy, *largest = fetch(s @ y, s @ s, y @ y, *peaks(found.gradient))
        inverse.learn(s, y, sy, ss, yy)
        x, g, number, norm = found.x, found.gradient, found.value, max(largest, default=0.0)
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


def _direction(inverse: Memory, g: Any, number: float, x: Any) -> tuple[Any, Trial]:
    """The direction, and the start of the line; minus the gradient if rounding spoils the direction."""
    d = -inverse.times(g)
    (slope,) = fetch(g @ d)
    if inverse and not (isfinite(slope) and slope < 0):
        inverse.clear()
        d = -g
        (slope,) = fetch(g @ d)
    return d, Trial(0.0, number, slope, x, g)


def _line(objective: Smooth, flat: Flat, x: Any, d: Any) -> Any:
    """``phi(a)``: one evaluation and one transfer of two scalars."""

    def phi(step: float) -> Trial:
        with np.errstate(all="ignore"):  # a step too far may overflow; the search steps back
            at = x + step * d
            value, gradient = objective(flat.tree(at))
            g = flat.gradient_vector(gradient)
            number, slope = fetch(value, g @ d)
            return Trial(step, number, slope, at, g)

    return phi


def rounding(*dtypes: Any) -> float:
    """The relative rounding of the coarsest floating dtype."""
    return max(float(np.finfo(dtype).eps) for dtype in dtypes if dtype.kind == "f")


def stuck(norm: float) -> str:
    return (
        f"stopped: no lower loss was found down the gradient (norm {norm:.3g}); the loss is not smooth "
        "there, or its rounding hides the decrease, which float64 would show"
    )
