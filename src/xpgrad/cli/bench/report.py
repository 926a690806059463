"""The page of `xpgrad bench`: one file that needs nothing else.

In:  the record that ``--json`` writes, and an earlier one to compare with.
Out: HTML with its style and its plots inside, for light and dark screens, for phones, and for print.
"""

from __future__ import annotations

from html import escape
from statistics import median
from typing import Any

from xpgrad.cli import page
from xpgrad.cli.bench import plots, reading
from xpgrad.cli.bench.cells import HAND, OURS, Measured
from xpgrad.cli.bench.steps import CLASSES, HIDDEN
from xpgrad.cli.report import machine_facts
from xpgrad.cli.summary import duration, ratio

Record = dict[str, Any]

LOSSES_SHOWN = 40


def render(record: Record, earlier: Record | None = None) -> str:
    """Make the page."""
    sections = [
        page.section("From the loop to one pass", *_ladder(record)),
        page.section("Beside other libraries", *_peers(record)),
        page.section("Over features and samples", *_grid(record)),
        page.section("Where something else is faster", *_losses(record)),
        page.section("How time grows", *_scaling(record)),
        page.section("How far from what the machine can do", *_roofline(record)),
        page.section("Before the first result", *_first_calls(record)),
        page.section("To the same objective", *_fits(record)),
    ]
    if earlier is not None:
        sections.append(page.section("Beside an earlier measurement", *_compared(record, earlier)))
    sections.append(page.section("The machine", *_machine(record)))
    cpu = record["machine"]["cpu"]["model"] or "this machine"
    header = (
        f"<header><p class='kicker'>xpgrad bench</p><h1>Value and gradient on {escape(cpu)}</h1>"
        f"<p class='lead'>{_lead(record)}</p></header>"
    )
    return page.page(f"xpgrad bench: {cpu}", "\n".join([header, *sections]))


def _lead(record: Record) -> str:
    us = record["ladder"]["us"]
    ratios = reading.by_hand_ratios(record)
    slower = sum(r < 1 for r in ratios)
    where = f"in {slower} it is slower" if slower else "in none is it slower"
    return (
        f"From the loss alone, a compiled step takes <b>{duration(1e-6 * us[OURS])}</b>: "
        f"{ratio(us['loop'] / us[OURS])} the speed of a Python loop, {ratio(us[HAND] / us[OURS])} that of "
        "NumPy by "
        f"hand. Over {len(ratios)} sizes of four losses it is {ratio(median(ratios))} as fast as NumPy by "
        "hand at "
        f"the median, {ratio(ratios[0])} at the least; {where}."
    )


def _row(name: str, cells: list[str], css: str = "") -> str:
    ours = f" class='{css}'" if css else ""
    return f"<tr{ours}><th scope='row'>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _megabytes(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.1f} MB"


def _ladder(record: Record) -> list[str]:
    found = record["ladder"]
    us, peaks = found["us"], found["step_bytes"]
    rows = []
    for name, time in us.items():
        text = escape(reading.label(name))
        if name == "loop":
            text += f"<small>in float64, timed on {found['loop_samples']:,} samples and scaled</small>"
        cells = [
            duration(1e-6 * time),
            ratio(us["loop"] / time),
            ratio(us[HAND] / time),
            _megabytes(peaks.get(name)),
        ]
        rows.append(_row(text, cells, "ours" if name.startswith("xpgrad") else ""))
    for name, why in record["absent"].items():
        if name.endswith("GPU"):
            label = escape(reading.label(name))
            rows.append(
                f"<tr class='absent'><th scope='row'>{label}</th><td colspan='4'>not run: "
                f"{escape(why)}</td></tr>"
            )
    head = ("", "time per step", "over the loop", "over NumPy", "memory of a step")
    text = (
        f"<p>The notes' step, the logistic loss and its gradient over <code>X float32[{found['features']}, "
        f"{found['samples']}]</code>. Each time is a median, the contenders taking turns in processes of "
        "their own; "
        "each value and gradient was held against NumPy in float64 first.</p>"
    )
    alt = "Time per step: " + "; ".join(f"{reading.label(n)} {duration(1e-6 * t)}" for n, t in us.items()) + "."
    picture = page.figure(plots.ladder(us, alt), "Time per step. Blue: xpgrad.", css="wide")
    return [text, page.table(head, rows), picture]


