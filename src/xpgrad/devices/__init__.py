"""Devices: their names, the transfer of arrays, and the reason why one is missing.

In:  trees whose leaves are NumPy arrays, CuPy arrays, traced arrays and numbers.
Out: the same tree on another device, the name of its device, or the module that computes there.
Holds: what users give comes in by `door` alone; an array of numbers that is in place is returned itself,
       never a copy; layout (C or Fortran) survives a transfer; CuPy is imported here and in ``backends/gpu``
       alone, and only when a GPU is asked about or an array of CuPy's is met.

`missing` says why there is no GPU, `reports` words what CUDA reports of one.

A device is "cpu", "gpu" (the first GPU), "gpu:1" and so on. "auto" is a choice made before anything
runs, not a fallback: "gpu" where `gpu_status().available`, else "cpu". Python and NumPy scalars live on
no device: they combine with arrays on any, so that transfer leaves them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from xpgrad import _trees
from xpgrad._errors import DeviceError, DTypeError, TraceError, describe, message
from xpgrad.devices.door import array_of, is_cupy, is_source, is_traced
from xpgrad.devices.missing import Gpu, GpuStatus, described, extra, no_cuda, no_cupy, no_gpu
from xpgrad.devices.reports import cuda_errors, is_refused_capture, note_start

__all__ = [
    "Gpu",
    "GpuStatus",
    "asnumpy",
    "common_device",
    "cuda_errors",
    "cupy",
    "device_of",
    "devices",
    "extra",
    "free_memory",
    "gpu_status",
    "is_refused_capture",
    "namespace",
    "note_start",
    "resolve",
    "synchronize",
    "to_device",
    "using",
]

_NUMBERS = (bool, int, float, complex, np.generic)

# What is there ------------------------------------------------------------------------------------------


@cache
def gpu_status() -> GpuStatus:
    """Look for a GPU, once per process: CUDA itself reads its environment only once.

    The reason names the first thing missing, in this order: CuPy, a driver, a visible GPU.
    """
    try:
        import cupy as cp
    except ImportError as error:
        return no_cupy(error)
    runtime = cp.cuda.runtime
    try:
        count = runtime.getDeviceCount()
        gpus = tuple(described(runtime.getDeviceProperties(i)) for i in range(count))
    except RuntimeError as error:
        return no_cuda(error, runtime)
    return GpuStatus(True, gpus=gpus) if gpus else no_gpu()


def cupy() -> ModuleType:
    """The CuPy module, if a GPU can be used.

    Raises
    ------
    DeviceError
        Without CuPy, a driver or a GPU; it says which of the three, and the remedy.
    """
    status = gpu_status()
    if not status.available:
        raise DeviceError(message(f"no GPU can be used: {status.reason}", remedy=status.remedy))
    import cupy as cp

    return cp  # type: ignore[no-any-return]


def devices() -> tuple[str, ...]:
    """Name every device that can be used now, each once: ``("cpu",)`` or ``("cpu", "gpu", "gpu:1")``."""
    return ("cpu", *map(_gpu_name, range(len(gpu_status().gpus))))


def resolve(device: str) -> str:
    """Give the one name of a device that is there: ``"auto"`` is decided, ``"gpu:0"`` becomes ``"gpu"``.

    Raises
    ------
    DeviceError
        No such name, or no such device on this machine.
    """
    if device == "cpu":
        return device
    if device == "auto":
        return "gpu" if gpu_status().available else "cpu"
    match = re.fullmatch(r"gpu(?::(0|[1-9][0-9]*))?", str(device))
    if match is None:
        headline = f'no device {device!r}; there are "cpu", "gpu", "gpu:1" (by number) and "auto"'
        raise DeviceError(message(headline))
    cupy()
    index, count = int(match[1] or 0), len(gpu_status().gpus)
    if index >= count:
        there = "1 GPU" if count == 1 else f"{count} GPUs"
        raise DeviceError(
            message(f'no device "{device}": this machine has {there}', remedy=f"use one of {_names()}")
        )
    return _gpu_name(index)


# Trees of arrays ----------------------------------------------------------------------------------------


def to_device(tree: Any, device: str) -> Any:
    """Put the arrays of a tree on a device.

    Parameters
    ----------
    tree : tree of arrays and numbers
        An object that makes an array of numbers, such as a DataFrame, becomes one; scalars stay.
    device : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"`` or ``"auto"``.

    Returns
    -------
    tree
        A tree of the same structure. An array already there is returned itself.

    Raises
    ------
    DeviceError
        No such device, or it cannot be used; the message says why and what to type.
    DTypeError
        A leaf that is no array of numbers (text, dates, objects), or more than one (masked entries, a matrix);
        longdouble on a GPU.
    TraceError
        A traced array on another device.
    """
    target = resolve(device)
    return _move_tree(tree, lambda x, where: _move(x, target, where), "to_device")


def asnumpy(tree: Any) -> Any:
    """Bring the arrays of a tree to the CPU, as ``to_device(tree, "cpu")``, and never a traced one.

    Raises
    ------
    TraceError
        A traced array: NumPy would lose its gradient.
    """
    return _move_tree(tree, _to_numpy, "asnumpy")


def device_of(tree: Any) -> str:
    """Name the device that holds every array of a tree.

    A tree without arrays is on ``"cpu"``, where Python computes.

    Raises
    ------
    DeviceError
        Arrays on two devices; the message says which leaf is where.
    """
    if isinstance(tree, np.ndarray):
        return "cpu"
    return common_device(tree, name="tree", operation="device_of")


def common_device(tree: Any, *, name: str, operation: str) -> str:
    """`device_of`, for errors that name the user's argument and the operation that wants one device."""
    leaves = _trees.flatten(tree)[0]
    places = [_place(x) for x in leaves]
    found = dict.fromkeys(place for place in places if place is not None)
    if len(found) > 1:
        paths = _paths(tree, name)
        got = {
            paths[i]: f"{describe(leaves[i])} on {place}" for i, place in enumerate(places) if place is not None
        }
        headline = f"{operation}: arrays on different devices, {' and '.join(found)}"
        target = next(place for place in found if place != "cpu")
        raise DeviceError(message(headline, got, remedy=f'move them together: xg.to_device(..., "{target}")'))
    return next(iter(found), "cpu")


