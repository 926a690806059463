"""Predictions of a trained model for a table, and what there is to say about them.

In:  a Trained, a Table.
Out: the columns of predictions, and a record: rows, values that were missing or new, metrics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad._errors import DataError
from xpgrad.cli.frames import Table, listed
from xpgrad.cli.models import fitting, text
from xpgrad.cli.models.columns import OTHER, Category
from xpgrad.cli.models.judge import judge
from xpgrad.cli.models.targets import CLASSES, Target, labels_of
from xpgrad.cli.models.training import Trained
from xpgrad.cli.models.values import kind_of, numbers_of
from xpgrad.cli.problem import Array

_LISTED = 20  # values without a level


def predictions(trained: Trained, table: Table, device: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Predict each row.

    Returns
    -------
    columns : dict
        ``prediction``; of classes also ``probability[CLASS]`` for each.
    record : dict

    Raises
    ------
    DataError
        See `Preparation.apply`.
    """
    preparation, target = trained.preparation, trained.preparation.target
    design, applied = preparation.apply(table)
    trained.model.set_params(device=device)
    found = fitting.predict(trained.model, target, design)
    columns: dict[str, Array]
    if target.kind == CLASSES:
        columns = {"prediction": found["label"]}
        columns |= {f"probability[{c}]": found["probability"][:, k] for k, c in enumerate(target.classes)}
    else:
        columns = {"prediction": found["value"]}
    known = {c.name for c in (*preparation.columns, *preparation.left_out)} | {target.name}
    record: dict[str, Any] = {
        "rows": len(table.frame),
        "target": target.name,
        "imputed": applied.imputed,
        "unseen": {
            name: {"rows": sum(counts.values()), "values": dict(counts.most_common(_LISTED))}
            for name, counts in applied.unseen.items()
        },
        "ignored": [name for name in table.frame.columns if name not in known],
        "test": None,
        "why_no_test": None,
    }
    if target.name in table.frame.columns:
        record["test"], record["why_no_test"] = _judged(trained, table, found)
    return columns, record


def said(trained: Trained, record: dict[str, Any]) -> str:
    """What a person should know about the predictions."""
    lines = [f"{record['rows']:,} rows predicted: {record['target']}"]
    for name, count in record["imputed"].items():
        what = "a level of its own" if _has_missing_level(trained, name) else "the mean of training"
        lines.append(f"  {name}: {count:,} missing, taken as {what}")
    for name, new in record["unseen"].items():
        values = ", ".join(f"{value!r} ({n:,})" for value, n in list(new["values"].items())[:5])
        more = ", ..." if len(new["values"]) > 5 else ""
        lines.append(
            f"  {name}: {new['rows']:,} rows with values that are no level of the model, taken as "
            f"{OTHER}{_meaning(trained, name)}: {values}{more}"
        )
    if record["ignored"]:
        lines.append(f"  not used, unknown to the model: {listed(record['ignored'])}")
    if record["why_no_test"]:
        lines.append(f"  no metrics: {record['why_no_test']}")
    if record["test"] is not None:
        lines += ["", text.of_test(trained.record | {"test": record["test"]}, "On these rows")]
    return "\n".join(lines)


def _has_missing_level(trained: Trained, name: str) -> bool:
    return any(c.name == name and isinstance(c, Category) for c in trained.preparation.columns)


def _meaning(trained: Trained, name: str) -> str:
    """What ``(other)`` amounts to where no row of training was so."""
    column = next(c for c in trained.preparation.columns if c.name == name)
    assert isinstance(column, Category)
    if OTHER in column.levels or not hasattr(trained.model, "coef_"):
        return ""
    penalised = bool(trained.record["model"]["penalty"])
    return " with a coefficient of 0" + ("" if penalised else f", that of {column.levels[0]!r}")


def _judged(trained: Trained, table: Table, found: dict[str, Array]) -> tuple[Any, str | None]:
    """Metrics where the target is there, or why there are none."""
    target, record = trained.preparation.target, trained.record
    missing = int(table.frame[target.name].isna().sum())
    if missing:
        return None, f"{missing:,} rows have no target"
    try:
        truth = _truth(target, table)
    except DataError as error:
        return None, str(error).splitlines()[0]
    described = record["data"]["target_of_training"]
    if target.kind == CLASSES:
        new = sorted({str(c) for c in np.unique(truth)} - {str(c) for c in target.classes})
        if new:
            return None, f"the target has classes that training had not: {listed(new, 5)}"
        total = sum(n for _, n in described["classes"])
        base: Any = [n / total for _, n in described["classes"]]
    else:
        base = described["mean"]
    model = record["model"]
    return judge(target, found, truth, base, model["name"], model["power"] or 0.0), None


def _truth(target: Target, table: Table) -> Array:
    if target.kind != CLASSES:
        return numbers_of(table, target.name, subject=f"target {target.name!r}")
    labels = labels_of(table, target.name, kind_of(table, target.name))
    wanted = np.array(target.classes)
    if labels.dtype.kind == wanted.dtype.kind:
        return labels
    # A column that was text in one format may be numbers in another.
    return labels.astype(str) if wanted.dtype.kind == "U" else labels
