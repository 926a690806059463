"""The page of `xpgrad train --report`: one file that needs nothing else.

In:  the record of a training.
Out: HTML with its style and its plots inside, for light and dark screens, and for print.
"""

from __future__ import annotations

from html import escape
from pathlib import PurePath
from typing import Any

from xpgrad.cli import page
from xpgrad.cli import plots as common
from xpgrad.cli.models import plots, text
from xpgrad.cli.summary import duration

Record = dict[str, Any]

PLOTTED = 24  # coefficients
OPEN = 40  # rows of a table that is shown at once
MOST = 2000  # rows of any table


def render(record: Record) -> str:
    """Make the page."""
    data, model = record["data"], record["model"]
    title = f"{data['target']} of {PurePath(data['source']).name}"
    lead = f"{escape(text.kind(model))}, fitted to <b>{data['train_rows']:,}</b> rows. {_verdict(record)}"
    sections = [
        f"<header><p class='kicker'>xpgrad train</p><h1>{escape(title)}</h1>",
        f"<p class='lead'>{lead}</p></header>",
        *(page.warning(f"{said[:1].upper()}{said[1:]}.") for said in record["fit"]["remarks"]),
        _test(record),
        _coefficients(record),
        _fit(record),
        _data(record),
    ]
    return page.page(title, "\n".join(part for part in sections if part))


def _verdict(record: Record) -> str:
    test = record["test"]
    if test is None:
        return "No rows were held out."
    found, base = test["metrics"], test["base"]
    if found.get("roc_auc") is not None:
        return f"It ranks the {test['rows']:,} rows held out with an ROC AUC of <b>{found['roc_auc']:.3f}</b>."
    if "accuracy" in found:
        return (
            f"It finds the class of <b>{found['accuracy']:.1%}</b> of the {test['rows']:,} rows held out; "
            f"always the most frequent class, {base['accuracy']:.1%}."
        )
    return (
        f"On the {test['rows']:,} rows held out it is off by <b>{found['rmse']:.4g}</b> (root mean square); "
        f"always the mean, by {base['rmse']:.4g}."
    )


# ── the rows held out ────────────────────────────────────────────────────────────────────────
def _test(record: Record) -> str:
    test = record["test"]
    if test is None:
        return ""
    names = [name for name in text.NAMES if name in test["metrics"]]
    rows = [
        f"<tr{css}><th scope='row'>{label}</th>"
        + "".join(f"<td>{text.number(name, values[name])}</td>" for name in names)
        + "</tr>"
        for label, values, css in (
            ("model", test["metrics"], " class='ours'"),
            (text.constant(record), test["base"], ""),
        )
    ]
    head = ("", *(text.NAMES[name] for name in names))
    return page.section("On rows held out", page.table(head, rows), _test_plots(record), _by_class(test))


def _test_plots(record: Record) -> str:
    test = record["test"]
    figures = []
    if test.get("roc"):
        area = test["metrics"]["roc_auc"]
        figures.append(
            page.figure(
                common.roc(test["roc"], f"ROC curve; the area under it is {area:.3f}."),
                f"ROC curve, area {area:.3f}. Dashed: a coin.",
            )
        )
    if test.get("calibration"):
        groups = test["calibration"]
        said = ", ".join(f"{g['observed']:.2f} at {g['predicted']:.2f}" for g in groups)
        figures.append(
            page.figure(
                common.calibration(groups, f"Observed share against predicted probability: {said}."),
                f"Calibration of the probability of {_second_class(record)}, in {len(groups)} groups of equal "
                "size. Dashed: perfect.",
            )
        )
    if "confusion" in test:
        classes = [str(c) for c in record["preparation"]["target"]["classes"]]
        right = sum(test["confusion"][i][i] for i in range(len(classes)))
        figures.append(
            page.figure(
                plots.confusion(
                    test["confusion"],
                    classes,
                    f"Confusion matrix: {right:,} of {test['rows']:,} rows are right.",
                ),
                "Confusion matrix, in rows. A cell is as full as its share of the true class.",
                "large" if len(classes) > 4 else "",
            )
        )
    if "points" in test:
        points = test["points"]
        shown = len(points["truth"])
        some = f" {shown:,} of {test['rows']:,} rows." if shown < test["rows"] else ""
        r2 = test["metrics"]["r2"]
        share = "" if r2 is None else f"; R² is {r2:.3f}"
        figures += [
            page.figure(
                plots.against(points, f"True against predicted values{share}."),
                f"True against predicted. Dashed: equal.{some}",
            ),
            page.figure(
                plots.residuals(points, "What is left of the truth against the prediction."),
                f"Residuals. A trend or a fan says what the model misses.{some}",
            ),
        ]
    return f"<div class='figures'>{''.join(figures)}</div>"