def namespace(tree_or_device: Any) -> ModuleType:
    """The module that computes there: ``numpy`` for the CPU, ``cupy`` for a GPU.

    Parameters
    ----------
    tree_or_device : tree of arrays, or str
        A string is the name of a device.
    """
    on_cpu = (resolve if isinstance(tree_or_device, str) else device_of)(tree_or_device) == "cpu"
    return np if on_cpu else cupy()


# Work on a device ---------------------------------------------------------------------------------------


def using(device: str) -> AbstractContextManager[Any]:
    """Make a device the one where CuPy creates arrays and launches kernels, inside a ``with``."""
    name = resolve(device)
    return nullcontext() if name == "cpu" else _cuda_device(name)


def free_memory(device: str) -> int:
    """Bytes that arrays on ``device`` can still take: of a GPU, what CuPy's pool holds for later included."""
    with using(device):
        free, _ = cupy().cuda.runtime.memGetInfo()
        return int(free + cupy().get_default_memory_pool().free_bytes())


def synchronize(device: str) -> None:
    """Wait until a device has finished what was asked of it; clocks need this, results do not."""
    name = resolve(device)
    if name != "cpu":
        with cuda_errors(f"work on {name}"):
            _cuda_device(name).synchronize()


# Leaves -------------------------------------------------------------------------------------------------

# Says which leaf of which operation, such as ``to_device: tree[0]['W']``; only an error asks.
_Where = Callable[[], str]


def _place(x: Any) -> str | None:
    """The device of a leaf; None for what lives on none."""
    if isinstance(x, np.ndarray):
        return "cpu"
    if isinstance(x, _NUMBERS):
        return None
    traced = getattr(x, "xpgrad_device", None)
    if isinstance(traced, str):
        return traced
    if is_cupy(x):
        return _gpu_name(int(x.device.id))
    return "cpu" if hasattr(x, "__array__") else None


def _move(x: Any, target: str, where: _Where) -> Any:
    x = array_of(x, where)
    if isinstance(x, _NUMBERS):
        return x
    if is_source(x):
        if target == "cpu":
            return x
        remedy = f'source.read() puts it into memory, from where xg.to_device(..., "{target}") takes it'
        raise DeviceError(message(f"{where()} is a source, which the CPU reads", {"got": x}, remedy=remedy))
    if is_traced(x):
        if x.xpgrad_device == target:
            return x
        headline = f"{where()} is traced on {x.xpgrad_device} and cannot move to {target}"
        raise TraceError(message(headline, {"got": x}, remedy="move it before the function is called"))
    return _to_numpy(x, where) if target == "cpu" else _to_gpu(x, target, where)


def _to_numpy(x: Any, where: _Where) -> Any:
    if isinstance(x, (np.ndarray, *_NUMBERS)):
        return x
    if is_traced(x):
        headline = f"{where()} is traced, and a NumPy array has no gradient"
        raise TraceError(message(headline, {"got": x}, remedy="xg.stop_gradient(x) gives its plain value"))
    if is_cupy(x):
        with cuda_errors(where):
            return x.get(order="A")
    return array_of(x, where)


def _to_gpu(x: Any, target: str, where: _Where) -> Any:
    with cuda_errors(where), _cuda_device(target):
        if is_cupy(x):
            return x if _place(x) == target else x.copy(order="A")
        if x.dtype.char in "gG":
            headline = f"{where()} has dtype {x.dtype}, which the GPU does not hold"
            raise DTypeError(message(headline, {"got": x}))
        # Not blocking, CuPy would still read the caller's array while the caller writes to it.
        return cupy().asarray(x, blocking=True)


def _move_tree(tree: Any, move: Callable[[Any, _Where], Any], operation: str) -> Any:
    def where(i: int) -> str:
        return f"{operation}: {_paths(tree, 'tree')[i]}"

    leaves, treedef = _trees.flatten(tree)
    return _trees.unflatten(treedef, [move(x, partial(where, i)) for i, x in enumerate(leaves)])


def _paths(tree: Any, name: str) -> list[str]:
    """The Python expression of each leaf: ``args[1]['W']``."""
    return [name + path for path in _trees.paths(tree)]


# CUDA ---------------------------------------------------------------------------------------------------


def _gpu_name(index: int) -> str:
    return f"gpu:{index}" if index else "gpu"


def _names() -> str:
    return ", ".join(f'"{name}"' for name in devices())


def _cuda_device(name: str) -> Any:
    return cupy().cuda.Device(int(name.partition(":")[2] or 0))
