"""Train the model of `xpgrad race`, and judge it on the rows that come later.

In:  a Problem.
Out: records for ``--json``: how the training went, and how good the model is beside the base rate.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from xpgrad.cli import metrics
from xpgrad.cli.contenders import Point
from xpgrad.cli.problem import Array, Problem
from xpgrad.devices import asnumpy, synchronize
from xpgrad.losses import binary_cross_entropy
from xpgrad.optim import minimize

METHOD = "lbfgs"
MAX_ITER = 200


def stable_loss(params: Point, X: Array, Y: Array) -> Any:
    """The loss of the race in its stable form, ``mean(softplus(Z) - Y Z)``.

    The notes' form is finite at the point of the race, but takes ``log(0)`` once a sample is predicted
    with more certainty than float32 can tell from 1, as a line search may try.
    """
    W, b = params
    return binary_cross_entropy(np.dot(W.T, X) + b, Y)


def train(problem: Problem, device: str) -> tuple[Point, dict[str, Any]]:
    """Minimise the loss over the training part, from zero.

    Returns
    -------
    (W, b) : float32[n_x, 1], float32[1, 1]
        On the CPU.
    record : dict
        With ``loss`` by iteration, the first entry before any step.
    """
    start = np.zeros((problem.X.shape[0], 1), np.float32), np.zeros((1, 1), np.float32)
    clock = time.perf_counter()
    fit = minimize(stable_loss, start, (problem.X, problem.Y), method=METHOD, device=device, max_iter=MAX_ITER)
    synchronize(device)
    seconds = time.perf_counter() - clock
    W, b = asnumpy(fit.params)
    record = {
        "method": METHOD,
        "device": device,
        "iterations": fit.n_iter,
        "converged": fit.converged,
        "message": fit.message,
        "seconds": seconds,
        "loss": [entry.value for entry in fit.history],
    }
    return (W, b), record


def judge(problem: Problem, params: Point) -> dict[str, Any]:
    """Compare the model with always predicting the base rate of the training part."""
    W, b = params
    y = problem.Y_test[0]
    z = (np.dot(W.T, problem.X_test) + b)[0]
    rate = problem.base_rate
    constant = np.full_like(y, math.log(rate / (1 - rate)), dtype=np.float64)
    return {**_scores(z, y), "base": _scores(constant, y)} | {
        "roc": metrics.roc_curve(z, y),
        "calibration": metrics.calibration(z, y),
    }


def _scores(z: Array, y: Array) -> dict[str, float | None]:
    return {
        "log_loss": metrics.log_loss(z, y),
        "accuracy": metrics.accuracy(z, y),
        "roc_auc": metrics.roc_auc(z, y),
    }
