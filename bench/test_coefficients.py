"""The comparison of coefficients runs, and what it found is within a millionth."""

import json
from pathlib import Path

import pytest

from bench.coefficients import PEERS, PROBLEMS, compared

RESULTS = Path(__file__).with_name("results") / "coefficients.json"


@pytest.mark.parametrize("name", [name for name in PROBLEMS if not name.startswith(("flights", "digits"))])
def test_coefficients_and_objective_are_those_of_the_peers_that_are_here(name):
    rows = compared(PROBLEMS[name]())
    measured = [row for row in rows.values() if "missing" not in row]
    assert measured
    assert all(row["coef"] < 1e-6 and abs(row["gap"]) < 1e-8 for row in measured)


def test_the_results_have_each_problem_and_peer_within_a_millionth():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["problems"]
    assert list(found) == list(PROBLEMS)
    for rows in found.values():
        assert list(rows) == list(PEERS)
        assert all(
            row["coef"] < 1e-6 and abs(row["gap"]) < 1e-8
            for row in rows.values()
            if row.get("missing") != "has no such model"
        )
