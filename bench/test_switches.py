"""`bench.switches` without a GPU: its table, its verdicts, the command; and both arms behind the shim."""

import pytest

from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from bench.gpu.clocks import Host
from bench.gpu.table import WORKLOADS
from bench.switches import CASES, GAIN, LOSS, Case, compare, main, verdict
from xpgrad.backends.gpu.limits import SWITCHES
from xpgrad.devices import gpu_status

CARD = {"l2_bytes": 0, "flush_bytes": 0}


def result(speed_up, agrees=True, changes_program=True):
    return {"speed_up": speed_up, "agrees": agrees, "changes_program": changes_program}


def test_every_switch_has_workloads():
    assert set(CASES) == set(SWITCHES)
    for cases in CASES.values():
        assert cases
        assert {case.workload for case in cases} <= set(WORKLOADS)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([result(GAIN)], "on"),
        ([result(GAIN), result(LOSS)], "on"),
        ([result(GAIN), result(LOSS - 0.01)], "off"),
        ([result(GAIN - 0.01), result(1.0)], "off"),
        ([result(2.0, changes_program=False)], "off"),
        ([result(GAIN), result(0.5, changes_program=False)], "on"),
        ([result(2.0), result(2.0, agrees=False)], "wrong"),
    ],
)
def test_a_switch_is_on_if_one_workload_gains_and_none_loses(cases, expected):
    assert verdict(cases) == expected


def test_the_list_has_each_switch_with_its_workloads(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SWITCHES)
    for line in lines:
        assert all(case.workload in line for case in CASES[line.split()[0]])


@pytest.mark.skipif(gpu_status().available, reason="there is a GPU")
def test_without_a_gpu_the_command_says_why_and_writes_nothing(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "switches.json")]) == 2
    assert "no GPU can be used" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize(
    ("switch", "case", "changes_program"),
    [
        ("vector_loads", Case("logistic-32", {"n_x": 32, "m": 4000}), False),  # too many registers
        ("vector_loads", Case("logistic-32", {"n_x": 8, "m": 9000}), True),
        ("full_waves", Case("logistic-32", {"n_x": 32, "m": 4000}), True),
        ("matmul_by_thread", Case("softmax", {"n_x": 100, "m": 300}), True),
        ("matmul_by_warp", Case("logistic-784", {"n_x": 100, "m": 1000}), True),
        ("cuda_graphs", Case("logistic-32", {"n_x": 32, "m": 4000}), True),
        pytest.param(
            *("fused_regions", Case("mlp", {"m": 60, "widths": (784, 48, 40, 10)}), True),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda x: x.in_words() if isinstance(x, Case) else str(x),
)
def test_both_arms_of_a_switch_run_and_agree(switch, case, changes_program):
    def device(limits):
        return ShimDevice(limits, threads=32)

    told = {"device": "cpu"}
    found = compare(switch, case, device, Host(), told, CARD, rounds=1, round_s=1e-6, warming=2)
    assert found["agrees"], found["differences"]
    assert found["changes_program"] == changes_program
    assert found["calls"] == len(found["on"]["rounds_ms"]) == len(found["off"]["rounds_ms"]) == 1
    assert found["speed_up"] == found["off"]["median_ms"] / found["on"]["median_ms"]
