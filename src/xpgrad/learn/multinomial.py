"""Inference of the multinomial model: the coefficients of each class beside those of the first.

In:  a Sample whose ``coef`` is float64[p, k], one column for each of ``k`` classes, and ``y`` int[n].
Out: an `Inference` of ``(k - 1) p`` coefficients: log-odds against the first class.
Holds: the Hessian is that of the loss, by the engine; for this model it is also its expectation.

Agresti, Categorical Data Analysis (2013), section 8.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.learn.inference import (
    Inference,
    Sample,
    assembled,
    by_group,
    cluster_groups,
    inverse_of,
    predictor_of,
)
from xpgrad.optim import linear
from xpgrad.transforms import grad

COVARIANCES = ("nonrobust", "HC0", "HC1", "cluster")


def infer_classes(sample: Sample, classes: list[Any], covariance: str, groups: Any) -> Inference:
    """The inference of a multinomial model.

    Parameters
    ----------
    sample : Sample
    classes : list
        Their names, in the order of the columns of ``coef``.
    covariance, groups
        As in `inference.infer`; "HC2" and "HC3" are of models with one predictor.

    Raises
    ------
    ValueError, DataError
        As in `inference.infer`.
    """
    if covariance not in COVARIANCES:
        raise ValueError(
            f"covariance must be one of {', '.join(COVARIANCES)} for more than two classes, got {covariance!r}"
        )
    if (covariance == "cluster") != (groups is not None):
        raise ValueError('covariance="cluster" needs groups, and only it takes them')
    design, y, w, k = sample.design, sample.y, sample.weights, len(classes)
    coef = sample.coef[:, 1:] - sample.coef[:, :1]
    offset = None if sample.offset is None else sample.offset[:, 1:] - sample.offset[:, :1]

    def unit(eta: Any, y: Any) -> Any:
        return sample.unit(np.concatenate([0 * eta[:, :1], eta], axis=1), y)

    free = np.repeat(~sample.fixed, k - 1)
    names = [f"{c}: {name}" for name in sample.names for c in classes[1:]]
    kept = [name for name, keep in zip(names, free, strict=True) if keep]
    n = float(len(y) if w is None else w.sum())
    if n <= free.sum():
        raise DataError(message(f"{sample.model}: {n:g} samples are too few for {free.sum()} coefficients"))
    df = n - float(free.sum())
    objective = linear.LinearObjective(unit, design, (y,), outputs=k - 1, weights=w, offset=offset)
    point = objective.at(coef)
    cov = inverse_of(objective.hessian(point), free, kept, sample.model)
    if covariance != "nonrobust":
        eta = predictor_of(design, coef) + (0 if offset is None else offset)
        slope = grad(lambda eta: np.sum(unit(eta, y) if w is None else w * unit(eta, y)))(eta)
        meat = _meat(sample, covariance, groups, slope, n, df)[np.ix_(free, free)]
        cov = cov @ meat @ cov
    by_class = np.argsort(np.tile(np.arange(k - 1), len(sample.names))[free], kind="stable")
    return assembled(
        sample,
        covariance,
        [kept[i] for i in by_class],
        coef.reshape(-1)[free][by_class],
        cov[np.ix_(by_class, by_class)],
        scale=1.0,
        n=n,
        df=df,
        deviance=2 * point.value,
        log_likelihood=-point.value,
    )


def _meat(sample: Sample, covariance: str, groups: Any, slope: Any, n: float, df: float) -> Any:
    """The sum of the outer products of the gradients of the samples, or of the groups."""
    design, w, (_, k) = sample.design, sample.weights, slope.shape
    p = design.columns
    if covariance == "cluster":
        group, count = cluster_groups(groups, len(slope), sample.model)
        sums = np.stack([by_group(design, slope[:, j], group, count) for j in range(k)], axis=2)
        sums = sums.reshape(count, p * k)
        return sums.T @ sums * (count / (count - 1) * (n - 1) / df)
    out = np.empty((p, k, p, k))
    for i in range(k):
        for j in range(i, k):
            product = slope[:, i] * slope[:, j]
            if w is not None:
                product = np.divide(product, w, out=np.zeros_like(product), where=w > 0)
            block = linear.weighted_gram(design, product)
            out[:, i, :, j] = out[:, j, :, i] = block
    meat = out.reshape(p * k, p * k)
    return meat * (n / df) if covariance == "HC1" else meat
