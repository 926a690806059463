"""L-BFGS for a loss that reads some of its parameters through their product with sparse numbers.

In:  a loss ``loss(params, X w, *data)``, where ``w = slopes(params)``; ``X`` in compressed rows.
Out: a Fit.
Holds: ``X w`` and ``X' g`` are SciPy's or CuPy's, one of each for a value with its gradient; all else is one
compiled program, and the engine's derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._trees import tree_map
from xpgrad.devices import to_device, using
from xpgrad.devices.sparse import sparse_device
from xpgrad.optim.checkpoints import kept_in
from xpgrad.optim.evaluation import Loss, Objective
from xpgrad.optim.quasi_newton import quasi_newton
from xpgrad.optim.records import Callback, Fit, Run
from xpgrad.transforms import vjp


def minimize_through_products(
    loss: Loss,
    params: Any,
    X: Any,
    data: tuple[Any, ...],
    *,
    slopes: Callable[[Any], Any],
    max_iter: int,
    tol: float,
    callback: Callback | None = None,
    checkpoint: Any = None,
) -> Fit:
    """Minimise by L-BFGS.

    Parameters
    ----------
    loss : callable
        ``loss(params, product, *data)``, a real scalar, with ``product`` float[n] or float[n, k].
    params : tree of float arrays
        Where to start.
    X : CSR float[n, p]
        As `xpgrad.devices.sparse.csr_on` gives it; the fit runs on its device.
    data : tuple of trees
        What the loss takes beside.
    slopes : callable
        ``slopes(params)``, float[p] or float[p, k], linear in the parameters.
    max_iter, tol, callback, checkpoint
        As in `minimize`.
    """
    place = sparse_device(X)
    params, data = to_device((params, data), place)
    objective = ThroughProducts(loss, X, data, slopes)
    told = ((X.data, X.indices, X.indptr), *data)
    with using(place), kept_in(checkpoint, params, told, {"method": "lbfgs"}, place) as kept:
        run = Run(objective, params, callback, checkpoint=kept)
        return quasi_newton(objective, params, run, max_iter=max_iter, tol=tol)


class ThroughProducts:
    """Value and gradient of ``loss(params, X slopes(params), *data)``.

    Parameters
    ----------
    loss, X, data, slopes
        As in `minimize_through_products`; everything on one device.
    """

    def __init__(self, loss: Loss, X: Any, data: tuple[Any, ...], slopes: Callable[[Any], Any]) -> None:
        self._slopes = slopes
        self._X = X
        self._inner = Objective(lambda both, *rest: loss(*both, *rest), data, method="fit")
        self.data = (X.data, *data)
        self.evaluations = 0

    @property
    def remark(self) -> str:
        return self._inner.remark

    def __call__(self, params: Any, X: Any = None, data: tuple[Any, ...] | None = None) -> tuple[Any, Any]:
        """Value and gradient, on the device; of all samples, or of some with their data."""
        self.evaluations += 1
        X = self._X if X is None else X
        w, back = vjp(self._slopes, params)
        value, (direct, through) = self._inner((params, X @ w), data)
        (indirect,) = back((X.T @ through.astype(np.float64)).astype(w.dtype))
        return value, tree_map(lambda a, b: a + b, direct, indirect)

    def check_data(self, params: Any) -> None:
        """Ask, before the first step, what the loss demands of its data."""
        self._inner.check_data((params, self._X @ self._slopes(params)))
