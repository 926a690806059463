"""Run a first-order optimiser on all the data at once, or on minibatches.

In:  an Objective, an Optimizer, parameters on their device.
Out: a Fit.
Holds: one transfer of scalars to the host for each iteration; parameters and gradients stay.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from xpgrad._trees import tree_map
from xpgrad.optim.batches import Batches
from xpgrad.optim.evaluation import Objective, fetch_value_and_norm
from xpgrad.optim.first_order import Optimizer
from xpgrad.optim.records import Fit, Run


def full_batch(
    objective: Objective, optimizer: Optimizer, params: Any, run: Run, *, max_iter: int, tol: float
) -> Fit:
    """One step for each iteration. The value of a record is the loss at its parameters."""
    objective.check_data(params)
    k, state, last_value = 0, None, float("nan")
    last = params
    while True:
        value, gradient = objective(params)
        number, norm = fetch_value_and_norm(value, gradient)
        stop = run.note(k, number, norm, lambda: params)  # noqa: B023 - called at once
        if not (isfinite(number) and isfinite(norm)):
            if k == 0:
                return run.bad_start(params, number, norm)
            if isfinite(number):
                return _diverged(run, params, number, f"the gradient has {norm}", f"step {k}", f"step {k}")
            return _diverged(run, last, last_value, f"the loss is {number}", f"step {k}", f"step {k - 1}")
        if norm <= tol:
            return run.within_tol(params, number, norm, tol)
        if stop:
            return run.called_back(params, number, k)
        if k == max_iter:
            return run.out_of_iterations(params, number, norm, max_iter)
        if state is None:
            state = optimizer.init(params)
        last, last_value = params, number
        params, state = optimizer.update(gradient, state, params)
        k += 1


def minibatches(
    objective: Objective,
    optimizer: Optimizer,
    params: Any,
    batches: Batches,
    run: Run,
    *,
    max_iter: int,
    tol: float,
) -> Fit:
    """One pass over the data for each iteration, one step for each batch.

    Value and gradient of a record are means over the batches, weighted by their samples, each at
    the parameters that it met.
    """
    objective.check_data(params, batches.in_order())
    number, norm = float("nan"), float("nan")
    state = None
    for k in range(1, max_iter + 1):
        before, number_before = params, number
        total: Any = 0.0
        mean = None
        for batch, share in batches.epoch():
            value, gradient = objective(params, batch)
            if state is None:
                state = optimizer.init(params)
            params, state = optimizer.update(gradient, state, params)
            total = total + share * value
            mean = _add_share(mean, share, gradient)
        number, norm = fetch_value_and_norm(total, mean)
        stop = run.note(k, number, norm, lambda: params)  # noqa: B023 - called at once
        if not (isfinite(number) and isfinite(norm)):
            what = f"the gradient has {norm}" if isfinite(number) else f"the loss is {number}"
            return _diverged(run, before, number_before, what, f"pass {k}", f"pass {k - 1}")
        if norm <= tol:
            return run.within_tol(params, number, norm, tol)
        if stop:
            return run.called_back(params, number, k)
    return run.out_of_iterations(params, number, norm, max_iter)


def _add_share(mean: Any, share: float, gradient: Any) -> Any:
    if mean is None:
        return tree_map(lambda g: share * g, gradient)
    return tree_map(lambda m, g: m + share * g, mean, gradient)


def _diverged(run: Run, params: Any, value: float, what: str, when: str, kept: str) -> Fit:
    kept = "those given" if kept.endswith(" 0") else f"those after {kept}"
    why = run.not_finite() or "try a smaller learning_rate"
    text = f"diverged: {what} after {when}; the parameters are {kept}; {why}"
    return run.fit(params, value, False, text)
