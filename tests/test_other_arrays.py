"""Arrays of other libraries come in without a copy, and theirs take ours without one: DLPack, both ways."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import xpgrad as xg

F = [1.0, 2.0, 3.0]
DEVICES = sys.modules["xpgrad.devices"]  # whose name in the package is the function's


class Exporter:
    """An array that has DLPack alone."""

    def __init__(self, values, device=None):
        self.values, self.device, self.asked = np.asarray(values), device, 0

    def __dlpack__(self, **options):
        self.asked += 1
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device or self.values.__dlpack_device__()


class OnGpu:
    """An array that says where on a GPU it is."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": (3,), "typestr": "<f8", "data": (4096, False), "version": 3}


def test_an_array_with_dlpack_alone_is_read_where_it_is():
    x = Exporter(F)
    inside = xg.to_device({"x": x}, "cpu")["x"]
    assert np.shares_memory(inside, x.values)
    assert x.asked == 1
    assert np.array_equal(xg.grad(lambda v: np.sum(v**2))(x), [2.0, 4.0, 6.0])
    assert np.array_equal(xg.compile(xg.grad(lambda v: np.sum(v**2)))(x), [2.0, 4.0, 6.0])


@pytest.mark.parametrize("device", [(2, 0), (13, 1)])
def test_an_array_on_a_gpu_is_cupys_view_of_it(monkeypatch, device):
    taken = []
    fake = SimpleNamespace(
        from_dlpack=lambda x: taken.append(x) or x.values, asarray=lambda x: taken.append(x) or np.ones(3)
    )
    monkeypatch.setattr(DEVICES, "cupy", lambda: fake)
    x, y = Exporter(F, device), OnGpu()
    assert xg.to_device(x, "cpu") is x.values
    assert xg.to_device(y, "cpu").shape == (3,)
    assert taken == [x, y]


def test_an_array_on_a_gpu_that_cannot_be_used_says_why():
    if DEVICES.gpu_status().available:
        pytest.skip("there is a GPU")
    with pytest.raises(xg.DeviceError, match=r"(?i)cupy|driver|GPU"):
        xg.grad(lambda v: np.sum(v))(Exporter(F, (2, 0)))


def test_torch_tensors_and_results_share_memory():
    torch = pytest.importorskip("torch")
    x = torch.arange(3.0, dtype=torch.float64)
    inside = xg.to_device(x, "cpu")
    assert inside.ctypes.data == x.data_ptr()
    g = xg.grad(lambda v: np.sum(v**2))(x)
    assert torch.from_dlpack(g).data_ptr() == g.ctypes.data
    with pytest.raises(xg.DTypeError, match=r"x\.detach\(\)"):
        xg.grad(lambda v: np.sum(v))(torch.ones(3, requires_grad=True))


def test_jax_arrays_and_results_share_memory():
    jax = pytest.importorskip("jax")
    x = jax.numpy.arange(3.0)
    inside = xg.to_device(x, "cpu")
    assert inside.ctypes.data == x.unsafe_buffer_pointer()
    g = xg.compile(xg.grad(lambda v: np.sum(v**2)))(x)
    assert np.array_equal(jax.numpy.from_dlpack(g), [0.0, 2.0, 4.0])
