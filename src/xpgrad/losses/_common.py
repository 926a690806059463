"""What the losses share: making arrays of the arguments, checking labels, weights and reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, message
from xpgrad.core import aval_of
from xpgrad.ops import reductions as red
from xpgrad.ops._define import floating
from xpgrad.ops.shape import astype
from xpgrad.trace import Traced, strip
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


def known(x: Any) -> Any:
    """The numbers of ``x``, or None where there are none to look at."""
    plain = strip(x)
    return None if type(plain) is Traced or aval_of(plain).size == 0 else plain


def check_range(name: str, what: str, x: Any, rule: str, holds: Callable[[float, float], bool]) -> None:
    """Raise DataError unless ``holds(lowest, highest)``; of NaN nothing holds."""
    plain = known(x)
    if plain is None or aval_of(plain).dtype.kind == "b":
        return
    low, high = float(np.min(plain)), float(np.max(plain))
    if not holds(low, high):
        got = f"{low:g} to {high:g}" if low == low else "NaN among them"
        raise DataError(message(f"{name}: {what} must be {rule}, got {got}", {what: x}))


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
    check_range(name, "weights", weights, "0 or more, and not all 0", lambda low, high: low >= 0 < high)
    loss = loss * weights
    if reduction == "none":
        return loss
    total = red.sum(loss)
    copies = aval.size // aval_of(weights).size
    return total / (copies * red.sum(weights)) if reduction == "mean" else total
