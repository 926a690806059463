"""The device protocol of a program, and the arguments of a launch.

In:  a Kernel and the values of a run.
Out: for each Parameter the array or number that is passed.
Holds: constants are copied to the device once, when the kernel is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from xpgrad.backends.gpu.cuda.printing.kernel import Kernel
from xpgrad.backends.gpu.cuda.printing.layout import Parameter, Pool
from xpgrad.backends.gpu.limits import Limits
from xpgrad.core import Const, Value

Env = dict[Value, Any]
Work = dict[Any, Any]


class Refused(Exception):
    """A device refuses to capture kernels, for the reason in the message."""


class StagingBuffers(Protocol):
    """Two sets of arrays on a device for tiles that are copied from the host.

    Attributes
    ----------
    arrays : list of array
        One of the two, for their layout.
    """

    arrays: list[Any]

    def load(self, k: int, pieces: Sequence[Any]) -> list[Any]:
        """Copy tile ``k`` into the arrays that are returned; kernels launched later find it there."""
        ...

    def used(self, k: int) -> None:
        """Every kernel that reads tile ``k`` has been launched."""
        ...


class Device(Protocol):
    """The protocol of a device.

    Attributes
    ----------
    xp : module
        NumPy's functions for the device's arrays.
    limits : Limits
    l2 : int
        Bytes of the L2 cache.
    out_of_memory : type
        The exception that is raised where memory does not suffice.
    """

    xp: Any
    limits: Limits
    l2: int
    out_of_memory: type[Exception]

    def working(self) -> AbstractContextManager[None]:
        """A context in which arrays are made on this device, and its errors have xpgrad's wording."""
        ...

    def is_here(self, x: Any) -> bool:
        """True if ``x`` is an array of this device."""
        ...

    def put(self, x: Any) -> Any:
        """``x`` on this device, ready for any stream once this returns."""
        ...

    def compile(self, text: str) -> tuple[Any, bool]:
        """The module of a text, and whether it is new to this process."""
        ...

    def address(self, x: Any) -> int:
        """The address of an array's first entry."""
        ...

    def stream(self) -> Any:
        """The stream on which this thread launches kernels now."""
        ...

    def capture(self, start: Callable[[], None]) -> Callable[[], None]:
        """Capture the kernels that ``start`` launches, without running them; the result launches all at once.

        Raises ``Refused``.
        """
        ...

    def staging_buffers(self, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> StagingBuffers:
        """Two arrays for each shape and dtype. Raises ``out_of_memory``."""
        ...

    def launch(self, module: Any, name: str, grid: int, block: int, args: Sequence[Any], shared: int) -> None:
        """Launch a kernel on the current stream."""
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
        """The value that is passed for ``p``; ``changed`` has the sizes that differ in this launch."""
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


# The sources of a pointer that are known when the kernel is made.
_CONSTANT = (Pool, Const)


def as_planned(value: Value, env: Env, device: Device, held: Mapping[Value, Any]) -> Any:
    """The array of ``value`` on the device, in the layout that its readers were made for."""
    found = env[value]
    if not device.is_here(found):  # a scalar of NumPy's
        found = env[value] = device.xp.asarray(found)
    elif value not in held and not found.flags.c_contiguous:
        found = env[value] = found.copy(order="C")  # an implementation made it in another order
    return found
