"""The page of `xpgrad race --html`: one file that needs nothing else.

In:  the record that ``--json`` writes.
Out: HTML with its style and its plots inside, for light and dark screens, and for print.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

from xpgrad.cli import info, page, plots, summary

Record = dict[str, Any]


def render(record: Record) -> str:
    """Make the page."""
    data, race, training, test = (record[part] for part in ("data", "race", "training", "test"))
    title = f"{data['name']}: {data['target']}"
    body = "\n".join(
        [
            f"<header><p class='kicker'>xpgrad race</p><h1>{escape(title)}</h1>",
            f"<p class='lead'>{_lead(data, race, test)}</p></header>",
            page.section("The step", _step_text(race), _race_table(race), _times(race)),
            page.section(
                "The model", _model_text(training), _model_table(test), _model_plots(data, training, test)
            ),
            page.section("The data", page.facts(_data_facts(data)), _columns(data)),
            page.section("The machine", page.facts(machine_facts(record))),
        ]
    )
    return page.page(title, body)


def _lead(data: Record, race: Record, test: Record) -> str:
    ours = min((s for s in race["steps"] if s["key"].startswith("xpgrad")), key=lambda s: s["seconds"])
    compiled = "compiled " if ours["key"] == "xpgrad-compiled" else ""
    area = test["roc_auc"]
    model = (
        f"The trained model ranks the test rows with an ROC AUC of <b>{area:.3f}</b>."
        if area is not None
        else "The test rows hold one class only, so that the ROC AUC is undefined."
    )
    return (
        f"From the loss alone, xpgrad takes a {compiled}step over {race['rows']:,} rows and "
        f"{race['columns']} columns in <b>{summary.duration(ours['seconds'])}</b>: "
        f"{summary.ratio(ours['over_loop'])} the speed of a Python loop, "
        f"{summary.ratio(ours['over_numpy'])} that of NumPy by hand. {model}"
    )


def _step_text(race: Record) -> str:
    return (
        f"<p>One step is the logistic loss and its gradient over all of <code>X float32[{race['columns']}, "
        f"{race['rows']}]</code>. Each time is the median of {race['repeats']}, the contenders "
        "taking turns; the speed-up is over the loop. "
        f"Checked first: {escape(summary.verdict(race))}.</p>"
    )


def _race_table(race: Record) -> str:
    rows = []
    for step in race["steps"]:
        name = escape(step["label"])
        name += "".join(f"<small>{escape(note)}</small>" for note in summary.notes(step))
        cells = (
            summary.duration(step["seconds"]),
            summary.ratio(step["over_loop"]),
            summary.ratio(step["over_numpy"]),
            f"{step['difference']:.0e}",
        )
        ours = " class='ours'" if step["key"].startswith("xpgrad") else ""
        rows.append(f"<tr{ours}><th scope='row'>{name}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
    for absent in race["absent"]:
        why = absent["reason"] + (f"; to mend it: {absent['remedy']}" if absent["remedy"] else "")
        rows.append(
            f"<tr class='absent'><th scope='row'>{escape(absent['label'])}</th>"
            f"<td colspan='4'>not run: {escape(why)}</td></tr>"
        )
    return page.table(("", "time per step", "speed-up", "over NumPy", "differs by"), rows)


def _times(race: Record) -> str:
    said = "; ".join(f"{step['label']} {summary.duration(step['seconds'])}" for step in race["steps"])
    return page.figure(
        plots.times(race, f"Time per step on a logarithmic axis. {said}."),
        "Time per step. The axis is logarithmic: each mark to the left is ten times as fast.",
        "wide",
    )


def _model_text(training: Record) -> str:
    return (
        f"<p>Trained with <code>{escape(training['method'])}</code> on the "
        f"{'GPU' if training['device'].startswith('gpu') else 'CPU'}: {training['iterations']} iterations in "
        f"{summary.duration(training['seconds'])}. {_capital(escape(training['message']))}. "
        "Judged on the last fifth of the rows, which training never saw.</p>"
    )


def _model_table(test: Record) -> str:
    rows = [
        f"<tr{css}><th scope='row'>{name}</th><td>{s['log_loss']:.4f}</td><td>{s['accuracy']:.2%}</td>"
        f"<td>{summary.auc(s['roc_auc'])}</td></tr>"
        for name, s, css in (("model", test, " class='ours'"), ("always the base rate", test["base"], ""))
    ]
    return page.table(("", "log-loss (nats)", "accuracy", "ROC AUC"), rows)


def _model_plots(data: Record, training: Record, test: Record) -> str:
    p = data["base_rate"]
    base = -(p * math.log(p) + (1 - p) * math.log(1 - p))
    first, last = training["loss"][0], training["loss"][-1]
    groups = test["calibration"]
    figures = [
        page.figure(
            plots.training(
                training,
                base,
                f"Training log-loss falls from {first:.3f} to {last:.3f} nats in {training['iterations']} "
                f"iterations; the base rate has {base:.3f}.",
            ),
            "Training loss by iteration. Dashed: always the base rate.",
        ),
        page.figure(
            plots.calibration(
                groups,
                "Observed share against predicted probability: "
                + ", ".join(f"{g['observed']:.2f} at {g['predicted']:.2f}" for g in groups)
                + ".",
            ),
            f"Calibration on the test rows, in {len(groups)} groups of equal size. Dashed: perfect.",
        ),
    ]
    if test["roc"]:
        curve = plots.roc(test["roc"], f"ROC curve; the area under it is {test['roc_auc']:.3f}.")
        figures.insert(
            1, page.figure(curve, f"ROC curve on the test rows, area {test['roc_auc']:.3f}. Dashed: a coin.")
        )
    return f"<div class='figures'>{''.join(figures)}</div>"


def _data_facts(data: Record) -> list[tuple[str, str]]:
    facts = [
        ("rows to train on", f"{data['train_rows']:,}, of which {data['base_rate']:.1%} are true"),
        (
            "rows to test on",
            f"{data['test_rows']:,}, later in time, of which {data['test_rate']:.1%} are true",
        ),
        ("columns", f"{len(data['columns'])}, each with mean 0 and deviation 1 over the training rows"),
    ]
    return facts + [("note", note) for note in data["notes"]]


def _columns(data: Record) -> str:
    names = ", ".join(escape(name) for name in data["columns"])
    return f"<details><summary>All {len(data['columns'])} columns</summary><p>{names}</p></details>"


def machine_facts(record: Record) -> list[tuple[str, str]]:
    machine = record["machine"]
    cpu, gpu = machine["cpu"], machine["gpu"]
    blas = ", ".join(
        f"{b['name']} {b['version'] or ''}, {b['threads'] or '?'} threads" for b in machine["blas"]
    )
    return [
        ("CPU", f"{cpu['model'] or 'unknown'}, {cpu['usable']} of {cpu['cores']} cores usable"),
        ("GPU", ", ".join(g["name"] for g in gpu["gpus"]) if gpu["available"] else f"none: {gpu['reason']}"),
        ("software", f"xpgrad {machine['xpgrad']}, Python {machine['python']}, NumPy {machine['numpy']}"),
        ("BLAS", blas or "unknown"),
        *info.compiler_rows(machine["compiler"])[:1],
        ("system", machine["platform"]),
        ("finished", record["finished"]),
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
