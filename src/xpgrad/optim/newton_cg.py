"""Newton's method by conjugate gradients in a trust region.

In:  an Objective and parameters on their device.
Out: a Fit.
Holds: the Hessian is never formed; each inner step is one product with it. Vectors stay on their device.

Steihaug (1983); Nocedal and Wright, Numerical Optimization (2006), algorithms 4.1 and 7.2.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

import numpy as np

from xpgrad.core import aval_of
from xpgrad.devices import common_device, using
from xpgrad.optim.evaluation import Loss, Objective, fetch, fetch_value_and_norm
from xpgrad.optim.newton import SMALLER_GRADIENT
from xpgrad.optim.quasi_newton import NO_PROMISE, STALLED_GRADIENT, rounding, stuck
from xpgrad.optim.records import Callback, Fit, Run
from xpgrad.optim.second_order import SecondOrder

_MAX_PRODUCTS = 200  # for one step
_ACCEPTED = 1e-4  # share of the predicted decrease
_POOR, _GOOD = 0.25, 0.75  # shares below which the region shrinks, and above which it grows


def newton_cg(
    loss: Loss,
    params: Any,
    data: tuple[Any, ...] = (),
    *,
    max_iter: int = 1000,
    tol: float = 1e-5,
    callback: Callback | None = None,
    compile: bool | None = None,
) -> Fit:
    """Minimise a smooth loss of many parameters by Newton's method with conjugate gradients.

    Parameters
    ----------
    loss, params, data, max_iter, tol, callback, compile
        As in `minimize`. A complex entry of the parameters counts as two real ones.

    Returns
    -------
    Fit
        Converged as by `lbfgs`.

    Notes
    -----
    An iteration is one evaluation of loss and gradient, and at most 200 products with the Hessian, each of
    which costs about two of them. Where the Hessian has negative eigenvalues the step goes to the edge of the
    trust region.
    """
    place = common_device((params, *data), name="args", operation="newton_cg")
    with using(place):
        objective = Objective(loss, data, compile=compile, method="newton_cg")
        run = Run(objective, params, callback)
        return trust_region_steps(objective, params, run, max_iter=max_iter, tol=tol)


def trust_region_steps(objective: Objective, params: Any, run: Run, *, max_iter: int, tol: float) -> Fit:
    """`newton_cg` on an Objective, noting each accepted step in ``run``."""
    of = SecondOrder(objective, params)
    x = of.start
    of.check_data(x)
    value, g = of.first(x)
    number, norm = fetch_value_and_norm(value, g)
    eps = rounding(x.dtype, aval_of(value).dtype)
    (length,) = fetch(x @ x)
    radius = max(1.0, sqrt(length))
    state = (0, x, g, radius, number, norm, norm)
    k, x, g, radius, number, norm, norm_at_start = run.begin(state, number, norm, params)
    if not (isfinite(number) and isfinite(norm)):
        return run.bad_start(params, number, norm)

    while norm > tol:
        if k == max_iter:
            return run.out_of_iterations(of.params(x), number, norm, max_iter)
        step, promise, at_edge = steihaug(lambda v: of.times(x, v), g, radius)  # noqa: B023 - called at once
        moved, length, size = fetch(abs(x) @ abs(g), step @ step, x @ x)
        with np.errstate(all="ignore"):  # a step too far may overflow; the region shrinks
            at = x + step
            value, new_g = of.first(at)
            new, new_norm = fetch_value_and_norm(value, new_g)
        finite = isfinite(new) and isfinite(new_norm)
        if promise <= eps * (NO_PROMISE * abs(number) + moved):  # the loss cannot tell
            if not (finite and new_norm <= SMALLER_GRADIENT * norm):
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(of.params(x), number, norm, STALLED_GRADIENT * norm_at_start, text)
        else:
            share = (number - new) / promise if finite else -1.0
            if share < _POOR:
                radius = sqrt(length) / 4
            elif share > _GOOD and at_edge:
                radius *= 4
            if share < _ACCEPTED:
                if radius <= eps * sqrt(size):
                    return run.fit(of.params(x), number, False, stuck(norm))
                continue
        x, g, number, norm = at, new_g, new, new_norm
        k += 1
        stop = run.note(k, number, norm, lambda: of.params(x))  # noqa: B023 - called at once
        if norm > tol and stop:
            return run.called_back(of.params(x), number, k)
        run.keep(lambda: (k, x, g, radius, number, norm, norm_at_start))  # noqa: B023 - called at once
    return run.within_tol(of.params(x), number, norm, tol)


def steihaug(times: Any, g: Any, radius: float) -> tuple[Any, float, bool]:
    """Minimise ``g p + p H p / 2`` over ``|p| <= radius``, roughly.

    Parameters
    ----------
    times : callable
        ``v -> (v' H v, H v)``.
    g : float[n]
        Not 0.
    radius : float

    Returns
    -------
    p : float[n]
    promise : float
        The decrease of the quadratic function, positive.
    at_edge : bool
        Whether ``|p|`` is the radius: the minimum lies outside, or along a direction without positive
        curvature.
    """
    p, r, d = 0 * g, g, -g
    (rr,) = fetch(g @ g)
    enough = min(0.25, sqrt(rr)) * rr  # |r| <= min(1/2, |g|^(1/2)) |g|
    for _ in range(min(_MAX_PRODUCTS, 2 * len(g))):
        curvature, product = times(d)
        bend, pp, pd, dd = fetch(curvature, p @ p, p @ d, d @ d)
        inside = bend > 0
        if inside:
            alpha = rr / bend
            inside = pp + 2 * alpha * pd + alpha * alpha * dd < radius * radius
        if not inside:
            tau = (-pd + sqrt(pd * pd + dd * max(radius * radius - pp, 0.0))) / dd
            p, r = p + tau * d, r + tau * product
            return p, _promise(p, r, g), True
        p, r = p + alpha * d, r + alpha * product
        before = rr
        (rr,) = fetch(r @ r)
        if rr <= enough:
            break
        d = (rr / before) * d - r
    return p, _promise(p, r, g), False


def _promise(p: Any, r: Any, g: Any) -> float:
    """The decrease ``-(g p + p H p / 2)``, where ``r = g + H p``."""
    (twice,) = fetch(p @ (g + r))
    return -twice / 2
