"""Devices: names, transfer, mixtures, and which of three things a missing GPU is.

CuPy is simulated, so that each state is tested on every machine; tests marked ``gpu`` use the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from xpgrad._errors import DeviceError, DTypeError, TraceError, XpgradError, at_line
from xpgrad.devices import missing

# The package's attribute `devices` is the public function of that name, not this module.
dev: Any = import_module("xpgrad.devices")

GIB = 1 << 30


class FakeError(RuntimeError):
    """As ``cupy.cuda.runtime.CUDARuntimeError``: a RuntimeError with the CUDA status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class FakeOutOfMemory(MemoryError):
    """As ``cupy.cuda.memory.OutOfMemoryError``."""

    __module__ = "cupy.cuda.memory"


class FakeArray:
    """As ``cupy.ndarray``: knows its device, and gives NumPy nothing unless asked by name."""

    def __init__(self, data: np.ndarray[Any, Any], device: int) -> None:
        self.data, self.device, self.shape, self.dtype = (
            data,
            SimpleNamespace(id=device),
            data.shape,
            data.dtype,
        )

    def get(self, order: Literal["A"]) -> np.ndarray[Any, Any]:
        return self.data.copy(order)

    def copy(self, order: Literal["A"]) -> FakeArray:
        return FakeArray(self.get(order), FakeDevice.current)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


class FakeDevice:
    current = 0

    def __init__(self, index: int) -> None:
        self.index = index

    def __enter__(self) -> None:
        self.before, FakeDevice.current = FakeDevice.current, self.index

    def __exit__(self, *_: object) -> None:
        FakeDevice.current = self.before

    def synchronize(self) -> None:
        pass


def fake_cupy(count: Callable[[], int], driver: int = 12080, runs: int = 12090) -> ModuleType:
    def properties(index: int) -> dict[str, Any]:
        return {"name": b"Fake %d" % index, "totalGlobalMem": 8 * GIB, "major": 9, "minor": 0}

    module = ModuleType("cupy")
    runtime = SimpleNamespace(
        getDeviceCount=count,
        getDeviceProperties=properties,
        runtimeGetVersion=lambda: runs,
        driverGetVersion=lambda: driver,
        memGetInfo=lambda: (GIB, 8 * GIB),
    )
    vars(module).update(
        ndarray=FakeArray,
        cuda=SimpleNamespace(runtime=runtime, Device=FakeDevice),
        asarray=lambda x, blocking: FakeArray(np.array(x), FakeDevice.current),
    )
    return module


def raising(status: int, text: str) -> Callable[[], int]:
    def count() -> int:
        raise FakeError(status, text)

    return count


@pytest.fixture(autouse=True)
def fresh_status() -> Iterator[None]:
    dev.gpu_status.cache_clear()
    yield
    dev.gpu_status.cache_clear()


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a CuPy in place of what is installed; None stands for no CuPy."""

    def pretend(cupy: ModuleType | None, *, container: bool = False, visible: str | None = None) -> None:
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setattr(missing, "_in_container", lambda: container)
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return pretend


@pytest.fixture
def two_gpus(pretend: Callable[..., None]) -> None:
    pretend(fake_cupy(lambda: 2))


class Traced:
    """What the tracer's arrays promise to this module."""

    shape, dtype = (3,), np.dtype("float32")

    def __init__(self, device: str) -> None:
        self.xpgrad_device = device


# Why a GPU is missing -----------------------------------------------------------------------------------

INSUFFICIENT = raising(35, "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime")