def _peers(record: Record) -> list[str]:
    cells = record["peers"]
    names = list(dict.fromkeys(name for cell in cells for name in cell["us"] if name != OURS))
    rows = []
    for cell in cells:
        us = cell["us"]
        others = [
            f"{ratio(us[n] / us[OURS])}<small>{duration(1e-6 * us[n])}</small>" if n in us else "-"
            for n in names
        ]
        rows.append(_row(escape(cell["job"]), [duration(1e-6 * us[OURS]), *others]))
    text = (
        f"<p>Each loss over <code>X float32[{cells[0]['features']}, {cells[0]['samples']}]</code>: the "
        "time of the "
        f"other over that of compiled, above 1 where compiled is faster. Softmax has {CLASSES} classes, "
        "the network "
        f"one layer of {HIDDEN}.</p>"
    )
    absent = [
        f"<p>Not run: {escape(reading.label(name))} ({escape(why)}).</p>"
        for name, why in record["absent"].items()
        if not name.endswith("GPU")
    ]
    return [text, page.table(("", "compiled", *map(reading.label, names)), rows), *absent]


def _grid(record: Record) -> list[str]:
    parts = [
        "<p>The time of NumPy by hand, with the gradient derived on paper and arrays written in place, "
        "over that of "
        "compiled. Blue is where compiled is faster, orange where it is slower.</p>"
    ]
    tables = []
    for job in dict.fromkeys(cell["job"] for cell in record["grid"]):
        cells = [cell for cell in record["grid"] if cell["job"] == job]
        tables.append(f"<div><h3>{escape(job)}</h3>{_heat(cells)}</div>")
    return [*parts, f"<div class='maps'>{''.join(tables)}</div>"]


def _heat(cells: list[Measured]) -> str:
    samples = list(dict.fromkeys(cell["samples"] for cell in cells))
    rows = []
    for features in dict.fromkeys(cell["features"] for cell in cells):
        found = {c["samples"]: c["us"][HAND] / c["us"][OURS] for c in cells if c["features"] == features}
        boxes = "".join(_box(found.get(m)) for m in samples)
        rows.append(f"<tr><th scope='row'>{features:,}</th>{boxes}</tr>")
    return f"<div class='heat'>{page.table(('features', *(f'{m:,} samples' for m in samples)), rows)}</div>"


def _box(value: float | None) -> str:
    if value is None:
        return "<td>-</td>"
    strength = min(abs(value - 1) if value >= 1 else 1 / value - 1, 4.0) / 4
    side = "faster" if value >= 1 else "slower"
    return f"<td class='{side}' style='--strength: {10 + 35 * strength:.0f}%'>{ratio(value)}</td>"


def _losses(record: Record) -> list[str]:
    found = reading.losses(record)
    if not found:
        return ["<p>Nowhere in what was measured here.</p>"]
    rows = [
        _row(escape(loss.place), [escape(loss.name), ratio(loss.ratio), duration(loss.seconds)])
        for loss in found[:LOSSES_SHOWN]
    ]
    more = f", of {len(found)} the {LOSSES_SHOWN} largest" if len(found) > LOSSES_SHOWN else ""
    text = (
        f"<p>Each comparison of this page where something else on the CPU takes less time than ours{more}.</p>"
    )
    return [text, page.table(("", "faster", "its time over ours", "ours"), rows)]


def _scaling(record: Record) -> list[str]:
    cells = record["scaling"]
    names = list(dict.fromkeys(name for cell in cells for name in cell["us"]))
    rows = [
        _row(
            f"{cell['samples']:,}", [duration(1e-6 * cell["us"][n]) if n in cell["us"] else "-" for n in names]
        )
        for cell in cells
    ]
    first, last = cells[0], cells[-1]
    more, longer = last["samples"] / first["samples"], last["us"][OURS] / first["us"][OURS]
    alt = (
        f"Time per step against samples: from {first['samples']:,} to {last['samples']:,}, compiled grows "
        "from "
        f"{duration(1e-6 * first['us'][OURS])} to {duration(1e-6 * last['us'][OURS])}."
    )
    text = (
        f"<p>The logistic step with {first['features']} features: {more:,.0f} times the samples take "
        f"{ratio(longer)} "
        f"the time compiled.{_crossover(cells)}</p>"
    )
    picture = page.figure(plots.scaling(cells, alt), "Time per step against samples.", css="wide")
    numbers = page.table(("samples", *map(reading.label, names)), rows)
    return [text, picture, f"<details><summary>The numbers</summary>{numbers}</details>"]


def _crossover(cells: list[Measured]) -> str:
    """From how many samples on the GPU is faster."""
    gpu = f"{OURS}, GPU"
    if not any(gpu in cell["us"] for cell in cells):
        return ""
    faster = [cell["samples"] for cell in cells if cell["us"].get(gpu, float("inf")) < cell["us"][OURS]]
    return (
        f" The GPU is faster from {min(faster):,} samples on." if faster else " The GPU is faster nowhere here."
    )


