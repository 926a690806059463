"""`.ci/gpu` with stand-ins for Python and compute-sanitizer: what would run, and what is said before."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("nproc"), reason="the script needs GNU coreutils")

# Each notes a line for a call, its words quoted. Where $FAILS is among the words, it fails.
NOTES = """#!/usr/bin/env bash
printf '%q ' "${0##*/}" "$@" >>"$LOG"
printf 'PYTHONPATH=%q\\n' "${PYTHONPATH:-}" >>"$LOG"
"""
FAILS = """case " $* " in *" ${FAILS:-nothing} "*) exit 3 ;; esac
"""
# What asks for packages runs, in an interpreter that sees all of them, or with -S none.
PYTHON = (
    NOTES
    + """case "$2" in *tomllib*) exec "$REAL" ${SEES_NOTHING:+-S} "$@" ;; esac
"""
    + FAILS
)


@pytest.fixture
def script(tmp_path):
    """Run it; answer status, calls with what Python they would import from, and what was said."""
    for name, text in {"python3": PYTHON, "compute-sanitizer": NOTES + FAILS, "nvidia-smi": NOTES}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"

    def script(**environment):
        given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "REAL": sys.executable}
        given |= {"XPGRAD_INSTALL": "no", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)} | environment
        command = [str(ROOT / ".ci" / "gpu"), "OUT"]
        done = subprocess.run(command, env=given, capture_output=True, text=True)
        calls = [shlex.split(line) for line in log.read_text().splitlines()] if log.exists() else []
        return done.returncode, calls, done.stdout + done.stderr

    return script


def pytest_calls(calls):
    """What follows the word pytest, of those who have it."""
    return [call[call.index("pytest") + 1 : -1] for call in calls if "pytest" in call]


def test_without_a_network_it_uses_what_is_there(script):
    status, calls, said = script()
    assert status == 0, said
    assert not any("pip" in call or "venv" in call for call in calls)
    assert ["python3", "-m", "xpgrad", "info"] in [call[:-1] for call in calls]
    assert calls[-1][:-1] == ["python3", "-m", "bench.gpu", "--out", "OUT"]
    assert {call[-1] for call in calls if call[-2] == "OUT"} == {f"PYTHONPATH={ROOT}/src:{ROOT}"}


def test_the_suite_shares_the_card_and_runs_no_test_twice(script):
    first, rest, *_ = pytest_calls(script()[1])
    files = ["tests/backends/gpu/test_card.py", "tests/compile/test_corpus.py"]
    assert first[:2] == rest[:2] == ["-m", "gpu"]
    assert 1 <= int(first[first.index("-n") + 1]) <= 8
    assert first[-2:] == files
    assert rest[-2:] == [f"--ignore={file}" for file in files]


def sanitized(calls):
    return {call[call.index("--tool") + 1]: call for call in calls if "--tool" in call}


def test_each_tool_gets_what_it_can_find(script):
    calls = sanitized(script()[1])
    assert list(calls) == ["memcheck", "racecheck", "synccheck"]
    for tool, call in calls.items():
        assert ("--report-api-errors" in call, "without_pool" in call) == ((tool == "memcheck",) * 2)
        assert call[-1].startswith("PYTHONPATH=.ci:") == (tool == "memcheck")
    assert "-n" not in calls["racecheck"]


@pytest.mark.parametrize(("tool", "most"), [("memcheck", 200), ("racecheck", 60)])
def test_what_a_tool_sees_is_there_and_is_not_too_much(script, tool, most):
    (arguments,) = pytest_calls([sanitized(script()[1])[tool]])
    arguments = [x for x in arguments if x not in ("-p", "without_pool")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert 30 < int(re.search(r"^(\d+)/\d+ tests collected", said, re.M)[1]) < most
    assert "-33-float32]" in said
    assert "-33-float64]" not in said
    if tool == "racecheck":
        text = (ROOT / ".ci" / "gpu").read_text()
        for name in re.search(r"^few=\((.*)\)$", text, re.M)[1].split():
            assert f"[gpu-{name}-33-float32]" in said
        assert "test_card.py" in said


def test_the_selection_can_be_given_and_left_out(script):
    calls = sanitized(script(XPGRAD_SANITIZE="tests/test_nn.py -k relu")[1])
    assert [call[-4:-1] for call in calls.values()] == [["tests/test_nn.py", "-k", "relu"]] * 3


def test_the_sanitizer_can_be_left_out(script):
    status, calls, said = script(XPGRAD_SANITIZE="no")
    assert status == 0, said
    assert not sanitized(calls)
    assert "bench.gpu" in calls[-1]


def test_what_the_suite_lacks_is_named_before_it_starts(script):
    status, calls, said = script(SEES_NOTHING="yes")
    assert status == 1
    assert "missing, of what the suite imports: array-api-strict cloudpickle dask" in said
    assert "ruff" not in said
    assert not pytest_calls(calls)


def test_a_part_that_fails_is_named_at_the_end_and_the_next_ones_run(script):
    status, calls, said = script(FAILS="racecheck")
    assert status == 1
    assert ".ci/gpu: failed: compute-sanitizer, racecheck (status 3)" in said
    assert said.count("failed:") == 1
    assert "synccheck" in sanitized(calls)
    assert "bench.gpu" in calls[-1]
