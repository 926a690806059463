"""The errors that CUDA reports through CuPy, as errors of ours.

In:  an operation, and what CuPy raises in it.
Out: DeviceError: the operation, the user's line, and whether the process can go on.
Holds: a kernel runs after the call that starts it, so another call gets its error; the names of those started
last are kept, with the user's line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from xpgrad._errors import DeviceError, message, user_line

# cudaError_t: illegal address or instruction, time-out, assertion and the like in a kernel. After one of them
# CUDA answers every call with it, until the process ends.
_LOST = frozenset((700, 702, 710, 714, 715, 716, 717, 718, 719))

# cudaError_t: what a stream that is being captured does not take, or a driver that captures nothing.
_REFUSED = frozenset((801, *range(900, 911)))

_started: deque[str] = deque(maxlen=4)


def is_refused_capture(error: BaseException) -> bool:
    """Whether CUDA, or CuPy before it, has refused to capture a stream; ``error`` may be one worded here."""
    found = error.__cause__ if isinstance(error, DeviceError) else error
    return isinstance(found, NotImplementedError) or getattr(found, "status", None) in _REFUSED


def note_start(kernel: str) -> None:
    """Remember a kernel: what goes wrong in it CUDA reports later, to whoever asks it for something next."""
    line = user_line()
    _started.append(f"{kernel} at {line}" if line else kernel)


class cuda_errors:
    """Word what CUDA reports inside, through CuPy: out of memory, and what went wrong in a kernel.

    Parameters
    ----------
    doing : str or callable
        The operation, for the message; only an error asks a callable.
    is_told_at_once : bool
        What is reported concerns this operation, no kernel that was started before it.

    Raises
    ------
    DeviceError
    """

    __slots__ = ("_doing", "_is_told_at_once")

    def __init__(self, doing: str | Callable[[], str], *, is_told_at_once: bool = False) -> None:
        self._doing, self._is_told_at_once = doing, is_told_at_once

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, MemoryError) and type(error).__module__.startswith("cupy"):
            raise _out_of_memory(self._what(), error) from error
        if isinstance(error, RuntimeError) and isinstance(getattr(error, "status", None), int):
            raise _cuda_failed(self._what(), error, self._is_told_at_once) from error

    def _what(self) -> str:
        return self._doing if isinstance(self._doing, str) else self._doing()


def _out_of_memory(doing: str, error: MemoryError) -> DeviceError:
    import cupy as cp  # which has raised it

    said = str(error)
    free, total = cp.cuda.runtime.memGetInfo()
    return DeviceError(
        message(
            f"{doing}: {said[:1].lower()}{said[1:]}",
            {"free": f"{free:,} of {total:,} bytes, beside what CuPy's pool keeps"},
            remedy='fewer samples at a time; or, for a sum over samples in a memory-mapped file, device="gpu"',
        )
    )


def _cuda_failed(doing: str, error: RuntimeError, is_told_at_once: bool) -> DeviceError:
    lost = getattr(error, "status", None) in _LOST
    if not lost:
        return DeviceError(message(f"{doing}: {error}", remedy="the process can go on using the GPU"))
    got = {} if is_told_at_once else {"started last": "; ".join(reversed(_started)) or "no kernel of xpgrad's"}
    remedy = "this process cannot use the GPU again; start a new one"
    if not is_told_at_once:
        remedy += ", with CUDA_LAUNCH_BLOCKING=1 to have the kernel named that failed"
    return DeviceError(message(f"{doing}: {error}", got, remedy=remedy))