def _roofline(record: Record) -> list[str]:
    roof = record["roofline"]
    rates = roof["rates"]
    rows = [
        _row(
            escape(row["job"]),
            [
                duration(row["least_s"]),
                *(f"{row['share'][n]:.0%}" if n in row["share"] else "-" for n in (HAND, OURS)),
            ],
        )
        for row in roof["rows"]
    ]
    text = (
        f"<p>NumPy reads {rates['read_bytes_s'] / 1e9:.1f} GB/s from memory here, and multiplies matrices "
        "of float32 "
        f"at {rates['gemm_float32'] / 1e9:,.0f} · 10⁹ operations a second. No step over these data takes "
        "less than the "
        "time to read <code>X</code> once, or to compute its products at that rate. The share of that "
        "least time in "
        "the time that was taken:</p>"
    )
    alt = "Roofline: " + "; ".join(
        f"{row['job']} compiled reaches {row['share'][OURS]:.0%}" for row in roof["rows"]
    )
    picture = page.figure(
        plots.roofline(roof, alt + "."), "The line: the most that memory and products allow.", css="wide"
    )
    head = ("", "least time", reading.label(HAND), reading.label(OURS))
    return [text, page.table(head, rows), picture]


def _first_calls(record: Record) -> list[str]:
    rows = [
        _row(
            escape(row["job"]),
            [
                duration(row["cold_s"]),
                duration(max(row["cold_s"] - row["warm_s"], 0.0)),
                duration(max(row["warm_s"] - row["step_s"], 0.0)),
                duration(row["step_s"]),
            ],
        )
        for row in record["first_calls"]
    ]
    cell = record["first_calls"][0]
    text = (
        f"<p>The first call of a compiled step, over {cell['features']} x {cell['samples']:,}, with an "
        "empty cache of "
        "kernels, and what it consists of. A later process finds the kernels on disk.</p>"
    )
    head = ("", "first call", "compiling kernels", "tracing, planning, loading", "a step after that")
    return [text, page.table(head, rows)]


def _fits(record: Record) -> list[str]:
    rows = []
    for row in record["fits"]:
        name = escape(row["solver"])
        if "missing" in row:
            rows.append(
                f"<tr class='absent'><th scope='row'>{name}</th><td colspan='4'>not run: "
                f"{escape(row['missing'])}</td></tr>"
            )
            continue
        cells = [
            duration(row["seconds"]),
            duration(row["first_s"]),
            f"{row['iterations']:,}",
            f"{row['gap']:.0e}" if row["gap"] else "the best",
        ]
        rows.append(_row(name, cells, "ours" if name.startswith("xpgrad") else ""))
    first = record["fits"][0]
    text = (
        f"<p>A logistic regression with a ridge penalty, float64, {first['samples']:,} x "
        f"{first['features']}, features "
        "of scales that differ by up to 100. The gap is how far the objective, computed by NumPy, lies "
        "above the best "
        "of these, relative to it.</p>"
    )
    return [text, page.table(("", "seconds", "the first time", "iterations", "gap"), rows)]


def _compared(record: Record, earlier: Record) -> list[str]:
    """Our times then and now, with the control's beside them."""
    before = {_key(name, cell): cell["us"] for name, cell in _cells(earlier)}
    rows = []
    for name, cell in _cells(record):
        then = before.get(_key(name, cell), {}).get(OURS)
        now = cell["us"].get(OURS)
        if then and now:
            cells = [duration(1e-6 * then), duration(1e-6 * now), ratio(then / now)]
            rows.append(_row(f"{escape(reading.where(cell))}<small>{name}</small>", cells))
    if not rows:
        return ["<p>The two have no size in common.</p>"]
    control = median(earlier["control_us"]) / median(record["control_us"])
    text = (
        f"<p>The earlier one is of {escape(earlier['finished'])}, by xpgrad "
        f"{escape(earlier['machine']['xpgrad'])} on "
        f"{escape(earlier['machine']['cpu']['model'] or 'unknown')}. The control, a step by NumPy alone, is "
        f"{ratio(control)} as fast now: what differs by as much is the machine.</p>"
    )
    return [text, page.table(("", "then", "now", "as fast now"), rows)]


def _cells(record: Record) -> list[tuple[str, Measured]]:
    return [(name, cell) for name in ("peers", "grid", "scaling") for cell in record[name]]


def _key(name: str, cell: Measured) -> tuple[Any, ...]:
    return name, *(cell[field] for field in ("job", "layout", "dtype", "features", "samples"))


def _machine(record: Record) -> list[str]:
    pace = reading.pace(record)
    parts = [page.facts([*machine_facts(record), ("measured in", duration(record["seconds"]))])]
    text = (
        f"The control, one step by NumPy alone that is timed after each section, took between "
        f"{duration(1e-6 * min(record['control_us']))} and {duration(1e-6 * max(record['control_us']))}"
    )
    if pace > reading.BUSY:
        parts.append(page.warning(f"{text}: the machine was busy, measure again."))
    else:
        parts.append(f"<p>{escape(text)}: the machine kept its pace.</p>")
    return parts
