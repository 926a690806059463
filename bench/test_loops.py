"""The benchmark of loops runs, small."""

import json

from bench import loops


def test_each_problem_is_measured_and_its_first_call_apart(tmp_path):
    out = tmp_path / "loops.json"
    loops.main(["--small", "--contenders", loops.OURS, "--rounds", "2", "--json", str(out)])
    found = json.loads(out.read_text())["problems"]
    assert [p["problem"] for p in found] == list(loops.MADE)
    assert all(p["first_s"][loops.OURS] > p["ms"][loops.OURS] / 1e3 > 0 for p in found)
