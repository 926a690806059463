"""The benchmark of categories runs, small, with the contenders that are always there."""

import json

from bench import categories


def test_each_problem_is_measured_beside_numpy_by_hand(tmp_path, capsys):
    out = tmp_path / "categories.json"
    wanted = ["--contenders", categories.HAND, "xpgrad", categories.OURS]
    categories.main([*wanted, "--rows", "3000", "--rounds", "2", "--json", str(out)])
    found = json.loads(out.read_text())["problems"]
    assert [p["problem"] for p in found] == list(categories.PROBLEMS)
    assert all(p["ms"][name] > 0 for p in found for name in wanted[1:])
    assert all(p["same_bits"] for p in found)
    assert "the same bits with (1, 2, 7) threads" in capsys.readouterr().out