def _second_class(record: Record) -> str:
    return str(record["preparation"]["target"]["classes"][1])


def _by_class(test: Record) -> str:
    if "by_class" not in test:
        return ""
    rows = [
        f"<tr><th scope='row' class='name'>{escape(c['class'])}</th><td>{c['precision']:.1%}</td>"
        f"<td>{c['recall']:.1%}</td><td>{c['f1']:.3f}</td><td>{c['rows']:,}</td></tr>"
        for c in test["by_class"]
    ]
    return _folded(page.table(("", "precision", "recall", "F1", "rows"), rows), "Each class", len(rows))


# ── the model ────────────────────────────────────────────────────────────────────────────────
def _coefficients(record: Record) -> str:
    found = record["coefficients"]
    if found is None:
        return ""
    if len(found["outputs"]) > 1:
        return page.section("Coefficients", _for_each_class(found))
    free = [row for row in found["rows"] if not row["is_reference"]]
    shown = text.strongest(found | {"rows": free}, PLOTTED)
    some = f" The {len(shown)} largest of {len(free)}." if len(shown) < len(free) else ""
    intervals = " with 95 % intervals" if found["inference"] is not None else ""
    strongest = max(free, key=lambda row: abs(row["per_deviation"][0]))["name"]
    drawing = page.figure(
        plots.effects(shown, f"Coefficients per deviation{intervals}; the largest is that of {strongest}."),
        f"Coefficients per standard deviation{intervals}.{some}",
        "wide",
    )
    return page.section("Coefficients", _about_coefficients(record), drawing, _table_of_coefficients(found))


def _about_coefficients(record: Record) -> str:
    scale = {
        "logistic": f"log-odds of {_quoted_second(record)}",
        "softmax": f"log-odds of {_quoted_second(record)}",
        "poisson": "the logarithm of the mean",
        "gamma": "the logarithm of the mean",
    }.get(record["model"]["name"], f"units of {record['data']['target']}")
    if record["model"]["name"] == "tweedie" and record["model"]["power"] > 0:
        scale = "the logarithm of the mean"
    found = record["coefficients"]
    parts = [
        f"In {scale}. The intercept is that of a row whose numbers are at their mean and whose categories are "
        "at their reference, the most frequent one."
        if any(row["is_reference"] for row in found["rows"])
        else f"In {scale}. The intercept is that of a row whose numbers are at their mean."
    ]
    if found["inference"] is None:
        parts.append(f"There are no intervals: {found['why_not']}.")
    paragraph = f"<p>{escape(' '.join(parts))}</p>"
    note = text.dispersion(record)
    return paragraph + (page.warning(note) if note else "")


def _quoted_second(record: Record) -> str:
    classes = record["preparation"]["target"]["classes"]
    return f"“{classes[1]}”" if len(classes) == 2 else "each class"


def _table_of_coefficients(found: Record) -> str:
    with_intervals = found["inference"] is not None
    head: tuple[str, ...] = ("", "per unit", "per deviation")
    head = (*head, "std. error", "95 % interval", "p") if with_intervals else head
    rows = [_row("intercept", found["intercept"], None, with_intervals)]
    for row in found["rows"][:MOST]:
        per_deviation = row["per_deviation"][0] if row["deviation"] else None
        rows += [_row(row["name"], row, per_deviation, with_intervals)]
    return _folded(page.table(head, rows), "All coefficients", len(rows))


