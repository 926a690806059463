"""Newton's method for a linear predictor, with any loss of a sample and any l2 or l1 penalty.

In:  a LinearObjective.
Out: a Fit, whose parameters are the coefficients.
Holds: each step minimises the quadratic model of the smooth part plus the l1 penalty, and is then shortened
until the objective falls. A Hessian is kept for the next step where that is expected to end the fit.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from xpgrad.optim.line_search import C1
from xpgrad.optim.linear.objective import LinearObjective, Point
from xpgrad.optim.linear.proximal import proximal_step, subgradient
from xpgrad.optim.newton import SMALLER_GRADIENT, Direction, newton_step
from xpgrad.optim.quasi_newton import NO_PROMISE, STALLED_GRADIENT, stuck
from xpgrad.optim.records import Callback, Fit, Run

_SHORTENINGS = 40
_SHORTER = (0.1, 0.5)  # a step is shortened to a share between these


class _Along(NamedTuple):
    """A step, the change of the objective that its slope predicts, and what the Hessian was."""

    d: Any
    slope: float
    direction: Direction | None


def newton_linear(
    objective: LinearObjective,
    start: Any = None,
    *,
    fixed: Any = None,
    max_iter: int = 100,
    tol: float = 1e-6,
    callback: Callback | None = None,
) -> Fit:
    """Minimise a LinearObjective.

    Parameters
    ----------
    objective : LinearObjective
    start : float[p] or float[p, K], optional
        By default 0.
    fixed : bool[p] or bool[p, K], optional
        Coefficients that stay as they are at the start: a reference level, for example.
    max_iter : int
    tol : float
        Converged when no entry of the gradient is larger in magnitude; with an l1 penalty, of the
        subgradient of least magnitude.
    callback : callable, optional
        Called with an `Info` after each iteration; returns True to stop.

    Returns
    -------
    Fit
        ``params`` is float64. Converged as by `minimize`. Where the Hessian is singular (collinear columns
        without a penalty), steps have minimum norm, and the message says so.
    """
    coef = np.zeros(objective.shape) if start is None else np.array(start, np.float64).reshape(objective.shape)
    free = np.full(objective.shape, True) if fixed is None else ~np.broadcast_to(fixed, objective.shape)
    run = Run(objective, coef, callback)
    model = _Model(objective, free.reshape(-1), tol)
    point = objective.at(coef)
    value = point.value + objective.absolute(coef)
    norm = model.norm(point)
    run.note(0, value, norm, lambda: coef)
    if not (isfinite(value) and isfinite(norm)):
        return run.bad_start(coef, value, norm)
    norm_at_start, rate = norm, 1.0
    eps = float(np.finfo(objective.design.dtype).eps)

    k = 0
    while norm > tol:
        if k == max_iter:
            return run.out_of_iterations(point.coef, value, norm, max_iter)
        if norm * rate > tol / 2:
            model.renew(point)
        along = model.step(point)
        run.remark = model.remark
        if not along.slope < 0:
            return run.fit(point.coef, value, False, stuck(norm))
        moved = float(abs(point.coef * point.gradient).sum())
        hidden = -along.slope <= eps * (NO_PROMISE * abs(value) + moved)
        found = _full_step(model, point, along.d, norm) if hidden else _search(objective, point, value, along)
        if found is None:
            if hidden:
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(point.coef, value, norm, STALLED_GRADIENT * norm_at_start, text)
            if model.is_fresh:
                return run.fit(point.coef, value, False, stuck(norm))
            rate = 1.0
            continue
        point, value = found, found.value + objective.absolute(found.coef)
        before, norm = norm, model.norm(found)
        rate = norm / before
        model.is_fresh = False
        k += 1
        stop = run.note(k, value, norm, lambda: point.coef)  # noqa: B023 - called at once
        if norm > tol and stop:
            return run.called_back(point.coef, value, k)
    return run.within_tol(point.coef, value, norm, tol)


def _search(objective: LinearObjective, start: Point, value: float, along: _Along) -> Point | None:
    """The first of ever shorter steps that lets the objective fall enough; None if there is none."""
    step = 1.0
    for _ in range(_SHORTENINGS):
        trial = objective.at(start.coef + step * along.d)
        new = trial.value + objective.absolute(trial.coef)
        finite = isfinite(new) and bool(np.isfinite(trial.gradient).all())
        if finite and new <= value + C1 * step * along.slope:
            return trial
        # The minimum of the parabola through both values, with the slope at the start.
        bend = 2 * (new - value - step * along.slope) if finite else np.inf
        least = -along.slope * step / bend
        step *= min(max(least, _SHORTER[0]), _SHORTER[1])
    return None


def _full_step(model: _Model, start: Point, d: Any, norm: float) -> Point | None:
    """The full step, if it makes the gradient smaller; the loss cannot tell."""
    trial = model.objective.at(start.coef + d)
    finite = isfinite(trial.value) and bool(np.isfinite(trial.gradient).all())
    return trial if finite and model.norm(trial) <= SMALLER_GRADIENT * norm else None


class _Model:
    """The quadratic model of the smooth part, in the coefficients that are free."""

    def __init__(self, objective: LinearObjective, free: Any, tol: float) -> None:
        self.objective = objective
        self._free = free
        self._tol = tol
        self._has_l1 = bool(objective.l1.any())
        self._hessian: Any = None
        self._null: Any = None
        self.is_fresh = False
        self.remark = ""

    def norm(self, point: Point) -> float:
        """The largest entry of the gradient, or of the least subgradient."""
        found = subgradient(point.coef, point.gradient, self.objective.l1) if self._has_l1 else point.gradient
        return float(np.max(abs(found.reshape(-1)[self._free]), initial=0.0))

    def renew(self, point: Point) -> None:
        """Compute the Hessian at a point."""
        if not self.is_fresh:
            self._hessian = self.objective.hessian(point)[np.ix_(self._free, self._free)]
            self.is_fresh = True

    def step(self, point: Point) -> _Along:
        """The minimum of the model."""
        g = point.gradient.reshape(-1)[self._free]
        if self._has_l1:
            at, l1 = point.coef.reshape(-1)[self._free], self.objective.l1.reshape(-1)[self._free]
            step, direction = proximal_step(self._hessian, g, at, l1), None
            slope = float(g @ step + (l1 * (abs(at + step) - abs(at))).sum())
        else:
            direction = self._newton(g)
            step = direction.step
            slope = float(g @ step)
        d = np.zeros(self.objective.shape)
        d.reshape(-1)[self._free] = step
        return _Along(d, slope, direction)

    def _newton(self, g: Any) -> Direction:
        eps = float(np.finfo(self.objective.design.dtype).eps)
        hessian = self._hessian
        if self._null is not None:
            # Collinear columns are so at each step. With curvature along the directions without, Cholesky
            # gives minimum norm.
            hessian = hessian + (hessian.trace() / len(g)) * (self._null @ self._null.T)
        found = newton_step(hessian, g, self._tol, eps)
        if found.null is not None and self._null is None:
            self._null = found.null
            n, rank = len(g), found.rank
            self.remark = f"; the Hessian is singular (rank {rank} of {n}): steps of minimum norm"
        if found.indefinite:
            self.remark = "; the Hessian had negative eigenvalues on the way, whose sign was changed"
        return found