MISSING = {
    "no CuPy": (None, {}, "CuPy is not installed", 'pip install "xpgrad[gpu]"'),
    "no driver": (
        fake_cupy(INSUFFICIENT, 0),
        {},
        "there is no NVIDIA driver",
        "install an NVIDIA driver 525",
    ),
    "no driver in a container": (
        fake_cupy(INSUFFICIENT, 0),
        {"container": True},
        "this container has no NVIDIA driver",
        "docker run --gpus all",
    ),
    "old driver": (
        fake_cupy(INSUFFICIENT, 11040),
        {},
        "too old: it runs CUDA 11.4, CuPy needs 12",
        "install an NVIDIA driver 525",
    ),
    "CuPy for CUDA 13, driver for 12": (
        fake_cupy(INSUFFICIENT, 12080, runs=13000),
        {},
        "too old: it runs CUDA 12.8, CuPy needs 13",
        "install an NVIDIA driver 580 or newer, or CuPy for CUDA 12: pip uninstall cupy-cuda13x, pip install",
    ),
    "broken driver": (
        fake_cupy(raising(803, "cudaErrorSystemDriverMismatch")),
        {},
        "does not start: cudaErrorSystemDriverMismatch",
        "nvidia-smi",
    ),
    "no GPU": (fake_cupy(raising(100, "cudaErrorNoDevice")), {}, "it sees no GPU", "nvidia-smi"),
    "no GPU in a container": (fake_cupy(lambda: 0), {"container": True}, "it sees no GPU", "--gpus all"),
    "hidden GPU": (
        fake_cupy(raising(100, "cudaErrorNoDevice")),
        {"visible": "-1"},
        "CUDA_VISIBLE_DEVICES='-1' hides every GPU",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    "all GPUs hidden": (
        fake_cupy(lambda: 0),
        {"visible": ""},
        "hides every GPU",
        "unset CUDA_VISIBLE_DEVICES",
    ),
}


@pytest.mark.parametrize(("cupy", "where", "reason", "remedy"), MISSING.values(), ids=MISSING)
def test_a_missing_gpu_is_named_with_what_to_type(
    cupy: ModuleType | None, where: dict[str, Any], reason: str, remedy: str, pretend: Callable[..., None]
) -> None:
    pretend(cupy, **where)
    status = dev.gpu_status()
    assert not status.available
    assert reason in status.reason
    assert remedy in status.remedy
    for attempt in (lambda: dev.to_device(np.ones(2), "gpu"), dev.cupy, lambda: dev.namespace("gpu:1")):
        with pytest.raises(DeviceError) as caught:
            attempt()
        assert reason in str(caught.value)
        assert remedy in str(caught.value)


def test_a_cupy_that_cannot_be_imported_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "cupy":
                raise ImportError("\n====\nadvice\n====\n") from OSError("libfoo.so: cannot open\nmore")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    status = dev.gpu_status()
    assert status.reason == "CuPy is installed but cannot be imported: OSError: libfoo.so: cannot open"
    assert "--force-reinstall" in status.remedy


@pytest.mark.parametrize(
    ("installed", "extra"),
    [
        ((), "gpu"),
        (("cupy-cuda12x",), "gpu"),
        (("cupy-cuda13x",), "gpu13"),
        (("cupy-cuda12x", "cupy-cuda13x"), "gpu"),
    ],
)
def test_the_extra_to_install_is_that_of_the_cupy_that_is_there(
    installed: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "_is_installed", lambda name: name in installed)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert dev.extra() == extra
    error = ImportError("cannot load", name="cupy_backends")
    assert missing.no_cupy(error).remedy == f'pip install --force-reinstall "xpgrad[{extra}]"'


@pytest.mark.parametrize(("runs", "extra"), [(12090, "gpu"), (13000, "gpu13")])
def test_of_two_cupys_the_one_that_is_imported_counts(
    runs: int, extra: str, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "_is_installed", lambda name: True)
    pretend(fake_cupy(lambda: 1, runs=runs))
    assert dev.extra() == extra


@pytest.mark.parametrize("visible", [None, "-1"])
def test_this_machine_has_a_gpu_or_says_why_not(visible: str | None) -> None:
    code = "from xpgrad.devices import *; s = gpu_status(); print(s.available, s.reason, s.remedy, sep='|')"
    environment = dict(os.environ) | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    available, reason, remedy = (part.strip() for part in done.stdout.split("|"))
    assert (available == "True") == (not reason and not remedy)


def test_importing_xpgrad_imports_no_cupy() -> None:
    code = "import sys, xpgrad.devices; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_status_is_looked_up_once(pretend: Callable[..., None]) -> None:
    asked = []

    def count() -> int:
        asked.append("count")
        return 1

    pretend(fake_cupy(count))
    assert dev.devices() == dev.devices() == ("cpu", "gpu")
    assert asked == ["count"]


# Names --------------------------------------------------------------------------------------------------


def test_devices_names_each_device_once(two_gpus: None) -> None:
    assert dev.devices() == ("cpu", "gpu", "gpu:1")
    assert dev.gpu_status().gpus[1] == dev.Gpu("Fake 1", 8 * GIB, "9.0")


@pytest.mark.parametrize(
    ("name", "resolved"),
    [("cpu", "cpu"), ("gpu", "gpu"), ("gpu:0", "gpu"), ("gpu:1", "gpu:1"), ("auto", "gpu")],
)
def test_a_name_resolves_to_one_spelling(name: str, resolved: str, two_gpus: None) -> None:
    assert dev.resolve(name) == resolved


def test_auto_is_the_cpu_without_a_gpu(pretend: Callable[..., None]) -> None:
    pretend(None)
    assert dev.resolve("auto") == "cpu"
    assert dev.devices() == ("cpu",)


@pytest.mark.parametrize("name", ["tpu", "GPU", "cuda", "gpu:", "gpu:-1", "gpu:01", "gpu:1 ", "", None, 0])
def test_an_unknown_name_is_refused_and_the_valid_ones_listed(name: Any, two_gpus: None) -> None:
    with pytest.raises(DeviceError, match=r'no device .*; there are "cpu", "gpu", "gpu:1"'):
        dev.to_device(np.ones(2), name)


def test_a_gpu_beyond_the_last_is_refused(two_gpus: None) -> None:
    with pytest.raises(DeviceError, match='no device "gpu:7": this machine has 2 GPUs'):
        dev.namespace("gpu:7")


# Transfer -----------------------------------------------------------------------------------------------


def test_an_array_in_place_is_returned_itself(two_gpus: None) -> None:
    x = np.ones((2, 3))
    on_gpu = dev.to_device(x, "gpu:1")
    assert dev.to_device(x, "cpu") is x
    assert dev.asnumpy(x) is x
    assert dev.to_device(on_gpu, "gpu:1") is on_gpu
    assert dev.to_device({"a": [x]}, "cpu")["a"][0] is x


def test_a_tree_goes_to_a_gpu_and_back(two_gpus: None) -> None:
    tree: dict[str, Any] = {"W": np.arange(6.0).reshape(2, 3), "b": (np.ones(2, np.float32), None)}
    there = dev.to_device(tree, "gpu:1")
    assert dev.device_of(there) == "gpu:1"
    assert dev.namespace(there) is sys.modules["cupy"]
    back = dev.asnumpy(there)
    assert type(back["b"]) is tuple
    assert back["b"][1] is None
    np.testing.assert_array_equal(back["W"], tree["W"], strict=True)
    np.testing.assert_array_equal(back["b"][0], tree["b"][0], strict=True)


def test_an_array_moves_between_gpus(two_gpus: None) -> None:
    first = dev.to_device(np.ones(3), "gpu")
    second = dev.to_device(first, "gpu:1")
    assert (dev.device_of(first), dev.device_of(second)) == ("gpu", "gpu:1")


def test_layout_survives_the_way_back(two_gpus: None) -> None:
    x = dev.asnumpy(dev.to_device(np.asfortranarray(np.ones((2, 3))), "gpu"))
    assert x.flags.f_contiguous
    assert not x.flags.c_contiguous


@pytest.mark.parametrize("scalar", [True, 2, 1.5, 1j, np.float32(2), np.bool_(True)])
def test_a_scalar_has_no_device_and_stays(scalar: Any, two_gpus: None) -> None:
    assert dev.to_device([scalar], "gpu")[0] is scalar
    assert dev.asnumpy(scalar) is scalar
    assert dev.device_of((scalar, dev.to_device(np.ones(2), "gpu"))) == "gpu"
    assert dev.device_of(scalar) == "cpu"


def test_a_dataframe_becomes_an_array() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    moved = dev.to_device(frame, "cpu")
    assert type(moved) is np.ndarray
    assert moved.shape == (2, 2)
    assert dev.device_of(frame) == "cpu"


def test_a_dataframe_with_text_is_refused() -> None:
    with pytest.raises(
        DTypeError, match=r"to_device: tree\['X'\]: a pandas.DataFrame that gives dtype object, of float, str"
    ):
        dev.to_device({"X": pd.DataFrame({"a": [1.0], "b": ["x"]})}, "cpu")


@pytest.mark.parametrize("leaf", ["text", object(), len])
def test_what_is_no_array_is_refused(leaf: Any, two_gpus: None) -> None:
    for device in ("cpu", "gpu"):
        with pytest.raises(DTypeError, match=r"to_device: tree\[1\] is no array and no number"):
            dev.to_device((np.ones(2), leaf), device)


def test_what_a_gpu_cannot_hold_is_refused_and_the_leaf_named(two_gpus: None) -> None:
    array = np.ones(2, np.longdouble)
    with pytest.raises(DTypeError, match=r"to_device: tree\['X'\] .* which the GPU does not hold"):
        dev.to_device({"X": array}, "gpu")
    assert dev.to_device(array, "cpu") is array


def test_a_foreign_byte_order_is_made_native_on_the_gpu(two_gpus: None) -> None:
    back = dev.asnumpy(dev.to_device(np.arange(3).astype(">f8"), "gpu"))
    assert back.dtype == np.dtype(np.float64)
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, [0, 1, 2])


