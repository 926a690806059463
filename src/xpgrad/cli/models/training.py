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
from xpgrad.cli.models.targets import CLASSES, Target, read_target, standardised
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


@dataclass(frozen=True)
class Chosen:
    """What is predicted from which rows.

    Attributes
    ----------
    target : Target
    values : labels[n] or float[n]
    options : Options
    reason : str
        Why it is this model.
    train_rows, held : int[k]
    y, fitted_y : labels[k] or float[k]
        Of the rows of training; as the model takes them.
    """

    target: Target
    values: Array
    options: Options
    reason: str
    train_rows: Array
    held: Array
    y: Array
    fitted_y: Array

    def judged(self, record: dict[str, Any], predicted: dict[str, Array] | None) -> dict[str, Any]:
        """The record with what the predictions of held-out rows are worth."""
        if predicted is None:
            return record
        model, power = self.options.model, self.options.power
        base = base_of(self.target, self.y)
        return record | {"test": judge(self.target, predicted, self.values[self.held], base, model, power)}


def train(table: Table, request: Request) -> Trained:
    """Prepare the table, fit, and judge on the rows that were held out.

    Raises
    ------
    DataError
        See `read_target`, `split`, `learn_preparation` and `Preparation.apply`.
    """
    table, notes = asked_for(table, request)
    chosen = chosen_rows(table, request)
    preparation = learn_preparation(
        lambda: [(table, chosen.train_rows)],
        chosen.target,
        categories=request.categories,
        dates=request.dates,
        most_levels=request.most_levels,
    )
    design, applied = preparation.apply(table)
    X = design.iloc[chosen.train_rows]
    model, fit = fitting.fit(chosen.options, chosen.target, X, chosen.fitted_y)
    synchronize(fit["device"])
    about = told(table, request, notes)
    record = recorded(about, chosen, model, fit, preparation, applied.imputed, X, design.shape[1])
    found = fitting.predict(model, chosen.target, design.iloc[chosen.held]) if len(chosen.held) else None
    return Trained(model, preparation, chosen.judged(record, found))


def chosen_rows(table: Table, request: Request) -> Chosen:
    """The target, the model, and which rows are held out.

    Raises
    ------
    DataError
        See `read_target` and `split`; a class that no row of training has.
    """
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
    return Chosen(target, values, options, reason, train_rows, held, y, fitted_y)


def told(table: Any, request: Request, notes: list[str]) -> dict[str, Any]:
    """What a record says of the data, whatever the rows."""
    return {"source": str(table), "split": request.split, "seed": request.options.seed, "notes": notes}


def recorded(
    about: dict[str, Any],
    chosen: Chosen,
    model: Any,
    fit: dict[str, Any],
    preparation: Preparation,
    imputed: dict[str, int],
    design: Any,
    columns: int,
) -> dict[str, Any]:
    """The record of a fit, without what held-out rows say."""
    options, by_class = chosen.options, chosen.target.kind == CLASSES
    return {
        "format": FORMAT,
        "version": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "source": about["source"],
            "target": chosen.target.name,
            "rows": len(chosen.values),
            "train_rows": len(chosen.train_rows),
            "held_out": len(chosen.held),
            "split": about["split"],
            "seed": about["seed"],
            "target_of_training": _described(chosen.y, by_class),
            "notes": about["notes"],
        },
        "model": {
            "name": options.model,
            "estimator": type(model).__name__,
            "reason": chosen.reason,
            "penalty": options.strength,
            "power": options.power if options.model == "tweedie" else None,
            "hidden": list(options.hidden) if options.model == "mlp" else None,
            "columns": int(columns),
        },
        "preparation": preparation.to_json(),
        "imputed": imputed,
        "fit": fit,
        "coefficients": coefficients(
            model, preparation, design, chosen.fitted_y, is_separable=fit["separable"]
        ),
        "test": None,
    }


def asked_for(
    table: Table, request: Request, *, columns_too: bool = True, rows_too: bool = True
) -> tuple[Table, list[str]]:
    """The table without the columns and the rows that are not wanted, or without one of both."""
    notes = []
    frame = table.frame
    if columns_too:
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
        frame = frame.drop(columns=list(dict.fromkeys(request.drop)))
    if rows_too and request.skip_missing:
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
