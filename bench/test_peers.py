"""Every workload of `bench.peers` at a tiny size, by every contender that is here: ``pytest bench``."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bench.peers.__main__ import main
from bench.peers.agreement import Disagreement, check
from bench.peers.contender import CONTENDERS, make
from bench.peers.processes import PARENT, Missing, Process
from bench.peers.report import render, verdict
from bench.peers.table import WORKLOADS


@pytest.fixture(autouse=True)
def float32_again():
    """Rosenbrock switches JAX to float64, for the whole process."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", False)


def value_and_gradient(contender):
    value, gradient = contender.unpack(contender.build()())
    return [np.float64(value), *map(np.asarray, gradient)]


# torch.compile takes tens of seconds for each: it is listed, and run by the command alone.
PAIRS = [(w, c) for w in WORKLOADS for c in WORKLOADS[w].contenders if c != "torch.compile"]


@pytest.mark.parametrize(("workload", "name"), PAIRS)
def test_a_contender_agrees_with_float64(workload, name):
    w = WORKLOADS[workload]
    problem = w.make("tiny")
    expected = value_and_gradient(make("numpy", w.job, problem.in_float64()))
    try:
        found = value_and_gradient(make(name, w.job, problem))
    except Missing as missing:
        pytest.skip(str(missing))
    check(name, found, [str(g.dtype) for g in found[1:]], expected, w.dtype)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # its own compiler's imports
@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w != "rosenbrock-eager"])
def test_torch_compile_takes_part(workload):
    pytest.importorskip("torch")
    w = WORKLOADS[workload]
    assert "torch.compile" in w.contenders
    assert callable(make("torch.compile", w.job, w.make("tiny")).build())


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_problem_has_the_dtype_that_its_title_says(workload):
    w = WORKLOADS[workload]
    problem = w.make("tiny")
    assert w.dtype in w.title
    assert {str(p.dtype) for p in problem.params} == {w.dtype}
    assert all(d.dtype == w.dtype or d.dtype.kind == "i" for d in problem.data)


def test_no_relu_of_the_network_is_at_its_kink():
    problem = WORKLOADS["mlp"].problem(m=64, widths=(784, 512, 256, 10))
    W1, b1, W2, b2, *_ = problem.params
    X = problem.data[0]
    Z1 = X @ W1 + b1
    Z2 = np.maximum(Z1, 0) @ W2 + b2
    wide = X.astype(np.float64) @ W1 + b1
    assert np.array_equal(Z1, wide)
    assert np.array_equal(Z2, np.maximum(wide, 0) @ W2 + b2)
    assert np.all(Z1 != 0)
    assert np.all(Z2 != 0)


def test_a_wrong_gradient_is_refused():
    expected = [np.float64(2.0), np.ones(3)]
    found = [np.float64(2.0), np.array([1, 1, 1.001], np.float32)]
    with pytest.raises(Disagreement, match="differ from float64"):
        check("it", found, ["float32"], expected, "float32")
    with pytest.raises(Disagreement, match="not all in float32"):
        check("it", expected, ["float64"], expected, "float32")
    with pytest.raises(Disagreement, match="differ from float64"):
        check("it", [np.float64(np.nan), np.ones(3)], ["float32"], expected, "float32")


def test_nothing_is_written_where_two_disagree(tmp_path, monkeypatch):
    def off(*_):
        raise Disagreement("numpy on rosenbrock: off")

    monkeypatch.setattr("bench.peers.measure.check", off)
    out = tmp_path / "out.json"
    command = ["--workload", "rosenbrock", "--contenders", "numpy", "--parts", "times", "--rounds", "1"]
    with pytest.raises(SystemExit, match="nothing is written"):
        main([*command, "--out", str(out)])
    assert not out.exists()


def test_the_command_writes_times_memory_and_machine(tmp_path, capsys):
    out = tmp_path / "out.json"
    command = ["--workload", "logistic-32", "--contenders", "numpy", "xpgrad", "--size", "tiny"]
    main([*command, "--rounds", "2", "--repetitions", "1", "--parts", "times", "memory", "--out", str(out)])
    report = json.loads(out.read_text())
    assert {"machine", "versions", "threads", "commit", "date", "rounds"} <= set(report)
    found = report["workloads"]["logistic-32"]
    assert len(found["times"]["xpgrad"]["rounds_ms"]) == 2
    assert found["times"]["numpy"]["median_ms"] > 0
    assert found["verdict"]["best_peer"] == "numpy"
    assert found["memory"].keys() == {"numpy", "xpgrad"}
    assert "logistic-32" in capsys.readouterr().out


def test_the_best_peer_is_never_ours_and_the_target_is_judged():
    times = {"torch": {"median_ms": 21.0}, "sklearn": {"missing": "sklearn is not installed"}}
    times |= {"xpgrad": {"median_ms": 5.0}, "xpgrad.compile": {"median_ms": 10.0}}
    found = {"times": times}
    found["verdict"] = verdict("logistic-32", found)
    assert found["verdict"]["best_peer"] == "torch"
    assert found["verdict"]["ratio_to_best_peer"] == pytest.approx(2.1)
    assert [t["met"] for t in found["verdict"]["targets"]] == [True, None, None, None]
    assert "missing: sklearn is not installed" in render("logistic-32", found)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(CONTENDERS, "jax", ("by_jax", {}, ()))
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.delitem(sys.modules, "bench.peers.by_jax", raising=False)
    with pytest.raises(Missing, match="jax is not installed"):
        make("jax", "rosenbrock", WORKLOADS["rosenbrock"].make("tiny"))


def state(pid):
    """Of a process, as Linux says it: T is stopped, Z has ended; X also where nothing is left of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@on_linux
def test_a_contender_that_waits_is_stopped():
    with Process("rosenbrock", "numpy", "tiny") as process:
        process.ask("prepare")
        assert state(process.process.pid) == "T"
        assert process.ask("first_call")["first_s"] > 0


ASKS_AND_WAITS = """
import time
from bench.peers.processes import Process

process = Process("rosenbrock", "numpy", "tiny")
process.ask("prepare")
print(process.process.pid, flush=True)
time.sleep(600)
"""


@on_linux
def test_a_stopped_contender_ends_when_who_started_it_is_killed():
    with subprocess.Popen([sys.executable, "-c", ASKS_AND_WAITS], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        try:
            assert state(pid) == "T"
            parent.kill()
            end = time.monotonic() + 20
            while state(pid) not in "ZX" and time.monotonic() < end:
                time.sleep(0.01)
            assert state(pid) in "ZX"
        finally:
            parent.kill()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@on_linux
def test_a_contender_whose_parent_is_gone_before_it_looks_ends_at_once():
    command = [sys.executable, "-m", "bench.peers.worker", "rosenbrock", "numpy", "tiny"]
    orphan = os.environ | {PARENT: "-1"}
    done = subprocess.run(command, env=orphan, input='{"do": "prepare"}\n', capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is gone" in done.stderr
