"""The coefficients of a linear predictor, with intervals where there is no penalty.

In:  a fitted estimator, its preparation, the design and targets of the rows of training.
Out: records for the report and the model file.
Holds: ``coef`` is per unit of the column, ``per_deviation`` per standard deviation of training. The
intercept is that of a row whose numbers are at their mean and whose categories are at their reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError
from xpgrad.cli.models.preparation import Preparation
from xpgrad.cli.problem import Array

LEVEL = 0.95


def coefficients(
    model: Any, preparation: Preparation, design: Any, y: Array, *, is_separable: bool
) -> dict[str, Any] | None:
    """The coefficients of each output; None for a network.

    Returns
    -------
    dict
        ``outputs``: the classes, or one empty name. ``rows``: for each coefficient its name, column, unit and
        numbers. ``intercept``. ``inference``: facts of the fit, or None with ``why_not``.
    """
    if not hasattr(model, "coef_"):
        return None
    scales = {name: scaled.scale for name, scaled in preparation.scaled().items()}
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    found, why_not = _inference(model, design, y, is_separable)
    intervals: dict[str, Any] = {}
    if found is not None:
        bounds = found.conf_int(LEVEL)
        intervals = {
            name: (float(se), float(p), float(low), float(high))
            for name, se, p, (low, high) in zip(found.names, found.bse, found.pvalues, bounds, strict=True)
            if np.isfinite(p)  # it is not where the model leaves no residual at all
        }
    rows = []
    references = set() if _is_penalised(model) else set(_references(model))
    for i, name in enumerate(model.coef_names):
        scale = scales.get(name, 1.0)
        row = {
            "name": name,
            "deviation": scales.get(name),
            "is_reference": name in references,
            "per_deviation": coef[:, i].tolist(),
            "coef": (coef[:, i] / scale).tolist(),
        }
        if name in intervals:
            row |= _bounds(intervals[name], scale)
        rows.append(row)
    return {
        "outputs": [str(c) for c in preparation.target.classes] if len(coef) > 1 else [""],
        "intercept": {"coef": intercept.tolist()}
        | (_bounds(intervals["intercept"], 1.0) if "intercept" in intervals else {}),
        "rows": rows,
        "inference": None if found is None else _facts(found),
        "why_not": why_not,
    }


def _inference(model: Any, design: Any, y: Array, is_separable: bool) -> tuple[Any, str | None]:
    if is_separable:
        return None, "the classes are separable, so that the best coefficients are infinite"
    if len(getattr(model, "classes_", ())) > 2:
        return None, "there is none for more than two classes"
    if _is_penalised(model):
        return None, "a penalty biases the coefficients; --penalty 0 fits without one"
    try:
        return model.inference(design, y), None
    except DataError as error:
        return None, str(error).splitlines()[0].partition(": ")[2] + "; --drop leaves columns out"


def _is_penalised(model: Any) -> bool:
    if hasattr(model, "C"):
        return model.penalty is not None
    return getattr(model, "alpha", 0) > 0


def _references(model: Any) -> list[str]:
    """The first level of each categorical column."""
    names = model.coef_names
    _, tables = model.columns_.positions()
    return [names[at.start] for at in tables]


def _bounds(found: tuple[float, float, float, float], scale: float) -> dict[str, float]:
    se, p, low, high = found
    return {"std_err": se / scale, "p": p, "low": low / scale, "high": high / scale}


def _facts(found: Any) -> dict[str, float | None]:
    facts = {
        "samples": found.n,
        "df_resid": found.df_resid,
        "scale": found.scale,
        "deviance": found.deviance,
        "log_likelihood": found.log_likelihood,
        "aic": found.aic,
        "bic": found.bic,
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in facts.items()}
