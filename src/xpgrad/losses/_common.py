"""Conversion of arguments, and checks of labels, weights and reduction, for all losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import reductions as red
from xpgrad.ops._define import floating
from xpgrad.ops.requirements import demand
from xpgrad.ops.shape import astype
from xpgrad.trace.functions._table import array


def pair(name: str, prediction: Any, labels: Any, what: str = "prediction") -> tuple[Any, Any]:
    """Both as arrays, of float dtype; the labels broadcast to the prediction."""
    prediction = array(prediction)
    aval = aval_of(prediction)
    if aval.size == 0:
        raise DataError(message(f"{name}: the batch is empty", {what: prediction}))
    prediction = as_float(prediction, floating(aval))
    labels = as_float(array(labels), floating(aval))
    fits(name, what, prediction, "labels", labels)
    return prediction, labels


def as_float(x: Any, dtype: np.dtype[Any]) -> Any:
    """``x``, with integers and booleans as ``dtype``."""
    return x if aval_of(x).dtype.kind in "fc" else astype(x, dtype=dtype)


def fits(name: str, what: str, x: Any, other: str, y: Any) -> None:
    """Raise ShapeError unless ``y`` broadcasts to the shape of ``x``."""
    target, shape = aval_of(x).shape, aval_of(y).shape
    try:
        fit = np.broadcast_shapes(target, shape) == target
    except ValueError:
        fit = False
    if not fit:
        raise ShapeError(
            message(f"{name}: {other} do not broadcast to the shape of the {what}", {what: x, other: y})
        )


def demand_labels(name: str, y: Any, ok: Any, rule: str) -> Any:
    """``y``, or a DataError where ``ok`` does not hold: ``name: labels must be rule``."""
    return demand(y, ok, f"{name}: labels must be {rule}", "labels")


def reduced(name: str, loss: Any, weights: Any, reduction: str) -> Any:
    """The losses one by one, their sum or their (weighted) mean."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(message(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}'))
    if weights is None:
        if reduction == "none":
            return loss
        return red.mean(loss) if reduction == "mean" else red.sum(loss)
    aval = aval_of(loss)
    weights = as_float(array(weights), aval.dtype)
    fits(name, "losses", loss, "weights", weights)
    weights = demand(weights, weights >= 0, f"{name}: weights must be 0 or more", "weights")
    weights = demand(weights, red.sum(weights) > 0, f"{name}: weights must not all be 0", "weights")
    loss = loss * weights
    if reduction == "none":
        return loss
    total = red.sum(loss)
    copies = aval.size // aval_of(weights).size
    return total / (copies * red.sum(weights)) if reduction == "mean" else total
