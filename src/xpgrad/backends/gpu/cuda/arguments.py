"""What a program asks of a device, and the arguments of a launch.

In:  a Kernel and the values of a run.
Out: for each Parameter the array or number that is passed.
Holds: constants go to the device once, when the kernel is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from xpgrad.backends.gpu.cuda.printing.kernel import Kernel, Limits
from xpgrad.backends.gpu.cuda.printing.layout import Parameter, Pool
from xpgrad.core import Const, Value

Env = dict[Value, Any]
Work = dict[Any, Any]


class Refused(Exception):
    """A device does not capture the kernels that it was asked to, and why."""


class Stage(Protocol):
    """Two buffers on a device for tiles that come from the host.

    Attributes
    ----------
    arrays : list of array
        Those of one buffer, for their layout.
    """

    arrays: list[Any]

    def load(self, k: int, pieces: Sequence[Any]) -> list[Any]:
        """Copy tile ``k``; kernels started later find it in what is returned."""
        ...

    def used(self, k: int) -> None:
        """Everything that reads tile ``k`` has been started."""
        ...


class Device(Protocol):
    """What a program asks of a device.

    Attributes
    ----------
    xp : module
        NumPy's functions for the device's arrays.
    limits : Limits
    slot : int
        Bytes of the samples that a tile copied from the host has, at most.
    l2 : int
        Bytes of the cache that all multiprocessors share.
    out_of_memory : type
        What is raised where memory does not suffice.
    """

    xp: Any
    limits: Limits
    slot: int
    l2: int
    out_of_memory: type[Exception]

    def working(self) -> AbstractContextManager[None]:
        """Inside, arrays are made on this device, and its errors are worded."""
        ...

    def is_here(self, x: Any) -> bool:
        """Whether ``x`` is an array of this device."""
        ...

    def put(self, x: Any) -> Any:
        """``x`` on this device, there for whatever queue reads it once this returns."""
        ...

    def compile(self, text: str) -> tuple[Any, bool]:
        """The module of a text, and whether it is new to this process."""
        ...

    def address(self, x: Any) -> int:
        """Where the entries of an array of this device begin."""
        ...

    def queue(self) -> Any:
        """What orders the kernels that this thread starts now."""
        ...

    def capture(self, start: Callable[[], None]) -> Callable[[], None]:
        """The kernels that ``start`` starts, to be started again all at once; none is started now.

        Raises ``Refused``.
        """
        ...

    def stage(self, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> Stage:
        """Two buffers for each shape and dtype. Raises ``out_of_memory``."""
        ...

    def launch(self, module: Any, name: str, grid: int, block: int, args: Sequence[Any], shared: int) -> None:
        """Start a kernel; it follows those started before."""
        ...


class Arguments:
    """The arguments of one kernel's launches."""

    def __init__(self, kernel: Kernel, device: Device) -> None:
        self._kernel, self._device = kernel, device
        self._constants = {
            id(p.source): device.put(
                np.array(p.source.numbers, p.source.dtype) if isinstance(p.source, Pool) else p.source.data
            )
            for launch in kernel.launches
            for p in launch.params
            if p.kind == "pointer" and isinstance(p.source, _CONSTANT)
        }

    def of(
        self,
        p: Parameter,
        env: Env,
        work: Mapping[Any, Any],
        changed: Mapping[str, int] | None = None,
    ) -> Any:
        """What is passed for ``p``; ``changed`` holds sizes that are others in this launch."""
        if p.kind == "number":
            return np.int64(p.source if changed is None else changed.get(p.name, p.source))
        if p.kind == "scalar":
            value = env[p.source] if isinstance(p.source, Value) else p.source
            return np.float64(value) if p.ctype == "double" else np.int64(value)
        if isinstance(p.source, _CONSTANT):
            return self._constants[id(p.source)]
        if isinstance(p.source, Value) and p.source not in work:
            return self.array(p.source, env)
        return work[p.source]

    def array(self, value: Value, env: Env) -> Any:
        """The array of ``value`` as the kernel reads it."""
        return as_planned(value, env, self._device, self._kernel.builder.layouts.held)


# What a pointer is to, where that is known when the kernel is made.
_CONSTANT = (Pool, Const)


def as_planned(value: Value, env: Env, device: Device, held: Mapping[Value, Any]) -> Any:
    """The array of ``value`` on the device, in the layout that its readers were made for."""
    found = env[value]
    if not device.is_here(found):  # a scalar of NumPy's
        found = env[value] = device.xp.asarray(found)
    elif value not in held and not found.flags.c_contiguous:
        found = env[value] = found.copy(order="C")  # what an implementation made in another order
    return found
