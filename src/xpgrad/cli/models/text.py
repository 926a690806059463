"""The terminal output of `xpgrad train` and `xpgrad explain`.

In:  the record of a training.
Out: text for a terminal or a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xpgrad.cli.models.columns import OTHER
from xpgrad.cli.summary import aligned, duration

Record = dict[str, Any]

SHOWN = 30  # coefficients
OVERDISPERSED = 1.5
NAMES = {
    "log_loss": "log-loss",
    "accuracy": "accuracy",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "mean |error|",
    "r2": "R²",
    "deviance": "deviance",
}
LONG = {
    "logistic": "logistic regression",
    "softmax": "softmax regression",
    "linear": "linear regression",
    "ridge": "ridge regression",
    "poisson": "Poisson regression",
    "gamma": "gamma regression",
    "tweedie": "Tweedie regression",
    "mlp": "network",
}


def of_data(record: Record) -> str:
    """The table: rows, what is predicted, and what became of each column that is no plain number."""
    data, preparation = record["data"], record["preparation"]
    lines = [
        f"{data['source']}: {data['target']}",
        f"  {data['train_rows']:,} rows to train on, {data['held_out']:,} held out ({_how(data)}), "
        f"{len(preparation['columns'])} columns used",
        f"  {target(data['target_of_training'])}",
        *(f"  {note}" for note in data["notes"]),
        *(f"  {name}: {said}" for name, said in remarks(record)),
    ]
    return "\n".join(lines)


def remarks(record: Record) -> Iterator[tuple[str, str]]:
    """What a reader should know about the columns."""
    preparation = record["preparation"]
    for column in preparation["columns"]:
        if column["kind"] != "number" or column["missing"]:
            yield column["name"], column_text(column)
    for left_out in preparation["left_out"]:
        yield left_out["name"], f"left out, {left_out['reason']}"


def column_text(column: Record) -> str:
    """How one column is read."""
    if column["kind"] == "number":
        text = "truth values" if column["truth"] else f"numbers, mean {column['mean']:.6g}"
        if column["scaled"] is not None and not column["truth"]:
            text += f", deviation {column['scaled']['scale']:.6g}"
        return text + _missing(column, "the mean")
    if column["kind"] == "date":
        parts = [part["name"].removeprefix(f"{column['name']}: ") for part in column["parts"]]
        if column["weekdays"]:
            parts.append("weekday")
        zone = f" in {column['zone']}" if column["zone"] else ""
        seen = f"dates from {column['first']} to {column['last']}{zone}, as {_joined(_merged(parts))}"
        return seen + _missing(column, "the mean date")
    levels = [level for level in column["levels"] if level != OTHER]
    text = f"{len(levels)} categories"
    if column["pooled"]:
        rows = column["rows"][column["levels"].index(OTHER)]
        text += f", and {column['pooled']:,} rarer ones in {rows:,} rows together as {OTHER}"
    return text


def dispersion(record: Record) -> str:
    """A sentence where counts vary more than their model says, so that its intervals are too narrow."""
    found = record["coefficients"]
    if record["model"]["name"] != "poisson" or found is None or found["inference"] is None:
        return ""
    ratio = found["inference"]["deviance"] / found["inference"]["df_resid"]
    if ratio < OVERDISPERSED:
        return ""
    return (
        f"The deviance is {ratio:.3g} times its degrees of freedom: the target varies more than a Poisson "
        "distribution says, and the intervals are too narrow."
    )


def _missing(column: Record, filled: str) -> str:
    if not column["missing"]:
        return ""
    text = f"; {column['missing']:,} missing, taken as {filled}"
    return text + ("; a column of its own says where" if column["flag"] else "")


def of_model(record: Record) -> str:
    """What was fitted, and how that ended."""
    model, fit = record["model"], record["fit"]
    lines = [
        f"{kind(model)}, because {model['reason']}" if model["reason"] != "as asked" else kind(model),
        f"  {fit['iterations']} iterations in {duration(fit['seconds'])} on the "
        f"{'GPU' if fit['device'].startswith('gpu') else 'CPU'}"
        + (f", loss {fit['loss'][-1]:.6g}" if fit["loss"] else ""),
        *(f"  WARNING: {text}" for text in fit["remarks"]),
    ]
    return "\n".join(lines)


def kind(model: Record) -> str:
    """``Logistic regression without a penalty``."""
    text = LONG[model["name"]]
    if model["power"] is not None:
        text += f" of power {model['power']:g}"
    if model["hidden"] is not None:
        text += f" with hidden layers of {', '.join(map(str, model['hidden']))}"
    text = text[:1].upper() + text[1:]
    return f"{text}, penalty {model['penalty']:g}" if model["penalty"] else f"{text} without a penalty"


def of_file(name: str, record: Record) -> str:
    """All about a model: what `xpgrad explain` prints."""
    data, model, preparation = record["data"], record["model"], record["preparation"]
    facts = [
        ("model", kind(model)),
        ("estimator", f"xg.learn.{model['estimator']}, {model['columns']:,} columns after preparation"),
        ("predicts", f"{data['target']}: {target(data['target_of_training'])}"),
        ("trained on", f"{data['train_rows']:,} of {data['rows']:,} rows of {data['source']}"),
        ("finished", f"{record['finished']}, by xpgrad {record['version']}"),
        ("fit", "; ".join(record["fit"]["remarks"]) or "converged"),
        *(("note", note) for note in data["notes"]),
    ]
    wide = max(len(label) for label, _ in facts)
    lines = [name, *(f"  {label:<{wide}}  {said}" for label, said in facts), "", "Columns:"]
    for column in preparation["columns"]:
        lines.append(f"  {column['name']}: {column_text(column)}")
        if column["kind"] == "category":
            lines.append(f"    {levels(column)}")
    lines += [f"  {c['name']}: left out, {c['reason']}" for c in preparation["left_out"]]
    parts = ["\n".join(lines), of_coefficients(record), of_test(record)]
    return "\n\n".join(part for part in parts if part)


def levels(column: Record, most: int = 20) -> str:
    """The levels of a column of categories with their rows."""
    pairs = list(zip(column["levels"], column["rows"], strict=True))
    more = f", and {len(pairs) - most} more" if len(pairs) > most else ""
    return ", ".join(f"{level} {rows:,}" for level, rows in pairs[:most]) + more


def of_test(record: Record, where: str = "") -> str:
    """The metrics of the rows that were held out, or of others."""
    test = record["test"]
    if test is None:
        return "No rows were held out, so that nothing says how good the model is."
    names = [name for name in NAMES if name in test["metrics"]]
    rows = [
        ("", *(NAMES[name] for name in names)),
        ("model", *(number(name, test["metrics"][name]) for name in names)),
        (constant(record), *(number(name, test["base"][name]) for name in names)),
    ]
    where = where or f"On the {test['rows']:,} rows held out"
    return "\n".join([f"{where}:", "", *aligned(rows)])


def of_coefficients(record: Record, most: int = SHOWN) -> str:
    """The coefficients, those that move the prediction most first."""
    found = record["coefficients"]
    if found is None or len(found["outputs"]) > 1:
        return ""
    rows = strongest(found, most)
    with_intervals = found["inference"] is not None
    head: tuple[str, ...] = ("", "coefficient", "per deviation")
    head = (*head, "95 % interval", "p") if with_intervals else head
    table = [head, _row("intercept", found["intercept"], found["intercept"]["coef"][0], with_intervals)]
    table += [
        _row(r["name"], r, r["per_deviation"][0] if r["deviation"] else None, with_intervals) for r in rows
    ]
    lines = aligned(table)
    if len(rows) < len(found["rows"]):
        lines.append(f"  ... the strongest {len(rows)} of {len(found['rows'])}")
    if not with_intervals:
        lines += ["", f"  no intervals: {found['why_not']}"]
    if dispersion(record):
        lines += ["", f"  WARNING: {dispersion(record)}"]
    return "\n".join(lines)


def strongest(found: Record, most: int) -> list[Record]:
    """The coefficients in the order of the table, or if they are more the ones with the largest effect."""
    rows: list[Record] = found["rows"]
    if len(rows) <= most:
        return rows
    return sorted(rows, key=lambda row: -max(map(abs, row["per_deviation"])))[:most]


def _row(name: str, row: Record, per_deviation: float | None, with_intervals: bool) -> tuple[str, ...]:
    if row.get("is_reference"):
        return (name, "reference", "", *(("", "") if with_intervals else ()))
    cells = [
        name,
        f"{row['coef'][0]:.5g}",
        "" if per_deviation is None or name == "intercept" else f"{per_deviation:.4g}",
    ]
    if with_intervals:
        cells += [f"{row['low']:.4g} to {row['high']:.4g}", p_value(row["p"])] if "p" in row else ["", ""]
    return tuple(cells)


def p_value(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def number(name: str, value: float | None) -> str:
    """A metric."""
    if value is None:
        return "undefined"
    if name in ("rmse", "mae"):
        return f"{value:.5g}"
    # Adding 0.0 takes the sign from a zero.
    return f"{value:.2%}" if name == "accuracy" else f"{round(value, 4) + 0.0:.4f}"


def constant(record: Record) -> str:
    """What the model is compared with."""
    return (
        "always the shares of the classes"
        if "classes" in record["data"]["target_of_training"]
        else "always the mean"
    )


def target(described: Record) -> str:
    """The target of training in a line."""
    if "classes" in described:
        classes = described["classes"]
        total = sum(n for _, n in classes)
        shown = ", ".join(f"{name} {n / total:.1%}" for name, n in classes[:8])
        return f"{len(classes)} classes: {shown}{', ...' if len(classes) > 8 else ''}"
    return (
        f"mean {described['mean']:.6g}, deviation {described['deviation']:.6g}, from {described['least']:.6g} "
        f"to {described['most']:.6g}"
    )


def _how(data: Record) -> str:
    return "the last ones" if data["split"] == "last" else f"drawn with seed {data['seed']}"


def _merged(parts: list[str]) -> list[str]:
    """Sine and cosine of one angle in one."""
    return list(dict.fromkeys(part.partition(",")[0] for part in parts))


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
