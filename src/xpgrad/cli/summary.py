"""The terminal output of `xpgrad race`: the data, the table of the race, the model.

In:  the record that ``--json`` writes, or the part of it that is there so far.
Out: text for a terminal or a log, at most 110 columns wide unless a name is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]


def of_data(data: Record) -> str:
    """Name the rows, the question, the split and what to know about them."""
    return "\n".join(
        [
            f"{data['name']}: {data['target']}",
            f"  {data['train_rows']:,} rows to train on, the {data['test_rows']:,} that follow to test on, "
            f"{len(data['columns'])} columns",
            f"  true of {data['base_rate']:.1%} of the training rows and {data['test_rate']:.1%} of the test "
            "rows",
            *(f"  {note}" for note in data["notes"]),
        ]
    )


def of_race(race: Record) -> str:
    """Lay out the table: time per step, speed-ups, and the difference from float64."""
    head = ("", "time per step", "speed-up", "over NumPy", "differs by")
    rows = [head]
    footnotes = []
    for step in race["steps"]:
        label = step["label"]
        for note in notes(step):
            footnotes.append(note)
            label += " " + "*" * len(footnotes)
        rows.append(
            (
                label,
                duration(step["seconds"]),
                ratio(step["over_loop"]),
                ratio(step["over_numpy"]),
                f"{step['difference']:.0e}" + ("" if step["agrees"] else "  DISAGREES"),
            )
        )
    text = [f"One step, the loss and its gradient, from X float32[{race['columns']}, {race['rows']}]:", ""]
    text += aligned(rows)
    for absent in race["absent"]:
        text.append(f"  {absent['label']}: not run, {absent['reason']}")
        if absent["remedy"]:
            text.append(f"    to mend it: {absent['remedy']}")
    text += ["", *(f"  {'*' * (i + 1)} {note}" for i, note in enumerate(footnotes))]
    text.append(f"  {verdict(race)}")
    return "\n".join(text)


def of_model(training: Record, test: Record) -> str:
    """Say how the training ended, and compare the model with the base rate on the test part."""
    where = "GPU" if training["device"].startswith("gpu") else "CPU"
    base = test["base"]
    rows = [
        ("", "log-loss", "accuracy", "ROC AUC"),
        ("model", f"{test['log_loss']:.4f}", f"{test['accuracy']:.2%}", auc(test["roc_auc"])),
        ("base rate", f"{base['log_loss']:.4f}", f"{base['accuracy']:.2%}", auc(base["roc_auc"])),
    ]
    return "\n".join(
        [
            f"Trained with {training['method']} on the {where}: {training['iterations']} iterations in "
            f"{duration(training['seconds'])}, log-loss {training['loss'][-1]:.4f} nats a row",
            f"  {training['message']}",
            "",
            "On the test part, the last fifth of the rows:",
            "",
            *aligned(rows),
        ]
    )


def verdict(race: Record) -> str:
    """One sentence: does every contender compute the same loss and gradient?"""
    wrong = [step["label"] for step in race["steps"] if not step["agrees"]]
    if wrong:
        return f"NOT the same loss and gradient as the notes' formulas in float64: {', '.join(wrong)}"
    allowed = {step["dtype"]: f"{step['tolerance']:.0e} ({step['dtype']})" for step in race["steps"]}
    return (
        "the same loss and gradient to rounding: within "
        f"{', '.join(allowed.values())} of the formulas in float64"
    )


def notes(step: Record) -> list[str]:
    """Notes on the time of a contender: a slice that was timed, a first call that took longer."""
    found = []
    if step["rows"] < step["rows_of"]:
        found.append(f"in {step['dtype']}, timed on {step['rows']:,} of {step['rows_of']:,} rows and scaled")
    if step["preparation"]:
        found.append(f"its first call took {duration(step['first_call'])}, with {step['preparation']}")
    return found


def duration(seconds: float) -> str:
    """Three digits and a unit: ``7.98 s``, ``75.1 ms``, ``12.0 µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size * 0.9995:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} µs"


def ratio(times: float) -> str:
    """A speed-up: ``106x``, ``1.04x``, ``0.009x``."""
    if times < 0.1:
        return f"{times:.1g}x"
    return f"{times:.2f}x" if times < 1 else f"{_three_digits(times)}x"


def auc(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _three_digits(x: float) -> str:
    if x >= 99.95:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 9.995 else f"{x:.2f}"


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Two spaces before, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{first:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(("  " + "   ".join(cells)).rstrip())
    return lines
