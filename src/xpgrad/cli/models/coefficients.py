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
    at, tables = model.columns_.positions()
    references = set() if _is_penalised(model) else {table.start for table in tables}
    # Inference has the intercept, the numbers, and then each category without its reference.
    places = [-1, *at, *(i for table in tables for i in range(table.start, table.stop) if i not in references)]
    bounds = {} if found is None else _bounds(found, places)
    rows = []
    for i, name in enumerate(model.coef_names):
        scale = scales.get(name, 1.0)
        row = {
            "name": name,
            "deviation": scales.get(name),
            "is_reference": i in references,
            "per_deviation": coef[:, i].tolist(),
            "coef": (coef[:, i] / scale).tolist(),
        }
        rows.append(row | _scaled(bounds.get(i, {}), scale))
    return {
        "outputs": [str(c) for c in preparation.target.classes] if len(coef) > 1 else [""],
        "intercept": {"coef": intercept.tolist(), **bounds.get(-1, {})},
        "rows": rows,
        "inference": None if found is None else _facts(found),
        "why_not": why_not,
    }


def _inference(model: Any, design: Any, y: Array, is_separable: bool) -> tuple[Any, str | None]:
    if not hasattr(design, "iloc"):
        return None, "the rows were read by parts, and intervals need them in memory"
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


def _bounds(found: Any, places: list[int]) -> dict[int, dict[str, float]]:
    """The numbers of an inference, by the place of the coefficient."""
    columns = (found.bse, found.pvalues, *found.conf_int(LEVEL).T)
    return {
        i: dict(zip(("std_err", "p", "low", "high"), map(float, numbers), strict=True))
        for i, numbers in zip(places, zip(*columns, strict=True), strict=True)
        if np.isfinite(numbers).all()  # they are not where the model leaves no residual at all
    }


def _scaled(bounds: dict[str, float], scale: float) -> dict[str, float]:
    """Those of a coefficient per unit."""
    return {name: number if name == "p" else number / scale for name, number in bounds.items()}


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
