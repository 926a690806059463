"""Newton's method for a linear predictor, with any loss of a sample and any l2 or l1 penalty.

In:  a LinearObjective.
Out: a Fit, whose parameters are the coefficients.
Holds: each step minimises the quadratic model of the smooth part plus the l1 penalty, and is then shortened
until the objective falls. A Hessian is kept for the last steps.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.optim.checkpoints import kept_in
from xpgrad.optim.line_search import C1
from xpgrad.optim.linear.objective import LinearObjective, Point
from xpgrad.optim.linear.proximal import proximal_step, subgradient
from xpgrad.optim.newton import SMALLER_GRADIENT, Factored, remark
from xpgrad.optim.quasi_newton import NO_PROMISE, STALLED_GRADIENT, stuck
from xpgrad.optim.records import Callback, Fit, Run

# A Hessian is kept where so many steps with it are expected to end the fit, if each of them makes the gradient
# smaller by the share of the last one times a loss.
_KEPT_STEPS, _KEPT_LOSS = 2, 3.0
_SHORTENINGS = 40
# A Hessian of some samples is good for as long as each step leaves less than this share of the gradient.
_SAMPLED_RATE = 0.3

# Where columns are collinear, two points that differ along their directions have the same value and gradient,
# but for rounding.
_SAME_VALUE, _SAME_NORM = 1e-6, 1.001
_SHORTER = (0.1, 0.5)  # a step is shortened to a share between these


class _Along(NamedTuple):
    """A step, and the change of the objective that its slope predicts."""

    d: Any
    slope: float


def newton_linear(
    objective: LinearObjective,
    start: Any = None,
    *,
    fixed: Any = None,
    max_iter: int = 100,
    tol: float = 1e-6,
    callback: Callback | None = None,
    checkpoint: Any = None,
) -> Fit:
    """Minimise a LinearObjective.

    Parameters
    ----------
    objective : LinearObjective
    start : float[p] or float[p, K], optional
        By default the intercept that fits some samples alone, and 0.
    fixed : bool[p] or bool[p, K], optional
        Coefficients that stay as they are at the start: a reference level, for example.
    max_iter : int
    tol : float
        Converged when no entry of the gradient is larger in magnitude; with an l1 penalty, of the
        subgradient of least magnitude.
    callback : callable, optional
        Called with an `Info` after each iteration; returns True to stop.
    checkpoint : path, optional
        As in `minimize`.

    Returns
    -------
    Fit
        ``params`` is float64. Converged as by `minimize`. Where the Hessian is singular (collinear columns
        without a penalty), steps have minimum norm, and the message says so.
    """
    free = np.full(objective.shape, True) if fixed is None else ~np.broadcast_to(fixed, objective.shape)
    if start is None:
        coef = np.where(free, objective.start(), 0.0)
    else:
        coef = np.array(start, np.float64).reshape(objective.shape)
    options = {"method": "newton", "scale": objective.scale}
    with kept_in(checkpoint, coef, objective.told(), options, objective.design.device) as kept:
        run = Run(objective, coef, callback, checkpoint=kept)
        model = _Model(objective, free.reshape(-1), tol)
        return _descend(objective, model, coef, run, start is None, max_iter=max_iter, tol=tol)


def _descend(
    objective: LinearObjective, model: _Model, coef: Any, run: Run, anew: bool, *, max_iter: int, tol: float
) -> Fit:
    """The iterations, from ``coef`` or from the checkpoint; ``anew`` where nobody gave the start."""
    point = objective.at(coef)
    value = point.value + objective.absolute(coef)
    norm = model.norm(point)
    eps = float(np.finfo(objective.design.dtype).eps)
    state = (0, coef, norm, 1.0, model.state)
    k, coef, norm_at_start, rate, kept_model = run.begin(state, value, norm, coef)
    if k:
        point = objective.again(coef)
        value, norm = point.value + objective.absolute(coef), model.norm(point)
        model.begin_at(kept_model)
    if not (isfinite(value) and isfinite(norm)):
        return run.bad_start(coef, value, norm)

    while norm > tol:
        if k == max_iter:
            return run.out_of_iterations(point.coef, value, norm, max_iter)
        if norm * (_KEPT_LOSS * rate) ** _KEPT_STEPS > tol:
            model.renew(point, rate if k else 0.0)
            if k == 0 and anew:
                point = model.least_norm(point)
        along = model.step(point)
        run.remark = model.remark
        if not along.slope < 0:
            return run.fit(point.coef, value, False, stuck(norm))
        moved = float(abs(point.coef * point.gradient).sum())
        hidden = -along.slope <= eps * (NO_PROMISE * abs(value) + moved)
        found = _full_step(model, point, along.d, norm) if hidden else _search(objective, point, value, along)
        if found is None:
            if hidden and model.is_fresh:
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(point.coef, value, norm, STALLED_GRADIENT * norm_at_start, text)
            if model.is_fresh:
                return run.fit(point.coef, value, False, stuck(norm))
            rate = 1.0
            model.need_all()
            continue
        point, value = found, found.value + objective.absolute(found.coef)
        before, norm = norm, model.norm(found)
        rate = norm / before
        model.is_fresh = False
        k += 1
        stop = run.note(k, value, norm, lambda: point.coef)  # noqa: B023 - called at once
        run.keep(lambda: (k, point.coef, norm_at_start, rate, model.state))  # noqa: B023 - called at once
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
        self._hessian: Any = np.empty((0, 0))
        self._factored: Factored | None = None
        self._null: Any = None
        self._null_before: Any = None  # as it was when the Hessian was factorised
        self.is_fresh = False
        self._needs_all = False  # samples, in every Hessian from now on
        self.remark = ""

    @property
    def state(self) -> tuple[Any, Any, bool]:
        """The Hessian, the directions without curvature known before it, and whether all samples are needed."""
        known = self._null_before
        return self._hessian, np.empty((0, 0)) if known is None else known, self._needs_all

    def begin_at(self, state: tuple[Any, Any, bool]) -> None:
        """Be what the model was that had this `state`."""
        self._hessian, known, self._needs_all = state
        self._null = known if known.size else None
        if self._hessian.size and not self._has_l1:
            self._factorise()

    def need_all(self) -> None:
        """Take all samples for every Hessian from now on."""
        self._needs_all = True

    def norm(self, point: Point) -> float:
        """The largest entry of the gradient, or of the least subgradient."""
        found = subgradient(point.coef, point.gradient, self.objective.l1) if self._has_l1 else point.gradient
        return float(np.max(abs(found.reshape(-1)[self._free]), initial=0.0))

    def renew(self, point: Point, rate: float) -> None:
        """Compute the Hessian at a point: of some samples, as long as the ``rate`` of such steps is small."""
        if self.is_fresh:
            return
        self._needs_all = self._needs_all or rate > _SAMPLED_RATE
        some = None if self._needs_all else self.objective.sampled_hessian(point)
        if some is not None and np.isfinite(some).all():
            self._hessian = self._of_free(some)
            if self._has_l1 or self._factorise(some=True):
                return
        self._needs_all = True
        whole = self.objective.hessian(point)
        if not np.isfinite(whole).all():
            raise DataError(
                message(
                    "Newton's method: the Hessian is not finite: products of the columns overflow",
                    remedy="divide the columns by their standard deviations",
                )
            )
        self._hessian = self._of_free(whole)
        self.is_fresh = True
        if not self._has_l1:
            self._factorise()

    def _of_free(self, whole: Any) -> Any:
        return whole if self._free.all() else whole[np.ix_(self._free, self._free)]

    def _factorise(self, some: bool = False) -> bool:
        """Factorise the Hessian; not one of ``some`` samples that is no positive definite matrix."""
        n, hessian = len(self._hessian), self._hessian
        self._null_before = self._null
        eps = float(np.finfo(self.objective.design.dtype).eps)
        largest = float(np.max(hessian.diagonal(), initial=0.0))
        if self._null is not None and np.max(abs(hessian @ self._null)) <= n * eps * largest:
            # Collinear columns are so at each step. With curvature along their directions, in which the
            # gradient has no component, Cholesky gives the step of minimum norm.
            hessian = hessian + largest * (self._null @ self._null.T)
        factored = Factored(hessian, eps)
        if some and (factored.null is not None or factored.is_indefinite):
            return False
        self._factored = factored
        if self._factored.null is not None:
            self._null = self._factored.null
        self.remark = remark(self._factored, n) or self.remark
        return True

    def least_norm(self, point: Point) -> Point:
        """The point of least norm with the same objective, where the Hessian is singular."""
        if self._null is None:
            return point
        coef = point.coef.copy()
        flat = coef.reshape(-1)
        flat[self._free] -= self._null @ (self._null.T @ flat[self._free])
        there = self.objective.at(coef)
        same = abs(there.value - point.value) <= _SAME_VALUE * abs(point.value)
        return there if same and self.norm(there) <= _SAME_NORM * self.norm(point) else point

    def step(self, point: Point) -> _Along:
        """The minimum of the model."""
        g = point.gradient.reshape(-1)[self._free]
        if self._has_l1:
            at, l1 = point.coef.reshape(-1)[self._free], self.objective.l1.reshape(-1)[self._free]
            step = proximal_step(self._hessian, g, at, l1)
            slope = float(g @ step + (l1 * (abs(at + step) - abs(at))).sum())
        else:
            assert self._factored is not None
            step = self._factored.step(g, self._tol)
            slope = float(g @ step)
        d = np.zeros(self.objective.shape)
        d.reshape(-1)[self._free] = step
        return _Along(d, slope)
