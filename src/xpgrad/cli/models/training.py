"""From a table to a fitted model and the record of how it came to be.

In:  a Table and a Request.
Out: a Trained: estimator, preparation and record.
Holds: data go one way: table, preparation, estimator, judgement. The record is what JSON can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xpgrad._errors import DataError, message
from xpgrad._version import __version__
from xpgrad.cli.frames import Table
from xpgrad.cli.models import fitting
from xpgrad.cli.models.coefficients import coefficients
from xpgrad.cli.models.fitting import Options
from xpgrad.cli.models.judge import base_of, judge
from xpgrad.cli.models.preparation import Preparation, learn_preparation
from xpgrad.cli.models.split import split
from xpgrad.cli.models.targets import CLASSES, read_target, standardised
from xpgrad.cli.problem import Array
from xpgrad.devices import synchronize

FORMAT = 1  # of the record, and of what a model file has beside the estimator


@dataclass(frozen=True)
class Request:
    """What `xpgrad train` is asked for.

    Attributes
    ----------
    target, model : str
    options : Options
        Its model is that of the request, or what "auto" becomes.
    valid : float
        The share of the rows to hold out.
    split : {"random", "last"}
    drop, categories : sequence of str
    dates : mapping
        How the dates of columns are written.
    most_levels : int
    skip_missing : bool
        Whether rows without a target are left out.
    """

    target: str
    model: str
    options: Options
    valid: float
    split: str
    drop: Sequence[str]
    categories: Sequence[str]
    dates: Mapping[str, str]
    most_levels: int
    skip_missing: bool


@dataclass(frozen=True)
class Trained:
    """A model, how a table becomes its columns, and how it came to be."""

    model: Any
    preparation: Preparation
    record: dict[str, Any]


def train(table: Table, request: Request) -> Trained:
    """Prepare the table, fit, and judge on the rows that were held out.

    Raises
    ------
    DataError
        See `read_target`, `split`, `learn_preparation` and `Preparation.apply`.
    """
    table, notes = _asked_for(table, request)
    target, values, name, reason = read_target(table, request.target, request.model, request.options.power)
    options = replace(request.options, model=name)
    by_class = target.kind == CLASSES
    train_rows, held = split(values, request.valid, how=request.split, seed=options.seed, by_class=by_class)
    y = values[train_rows]
    if by_class and len(np.unique(y)) < len(target.classes):
        lost = [str(c) for c in target.classes if c not in set(y.tolist())]
        raise DataError(
            message(
                "train: the rows that are not held out lack classes",
                {"classes": ", ".join(lost[:5])},
                at="",
                remedy="hold out fewer, --valid, or draw them, --split random",
            )
        )
    fitted_y = y
    if name == "mlp" and not by_class:
        target, fitted_y = standardised(y, target)
    preparation = learn_preparation(
        lambda: [(table, train_rows)],
        target,
        categories=request.categories,
        dates=request.dates,
        most_levels=request.most_levels,
    )
    design, applied = preparation.apply(table)
    X = design.iloc[train_rows]
    model, fit = fitting.fit(options, target, X, fitted_y)
    synchronize(fit["device"])
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "source": str(table),
            "target": target.name,
            "rows": len(values),
            "train_rows": len(train_rows),
            "held_out": len(held),
            "split": request.split,
            "seed": options.seed,
            "target_of_training": _described(y, by_class),
            "notes": notes,
        },
        "model": {
            "name": name,
            "estimator": type(model).__name__,
            "reason": reason,
            "penalty": options.strength,
            "power": options.power if name == "tweedie" else None,
            "hidden": list(options.hidden) if name == "mlp" else None,
            "columns": int(design.shape[1]),
        },
        "preparation": preparation.to_json(),
        "imputed": applied.imputed,
        "fit": fit,
        "coefficients": coefficients(model, preparation, X, fitted_y, is_separable=fit["separable"]),
        "test": None,
    }
    if len(held):
        predicted = fitting.predict(model, target, design.iloc[held])
        record["test"] = judge(target, predicted, values[held], base_of(target, y), name, options.power)
    return Trained(model, preparation, record)


def _asked_for(table: Table, request: Request) -> tuple[Table, list[str]]:
    """The table without the columns and rows that are not wanted."""
    notes = []
    for name in (request.target, *request.drop, *request.categories, *request.dates):
        table.require(name)
    if request.target in request.drop:
        raise DataError(
            message(
                f"{request.target!r} of {table} is both the target and left out",
                at="",
                remedy=f"take {request.target!r} out of --drop",
            )
        )
    if request.drop:
        notes.append(f"left out, as asked: {', '.join(request.drop)}")
    frame = table.frame.drop(columns=list(dict.fromkeys(request.drop)))
    if request.skip_missing:
        there = frame[request.target].notna().to_numpy()
        lacking = int((~there).sum())
        if lacking and there.any():
            notes.append(
                f"{lacking:,} of {len(frame):,} rows have no target and were left out (--skip-missing)"
            )
            table = replace(table, rows=np.flatnonzero(there))
            frame = frame[there].reset_index(drop=True)
    return replace(table, frame=frame), notes


def _described(y: Array, by_class: bool) -> dict[str, Any]:
    if by_class:
        classes, counts = np.unique(y, return_counts=True)
        return {"classes": [[str(c), int(n)] for c, n in zip(classes, counts, strict=True)]}
    return {
        "mean": float(y.mean()),
        "deviation": float(y.std()),
        "least": float(y.min()),
        "most": float(y.max()),
    }