def test_a_memory_map_is_an_array(tmp_path: Any, two_gpus: None) -> None:
    np.save(tmp_path / "x.npy", np.arange(4.0))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert dev.to_device(mapped, "cpu") is mapped
    np.testing.assert_array_equal(dev.asnumpy(dev.to_device(mapped, "gpu")), np.arange(4.0))


# One device for all -------------------------------------------------------------------------------------


def test_device_of_an_empty_tree_is_the_cpu() -> None:
    assert dev.device_of(()) == "cpu"
    assert dev.device_of(None) == "cpu"


def test_a_mixture_says_which_leaf_is_where(two_gpus: None) -> None:
    x, w = np.ones((3, 4), np.float32), dev.to_device(np.ones(4), "gpu:1")
    with pytest.raises(DeviceError) as caught:
        dev.device_of([x, {"W": w, "b": 0.5}])
    text = str(caught.value)
    assert text.startswith("device_of: arrays on different devices, cpu and gpu:1\n")
    assert "  tree[0]      float32[3, 4] on cpu\n" in text
    assert "  tree[1]['W'] float64[4] on gpu:1\n" in text
    assert "tree[1]['b']" not in text
    assert 'xg.to_device(..., "gpu:1")' in text


def test_a_mixture_is_named_after_the_callers_argument(two_gpus: None) -> None:
    args = (np.ones(2), dev.to_device(np.ones(2), "gpu"))
    with pytest.raises(DeviceError, match=r"value_and_grad: arrays on.*\n  args\[0\] float64\[2\] on cpu"):
        dev.common_device(args, name="args", operation="value_and_grad")


