"""Losses of logits against classes, in nats; any finite logit is safe.

``weights``, ``reduction`` and the errors common to all are those of `xpgrad.losses`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, DTypeError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.losses._common import as_float, demand_labels, pair, reduced
from xpgrad.nn.axes import classes_within, is_class
from xpgrad.ops import elementwise as ew
from xpgrad.ops import reductions as red
from xpgrad.ops import special as sp
from xpgrad.ops.requirements import demand
from xpgrad.trace.functions._table import array, axis_of

_NEAR_1 = 1e-3
"""By so much the sum of probabilities may miss 1: they may have been rounded to three places, or to float16."""


def _probabilities(name: str, y: Any) -> Any:
    """``y``, whose entries must be in [0, 1]."""
    return demand_labels(name, y, (y >= 0) & (y <= 1), "in [0, 1]")


def binary_cross_entropy(logits: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean negative log-likelihood of Bernoulli labels, from logits.

    Parameters
    ----------
    logits : float[..., m]
        Log-odds; any finite value is safe.
    y : float[..., m] or bool[..., m]
        Labels in [0, 1].
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In nats, averaged over all entries.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``logits``.
    DataError
        The batch is empty, a label is outside [0, 1], or a weight is negative.

    Notes
    -----
    ``mean(softplus(z) - y z)``. Bishop, Pattern Recognition and Machine Learning, eq. 4.90.
    """
    name = "binary_cross_entropy"
    z, y = pair(name, logits, y, "logits")
    y = _probabilities(name, y)
    return reduced(name, sp.softplus(z) - y * z, weights, reduction)


