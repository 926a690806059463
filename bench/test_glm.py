"""The benchmark of generalised linear models runs, small, with the contenders that are always there."""

import json

import pytest

from bench import glm


@pytest.mark.slow
def test_fits_are_measured_to_the_same_objective(tmp_path, capsys):
    out = tmp_path / "glm.json"
    wanted = [glm.OURS, "sklearn newton-cholesky"]
    problems = ["poisson"]
    glm.main(
        [
            "--problems",
            *problems,
            "--contenders",
            *wanted,
            "--rows",
            "3000",
            "--rounds",
            "1",
            "--json",
            str(out),
        ]
    )
    found = json.loads(out.read_text())["problems"]
    assert [p["problem"] for p in found] == problems
    for problem in found:
        assert set(problem["results"]) == set(wanted)
        assert all(r["gap"] <= glm.GAP and r["median_s"] > 0 for r in problem["results"].values())
    assert "ratio" in capsys.readouterr().out
