"""scikit-learn: one evaluation of the loss and gradient that its own LogisticRegression minimises.

``LinearModelLoss.loss_gradient`` in float32, on all cores, samples in rows and C-contiguous, as
``LogisticRegression.fit`` hands them to it; coefficients with the intercept last, no penalty. The
loss module is private to scikit-learn: it is what a step costs inside ``fit``, without its checks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss
from sklearn.linear_model._linear_loss import LinearModelLoss

from bench.peers.contender import Contender
from bench.peers.problems import CLASSES, Problem
from xpgrad.cli.info import usable_cores


def _contender(base: Any, coef: Any, X: Any, y: Any, unpack: Callable[..., Any]) -> Contender:
    threads = usable_cores()

    def build() -> Callable[[], Any]:
        loss = LinearModelLoss(base, fit_intercept=True)
        return lambda: loss.loss_gradient(coef, X, y, n_threads=threads)

    return Contender(build, unpack)


def logistic(problem: Problem) -> Contender:
    (W, b), (X, Y) = problem.params, problem.data
    coef = np.append(W[:, 0], b)
    return _contender(
        HalfBinomialLoss(),
        coef,
        np.ascontiguousarray(X.T),
        Y[0].copy(),
        lambda result: (result[0], (result[1][:-1, None], result[1][-1])),
    )


def softmax(problem: Problem) -> Contender:
    (W, b), (X, labels) = problem.params, problem.data
    coef = np.asfortranarray(np.column_stack([W.T, b]))  # one feature's classes side by side: its own layout
    return _contender(
        HalfMultinomialLoss(n_classes=CLASSES),
        coef,
        X,
        labels.astype(np.float32),
        lambda result: (result[0], (result[1][:, :-1].T, result[1][:, -1])),
    )
