"""Run a first-order optimiser on all the data at once, or on minibatches.

In:  an Objective, the Rule of an optimiser, parameters on their device.
Out: a Fit.
Holds: one transfer of scalars to the host for each iteration; parameters and gradients stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import isfinite
from typing import Any

import numpy as np

from xpgrad._trees import flatten, tree_map, unflatten
from xpgrad.optim.batches import Batches
from xpgrad.optim.evaluation import Loss, Objective, fetch_value_and_norm
from xpgrad.optim.first_order import Rule, check_floating
from xpgrad.optim.records import Fit, Run


def full_batch(objective: Objective, rule: Rule, params: Any, run: Run, *, max_iter: int, tol: float) -> Fit:
    """One step for each iteration. The value of a record is the loss at its parameters."""
    objective.check_data(params)
    k, moments, last_value = 0, None, float("nan")
    last = params
    resumed = run.resumed((k, params, rule.begin(params), last, last_value))
    if resumed is not None:
        k, params, moments, last, last_value = resumed
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
        if moments is None:
            check_floating(rule.name, params)
            moments = rule.begin(params)
        last, last_value = params, number
        params, moments = rule.move(rule.rates(k), gradient, moments, params)
        k += 1
        run.keep(lambda: (k, params, moments, last, last_value))  # noqa: B023 - called at once


def with_step(rule: Rule) -> Callable[[Loss], Loss]:
    """For value and gradient, the function that takes the step of a minibatch as well.

    It is ``((params, moments, mean, share, rates), *batch) -> (value, params, moments, mean)``, and adds the
    share of the gradient to ``mean``. Compiled together, loss, gradient and step are one call.
    """

    def together(value_and_gradient: Loss) -> Loss:
        @wraps(value_and_gradient)
        def step(first: Any, *batch: Any) -> Any:
            params, moments, mean, share, rates = first
            value, gradient = value_and_gradient(params, *batch)
            params, moments = rule.move(rates, gradient, moments, params)
            return value, params, moments, _add_share(mean, share, gradient)

        return step

    return together


def minibatches(
    objective: Objective,
    rule: Rule,
    params: Any,
    batches: Batches,
    run: Run,
    *,
    max_iter: int,
    tol: float,
    together: bool,
) -> Fit:
    """One pass over the data for each iteration, one step for each batch.

    Value and gradient of a record are means over the batches, weighted by their samples, each at
    the parameters that it met. ``together``: the Objective is one of `with_step`.
    """
    check_floating(rule.name, params)
    rates, done = rule.rates(0), 0
    mean: Any = None
    restored = None
    if together:
        moments, mean, restored = _fixed_kinds(rule, params)
        advance: Any = objective
        objective.check_data((params, moments, mean, 0.0, rates), batches.in_order())
    else:
        moments = rule.begin(params)
        step = with_step(rule)(lambda params, *batch: objective(params, batch))
        advance = lambda first, batch: step(first, *batch)  # noqa: E731
        objective.check_data(params, batches.in_order())
    nothing = mean
    number, norm, passes = float("nan"), float("nan"), 0
    resumed = run.resumed((passes, done, params, moments, number, norm, 0))
    if resumed is not None:
        passes, done, params, moments, number, norm, words = resumed
        batches.begin_at(words)
    for k in range(passes + 1, max_iter + 1):
        before, number_before = params, number
        total: Any = 0.0
        mean = nothing
        for batch, share in batches.epoch():
            if done:
                rates = rule.rates(done)
            value, params, moments, mean = advance((params, moments, mean, share, rates), batch)
            if restored is not None:
                params = restored(params)
            total = total + share * value
            done += 1
        number, norm = fetch_value_and_norm(total, mean)
        stop = run.note(k, number, norm, lambda: params)  # noqa: B023 - called at once
        if not (isfinite(number) and isfinite(norm)):
            what = f"the gradient has {norm}" if isfinite(number) else f"the loss is {number}"
            return _diverged(run, before, number_before, what, f"pass {k}", f"pass {k - 1}")
        if norm <= tol:
            return run.within_tol(params, number, norm, tol)
        if stop:
            return run.called_back(params, number, k)
        run.keep(lambda: (k, done, params, moments, number, norm, batches.words()))  # noqa: B023 - called at once
    return run.out_of_iterations(params, number, norm, max_iter)


def _fixed_kinds(rule: Rule, params: Any) -> tuple[Any, Any, Callable[[Any], Any] | None]:
    """Moments and a mean gradient of 0 whose classes and dtypes no step changes, so that one trace serves all.

    Numbers among them are NumPy's. The third is a function that makes of new parameters what those given are
    (Python's numbers, arrays without axes), or None where there is nothing to do.
    """
    arrays = tree_map(np.asarray, params)
    moments = tuple(tree_map(_scalar_or_array, moment) for moment in rule.begin(arrays))
    mean = tree_map(lambda x: _scalar_or_array(np.zeros_like(x)), arrays)
    kinds = [_kind(x) for x in flatten(params)[0]]

    def restored(params: Any) -> Any:
        leaves, structure = flatten(params)
        return unflatten(structure, [x if f is None else f(x) for f, x in zip(kinds, leaves, strict=True)])

    return moments, mean, restored if any(kinds) else None


def _scalar_or_array(x: Any) -> Any:
    return x[()]


def _kind(leaf: Any) -> Callable[[Any], Any] | None:
    """The function that makes of a number what ``leaf`` is; None for arrays with axes and NumPy's numbers."""
    if isinstance(leaf, np.generic) or np.ndim(leaf):
        return None
    return np.asarray if isinstance(leaf, np.ndarray) else type(leaf)


def _add_share(mean: Any, share: float, gradient: Any) -> Any:
    if mean is None:
        return tree_map(lambda g: share * g, gradient)
    return tree_map(lambda m, g: m + share * g, mean, gradient)


def _diverged(run: Run, params: Any, value: float, what: str, when: str, kept: str) -> Fit:
    kept = "those given" if kept.endswith(" 0") else f"those after {kept}"
    why = run.not_finite() or "try a smaller learning_rate"
    text = f"diverged: {what} after {when}; the parameters are {kept}; {why}"
    return run.fit(params, value, False, text)