def test_namespace_of_arrays_and_of_names(two_gpus: None) -> None:
    assert dev.namespace(np.ones(2)) is np
    assert dev.namespace("cpu") is np
    assert dev.namespace({"a": 1.0}) is np
    assert dev.namespace("auto") is sys.modules["cupy"]


def test_using_a_device_makes_it_current_inside_a_with(two_gpus: None) -> None:
    with dev.using("gpu:1"):
        assert FakeDevice.current == 1
    assert FakeDevice.current == 0
    assert isinstance(dev.using("cpu"), nullcontext)
    dev.synchronize("cpu")
    dev.synchronize("gpu:1")


# What CUDA reports --------------------------------------------------------------------------------------


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_an_array_that_does_not_fit_says_what_was_asked_for_what_is_free_and_what_to_do(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = FakeOutOfMemory("Out of memory allocating 800 bytes (allocated so far: 5 bytes).")
    monkeypatch.setattr(sys.modules["cupy"], "asarray", failing(full))
    with pytest.raises(DeviceError) as caught:
        dev.to_device({"X": np.ones(100)}, "gpu")
    text = str(caught.value)
    assert text.startswith(
        "to_device: tree['X']: out of memory allocating 800 bytes (allocated so far: 5 bytes)."
    )
    assert f"free {GIB:,} of {8 * GIB:,} bytes" in text
    assert "at test_devices.py:" in text
    assert "memory-mapped" in text
    assert caught.value.__cause__ is full


def test_a_kernel_that_failed_is_reported_to_whoever_asks_next_with_those_started_last(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = dev.to_device(np.ones(2), "gpu")
    illegal = FakeError(700, "cudaErrorIllegalAddress: an illegal memory access was encountered")
    monkeypatch.setattr(FakeArray, "get", failing(illegal))
    monkeypatch.setattr(FakeDevice, "synchronize", failing(illegal))
    with at_line("fit.py:41: Z = X @ W"):
        dev.note_start("kernel region")
    dev.note_start("kernel combine")
    for run, doing in (
        (lambda: dev.asnumpy([x]), "asnumpy: tree[0]"),
        (lambda: dev.synchronize("gpu"), "work on gpu"),
    ):
        with pytest.raises(DeviceError) as caught:
            run()
        text = str(caught.value)
        assert text.startswith(f"{doing}: cudaErrorIllegalAddress: an illegal memory access")
        assert "started last kernel combine at test_devices.py:" in text
        assert "; kernel region at fit.py:41: Z = X @ W" in text
        assert "cannot use the GPU again" in text
        assert "CUDA_LAUNCH_BLOCKING=1" in text


def test_after_an_error_of_one_call_alone_the_process_can_go_on(
    two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = dev.to_device(np.ones(2), "gpu")
    monkeypatch.setattr(FakeArray, "get", failing(FakeError(1, "cudaErrorInvalidValue: invalid argument")))
    with pytest.raises(
        DeviceError, match=r"^asnumpy: tree: cudaErrorInvalidValue.*\n(.*\n)*  the process can go on"
    ):
        dev.asnumpy(x)


@pytest.mark.parametrize("error", [RuntimeError("of another kind"), MemoryError("NumPy's"), ValueError("no")])
def test_what_is_not_cudas_is_left_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, dev.cuda_errors("something"):
        raise error
    assert caught.value is error


# Traced arrays ------------------------------------------------------------------------------------------


def test_a_traced_array_is_where_it_says(two_gpus: None) -> None:
    assert dev.device_of((Traced("gpu"), 1.0)) == "gpu"
    assert dev.namespace(Traced("cpu")) is np
    assert dev.namespace(Traced("gpu:1")) is sys.modules["cupy"]
    with pytest.raises(DeviceError, match="arrays on different devices, gpu and cpu"):
        dev.device_of((Traced("gpu"), np.ones(2)))


def test_a_traced_array_stays_on_its_device(two_gpus: None) -> None:
    x = Traced("cpu")
    assert dev.to_device(x, "cpu") is x
    with pytest.raises(TraceError, match="to_device: tree is traced on cpu and cannot move to gpu"):
        dev.to_device(x, "gpu")


def test_asnumpy_of_a_traced_array_is_refused_with_the_remedy() -> None:
    with pytest.raises(TraceError, match=r"asnumpy: tree\[0\] is traced") as caught:
        dev.asnumpy([Traced("cpu")])
    assert "xg.stop_gradient(x)" in str(caught.value)
    assert "test_devices.py" in str(caught.value)
    assert isinstance(caught.value, XpgradError)


# A real GPU ---------------------------------------------------------------------------------------------


@pytest.fixture
def real_gpu() -> Any:
    status = dev.gpu_status()
    if not status.available:
        pytest.skip(f"{status.reason}; {status.remedy}")
    return dev.cupy()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["?", "i4", "u8", "f2", "f4", "f8", "c8", "c16", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_real_gpu_returns_what_it_was_given(dtype: str, order: Any, real_gpu: Any) -> None:
    x = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    there = dev.to_device({"x": x, "none": None}, "gpu")
    assert isinstance(there["x"], real_gpu.ndarray)
    assert dev.device_of(there) == "gpu"
    assert dev.to_device(there, "gpu:0")["x"] is there["x"]
    back = dev.asnumpy(there)["x"]
    assert back.flags.f_contiguous == x.flags.f_contiguous
    np.testing.assert_array_equal(back, x.astype(x.dtype.newbyteorder("=")), strict=True)


@pytest.mark.gpu
def test_a_real_gpu_array_and_a_numpy_array_are_a_mixture(real_gpu: Any) -> None:
    with pytest.raises(DeviceError, match="arrays on different devices, cpu and gpu"):
        dev.device_of((np.ones(2), real_gpu.ones(2)))


@pytest.mark.gpu
def test_a_real_gpu_has_a_name_and_memory(real_gpu: Any) -> None:
    gpu = dev.gpu_status().gpus[0]
    assert gpu.name
    assert gpu.memory > GIB
    with dev.using("gpu"):
        dev.synchronize("gpu")
