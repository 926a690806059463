"""The table of limits: each has its unit and its source, and a variant is off until a card has measured it."""

import inspect
import json
import re
from pathlib import Path

import pytest

from xpgrad.backends.gpu import limits
from xpgrad.backends.gpu.limits import SWITCHES, Limits

RESULTS = Path(__file__).parents[3] / "bench" / "results"
LINES = re.findall(r"^    (\w+): [\w\[\], .]+ = [^#\n]+  # (.*)$", inspect.getsource(limits), flags=re.M)
SOURCES = r"estimate|fact: .+|not measured|measured in (bench/results/\w+\.json)"


def test_every_limit_is_one_line_with_its_source():
    assert [name for name, _ in LINES] == list(Limits._fields)


@pytest.mark.parametrize(("name", "comment"), LINES, ids=[name for name, _ in LINES])
def test_a_limit_says_what_it_is_and_where_its_value_comes_from(name, comment):
    what, _, source = comment.rpartition("; ")
    found = re.fullmatch(SOURCES, source)
    assert what
    assert found, source
    assert what.startswith("switch: ") == (name in SWITCHES)
    assert (source == "not measured") <= (name in SWITCHES)
    if found[1]:
        assert (RESULTS.parents[1] / found[1]).exists()


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_only_if_a_card_has_decided_so(name):
    path = RESULTS / "switches.json"
    measured = json.loads(path.read_text())["switches"] if path.exists() else {}
    assert getattr(Limits(), name) == (measured.get(name, {}).get("verdict") == "on")
