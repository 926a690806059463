"""The page and the printed text, from a record made up by hand."""

import json
import re
from xml.etree import ElementTree

import pytest

from xpgrad.cli import info, report, summary


def step(key, label, seconds, **changes):
    return {
        "key": key,
        "label": label,
        "device": "cpu",
        "dtype": "float32",
        "rows": 800,
        "rows_of": 800,
        "seconds": seconds,
        "repeats": [seconds],
        "loss": 0.7,
        "difference": 1.2e-7,
        "first_call": 2 * seconds,
        "preparation": "",
        "over_loop": 0.2 / seconds,
        "over_numpy": 0.001 / seconds,
        "tolerance": 1e-5,
        "agrees": True,
    } | changes


@pytest.fixture
def record():
    return {
        "format": 1,
        "finished": "2013-10-20T12:00:00+00:00",
        "machine": info.collect(),
        "data": {
            "name": "a <b> & c.csv",
            "target": "late",
            "columns": ["x<y", "z"],
            "train_rows": 800,
            "test_rows": 200,
            "base_rate": 0.25,
            "test_rate": 0.3,
            "notes": ["a note"],
        },
        "race": {
            "columns": 2,
            "rows": 800,
            "repeats": 1,
            "steps": [
                step("loop", "Python loop", 0.2, rows=100, dtype="float64", tolerance=1e-12, difference=1e-16),
                step("numpy", "NumPy by hand", 0.001),
                step("xpgrad-cpu", "xpgrad, CPU", 0.0008),
                step(
                    "xpgrad-compiled",
                    "xpgrad compiled",
                    0.0004,
                    first_call=0.12,
                    preparation="tracing and compiling 2 kernels",
                ),
            ],
            "absent": [
                {"key": "xpgrad-gpu", "label": "xpgrad, GPU", "reason": "no driver", "remedy": "get one"}
            ],
        },
        "training": {
            "method": "lbfgs",
            "device": "cpu",
            "iterations": 2,
            "converged": True,
            "message": "the gradient is small",
            "seconds": 0.5,
            "loss": [0.69, 0.5, 0.48],
        },
        "test": {
            "log_loss": 0.5,
            "accuracy": 0.8,
            "roc_auc": 0.75,
            "base": {"log_loss": 0.56, "accuracy": 0.7, "roc_auc": 0.5},
            "roc": [[0, 0], [0.2, 0.6], [1, 1]],
            "calibration": [
                {"predicted": 0.1, "observed": 0.12, "rows": 100},
                {"predicted": 0.6, "observed": 0.55, "rows": 100},
            ],
        },
    }


def drawings(page):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL)]


def test_the_page_needs_nothing_from_outside(record):
    page = report.render(record)
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|\bsrc=", page)
    assert not re.search(r"(href=['\"]|url\()(?!#)", page)


def test_the_page_has_four_drawings_that_say_what_they_show(record):
    found = drawings(report.render(record))
    assert len(found) == 4
    for drawing in found:
        assert drawing.get("role") == "img"
        assert len(drawing.get("aria-label")) > 20
    assert "NumPy by hand 1.00 ms" in found[0].get("aria-label")


def test_ids_are_unique_and_every_reference_is_met(record):
    page = report.render(record)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_every_colour_of_a_drawing_is_a_variable_of_the_page(record):
    page = report.render(record)
    for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
    for name in set(re.findall(r"var\((--\w+)\)", page)) - {"--strength"}:  # a share, no colour
        assert page.count(f"{name}: #") == 2, name


def test_the_axes_are_labelled_with_units(record):
    page = report.render(record)
    for label in ("time per step", "10 ms", "iteration", "nats", "false positive rate", "observed share"):
        assert label in page


def test_the_same_record_gives_the_same_page(record):
    assert report.render(record) == report.render(json.loads(json.dumps(record)))


def test_names_from_the_data_are_escaped(record):
    page = report.render(record)
    assert "<b> & c" not in page
    assert "a &lt;b&gt; &amp; c.csv" in page
    assert "x&lt;y" in page


def test_the_page_tells_the_first_call_from_the_others(record):
    page = report.render(record)
    assert "<small>its first call took 120 ms, with tracing and compiling 2 kernels</small>" in page
    assert "takes a compiled step" in page


def test_the_page_says_why_a_contender_is_absent(record):
    assert "not run: no driver; to mend it: get one" in report.render(record)


def test_a_page_without_an_auc_says_so_and_draws_no_curve(record):
    record["test"] |= {"roc_auc": None, "roc": []}
    record["test"]["base"]["roc_auc"] = None
    page = report.render(record)
    assert len(drawings(page)) == 3
    assert "undefined" in page


def test_the_printed_race_names_times_ratios_slices_and_absences(record):
    text = summary.of_race(record["race"])
    assert re.search(r"Python loop \*\s+200 ms\s+1\.00x\s+0\.005x\s+1e-16", text)
    assert re.search(r"xpgrad, CPU\s+800 µs\s+250x\s+1\.25x\s+1e-07", text)
    assert re.search(r"xpgrad compiled \*\*\s+400 µs\s+500x\s+2\.50x", text)
    assert "\n  * in float64, timed on 100 of 800 rows and scaled\n" in text
    assert "\n  ** its first call took 120 ms, with tracing and compiling 2 kernels\n" in text
    assert "xpgrad, GPU: not run, no driver\n    to mend it: get one" in text
    assert "the same loss and gradient to rounding" in text


def test_the_printed_race_names_who_disagrees(record):
    record["race"]["steps"][2] |= {"agrees": False, "difference": 0.01}
    text = summary.of_race(record["race"])
    assert "1e-02  DISAGREES" in text
    assert "NOT the same loss and gradient as the notes' formulas in float64: xpgrad, CPU" in text


def test_the_printed_model_stands_beside_the_base_rate(record):
    text = summary.of_model(record["training"], record["test"])
    assert "lbfgs on the CPU: 2 iterations in 500 ms" in text
    assert re.search(r"model\s+0\.5000\s+80\.00%\s+0\.7500", text)
    assert re.search(r"base rate\s+0\.5600\s+70\.00%\s+0\.5000", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7.984, "7.98 s"),
        (1, "1.00 s"),
        (0.9996, "1.00 s"),
        (0.0751, "75.1 ms"),
        (1.2e-5, "12.0 µs"),
        (123, "123 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert summary.duration(seconds) == text


@pytest.mark.parametrize(
    ("times", "text"), [(106.4, "106x"), (1.04, "1.04x"), (0.0094, "0.009x"), (0.5, "0.50x")]
)
def test_ratios_have_three_digits_at_most(times, text):
    assert summary.ratio(times) == text