def cross_entropy(logits: Any, labels: Any, *, axis: int, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean negative log-likelihood of categorical labels, from logits.

    Parameters
    ----------
    logits : float[..., k, ...]
        Unnormalised log-probabilities; any finite value is safe, and -inf forbids a class.
    labels : int[...] or float[..., k, ...]
        Classes from 0, in the shape of ``logits`` without ``axis``; or the probability of each
        class (one-hot for instance) in the shape of ``logits``, meant to sum to 1.
    axis : int
        Where the k classes stand: 0 for samples in columns, -1 for samples in rows.
    weights : float[...], optional
        One for each sample, at least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[...] for "none"
        In nats, averaged over the samples.

    Raises
    ------
    ShapeError
        ``axis`` or the shape of the labels does not fit that of ``logits``.
    DTypeError
        Labels of the shape of classes that are no integers.
    DataError
        The batch is empty, a class is outside 0 ... k - 1 or a probability outside [0, 1], or a
        weight is negative.

    Notes
    -----
    ``mean(logsumexp(z) - z[label])``. Bishop, Pattern Recognition and Machine Learning, eq. 4.108.
    """
    name = "cross_entropy"
    z, labels, a = _classes(name, logits, labels, axis)
    if aval_of(labels).shape == z.shape:
        labels = _probabilities(name, as_float(labels, aval_of(z).dtype))
        return reduced(name, _cross(z, labels, a), weights, reduction)
    labels = classes_within(name, labels, z.shape[a])
    of_label = ew.where(is_class(labels, z.shape[a], a), z, 0)
    return reduced(name, sp.logsumexp(z, axis=a) - red.sum(of_label, axis=a), weights, reduction)


def kl_divergence(logits: Any, p: Any, *, axis: int, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean Kullback-Leibler divergence of the softmax of ``logits`` from the distribution ``p``.

    Parameters
    ----------
    logits : float[..., k, ...]
        Unnormalised log-probabilities; any finite value is safe, and -inf forbids a class.
    p : float[..., k, ...]
        Probabilities, which sum to 1 along ``axis`` (to three places).
    axis : int
        Where the k classes stand: 0 for samples in columns, -1 for samples in rows.
    weights : float[...], optional
        One for each sample, at least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[...] for "none"
        In nats, averaged over the samples; 0 where ``p`` is the softmax.

    Raises
    ------
    ShapeError
        ``axis`` or the shape of ``p`` does not fit that of ``logits``.
    DataError
        The batch is empty, a probability is outside [0, 1], the sum of a sample's is not 1, or a weight is
        negative.

    Notes
    -----
    ``mean(sum(p log(p / softmax(z))))``. Bishop, Pattern Recognition and Machine Learning, eq. 1.113.
    """
    name = "kl_divergence"
    z, p, a = _classes(name, logits, p, axis, indices=False)
    p = _probabilities(name, as_float(p, aval_of(z).dtype))
    total = red.sum(p, axis=a, keepdims=True)
    p = demand(
        p, abs(total - 1) <= _NEAR_1, f"{name}: labels must sum to 1 along axis {axis}", "labels", seen=total
    )
    return reduced(name, _cross(z, p, a) - red.sum(sp.entr(p), axis=a), weights, reduction)


def _classes(name: str, logits: Any, labels: Any, axis: int, *, indices: bool = True) -> tuple[Any, Any, int]:
    """Arrays and a non-negative axis; labels have the logits' shape, or (``indices``) lack the axis."""
    z, labels = array(logits), array(labels)
    if aval_of(z).size == 0:
        raise DataError(message(f"{name}: the batch is empty", {"logits": z}))
    a = axis_of(name, z, axis)
    z = as_float(z, np.dtype(np.float64))
    got = {"logits": z, "labels": labels}
    without = (*z.shape[:a], *z.shape[a + 1 :])
    shape = aval_of(labels).shape
    if shape != z.shape and not (indices and shape == without):
        either = f"{without} or {z.shape}" if indices else f"{z.shape}"
        raise ShapeError(message(f"{name}: labels need the shape {either}", got))
    if shape == without and aval_of(labels).dtype.kind not in "iu":
        raise DTypeError(message(f"{name}: classes must be integers", got))
    return z, labels, a


def _cross(z: Any, p: Any, axis: int) -> Any:
    """``-sum(p log_softmax(z))``; a class that is forbidden and does not occur counts 0."""
    log_q = sp.log_softmax(z, axis=axis)
    log_q = ew.where((p == 0) & (log_q == -np.inf), 0, log_q)
    return -red.sum(p * log_q, axis=axis)


def hinge(scores: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean hinge loss, for a maximal margin; at the kink the derivative is 0.

    Parameters
    ----------
    scores : float[..., m]
    y : float[..., m] or int[..., m]
        Labels, -1 or 1.
    weights : float[..., m], optional
        At least 0.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    float scalar, or float[..., m] for "none"
        In units of the scores.

    Raises
    ------
    ShapeError
        The shapes do not broadcast to that of ``scores``.
    DataError
        The batch is empty, a label is neither -1 nor 1, or a weight is negative.

    Notes
    -----
    ``mean(max(0, 1 - y s))``. Bishop, Pattern Recognition and Machine Learning, eq. 7.44.
    """
    return reduced("hinge", _margin("hinge", scores, y), weights, reduction)


def squared_hinge(scores: Any, y: Any, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Mean square of the hinge loss; its derivative is continuous.

    Parameters, result and errors are those of `hinge`, in squared units of the scores.

    Notes
    -----
    ``mean(max(0, 1 - y s)**2)``. Hastie, Tibshirani, Friedman, The Elements of Statistical
    Learning, section 12.3.2.
    """
    return reduced("squared_hinge", ew.square(_margin("squared_hinge", scores, y)), weights, reduction)


def _margin(name: str, scores: Any, y: Any) -> Any:
    """``max(0, 1 - y s)``."""
    s, y = pair(name, scores, y, "scores")
    y = demand_labels(name, y, (y == 1) | (y == -1), "-1 or 1")
    short = 1 - y * s
    return ew.where(short <= 0, 0, short)
