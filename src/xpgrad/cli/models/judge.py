"""How good the predictions for held-out rows are, beside always predicting the same.

In:  predictions and the truth.
Out: records for the report and the model file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.cli import metrics
from xpgrad.cli.extras import require
from xpgrad.cli.models.targets import CLASSES, Target
from xpgrad.cli.problem import Array

LEARN = 'pip install "xpgrad[learn]"'
POINTS = 1500  # of a plot of residuals
_LEAST = np.finfo(np.float64).tiny


def judge(
    target: Target, predicted: dict[str, Array], truth: Array, base: Any, model: str, power: float
) -> dict[str, Any]:
    """Metrics and what is plotted.

    Parameters
    ----------
    predicted : dict
        As from `fitting.predict`.
    truth : labels[n] or float[n]
    base : float or float[k]
        The prediction that looks at no column: the mean of training, or the shares of its classes.
    model : str
    power : float
        Of "tweedie".
    """
    if target.kind == CLASSES:
        return _classes(target, predicted, truth, np.asarray(base))
    return _numbers(predicted["value"], truth, float(base), model, power)


def base_of(target: Target, y: Array) -> Any:
    """The prediction from the targets of training alone."""
    if target.kind == CLASSES:
        return [float(np.mean(y == c)) for c in target.classes]
    return float(np.mean(y))


def _classes(target: Target, predicted: dict[str, Array], truth: Array, base: Array) -> dict[str, Any]:
    sk = require("sklearn.metrics", "judging a model", remedy=LEARN)
    classes = np.array(target.classes)
    codes = np.searchsorted(classes, truth)
    probability = predicted["probability"]
    shares = np.broadcast_to(base, probability.shape)
    record: dict[str, Any] = {
        "rows": len(truth),
        "metrics": {
            "log_loss": _log_loss(probability, codes),
            "accuracy": float(np.mean(predicted["label"] == truth)),
        },
        "base": {"log_loss": _log_loss(shares, codes), "accuracy": float(np.mean(codes == np.argmax(base)))},
        "confusion": sk.confusion_matrix(truth, predicted["label"], labels=classes).tolist(),
    }
    if len(classes) == 2:
        z = np.log(np.maximum(probability[:, 1], _LEAST)) - np.log(np.maximum(probability[:, 0], _LEAST))
        y = codes.astype(np.float64)
        record["metrics"]["roc_auc"] = metrics.roc_auc(z, y)
        record["base"]["roc_auc"] = 0.5 if record["metrics"]["roc_auc"] is not None else None
        record["roc"] = metrics.roc_curve(z, y)
        record["calibration"] = metrics.calibration(z, y)
    else:
        precision, recall, f1, rows = sk.precision_recall_fscore_support(
            truth, predicted["label"], labels=classes, zero_division=0.0
        )
        record["by_class"] = [
            {"class": str(c), "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
            for c, p, r, f, n in zip(classes, precision, recall, f1, rows, strict=True)
        ]
    return record


def _log_loss(probability: Array, codes: Array) -> float:
    own = np.take_along_axis(probability, codes[:, None], axis=1)
    return float(-np.mean(np.log(np.maximum(own, _LEAST))))


def _numbers(value: Array, truth: Array, base: float, model: str, power: float) -> dict[str, Any]:
    found, constant = _errors(value, truth), _errors(np.full_like(truth, base), truth)
    of_family = {"poisson": 1.0, "gamma": 2.0, "tweedie": power}.get(model)
    if of_family is not None:
        sk = require("sklearn.metrics", "judging a model", remedy=LEARN)
        found["deviance"] = float(sk.mean_tweedie_deviance(truth, value, power=of_family))
        constant["deviance"] = float(
            sk.mean_tweedie_deviance(truth, np.full_like(truth, base), power=of_family)
        )
    at = np.linspace(0, len(truth) - 1, min(POINTS, len(truth))).astype(int)
    return {
        "rows": len(truth),
        "metrics": found,
        "base": constant,
        "points": {"predicted": value[at].tolist(), "truth": truth[at].tolist()},
    }


def _errors(value: Array, truth: Array) -> dict[str, float | None]:
    residual = truth - value
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(residual**2))),
        "mae": float(np.mean(np.abs(residual))),
        "r2": 1 - float(np.sum(residual**2)) / spread if spread > 0 else None,
    }
