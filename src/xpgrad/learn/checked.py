"""scikit-learn's checks of ``X`` and ``y``, with the column and the row of what is wrong.

In:  what a user gives.
Out: arrays of finite numbers; or an error that names the estimator, the column and what to write.
Holds: data that are right are looked at once, by scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError, DTypeError, message
from xpgrad.devices.sparse import is_sparse
from xpgrad.learn import _sklearn as sk

_SHOWN = 5


def validated(estimator: Any, X: Any, y: Any = "no_validation", *, categories: bool, **options: Any) -> Any:
    """``sk.validate_data``, of ``X`` alone where no ``y`` is given.

    Parameters
    ----------
    categories : bool
        Whether the estimator takes categorical columns, for the remedy.

    Raises
    ------
    DataError
        NaN or infinity.
    DTypeError
        A column of text.
    ValueError, TypeError
        What else scikit-learn refuses.
    """
    try:
        return sk.validate_data(estimator, X, y, **options)
    except ValueError as error:
        said = str(error)
        if "Input X contains" in said:
            _refuse_not_finite(estimator, X, error)
        if "could not convert string" in said:
            _refuse_text(estimator, X, categories, error)
        raise


def finite_numbers(estimator: Any, numbers: Any, names: list[str]) -> Any:
    """The numbers of a table, which have been read by columns, if they are finite."""
    try:
        return sk.check_array(numbers, dtype=[np.float64, np.float32], input_name="X", estimator=estimator)
    except ValueError as error:
        if "Input X contains" in str(error):
            _refuse_not_finite(estimator, numbers, error, names)
        raise


def _refuse_not_finite(estimator: Any, X: Any, error: ValueError, names: list[str] | None = None) -> None:
    name = type(estimator).__name__
    names = _names(X) if names is None else names
    if is_sparse(X):
        X = X.tocoo()
        wrong = ~np.isfinite(X.data)
        rows, columns = X.row[wrong], X.col[wrong]
    else:
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2:
            return
        rows, columns = np.nonzero(~np.isfinite(X))
    if not len(rows):
        return
    lines = {}
    for column in np.unique(columns)[:_SHOWN]:
        at = rows[columns == column]
        label = names[column] if names is not None else f"x{column}"
        which = "all" if len(at) == X.shape[0] else f"{len(at)} of"
        lines[f"column {label!r}"] = f"{which} {X.shape[0]} entries, the first in row {at.min()}"
    more = len(np.unique(columns)) - len(lines)
    if more:
        lines["and"] = f"{more} other columns"
    what = "NaN" if "NaN" in str(error) else "infinity"
    raise DataError(
        message(
            f"{name}: Input X contains {what}",
            lines,
            remedy="leave out the rows, or a column without numbers; or fill them, as sklearn.impute does",
        )
    ) from error


def _refuse_text(estimator: Any, X: Any, categories: bool, error: ValueError) -> None:
    names, values = _names(X), np.asarray(X)
    if values.ndim != 2:
        return
    for column in range(values.shape[1]):
        try:
            values[:, column].astype(np.float64)
        except ValueError as wrong:
            label = names[column] if names is not None else f"x{column}"
            remedy = "this estimator takes numbers alone: sklearn's OneHotEncoder makes them"
            if categories:
                remedy = "categorical_features= takes a column as categories"
            raise DTypeError(
                message(
                    f"{type(estimator).__name__}: column {label!r} holds no numbers: {wrong}",
                    {"X": values},
                    remedy=remedy,
                )
            ) from error


def _names(X: Any) -> list[str] | None:
    columns = getattr(X, "columns", None)
    return None if columns is None else [str(c) for c in columns]
