"""The CUDA device's own errors, on a machine without one."""

from types import SimpleNamespace

import pytest

from xpgrad import DependencyError, DeviceError
from xpgrad._errors import at_line
from xpgrad.backends.gpu.cuda import nvrtc
from xpgrad.backends.gpu.cuda.device import CudaDevice

if reason := nvrtc.available():
    pytest.skip(reason, allow_module_level=True)

import cupy


@pytest.fixture
def card(monkeypatch):
    """A card of which the driver would say so much."""

    def card(capability, name="Test card"):
        class Device:
            def __init__(self, number):
                self.compute_capability = capability

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        monkeypatch.setattr(cupy.cuda, "Device", Device)
        properties = {"name": name.encode()}
        monkeypatch.setattr(cupy.cuda.runtime, "getDeviceProperties", lambda number: properties)
        return CudaDevice(0)

    return card


def test_a_card_that_is_too_old_is_refused_by_its_name(card):
    with pytest.raises(DeviceError) as error:
        card("61", "GeForce GTX 1080")
    assert str(error.value).startswith("compile: GeForce GTX 1080 has compute capability 61; kernels need 70")
    assert 'use device="cpu"' in str(error.value)


def test_a_card_that_nvrtc_does_not_know_is_refused_with_what_it_knows(card):
    with pytest.raises(DeviceError, match="does not compile for sm_999") as error:
        card("999").compile('extern "C" __global__ void f() {}  // for no card')
    assert "sm_90" in str(error.value)


def failing(status):
    """A module whose kernels cannot be started."""

    def fail(*_):
        raise cupy.cuda.runtime.CUDARuntimeError(status)

    return SimpleNamespace(get_function=lambda name: fail)


def launch(card, status):
    with pytest.raises(DeviceError) as error, at_line("fit.py:3: A = X @ w"):
        card("90").launch(failing(status), "region", 7, 256, [], 128)
    return str(error.value)


def test_an_error_in_a_launch_names_the_kernel_with_its_line_and_that_the_process_can_go_on(card):
    text = launch(card, 701)
    assert text.startswith("kernel region: cudaErrorLaunchOutOfResources")
    assert "at fit.py:3: A = X @ w" in text
    assert text.endswith("the process can go on using the GPU")


def test_a_kernel_that_failed_before_is_one_of_those_started_last(card, monkeypatch):
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)
    text = launch(card, 700)
    assert text.startswith("kernel region: cudaErrorIllegalAddress")
    started = "kernel region, 7 blocks of 256 threads, 128 bytes of shared memory, at fit.py:3: A = X @ w"
    assert f"started last {started}" in text
    assert "cannot use the GPU again; start a new one, with CUDA_LAUNCH_BLOCKING=1" in text


def test_where_launches_wait_the_kernel_is_the_one_that_failed(card, monkeypatch):
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    text = launch(card, 700)
    assert "started last" not in text
    assert text.endswith("this process cannot use the GPU again; start a new one")


def test_a_card_without_nvrtc_says_what_to_install(card, monkeypatch):
    monkeypatch.setattr(nvrtc, "available", lambda: 'CuPy does not find NVRTC; pip install "xpgrad[gpu]"')
    with pytest.raises(DependencyError, match=r'does not find NVRTC; pip install "xpgrad\[gpu\]"'):
        card("90").compile("")


def test_work_is_done_on_the_device_and_running_out_of_memory_says_what_was_asked_for(card, monkeypatch):
    device = card("90")
    current = []
    monkeypatch.setattr(cupy.cuda.Device, "__enter__", lambda self: current.append("here"))
    monkeypatch.setattr(cupy.cuda.Device, "__exit__", lambda self, *_: current.pop() and None)
    monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", lambda: (5000, 9000))
    with device.working():
        assert current == ["here"]
    assert current == []
    with pytest.raises(DeviceError) as error, device.working():
        raise cupy.cuda.memory.OutOfMemoryError(8 << 20, 1 << 10)
    text = str(error.value)
    assert text.startswith("compile: out of memory allocating 8,388,608 bytes (allocated so far: 1,024 bytes)")
    assert "free 5,000 of 9,000 bytes" in text
    assert "at test_device.py:" in text
    assert current == []
