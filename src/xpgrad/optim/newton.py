"""Newton's method, with Cholesky and a line search.

In:  an Objective and parameters on their device.
Out: a Fit.
Holds: the Hessian stays on its device; the host sees the loss and a few inner products.

Nocedal and Wright, Numerical Optimization (2006), section 3.4.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from xpgrad.core import aval_of
from xpgrad.devices import common_device, namespace, using
from xpgrad.optim.evaluation import Loss, Objective, fetch, fetch_value_and_norm
from xpgrad.optim.line_search import Trial, strong_wolfe
from xpgrad.optim.quasi_newton import NO_PROMISE, STALLED_GRADIENT, rounding, stuck
from xpgrad.optim.records import Callback, Fit, Run
from xpgrad.optim.second_order import SecondOrder

# Where the loss cannot tell two points apart, the second is taken if its gradient is smaller than this share.
SMALLER_GRADIENT = 0.9

_BLOCK = 64  # rows that are substituted together


class Factored:
    """A Hessian by its Cholesky factor; by eigenvalues where it is not positive definite.

    Parameters
    ----------
    hessian : float64[n, n]
        Symmetric.
    eps : float
        The relative rounding of the entries.

    Attributes
    ----------
    null : float64[n, n - rank] or None
        An orthonormal basis of the directions without curvature of a singular Hessian.
    is_indefinite : bool
        Whether there is a negative eigenvalue.

    Notes
    -----
    A pivot counts as 0 where it is within ``n eps`` of its diagonal entry.
    """

    def __init__(self, hessian: Any, eps: float) -> None:
        xp = namespace(hessian)
        self._factor: Any = None
        self._least = len(hessian) * eps
        try:
            factor = xp.linalg.cholesky(hessian)
            pivots = factor.diagonal() ** 2
            if bool(
                (pivots > self._least * hessian.diagonal()).all()
            ):  # False where CuPy marks a failure by NaN
                self._factor = factor
        except np.linalg.LinAlgError:
            pass
        self.null: Any = None
        self.is_indefinite = False
        if self._factor is None:
            self._values, self._vectors = xp.linalg.eigh(hessian)
            self._size = abs(self._values)
            self._least = self._least * self._size.max()
            self._flat = self._size <= self._least
            if bool(self._flat.any()):
                self.null = self._vectors[:, self._flat]
            self.is_indefinite = bool((self._values < -self._least).any())

    def step(self, gradient: Any, tol: float) -> Any:
        """The step ``-H^-1 g``.

        Parameters
        ----------
        gradient : float64[n]
        tol : float
            Components of the gradient up to ``tol`` along directions without curvature are left alone.

        Notes
        -----
        Negative eigenvalues change their sign; along directions without curvature the step has minimum norm,
        or where the gradient is larger than ``tol`` there, at most length 1.
        """
        if self._factor is not None:
            return substitute(self._factor, -gradient)
        xp = namespace(gradient)
        along = gradient @ self._vectors
        kept = self._flat & (abs(along) <= tol)
        divisor = xp.where(self._flat, xp.maximum(abs(along), self._least), self._size)
        return self._vectors @ xp.where(kept, 0.0, -along / xp.where(kept, 1.0, divisor))


def substitute(factor: Any, b: Any) -> Any:
    """The solution of ``L L' x = b`` by substitution, block by block.

    Parameters
    ----------
    factor : float64[n, n]
        ``L``, lower triangular.
    b : float64[n]
    """
    xp, n = namespace(factor), len(b)
    x = b.copy()
    blocks = [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
    for part in blocks:
        x[part] = xp.linalg.solve(factor[part, part], x[part] - factor[part, : part.start] @ x[: part.start])
    for part in reversed(blocks):
        rest = slice(part.stop, n)
        x[part] = xp.linalg.solve(factor[part, part].T, x[part] - factor[rest, part].T @ x[rest])
    return x


def newton(
    loss: Loss,
    params: Any,
    data: tuple[Any, ...] = (),
    *,
    max_iter: int = 1000,
    tol: float = 1e-5,
    callback: Callback | None = None,
    compile: bool | None = None,
) -> Fit:
    """Minimise a smooth loss of few parameters by Newton's method with a strong Wolfe line search.

    Parameters
    ----------
    loss, params, data, max_iter, tol, callback, compile
        As in `minimize`. A complex entry of the parameters counts as two real ones.

    Returns
    -------
    Fit
        Converged as by `lbfgs`. The message says where the Hessian was singular (the steps then have minimum
        norm) or had negative eigenvalues.

    Notes
    -----
    An iteration evaluates loss, gradient and Hessian in one program, and solves ``n`` equations for ``n``
    parameters. Where the loss cannot tell the full step from none by its rounding, the step is taken if the
    gradient becomes smaller.
    """
    place = common_device((params, *data), name="args", operation="newton")
    with using(place):
        objective = Objective(loss, data, compile=compile, method="newton")
        return newton_steps(objective, params, Run(objective, params, callback), max_iter=max_iter, tol=tol)


def newton_steps(objective: Objective, params: Any, run: Run, *, max_iter: int, tol: float) -> Fit:
    """`newton` on an Objective, noting each iteration in ``run``."""
    of = SecondOrder(objective, params)
    x = of.start
    of.check_data(x)
    value, g, hessian = of.whole(x)
    number, norm = fetch_value_and_norm(value, g)
    eps = rounding(x.dtype, aval_of(value).dtype)
    state = (0, x, g, hessian, number, norm, norm)
    k, x, g, hessian, number, norm, norm_at_start = run.begin(state, number, norm, params)
    if not (isfinite(number) and isfinite(norm)):
        return run.bad_start(params, number, norm)

    while norm > tol:
        if k == max_iter:
            return run.out_of_iterations(of.params(x), number, norm, max_iter)
        if not bool(namespace(hessian).isfinite(hessian).all()):
            text = f"stopped: the Hessian is not finite (gradient norm {norm:.3g}); lbfgs needs none"
            return run.fit(of.params(x), number, False, text)
        factored = Factored(hessian.astype(np.float64), eps)
        d = factored.step(g.astype(np.float64), tol).astype(x.dtype)
        run.remark = remark(factored, len(x)) or run.remark
        slope, moved = fetch(g @ d, abs(x) @ abs(g))
        if not slope < 0:
            return run.fit(of.params(x), number, False, stuck(norm))
        start = Trial(0.0, number, slope, x, g)
        line = _Line(of, x, d)
        if -slope <= eps * (NO_PROMISE * abs(number) + moved):
            found = _by_gradient(line, norm)
            if found is None:
                text = "no lower loss can be told from this one by its rounding"
                return run.stalled(of.params(x), number, norm, STALLED_GRADIENT * norm_at_start, text)
        else:
            found = strong_wolfe(line, start, 1.0)
            if found is None:
                return run.fit(of.params(x), number, False, stuck(norm))
        hessian = line.hessian if found.step == 1.0 else of.whole(found.x)[2]
        x, g, number = found.x, found.gradient, found.value
        (norm,) = fetch(abs(g).max())
        k += 1
        stop = run.note(k, number, norm, lambda: of.params(x))  # noqa: B023 - called at once
        if norm > tol and stop:
            return run.called_back(of.params(x), number, k)
        run.keep(lambda: (k, x, g, hessian, number, norm, norm_at_start))  # noqa: B023 - called at once
    return run.within_tol(of.params(x), number, norm, tol)


class _Line:
    """``phi(a)`` along a direction; the full step, which is tried first, is evaluated with its Hessian."""

    def __init__(self, of: SecondOrder, x: Any, d: Any) -> None:
        self._of, self._x, self._d = of, x, d
        self.hessian: Any = None

    def __call__(self, step: float) -> Trial:
        with np.errstate(all="ignore"):  # a step too far may overflow; the search steps back
            at = self._x + step * self._d
            if step == 1.0:
                value, g, self.hessian = self._of.whole(at)
            else:
                value, g = self._of.first(at)
            number, slope = fetch(value, g @ self._d)
            return Trial(step, number, slope, at, g)


def _by_gradient(line: _Line, norm: float) -> Trial | None:
    """The full step, if it makes the gradient smaller; the loss cannot tell."""
    trial = line(1.0)
    (new,) = fetch(abs(trial.gradient).max())
    return trial if trial.is_finite and new <= SMALLER_GRADIENT * norm else None


def remark(factored: Factored, n: int) -> str:
    """What a message says of a Hessian that is not positive definite."""
    if factored.is_indefinite:
        return "; the Hessian had negative eigenvalues on the way, whose sign was changed"
    if factored.null is not None:
        rank = n - factored.null.shape[1]
        return f"; the Hessian is singular (rank {rank} of {n}): steps of minimum norm"
    return ""
