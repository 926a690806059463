"""The CUDA device's own errors, on a machine without one."""

from types import SimpleNamespace

import pytest

from xpgrad import DeviceError
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


def test_an_error_in_a_launch_names_the_kernel_and_what_became_of_the_process(card):
    def fail(*_):
        raise cupy.cuda.runtime.CUDARuntimeError(700)

    module = SimpleNamespace(get_function=lambda name: fail)
    with pytest.raises(DeviceError) as error:
        card("90").launch(module, "region", 7, 256, [], 128)
    text = str(error.value)
    assert text.startswith("kernel region: cudaErrorIllegalAddress")
    assert "7 blocks of 256 threads, 128 bytes of shared memory" in text
    assert "cannot use the GPU again" in text
