"""L-BFGS for a linear predictor of many columns, whose Hessian would be too large.

In:  a LinearObjective without an l1 penalty.
Out: a Fit, whose parameters are the coefficients.
Holds: coefficients and the vectors of the method are on the host; each evaluation is one pass over the samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.optim.linear.objective import LinearObjective
from xpgrad.optim.quasi_newton import quasi_newton
from xpgrad.optim.records import Callback, Fit, Run


def lbfgs_linear(
    objective: LinearObjective,
    start: Any = None,
    *,
    fixed: Any = None,
    max_iter: int = 1000,
    tol: float = 1e-6,
    callback: Callback | None = None,
) -> Fit:
    """Minimise a LinearObjective without forming its Hessian.

    Parameters
    ----------
    objective, start, fixed, max_iter, tol, callback
        As in `newton_linear`.

    Returns
    -------
    Fit
        ``params`` is float64. Converged as by `xg.optim.lbfgs`.

    Raises
    ------
    DataError
        There is an l1 penalty.
    """
    if objective.l1.any():
        remedy = "use newton_linear"
        raise DataError(message("lbfgs_linear: an l1 penalty has no gradient at 0", remedy=remedy))
    free = np.full(objective.shape, True) if fixed is None else ~np.broadcast_to(fixed, objective.shape)
    coef = np.where(free, objective.start(), 0.0) if start is None else np.array(start, np.float64)
    smooth = _Smooth(objective, free)
    coef = coef.reshape(objective.shape)
    return quasi_newton(smooth, coef, Run(smooth, coef, callback), max_iter=max_iter, tol=tol)


class _Smooth:
    """Value and gradient of a LinearObjective; the gradient is 0 in coefficients that are fixed."""

    def __init__(self, objective: LinearObjective, free: Any) -> None:
        self._objective = objective
        self._free = free
        self.data = objective.data
        self.evaluations = 0
        self.remark = ""

    def __call__(self, coef: Any) -> tuple[Any, Any]:
        self.evaluations += 1
        point = self._objective.at(coef, curved=False)
        value = self._objective.design.dtype.type(point.value)  # its dtype tells its rounding
        return value, np.where(self._free, point.gradient, 0.0)

    def check_data(self, coef: Any) -> None:
        """The first evaluation asks what the loss demands of its data."""