def _row(name: str, row: Record, per_deviation: float | None, with_intervals: bool) -> str:
    if row.get("is_reference"):
        cells = ["reference", ""] + ["", "", ""] * with_intervals
    else:
        cells = [f"{row['coef'][0]:.5g}", "" if per_deviation is None else f"{per_deviation:.4g}"]
        if with_intervals:
            known = "p" in row
            cells += [f"{row['std_err']:.4g}", f"{row['low']:.4g} to {row['high']:.4g}"] if known else ["", ""]
            cells += [text.p_value(row["p"])] if known else [""]
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row' class='name'>{escape(name)}</th>{shown}</tr>"


def _for_each_class(found: Record) -> str:
    rows = [
        f"<tr><th scope='row' class='name'>{escape(row['name'])}</th>"
        + "".join(f"<td>{c:.4g}</td>" for c in row["per_deviation"])
        + "</tr>"
        for row in [{"name": "intercept", "per_deviation": found["intercept"]["coef"]}, *found["rows"][:MOST]]
    ]
    table = page.table(("", *found["outputs"]), rows)
    said = (
        "<p>Per standard deviation of the column, for the log-odds of each class. There are no intervals: "
        f"{escape(found['why_not'])}.</p>"
    )
    return said + _folded(table, "All coefficients", len(rows))


def _fit(record: Record) -> str:
    model, fit, found = record["model"], record["fit"], record["coefficients"]
    facts = [
        ("estimator", f"xg.learn.{model['estimator']}"),
        ("chosen because", model["reason"]),
        (
            "penalty",
            f"{model['penalty']:g} / 2 times the squares of the coefficients" if model["penalty"] else "none",
        ),
        ("columns", f"{model['columns']:,} after preparation"),
        ("iterations", f"{fit['iterations']:,} in {duration(fit['seconds'])}"),
        ("device", f"{fit['device']}: {fit['device_reason']}"),
        ("ended", "converged" if fit["converged"] else "not converged"),
    ]
    if found is not None and found["inference"] is not None:
        names = {
            "deviance": "deviance",
            "log_likelihood": "log-likelihood",
            "aic": "AIC",
            "bic": "BIC",
            "df_resid": "residual degrees of freedom",
            "scale": "scale",
        }
        facts += [
            (label, f"{found['inference'][name]:.6g}")
            for name, label in names.items()
            if found["inference"][name] is not None
        ]
    facts += [("made by", f"xpgrad {record['version']}, {record['finished']}")]
    drawing = ""
    if len(fit["loss"]) > 1:
        what = "pass over the data" if model["name"] == "mlp" else "iteration"
        alt = f"The loss of training falls from {fit['loss'][0]:.4g} to {fit['loss'][-1]:.4g}."
        drawing = page.figure(
            plots.losses(fit["loss"], what, alt), f"Loss of training, penalty included, by {what}."
        )
        drawing = f"<div class='figures'>{drawing}</div>"
    return page.section("The fit", page.facts(facts), drawing)


# ── the data ─────────────────────────────────────────────────────────────────────────────────
def _data(record: Record) -> str:
    data, preparation = record["data"], record["preparation"]
    how = (
        "the last rows of the table"
        if data["split"] == "last"
        else f"drawn at random, with seed {data['seed']}"
    )
    facts = [
        ("table", data["source"]),
        ("target", f"{data['target']}: {text.target(data['target_of_training'])}"),
        ("rows to train on", f"{data['train_rows']:,}"),
        ("rows held out", f"{data['held_out']:,}, {how}"),
        *(("note", note) for note in data["notes"]),
    ]
    rows = [
        f"<tr><th scope='row' class='name'>{escape(c['name'])}</th>"
        f"<td class='text'>{escape(text.column_text(c))}</td></tr>"
        for c in preparation["columns"]
    ]
    rows += [
        f"<tr class='absent'><th scope='row' class='name'>{escape(c['name'])}</th>"
        f"<td class='text'>left out: {escape(c['reason'])}</td></tr>"
        for c in preparation["left_out"]
    ]
    return page.section(
        "The data", page.facts(facts), _folded(page.table(("", ""), rows), "All columns", len(rows))
    )


def _folded(table: str, what: str, rows: int) -> str:
    """A long table behind a click."""
    if rows <= OPEN:
        return table
    return f"<details><summary>{what} ({rows:,})</summary>{table}</details>"
