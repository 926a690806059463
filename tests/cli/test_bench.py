"""``xpgrad bench``: a small measurement, its page, and what the command refuses."""

import copy
import fcntl
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from xpgrad.cli import main
from xpgrad.cli.bench import reading, report
from xpgrad.cli.bench.cells import Disagreement, measured
from xpgrad.cli.bench.experiments import Bench
from xpgrad.cli.bench.floors import least_seconds, operations
from xpgrad.cli.bench.steps import Cell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files():
    """One measurement, whichever worker of the run comes first."""
    folder = Path(os.environ["XPGRAD_CACHE_DIR"], "bench")
    folder.mkdir(parents=True, exist_ok=True)
    html, out = folder / "page.html", folder / "bench.json"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not html.exists():
            assert main(["bench", "--tiny", "--no-peers", "--html", str(html), "--json", str(out)]) == 0
    return html, out


@pytest.fixture
def record(files):
    return json.loads(files[1].read_text())


def test_every_figure_of_the_ladder_is_on_the_page(files, record):
    text = files[0].read_text()
    assert list(record["ladder"]["us"])[:4] == ["loop", "numpy", "xpgrad", "xpgrad.compile"]
    for time in record["ladder"]["us"].values():
        assert report.duration(1e-6 * time) in text
    for row in record["fits"]:
        assert f"{row['iterations']:,}</td>" in text
    assert set(record["absent"]) == {"xpgrad, GPU", "xpgrad.compile, GPU"}
    assert len(record["control_us"]) == 7


def test_fits_end_at_the_same_objective(record):
    assert {row["solver"] for row in record["fits"]} == {"xpgrad newton", "xpgrad lbfgs"}
    assert min(row["gap"] for row in record["fits"]) == 0
    assert all(row["gap"] < 1e-8 for row in record["fits"])


def test_a_page_is_made_again_from_its_json_and_compared(files, record, tmp_path, capsys):
    html, out = files
    again = tmp_path / "again.html"
    assert main(["bench", "--from", str(out), "--html", str(again)]) == 0
    assert again.read_text() == html.read_text()

    slower = copy.deepcopy(record)
    for cell in slower["peers"]:
        cell["us"]["xpgrad.compile"] *= 3
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(slower))
    assert main(["bench", "--from", str(out), "--compare", str(earlier), "--html", str(again)]) == 0
    compared = again.read_text().partition("Beside an earlier measurement")[2].partition("</section>")[0]
    assert compared.count("3.00x") == len(record["peers"])
    assert "The control, a step by NumPy alone, is 1.00x as fast now" in compared


def test_what_is_faster_than_ours_stands_on_the_page_and_in_the_summary(record):
    cell = record["peers"][0]
    cell["us"]["jax.jit"] = cell["us"]["xpgrad.compile"] / 4
    worst = min(reading.losses(record), key=lambda loss: loss.ratio)
    assert reading.losses(record)[0] == worst
    page = report.render(record)
    losses = page.partition("Where something else is faster")[2].partition("</section>")[0]
    assert f"<th scope='row'>{cell['job']}, 3 x 500</th><td>jax.jit</td><td>0.25x</td>" in losses


def test_a_busy_machine_is_said(record):
    record["control_us"] = [100.0, 100.0 * reading.BUSY * 1.01]
    assert "the machine was busy" in report.render(record)
    record["control_us"] = [100.0, 101.0]
    assert "the machine kept its pace" in report.render(record)


def test_nothing_is_loaded_from_elsewhere_and_pictures_have_words(files):
    text = files[0].read_text()
    links = re.findall(r"(?:src|href)=[\"']([^\"']*)|url\(([^)]*)\)|@import", text)
    assert all((a or b).startswith("#") for a, b in links)
    assert '<html lang="en">' in text
    assert text.count("<h1>") == 1
    pictures = re.findall(r"<svg ([^>]*)>", text)
    assert len(pictures) == 3
    assert all('role="img"' in p and re.search('aria-label="[^"]{20,}"', p) for p in pictures)
    assert not re.search(r"(?<!<thead>)<tr[^>]*><td", text)  # each row of a table begins with its name


PROBE = """<!doctype html><iframe id=f style="border:0;width:{width}px;height:800px" srcdoc='{page}'></iframe>
<pre id=out></pre><script>
document.getElementById('f').onload = () => {{
  const d = document.getElementById('f').contentDocument;
  const reached = e => {{ e.focus(); return d.activeElement === e; }};
  const focusable = [...d.querySelectorAll('.table, summary')].filter(e => e.checkVisibility()).every(reached);
  const tall = [...d.querySelectorAll('svg')].every(e => e.getBoundingClientRect().height > 60);
  const colours = d.defaultView.getComputedStyle(d.body);
  document.getElementById('out').textContent = JSON.stringify({{
    wide: d.documentElement.scrollWidth, focusable, tall, paper: colours.backgroundColor, ink: colours.color,
  }});
}};
</script>"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_a_browser_shows_it_without_scrolling_sideways(files, tmp_path, width, dark):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    probe = tmp_path / "probe.html"
    probe.write_text(
        PROBE.format(width=width, page=files[0].read_text().replace("&", "&amp;").replace("'", "&#39;"))
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run([*command, probe.as_uri()], capture_output=True, text=True, timeout=120)
    found = json.loads(re.search(r'<pre id="out">(\{.*?\})</pre>', done.stdout)[1])
    assert found["wide"] <= width
    assert found["focusable"]
    assert found["tall"]
    paper, ink = (sum(map(int, re.findall(r"\d+", found[name])[:3])) for name in ("paper", "ink"))
    assert (paper < ink) == dark


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "is no measurement"),
        ('{"format": 9}', "is no meas"),
    ],
)
def test_a_file_that_is_no_measurement_is_refused(tmp_path, capsys, content, said):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    assert main(["bench", "--from", str(path), "--html", str(tmp_path / "p.html")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert str(path) in error
    assert not (tmp_path / "p.html").exists()


CELL = Cell("logistic", "columns", "float64", 2, 30)


class Wrong:
    """A worker whose value is off."""

    def ask(self, do, **arguments):
        return {"first_s": 1.0, "warm_s": 1.0, "value": 0.5, "norms": [1.0, 1.0]}


def test_who_computes_something_else_is_named():
    with Bench(None) as bench, pytest.raises(Disagreement, match=r"jax\.jit differs at .*logistic"):
        measured(CELL, {"numpy": bench._worker("numpy"), "jax.jit": Wrong()}, 1)


def test_the_least_time_is_of_reading_or_of_products():
    cell = Cell("mlp", "columns", "float32", 100, 1000)
    assert operations(cell) == 4 * 100 * 1000 * 32
    rates = {"read_bytes_s": 1e9, "gemm_float32": 1e11}
    assert least_seconds(cell, rates) == max(4e5 / 1e9, 1.28e7 / 1e11)
    assert least_seconds(cell._replace(job="linear"), rates) == 4e5 / 1e9
