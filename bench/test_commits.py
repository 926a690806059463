"""One commit against another, as a whole on tiny sizes."""

import json

import pytest

from bench import commits


@pytest.fixture(autouse=True)
def in_a_checkout():
    """The commands compare commits: there must be one."""
    if not (commits.ROOT / ".git").exists():
        pytest.skip("this is no git checkout")


def test_a_commit_runs_from_its_own_files_and_is_compared_in_each_round(tmp_path, capsys):
    out = tmp_path / "commits.json"
    arguments = ["--size", "tiny", "--rounds", "3", "--repetitions", "1", "--out", str(out)]
    commits.main(["HEAD", *arguments, "--workload", "rosenbrock"])
    commits.main(["HEAD", "HEAD", *arguments, "--workload", "rosenbrock-eager"])
    report = json.loads(out.read_text())
    assert list(report["workloads"]) == ["rosenbrock", "rosenbrock-eager"]
    assert report["commits"]["before"] == report["commits"]["after"] == report["commit"]
    found = report["workloads"]["rosenbrock"]
    ratios = [a / b for a, b in zip(found["after"]["rounds_ms"], found["before"]["rounds_ms"], strict=True)]
    assert found["after"]["ratio"] == sorted(ratios)[1]
    assert capsys.readouterr().out.startswith("rosenbrock ")


def test_an_unknown_commit_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        commits.main(["no-such-commit"])
    assert "no-such-commit" in capsys.readouterr().err
