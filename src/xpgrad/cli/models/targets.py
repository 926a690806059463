"""What is predicted: two classes, several, or a number; and which model that asks for.

In:  a Table and the name of a column.
Out: a Target, and the labels or numbers of the rows.
Holds: each row has a label or a finite number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad.cli.frames import Table, listed
from xpgrad.cli.models.values import DATE, EMPTY, NUMBER, TEXT, TRUTH, kind_of, numbers_of, texts_of
from xpgrad.cli.problem import Array

CLASSES, REAL = "classes", "number"

MODELS = {
    "logistic": "two classes",
    "softmax": "two or more classes",
    "linear": "a number, by least squares",
    "ridge": "a number, by least squares with a penalty",
    "poisson": "a count, 0 or more",
    "gamma": "a positive number",
    "tweedie": "a number, 0 or more: many zeros, the rest positive",
    "mlp": "classes or a number, by a network",
}
FEW = 20  # whole numbers of which there are no more are taken as classes
MANY = 4  # rows that a class has at least, on average, where there are more than FEW


@dataclass(frozen=True)
class Target:
    """The column that is predicted.

    Attributes
    ----------
    name : str
    kind : {"classes", "number"}
    classes : list of str, int, float or bool
        In their order; of two, the second is the one whose probability is predicted.
    mean, scale : float
        A network is fitted to ``(y - mean) / scale``; otherwise 0 and 1.
    """

    name: str
    kind: str
    classes: list[Any]
    mean: float = 0.0
    scale: float = 1.0


def read_target(table: Table, name: str, model: str, power: float = 1.5) -> tuple[Target, Array, str, str]:
    """The target, its values, the model, and why it is this one.

    Parameters
    ----------
    model : str
        One of `MODELS`, or ``"auto"``.
    power : float
        Of the variance of "tweedie".

    Returns
    -------
    target : Target
    values : float64[n], or labels[n]
    model, reason : str

    Raises
    ------
    DataError
        A missing or infinite value, one class only, text where a number is needed, or a target that the
        model does not have.
    """
    table.require(name)
    kind = kind_of(table, name)
    _refuse_missing(table, name)
    reason = "as asked"
    if model == "auto":
        model, reason = _choice(table, name, kind)
    wants_classes = model in ("logistic", "softmax") or (model == "mlp" and _are_classes(table, name, kind))
    if wants_classes:
        return (*_classes(table, name, kind, model), model, reason)
    if kind not in (NUMBER, TRUTH):
        row = 0
        got = f"{str(table.frame[name].iloc[row])!r} in {table.place(row)}"
        raise DataError(
            message(
                f"--model {model} predicts a number; target {name!r} of {table} holds "
                f"{'dates' if kind == DATE else 'text'}",
                {"example": got},
                at="",
                remedy=None if kind == DATE else "--model logistic or softmax predicts classes",
            )
        )
    return Target(name, REAL, []), _numbers(table, name, model, power), model, reason


def _choice(table: Table, name: str, kind: str) -> tuple[str, str]:
    count = int(table.frame[name].nunique())
    if kind == DATE:
        raise DataError(message(f"target {name!r} of {table} holds dates, which no model predicts", at=""))
    if _are_classes(table, name, kind):
        if count == 2:
            return "logistic", "the target has two values"
        what = "texts" if kind == TEXT else "whole numbers"
        hint = (
            "" if kind == TEXT else "; if they are amounts, --model linear, if they are counts, --model poisson"
        )
        return "softmax", f"the target has {count} different {what}{hint}"
    return "linear", f"the target has {count:,} different numbers"


def _are_classes(table: Table, name: str, kind: str) -> bool:
    if kind in (TEXT, TRUTH, EMPTY):
        return True
    values = table.frame[name].dropna()
    count = int(values.nunique())
    return count <= 2 or (count <= FEW and kind == NUMBER and _whole(table, name))


def _whole(table: Table, name: str) -> bool:
    values = numbers_of(table, name, subject=f"target {name!r}")
    values = values[~np.isnan(values)]
    return bool((values == np.floor(values)).all())


def _refuse_missing(table: Table, name: str) -> None:
    missing = table.frame[name].isna().to_numpy()
    if missing.any():
        raise DataError(
            message(
                f"target {name!r} of {table} has missing values",
                {
                    "count": f"{missing.sum():,} of {missing.size:,}",
                    "first": table.place(int(np.argmax(missing))),
                },
                at="",
                remedy="--skip-missing leaves out the rows without a target" if not missing.all() else None,
            )
        )


def _classes(table: Table, name: str, kind: str, model: str) -> tuple[Target, Array]:
    labels = labels_of(table, name, kind)
    classes = np.unique(labels)
    if len(classes) < 2:
        raise DataError(
            message(
                f"target {name!r} of {table} has one value only, there is nothing to learn",
                {"value": f"{classes[0]} in all {len(labels):,} rows"},
                at="",
            )
        )
    if model == "logistic" and len(classes) > 2:
        raise DataError(
            message(
                f"--model logistic tells two classes apart; target {name!r} of {table} has {len(classes):,}",
                {"values": listed(classes)},
                at="",
                remedy="--model softmax"
                if len(classes) <= len(labels) // 2
                else "--model linear predicts a number",
            )
        )
    if len(classes) > len(labels) // MANY and len(classes) > FEW:
        raise DataError(
            message(
                f"target {name!r} of {table} has {len(classes):,} classes in {len(labels):,} rows",
                {"values": listed(classes, 5)},
                at="",
                remedy="--model linear predicts a number" if kind == NUMBER else None,
            )
        )
    return Target(name, CLASSES, classes.tolist()), labels


def labels_of(table: Table, name: str, kind: str) -> Array:
    """The labels of the rows: truth values, numbers or texts."""
    if kind in (NUMBER, TRUTH):
        values = numbers_of(table, name, subject=f"target {name!r}")
        if kind == TRUTH:
            return values.astype(bool)
        return values.astype(np.int64) if bool((values == np.floor(values)).all()) else values
    codes, levels = texts_of(table, name)
    return np.array(levels, dtype=str)[codes]


def _numbers(table: Table, name: str, model: str, power: float) -> Array:
    values = numbers_of(table, name, subject=f"target {name!r}")
    wrong, rule = np.zeros(len(values), dtype=bool), ""
    if model == "gamma" or (model == "tweedie" and power >= 2):
        wrong, rule = values <= 0, "positive"
    elif model == "poisson" or (model == "tweedie" and power >= 1):
        wrong, rule = values < 0, "0 or more"
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            message(
                f"--model {model} needs targets that are {rule}",
                {
                    f"{name!r} of {table}": f"{values[row]:g} in {table.place(row)}",
                    "count": f"{wrong.sum():,} of {wrong.size:,}",
                },
                at="",
            )
        )
    if values.min() == values.max():
        raise DataError(
            message(
                f"target {name!r} of {table} is constant, there is nothing to learn",
                {"value": f"{values[0]:g} in all {len(values):,} rows"},
                at="",
            )
        )
    return values


def standardised(values: Array, target: Target) -> tuple[Target, Array]:
    """The target of a network, in units of its deviation."""
    mean, scale = float(values.mean()), float(values.std()) or 1.0
    return Target(target.name, target.kind, target.classes, mean, scale), (values - mean) / scale
