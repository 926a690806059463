"""CUBIN from CUDA C++, on any machine.

In:  the text of a CUDA C++ module, and the architecture of a GPU that need not be present.
Out: the image that a driver loads, and the resources of each kernel, as ptxas reports them.
Holds: CuPy is imported when a function here is called, and only its binding to NVRTC is used, which needs
       neither a driver nor a GPU. The same text, architecture, `OPTIONS` and `version` give the same image.

This image is also what runs: ``cupy.cuda.function.Module().load(cubin.image)``. CuPy's ``RawModule`` would
compile the text once more and add ``-ftz=true``, which flushes float32 subnormals to zero.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from xpgrad._errors import DependencyError, DeviceError, message
from xpgrad.devices import extra

# The options besides the architecture. NVRTC's defaults keep subnormals, and round division and square root
# correctly. The last option makes ptxas report the resources of each kernel, and changes no code.
OPTIONS: tuple[str, ...] = ("--std=c++17", "--fmad=false", "--ptxas-options=-v")


class Resources(NamedTuple):
    """The resources of one kernel: per thread, except ``shared``; in bytes, except ``registers``."""

    registers: int  # registers of 32 bits
    spill_stores: int  # stores of registers to local memory, in the functions that it calls, too
    spill_loads: int
    shared: int  # shared memory of fixed size, per block
    stack: int  # local memory: arrays, spills, calls


class Cubin(NamedTuple):
    """Machine code for one architecture."""

    image: bytes
    log: str
    resources: dict[str, Resources]  # by the kernel's name in the image, mangled without ``extern "C"``


@cache
def available() -> str | None:
    """None where CUDA C++ can be compiled; otherwise the reason why not, and what to type."""
    try:
        nvrtc = _binding()
    except ImportError as error:
        if error.name == "cupy":
            return f"CuPy is not installed; {_remedy()}"
        return (
            f"CuPy is installed but cannot be imported ({_first_line(error.__cause__ or error)}); {_remedy()}"
        )
    try:
        nvrtc.getVersion()  # CuPy looks for the library at the first call
    except (RuntimeError, OSError) as error:
        return f"CuPy does not find NVRTC, the compiler library of CUDA ({_first_line(error)}); {_remedy()}"
    return None


def check_available() -> None:
    """Raise DependencyError where CUDA C++ cannot be compiled; it names what is missing, and the remedy."""
    if reason := available():
        raise DependencyError(message(f"CUDA C++ cannot be compiled: {reason}"))


def version() -> tuple[int, int]:
    """The version of NVRTC: ``(12, 9)``."""
    check_available()
    major, minor = _binding().getVersion()
    return major, minor


@cache
def architectures() -> tuple[str, ...]:
    """The architectures that NVRTC knows, oldest first: ``("sm_50", "sm_52", ..., "sm_121")``."""
    return tuple(f"sm_{number}" for number in sorted(_binding().getSupportedArchs()))


def compile_cubin(source: str, arch: str = "sm_80", name: str = "xpgrad.cu") -> Cubin:
    """Compile a CUDA C++ module for one architecture.

    Parameters
    ----------
    source : str
        CUDA C++. Kernels are ``extern "C"``, so that they keep the names that they have here.
    arch : str
        ``"sm_90"`` for compute capability 9.0.
    name : str
        The name of the text in the compiler's messages.

    Raises
    ------
    DependencyError
        CuPy or NVRTC is missing; the message says which, and the remedy.
    DeviceError
        This NVRTC does not know the architecture, which is too old or too new for it.
    """
    check_available()
    if arch not in architectures():
        headline = f"NVRTC {'.'.join(map(str, version()))} does not compile for {arch}"
        raise DeviceError(message(headline, {"knows": ", ".join(architectures())}, remedy=_other_version(arch)))
    nvrtc = _binding()
    program = nvrtc.createProgram(source, name, (), ())
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture={arch}"))
        except nvrtc.NVRTCError as error:
            headline = f"{name} does not compile for {arch}: {error}"
            raise AssertionError(_complaint(headline, _log(nvrtc, program), source, name)) from None
        log = _log(nvrtc, program)
        return Cubin(bytes(nvrtc.getCUBIN(program)), log, _resources(log))
    finally:
        nvrtc.destroyProgram(program)


def _remedy() -> str:
    return f'pip install "xpgrad[{extra()}]"'


def _other_version(arch: str) -> str | None:
    """The NVRTC that compiles for a card that this one does not know."""
    number = re.fullmatch(r"sm_(\d+)", arch)
    if number is None:
        return None
    if int(number[1]) > int(architectures()[-1][3:]):
        return f'a newer one may: pip install --upgrade "cupy-cuda{version()[0]}x[ctk]"'
    return (
        'that for CUDA 12 may: pip uninstall cupy-cuda13x, pip install "xpgrad[gpu]"'
        if version()[0] > 12
        else None
    )


def _binding() -> Any:
    from cupy.cuda import nvrtc

    return nvrtc


def _log(nvrtc: Any, program: Any) -> str:
    return str(nvrtc.getProgramLog(program)).rstrip("\0 \n")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _resources(log: str) -> dict[str, Resources]:
    """Read ptxas's report of each kernel; the functions that it calls follow under its name.

    ::

        ptxas info    : Compiling entry function 'fit' for 'sm_80'
        ptxas info    : Function properties for fit
        ptxas         .     40 bytes stack frame, 36 bytes spill stores, 36 bytes spill loads
        ptxas info    : Used 32 registers, used 1 barriers, 40 bytes cumulative stack size, 1024 bytes smem
    """
    parts = re.split(r"Compiling entry function '([^']+)'.*", log)[1:]

    def figures(text: str, unit: str) -> list[int]:
        return [int(figure) for figure in re.findall(rf"(\d+) {unit}", text)]

    return {
        kernel: Resources(
            registers=sum(figures(text, "registers")),
            spill_stores=sum(figures(text, "bytes spill stores")),
            spill_loads=sum(figures(text, "bytes spill loads")),
            shared=sum(figures(text, "bytes smem")),
            stack=max(figures(text, "bytes (?:stack frame|cumulative stack size)"), default=0),
        )
        for kernel, text in zip(parts[::2], parts[1::2], strict=True)
    }


def _complaint(headline: str, log: str, source: str, name: str, around: int = 2, most: int = 5) -> str:
    """The compiler's log, and the lines of the text with the first errors, with their neighbours."""
    lines = source.splitlines()
    found = re.findall(rf"^{re.escape(name)}\((\d+)\): (?:\w+ )?error", log, flags=re.MULTILINE)
    wrong = [int(number) for number in dict.fromkeys(found)][:most]
    shown = sorted({k for n in wrong for k in range(n - around, n + around + 1) if 1 <= k <= len(lines)})
    marked = [f"{'>' if k in wrong else ' '} {k:4} {lines[k - 1]}" for k in shown]
    return "\n".join([headline, log, *marked])
