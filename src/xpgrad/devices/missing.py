"""The status of the GPU: the reason why there is none, and what to type.

In:  the error that CuPy raises when it is imported or asked for GPUs.
Out: GpuStatus.
Holds: the first thing that is missing is named: CuPy, a driver, a GPU that is visible.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

# cudaError_t: what cudaGetDeviceCount answers on a machine that cannot run CUDA.
_INSUFFICIENT_DRIVER = 35
_NO_DEVICE = 100

# The oldest driver branch that runs each CUDA major version (NVIDIA, CUDA Compatibility, table 1).
_DRIVER_FOR_CUDA = {12: 525, 13: 580}


class Gpu(NamedTuple):
    """One CUDA device: its name, its memory in bytes, and its compute capability such as ``9.0``."""

    name: str
    memory: int
    compute_capability: str


class GpuStatus(NamedTuple):
    """Whether a GPU can be used now; where not, the reason and what to type."""

    available: bool
    reason: str = ""
    remedy: str = ""
    gpus: tuple[Gpu, ...] = ()


def described(properties: dict[str, Any]) -> Gpu:
    """A GPU by what CUDA says of it."""
    name, capability = properties["name"], f"{properties['major']}.{properties['minor']}"
    return Gpu(name.decode() if isinstance(name, bytes) else name, properties["totalGlobalMem"], capability)


def extra() -> str:
    """The extra of ours that brings the CuPy which is installed: ``"gpu"``, or ``"gpu13"`` for CUDA 13."""
    cuda = getattr(sys.modules.get("cupy"), "cuda", None)
    if cuda is not None:
        return "gpu13" if cuda.runtime.runtimeGetVersion() >= 13000 else "gpu"
    installed = {major for major in _DRIVER_FOR_CUDA if _is_installed(f"cupy-cuda{major}x")}
    return "gpu13" if installed == {13} else "gpu"


def _is_installed(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def no_cupy(error: ImportError) -> GpuStatus:
    """CuPy cannot be imported."""
    if error.name == "cupy":
        if sys.platform == "darwin":
            return GpuStatus(False, "CuPy is not installed", "CUDA needs an NVIDIA GPU on Linux or Windows")
        return GpuStatus(False, "CuPy is not installed", 'pip install "xpgrad[gpu]"')
    cause = error.__cause__ or error
    why = str(cause).strip().partition("\n")[0]
    return GpuStatus(
        False,
        f"CuPy is installed but cannot be imported: {type(cause).__name__}: {why}",
        f'pip install --force-reinstall "xpgrad[{extra()}]"',
    )


def no_cuda(error: RuntimeError, runtime: Any) -> GpuStatus:
    """CUDA does not say how many GPUs there are."""
    code = getattr(error, "status", None)
    if code == _NO_DEVICE:
        return no_gpu()
    if code != _INSUFFICIENT_DRIVER:
        return GpuStatus(False, f"the NVIDIA driver does not start: {error}", "see what `nvidia-smi` reports")
    needed, there = runtime.runtimeGetVersion() // 1000, runtime.driverGetVersion()
    branch = f"an NVIDIA driver {_DRIVER_FOR_CUDA.get(needed, '')} or newer".replace("  ", " ")
    if there == 0 and _in_container():
        reason = "CuPy is installed, but this container has no NVIDIA driver"
        return GpuStatus(False, reason, f"start it with `docker run --gpus all`, on a host with {branch}")
    if there == 0:
        reason = "CuPy is installed, but there is no NVIDIA driver"
        return GpuStatus(False, reason, f"install {branch}, until `nvidia-smi` lists the GPU")
    has = f"{there // 1000}.{there % 1000 // 10}"
    reason = f"the NVIDIA driver is too old: it runs CUDA {has}, CuPy needs {needed}"
    remedy = f"install {branch}"
    if needed > 12 and there // 1000 == 12:
        remedy += ', or CuPy for CUDA 12: pip uninstall cupy-cuda13x, pip install "xpgrad[gpu]"'
    return GpuStatus(False, reason, remedy)


def no_gpu() -> GpuStatus:
    """CUDA sees none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        reason = f"there is a driver, but CUDA_VISIBLE_DEVICES={visible!r} hides every GPU"
        return GpuStatus(False, reason, "unset CUDA_VISIBLE_DEVICES")
    reason = "there is a driver, but it sees no GPU"
    if _in_container():
        return GpuStatus(False, reason, "start the container with `docker run --gpus all`")
    return GpuStatus(False, reason, "see what `nvidia-smi` lists")


def _in_container() -> bool:
    return os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
