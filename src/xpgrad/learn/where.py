"""Where a fit computes: as asked, or with "auto" where it is expected to end first.

In:  the size of the data, where they are, and the passes over them that a fit is expected to take.
Out: a `Choice`: a device, and the reason in words.
Holds: rates are measured, once for each process and GPU, by a compiled step of least squares on each device and
by a copy; the copy of the data is part of the cost. Without a GPU nothing is measured. A choice is made before
the fit, and nothing falls back later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from xpgrad.compiler import compile
from xpgrad.devices import gpu_status, resolve, synchronize, to_device
from xpgrad.transforms import value_and_grad

_COLUMNS = 32
_ROWS = (1 << 12, 1 << 18)  # of float32: 0.5 MiB and 32 MiB
_TIMES = 5


class Rates(NamedTuple):
    """What a pass and a copy cost.

    Attributes
    ----------
    cpu, gpu : (float, float)
        Of a pass over the data: seconds, and seconds for each byte.
    copy : float
        Seconds for each byte from the host to the GPU.
    """

    cpu: tuple[float, float]
    gpu: tuple[float, float]
    copy: float


class Choice(NamedTuple):
    """A device, and why."""

    device: str
    reason: str


def choose_device(asked: str, of_data: str, size: int, passes: int) -> Choice:
    """The device of a fit.

    Parameters
    ----------
    asked : str
        What the user wrote.
    of_data : str
        Where ``X`` is.
    size : int
        Bytes of the data.
    passes : int
        Over the data, that the fit is expected to take.

    Raises
    ------
    DeviceError
        A device by name that is not there.
    """
    if asked != "auto":
        return Choice(resolve(asked), "as asked")
    if of_data != "cpu":
        return Choice(of_data, "the data are there")
    status = gpu_status()
    if not status.available:
        return Choice("cpu", f"no GPU can be used: {status.reason}")
    rates = measured_rates("gpu")
    fixed, each = rates.cpu
    there_fixed, there_each = rates.gpu
    here = passes * (fixed + each * size)
    copied = rates.copy * size
    there = copied + passes * (there_fixed + there_each * size)
    told = (
        f"{passes} passes over {size / 1e6:.3g} MB are expected to take {here:.2g} s on the CPU, "
        f"and {there:.2g} s on the GPU, of which {copied:.2g} s is the copy"
    )
    return Choice("gpu" if there < here else "cpu", told)


@cache
def measured_rates(gpu: str) -> Rates:
    """Measure; a second or two, most of which the compiler takes the first time."""
    small, large = (np.ones((rows, _COLUMNS), np.float32) for rows in _ROWS)
    copies = [_seconds(lambda x=x: to_device(x, gpu), gpu) for x in (small, large)]  # type: ignore[misc]
    copy = max(copies[1] - copies[0], 0.0) / (large.nbytes - small.nbytes)
    return Rates(_of_pass(small, large, "cpu"), _of_pass(small, large, gpu), copy)


def _of_pass(small: Any, large: Any, device: str) -> tuple[float, float]:
    step = compile(value_and_grad(lambda w, X: np.mean((X @ w - 1) ** 2)))
    seconds = []
    for x in (small, large):
        w, there = to_device((np.zeros(_COLUMNS, np.float32), x), device)
        seconds.append(_seconds(lambda w=w, there=there: step(w, there), device))  # type: ignore[misc]
    each = max(seconds[1] - seconds[0], 0.0) / (large.nbytes - small.nbytes)
    return max(seconds[0] - each * small.nbytes, 0.0), each


def _seconds(f: Callable[[], Any], device: str) -> float:
    """The least of some times, after a first call."""
    least = np.inf
    for k in range(_TIMES + 1):
        begun = perf_counter()
        f()
        synchronize(device)
        if k:
            least = min(least, perf_counter() - begun)
    return float(least)
