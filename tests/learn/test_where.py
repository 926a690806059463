"""The choice of a device: by measured rates, with the copy; and what it says."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad import learn
from xpgrad.devices import GpuStatus, gpu_status
from xpgrad.learn import where
from xpgrad.learn.where import Rates, choose_device

# A GPU of ten times the CPU's rate behind a bus of the CPU's own; 50 us to start a pass.
RATES = Rates(cpu=(1e-5, 1e-10), gpu=(5e-5, 1e-11), copy=1e-10)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(where, "gpu_status", lambda: GpuStatus(True))
    monkeypatch.setattr(where, "measured_rates", lambda gpu: RATES)


def test_one_pass_does_not_pay_for_the_copy(gpu):
    assert choose_device("auto", "cpu", 10**9, 1).device == "cpu"


def test_many_passes_over_much_data_do(gpu):
    choice = choose_device("auto", "cpu", 10**9, 20)
    assert choice.device == "gpu"
    assert "20 passes over 1e+03 MB are expected to take 2 s on the CPU, and 0.3 s on the GPU" in choice.reason
    assert "of which 0.1 s is the copy" in choice.reason


def test_many_passes_over_few_data_are_the_cpus(gpu):
    assert choose_device("auto", "cpu", 10**4, 1000).device == "cpu"


def test_data_on_a_gpu_stay_there(gpu):
    assert choose_device("auto", "gpu:1", 10, 1) == ("gpu:1", "the data are there")


def test_a_device_by_name_is_taken_as_it_is(gpu):
    assert choose_device("cpu", "cpu", 10**12, 10**6) == ("cpu", "as asked")


def test_without_a_gpu_the_choice_says_why(monkeypatch):
    def never(gpu):
        raise AssertionError("measured without a GPU")

    monkeypatch.setattr(where, "measured_rates", never)
    monkeypatch.setattr(where, "gpu_status", lambda: GpuStatus(False, reason="no driver"))
    assert choose_device("auto", "cpu", 10**12, 100) == ("cpu", "no GPU can be used: no driver")


def test_rates_are_those_of_clocks(monkeypatch):
    """Measured on the CPU in the place of a GPU: a pass takes time by the byte, and none is negative."""
    monkeypatch.setattr(where, "_ROWS", (1 << 10, 1 << 15))
    rates = where.measured_rates.__wrapped__("cpu")
    for fixed, each in (rates.cpu, rates.gpu):
        assert 0 <= fixed < 1
        assert 0 < each < 1e-6
    assert rates.copy >= 0


def test_an_estimator_says_where_it_was_fitted_and_why():
    X, y = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50.0)
    model = learn.LinearRegression().fit(X, y)
    if not gpu_status().available:
        assert model.device_ == "cpu"
        assert model.device_reason_ == f"no GPU can be used: {gpu_status().reason}"
    assert f"{model.device_} ({model.device_reason_})" in model.inference(X, y).summary()
    assert learn.Ridge(device="cpu").fit(X, y).device_reason_ == "as asked"
    with pytest.raises(xg.DeviceError, match="no device 'tpu'"):
        learn.Ridge(device="tpu").fit(X, y)
