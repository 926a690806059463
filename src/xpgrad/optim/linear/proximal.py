"""Minimise a quadratic function with an l1 penalty.

In:  Hessian, gradient, coefficients and penalties, on the host.
Out: the step to the minimum.
Holds: the function falls with each move. Coordinates are visited in turn; in between, those that are not 0 go
together, as far as none of them changes its sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_ROUNDS = 100
_EXACT = 1e-10  # of the subgradient, beside that of the start


def subgradient(coef: Any, gradient: Any, l1: Any) -> Any:
    """The subgradient of least magnitude of a smooth function with an l1 penalty, entry by entry."""
    at_zero = np.sign(gradient) * np.maximum(abs(gradient) - l1, 0)
    return np.where(coef == 0, at_zero, gradient + l1 * np.sign(coef))


def proximal_step(hessian: Any, gradient: Any, coef: Any, l1: Any) -> Any:
    """The step ``d`` that minimises ``gradient d + d H d / 2 + sum(l1 abs(coef + d))``.

    Parameters
    ----------
    hessian : float64[p, p]
        Positive semidefinite; a coefficient with a diagonal entry of 0 stays.
    gradient, coef, l1 : float64[p]

    Returns
    -------
    float64[p]
    """
    x, slope = coef.copy(), gradient.copy()
    enough = _EXACT * np.max(abs(subgradient(x, slope, l1)), initial=0.0)
    for _ in range(_ROUNDS):
        off = abs(subgradient(x, slope, l1))
        if off.max(initial=0.0) <= enough:
            break
        _sweep(hessian, slope, x, l1, np.flatnonzero(off > enough))
        _together(hessian, slope, x, l1)
    return x - coef


def _sweep(hessian: Any, slope: Any, x: Any, l1: Any, visited: Any) -> None:
    """Minimise along each coordinate in turn; ``slope`` and ``x`` are written to."""
    for j in visited:
        bend = hessian[j, j]
        if bend <= 0:
            continue
        target = x[j] - slope[j] / bend
        new = np.sign(target) * max(abs(target) - l1[j] / bend, 0.0)
        if new != x[j]:
            slope += hessian[j] * (new - x[j])
            x[j] = new


def _together(hessian: Any, slope: Any, x: Any, l1: Any) -> None:
    """Minimise over those that have a sign or no penalty, up to the first change of a sign."""
    active = np.flatnonzero((x != 0) | (l1 == 0))
    while len(active):
        block = hessian[np.ix_(active, active)]
        sign = np.sign(x[active]) * (l1[active] > 0)
        try:
            step = np.linalg.solve(block, -(slope[active] + l1[active] * sign))
        except np.linalg.LinAlgError:
            return
        predicted = (slope[active] + l1[active] * sign) @ step
        if not (np.isfinite(step).all() and predicted < 0):
            return
        crossing = (sign != 0) & ((x[active] + step) * sign < 0)
        shares = np.where(crossing, -x[active] / np.where(crossing, step, 1.0), 1.0)
        share = float(shares.min())
        move = share * step
        slope += move @ hessian[active]
        x[active] += move
        if share == 1.0:
            return
        stopped = active[shares == share]
        x[stopped] = 0.0
        active = active[shares != share]
