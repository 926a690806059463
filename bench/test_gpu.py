"""`bench.gpu` without a GPU: who takes part, agreement, verdicts, the command; and a little on one."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from bench.gpu import card, clocks, measure, report
from bench.gpu.__main__ import file_for, main
from bench.gpu.contenders import CONTENDERS, REFERENCE
from bench.gpu.table import WORKLOADS
from bench.peers.processes import Answering, Died, Missing
from xpgrad.devices import GpuStatus, gpu_status

CARD = {"name": "a card", "l2_bytes": 50 << 20, "flush_bytes": 256 << 20}
NO_GPU = not gpu_status().available
SETTINGS = measure.Settings("tiny", "cpu", rounds=2, round_s=0.001)


# Who takes part ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_contender_of_a_workload_is_listed_and_ours_is_among_them(name):
    w = WORKLOADS[name]
    assert set(w.contenders) <= set(CONTENDERS)
    assert {w.ours, w.on_cpu, *w.peers} <= set(w.contenders)


def test_the_targets_are_those_of_the_design():
    assert WORKLOADS["logistic-32-20m"].full == {"n_x": 32, "m": 20_000_000}
    assert (WORKLOADS["logistic-32-20m"].target, WORKLOADS["logistic-32-20m"].of_copy) == (1.3, 0.6)
    assert {w.target for name, w in WORKLOADS.items() if name != "logistic-32-20m"} == {1.0}
    assert WORKLOADS["mlp"].peers == ("torch.compile", "jax.jit", "cupy")


def test_the_floor_counts_each_array_once_and_what_is_written():
    w = WORKLOADS["logistic-32"]
    floor = w.floor("tiny", w.make("tiny"))
    X = 4 * 32 * 500
    assert floor == {"bytes": X + 4 * 500 + 2 * 4 * 33, "x_bytes": X, "flop": 4 * 32 * 500}


def test_the_network_needs_no_gradient_of_its_data():
    w = WORKLOADS["mlp"]
    floor = w.floor("tiny", w.make("tiny"))
    assert floor["flop"] == 2 * 32 * (2 * 784 * 64 + 3 * 64 * 32 + 3 * 32 * 10)


def test_only_data_that_the_cache_could_hold_is_flushed():
    assert measure.flush_bytes(100 << 20, CARD) == CARD["flush_bytes"]
    assert measure.flush_bytes(2 << 30, CARD) == 0
    assert measure.flush_bytes(160, CARD) == 0


@pytest.mark.parametrize("name", ["torch", "jax", "cupy"])
def test_a_library_that_sees_no_gpu_is_missing(name, monkeypatch):
    if not NO_GPU:
        pytest.skip("it sees one")
    pytest.importorskip(name)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(Missing, match="sees no GPU"):
        clocks.make(name, "gpu")


# A run with stand-ins for the processes ------------------------------------------------------------------


class Stub:
    """A process that answers by script: what each contender says, by what it is asked; the rest is well."""

    script = {}  # noqa: RUF012

    def __init__(self, module, workload, who, *_, **__):
        self.who, self.said = who, self.script.get(who, {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def kill(self):
        pass

    def ask(self, do, *, within_s, **arguments):
        if do == "first_call" and self.who != REFERENCE:
            assert 0 < arguments["seconds"] <= measure.AT_MOST_S  # a worker knows what it has
        answer = self.said.get(do)
        if isinstance(answer, Exception | SystemExit):
            raise answer
        if do == "save":
            np.savez(arguments["path"], np.float64(2.0), self.said.get("gradient", np.ones(3)))
            return {"dtypes": ["float32"]}
        seconds = self.said.get("seconds", 1e-3)
        time = {"wall_s": [seconds, 2 * seconds, seconds], "device_s": None, "queued_s": None}
        return answer or {"start": {"modes": {}}, "time": time}.get(do, {})


@pytest.fixture
def scripted(monkeypatch):
    def run(name, contenders, **script):
        monkeypatch.setattr(Stub, "script", {who.replace("_", "."): said for who, said in script.items()})
        monkeypatch.setattr(measure, "Answering", Stub)
        found = measure.workload(name, contenders, CARD, SETTINGS, measure.Budget(60), lambda _: None)
        found["sizes"] = WORKLOADS[name].full
        return found | {"verdict": report.verdict(name, found, RATES)}

    return run


RATES = {"copy": {"best": 4e12}, "sgemm": {"best": 5e13}}
ALL = ("cupy", "jax.jit", "torch.compile", "xpgrad.compile")


def test_who_is_missing_or_fails_is_a_row_and_the_others_are_timed(scripted):
    found = scripted(
        "softmax",
        ALL,
        jax_jit={"start": {"missing": "jax is not installed"}},
        torch_compile={"first_call": Died("it took longer than 5 s")},
        cupy={"time": Died("cupy failed in 'time'")},
    )
    rows = found["contenders"]
    assert rows["jax.jit"] == {"missing": "jax is not installed"}
    assert rows["torch.compile"]["failed"] == "it took longer than 5 s"
    assert rows["cupy"]["failed"] == "cupy failed in 'time'"
    assert rows["xpgrad.compile"]["rounds_ms"] == [1.0, 1.0]
    assert found["verdict"]["peers_not_timed"] == ["torch.compile", "jax.jit", "cupy"]
    text = report.render("softmax", found)
    for said in ("missing: jax is not installed", "failed: it took longer than 5 s", "not measured"):
        assert said in text
    assert report.complaints("softmax", found) == []


def test_the_best_peer_counts_and_an_open_target_is_not_met(scripted):
    fast, slow = {"seconds": 2e-3}, {"seconds": 4e-3}
    found = scripted("softmax", ALL, cupy=slow, jax_jit=fast, torch_compile=slow)
    assert (found["verdict"]["best_peer"], found["verdict"]["ratio_to_best_peer"]) == ("jax.jit", 2.0)
    assert found["verdict"]["targets"][0]["met"] is True
    found = scripted("softmax", ALL[:1] + ALL[3:], cupy=slow)
    assert found["verdict"]["targets"][0]["met"] is None
    assert "open" in report.render("softmax", found)


def test_a_result_that_is_off_is_named_and_meets_no_target(scripted):
    found = scripted("softmax", ALL, xpgrad_compile={"gradient": np.full(3, 1.1), "seconds": 1e-6})
    row = found["contenders"]["xpgrad.compile"]
    assert not row["agrees"]
    assert "differ from float64" in row["disagreement"]
    assert found["verdict"]["off"] == ["xpgrad.compile"]
    assert found["verdict"]["targets"][0]["met"] is False
    assert "OFF" in report.render("softmax", found)
    assert len(report.complaints("softmax", found)) == 1


def test_a_fast_peer_that_is_off_still_counts(scripted):
    found = scripted("softmax", ALL, cupy={"gradient": np.full(3, 1.1), "seconds": 1e-4})
    assert found["verdict"]["best_peer"] == "cupy"
    assert found["verdict"]["off"] == ["cupy"]
    assert "OFF: cupy on softmax: value and gradients differ from float64" in report.render("softmax", found)
    assert report.complaints("softmax", found) == []


def test_ours_that_is_off_on_the_cpu_is_a_failure(scripted):
    off = {"gradient": np.full(3, 1.1)}
    found = scripted("softmax", ["cpu:xpgrad.compile", *ALL], **{"cpu:xpgrad_compile": off})
    (complaint,) = report.complaints("softmax", found)
    assert "cpu:xpgrad.compile on softmax" in complaint


def test_variants_that_were_not_timed_are_named(scripted):
    variants = {"graph": {"not_tried": "3 s were left"}, "loss": {"failed": "Error: a\nof no use"}, "one": {}}
    found = scripted("softmax", ALL, torch_compile={"first_call": {"variant": "one", "variants": variants}})
    text = report.render("softmax", found)
    assert "torch.compile, graph: not tried: 3 s were left" in text
    assert "torch.compile, loss: failed: of no use" in text
    assert "torch.compile, one" not in text


def test_without_a_reference_nobody_agrees(scripted):
    found = scripted("softmax", ALL, **{REFERENCE: {"first_call": Died("no memory")}})
    assert "no memory" in found["contenders"]["cupy"]["disagreement"]
    (complaint,) = report.complaints("softmax", found)
    assert "no memory" in complaint


def test_ours_absent_is_a_failure_and_a_peer_absent_is_not(scripted):
    found = scripted("softmax", ALL, xpgrad_compile={"first_call": {"failed": "CUDA error"}})
    assert report.complaints("softmax", found) == ["softmax: xpgrad.compile was not timed: CUDA error"]


# What is said about it -----------------------------------------------------------------------------------


def rows(**ms):
    return {name.replace("_", "."): {"median_ms": t, "agrees": True} for name, t in ms.items()}


def test_the_bandwidth_target_counts_x_once_by_the_clock_of_the_wall():
    floor = {"bytes": 3 * 10**9, "x_bytes": 24 * 10**8, "flop": 0}
    found = {"floor": floor, "contenders": rows(xpgrad_compile=1.0)}
    v = report.verdict("logistic-32-20m", found, RATES)
    assert v["targets"][1]["got"] == pytest.approx(0.6)
    v = report.verdict("logistic-32-20m", found, {})
    assert v["targets"][1] == {
        "what": "of the copy bandwidth, counting X once",
        "got": None,
        "at_least": 0.6,
        "met": None,
    }


def test_the_speed_up_is_of_the_same_lines_in_the_same_run():
    contenders = rows(xpgrad_compile=2.0) | {
        "cpu:xpgrad.compile": {"median_ms": 50.0},
        "cpu:numpy": {"median_ms": 400.0},
    }
    found = {"floor": {"x_bytes": 1}, "contenders": contenders}
    v = report.verdict("mlp", found, RATES)
    assert v["cpu_to_gpu"] == {"ours_to_ours": 25.0, "numpy_to_ours": 200.0}


def test_the_profile_names_what_binds_and_the_part_reached():
    floor = {"bytes": 4 * 10**9, "x_bytes": 0, "flop": 10**11}
    found = {"floor": floor, "contenders": rows(xpgrad_compile=4.0) | {"cpu:numpy": {"median_ms": 9.0}}}
    found["contenders"]["xpgrad.compile"]["device"] = {"median_ms": 2.5}
    p = report.profile(found, RATES)
    assert (p["floor_ms"], p["bound_by"]) == (2.0, "flop")
    row = p["contenders"]["xpgrad.compile"]
    assert (row["gb_s"], row["of_copy"], row["of_floor"]) == (1000.0, 0.25, 0.5)
    assert row["of_copy_on_device"] == pytest.approx(0.4)
    assert set(p["contenders"]) == {"xpgrad.compile"}
    assert "25.0%" in report.render_profile("mlp", p)


def test_medians_and_spreads_are_over_rounds():
    by_round = [{"wall_s": [k, 9.0, k], "device_s": [k / 2], "queued_s": k / 4} for k in (1.0, 2.0, 3.0)]
    found = measure.summary(by_round)
    assert (found["median_ms"], found["min_ms"], found["max_ms"]) == (2000.0, 1000.0, 3000.0)
    assert (found["quartile_1_ms"], found["quartile_3_ms"]) == (1500.0, 2500.0)
    assert (found["device"]["median_ms"], found["queued"]["median_ms"], found["calls"]) == (1000.0, 500.0, 9)


def test_nvidia_smi_is_read_as_numbers_and_its_absence_is_named(monkeypatch):
    line = "NVIDIA H200, 580.1, 345, 3201, 1980, 3201, 76.5, 700.00, 29, [N/A], P0\n"
    found = card.parse(line)
    assert (found["name"], found["clocks.sm"], found["utilization.gpu"]) == ("NVIDIA H200", 345.0, "[N/A]")
    monkeypatch.setenv("PATH", "")
    assert "FileNotFoundError" in card.read("0000:00:00.0")["unknown"]


# The command ---------------------------------------------------------------------------------------------


def test_without_a_gpu_the_command_says_why_and_gives_2(tmp_path, monkeypatch, capsys):
    status = GpuStatus(False, "CuPy is not installed", 'pip install "xpgrad[gpu]"')
    monkeypatch.setattr("bench.gpu.__main__.gpu_status", lambda: status)
    assert main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "no GPU can be used: CuPy is not installed" in said
    assert "pip install" in said
    assert not (tmp_path / "out").exists()


DRY = ["--device", "cpu", "--tiny", "--rounds", "2"]


def test_a_dry_run_goes_from_end_to_end(tmp_path, capsys):
    contenders = ["cpu:numpy", "cpu:xpgrad.compile", "cupy", "xpgrad", "xpgrad.compile"]
    names = ["logistic-32-20m", "black-scholes"]
    command = ["--out", str(tmp_path), *DRY, "--profile", "--only", *names, "--contenders", *contenders]
    assert main(command) == 0
    written = json.loads((tmp_path / "gpu-logistic-32-20m_black-scholes.json").read_text())
    assert written["dry_run"] is True
    assert {"commit", "date", "versions", "machine", "card", "ceilings", "nvidia_smi"} <= set(written)
    assert {"copy", "read", "sgemm"} <= set(written["ceilings"])
    assert list(written["workloads"]) == names
    found = written["workloads"]["logistic-32-20m"]
    assert set(found["contenders"]) == set(contenders)
    for row in found["contenders"].values():
        assert len(row["rounds_ms"]) == 2
        assert row["agrees"]
    assert found["verdict"]["cpu_to_gpu"]["ours_to_ours"] > 0
    assert found["contenders"]["xpgrad.compile"]["explain"]
    printed = capsys.readouterr().out
    assert "elementwise steps fused" in printed or "NumPy's lines" in printed
    assert "GB/s" in printed
    assert "NOT at that size" in printed


def test_runs_of_other_workloads_leave_each_others_files_alone():
    assert file_for(list(WORKLOADS)) == file_for(list(WORKLOADS)[::-1]) == "gpu.json"
    assert file_for(["mlp", "softmax"]) == file_for(["softmax", "mlp"]) == "gpu-softmax_mlp.json"


def test_what_the_budget_does_not_cover_is_named(tmp_path, capsys):
    assert main(["--out", str(tmp_path), *DRY, "--budget", "1e-9", "--only", "mlp"]) == 1
    assert "used up" in json.loads((tmp_path / "gpu-mlp.json").read_text())["workloads"]["mlp"]["not_run"]
    assert "mlp: the budget" in capsys.readouterr().err


def test_a_disagreement_gives_1_and_is_written(tmp_path, monkeypatch, capsys):
    off = SimpleNamespace(value=0.0)
    monkeypatch.setattr("bench.peers.agreement.tolerance", lambda dtype: off)
    command = ["--out", str(tmp_path), *DRY, "--only", "softmax", "--contenders", "xpgrad"]
    assert main(command) == 1
    row = json.loads((tmp_path / "gpu-softmax.json").read_text())["workloads"]["softmax"]["contenders"][
        "xpgrad"
    ]
    assert row["agrees"] is False
    assert row["median_ms"] > 0
    assert "differ from float64" in capsys.readouterr().err


def test_a_process_that_takes_too_long_is_ended():
    with (
        Answering("bench.gpu.ceilings", "cpu", name="ceilings") as process,
        pytest.raises(Died, match="'rates' took longer than 0 s"),
    ):
        process.ask("rates", within_s=0.001, size="tiny")


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason=gpu_status().reason)
def test_ours_runs_on_the_gpu_from_end_to_end(tmp_path):
    contenders = ["cpu:xpgrad.compile", "cupy", "xpgrad", "xpgrad.compile"]
    command = ["--out", str(tmp_path), "--tiny", "--rounds", "2", "--only", "logistic-32"]
    assert main([*command, "--contenders", *contenders]) == 0
    written = json.loads((tmp_path / "gpu-logistic-32.json").read_text())
    assert {"to_device_pinned", "to_device_pageable"} <= set(written["ceilings"])
    row = written["workloads"]["logistic-32"]["contenders"]["xpgrad.compile"]
    assert row["device"]["median_ms"] > 0
    assert row["memory"]["data_bytes"] > 0
