"""Predictions of a trained model for a table, and what there is to say about them.

In:  a Trained, a Table.
Out: the columns of predictions, and a record: rows, values that were missing or new, metrics.
"""

from __future__ import annotations

from collections import Counter
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


class Predictions:
    """The predictions for the parts of a table, one after another.

    Parameters
    ----------
    trained : Trained
    device : str
    """

    def __init__(self, trained: Trained, device: str) -> None:
        self._trained = trained
        trained.model.set_params(device=device)
        self._rows, self._imputed = 0, Counter[str]()
        self._unseen: dict[str, Counter[str]] = {}
        self._names: list[str] = []
        self._found: list[dict[str, Array]] = []
        self._truth: list[Array] = []
        self._missing = 0  # rows without a target
        self._why_no_test: str | None = None

    def of(self, table: Table) -> dict[str, Array]:
        """``prediction`` for each row of a part; of classes also ``probability[CLASS]`` for each.

        Raises
        ------
        DataError
            See `Preparation.apply`.
        """
        preparation, target = self._trained.preparation, self._trained.preparation.target
        design, applied = preparation.apply(table)
        found = fitting.predict(self._trained.model, target, design)
        self._rows, self._names = self._rows + len(table.frame), list(table.frame.columns)
        self._imputed.update(applied.imputed)
        for name, counts in applied.unseen.items():
            self._unseen.setdefault(name, Counter()).update(counts)
        if target.name in self._names and self._why_no_test is None:
            self._compare(table, found)
        if target.kind != CLASSES:
            return {"prediction": found["value"]}
        columns = {"prediction": found["label"]}
        return columns | {f"probability[{c}]": found["probability"][:, k] for k, c in enumerate(target.classes)}

    def record(self) -> dict[str, Any]:
        """What there is to say of all parts together."""
        preparation, target = self._trained.preparation, self._trained.preparation.target
        known = {c.name for c in (*preparation.columns, *preparation.left_out)} | {target.name}
        test = None
        if self._missing and self._why_no_test is None:
            self._why_no_test = f"{self._missing:,} rows have no target"
        if self._truth and self._why_no_test is None:
            test, self._why_no_test = _judged(self._trained, np.concatenate(self._truth), joined(self._found))
        return {
            "rows": self._rows,
            "target": target.name,
            "imputed": dict(self._imputed),
            "unseen": {
                name: {"rows": sum(counts.values()), "values": dict(counts.most_common(_LISTED))}
                for name, counts in self._unseen.items()
            },
            "ignored": [name for name in self._names if name not in known],
            "test": test,
            "why_no_test": self._why_no_test,
        }

    def _compare(self, table: Table, found: dict[str, Array]) -> None:
        """Keep predictions and targets, or the reason why there are no metrics."""
        target = self._trained.preparation.target
        self._missing += int(table.frame[target.name].isna().sum())
        try:
            if not self._missing:
                self._truth.append(_truth(target, table))
                self._found.append(found)
                return
        except DataError as error:
            self._why_no_test = str(error).splitlines()[0]
        self._truth, self._found = [], []


def predictions(trained: Trained, table: Table, device: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The predictions for a table, and the record of them, as `Predictions` of one part."""
    found = Predictions(trained, device)
    columns = found.of(table)
    return columns, found.record()


def joined(found: list[dict[str, Array]]) -> dict[str, Array]:
    """Predictions of several parts as those of one."""
    return {name: np.concatenate([x[name] for x in found]) for name in found[0]}


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


def _judged(trained: Trained, truth: Array, found: dict[str, Array]) -> tuple[Any, str | None]:
    """Metrics, or why there are none."""
    target, record = trained.preparation.target, trained.record
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
