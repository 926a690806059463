"""The backends, and the registration of their dispatchers.

NumPy's is there from the start. CuPy's is made, and CuPy imported, when the first CuPy array is
met; a GPU asked for by name and not there is an error that `devices` words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import XpgradError, message
from xpgrad.backends.cpu.numpy import numpy_implementations
from xpgrad.backends.cpu.scipy import banded_implementation, scipy_implementation
from xpgrad.backends.special import LIBRARY
from xpgrad.core import OPS, Dispatcher, Implementation, Op, register_dispatcher
from xpgrad.devices import cupy


class Backend:
    """A table of implementations for one array library.

    Parameters
    ----------
    name : str
    table : dict of str to callable
        The implementations by name of op.
    late : dict of str to callable
        For each op whose implementation needs an optional package, a function that finds it by name.
    declines : dict of str to str
        For each op that it lacks, the reason.
    """

    def __init__(
        self,
        name: str,
        table: dict[str, Implementation],
        late: dict[str, Callable[[str], Implementation]] | None = None,
        declines: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self.late = late or {}
        self.declines = declines or {}

    def implementation(self, op: Op) -> Implementation:
        """The function that computes ``op``."""
        implementation = self.table.get(op.name)
        if implementation is None and op.name in self.late:
            implementation = self.table[op.name] = self.late[op.name](op.name)
        if implementation is None and op.composed is not None:
            implementation = self.table[op.name] = _composed(op.composed)
        if implementation is None:
            reason = self.declines.get(op.name, "no implementation")
            raise XpgradError(message(f"{op.name}: not available on {self.name}: {reason}"))
        return implementation

    def has(self, name: str) -> bool:
        """Whether there is an implementation for the op of that name."""
        return name in self.table or name in self.late or OPS[name].composed is not None


def _composed(function: Implementation) -> Implementation:
    """An op by the ops that it is composed of, which do not warn; a scalar where it has no axes."""

    @np.errstate(all="ignore")
    def run(*operands: Any) -> Any:
        out = function(*operands)
        return out if out.shape else out[()]

    return run


@cache
def cpu_backend() -> Backend:
    late: dict[str, Callable[[str], Implementation]] = dict.fromkeys(LIBRARY, scipy_implementation)
    late["solve_banded"] = banded_implementation
    return Backend("numpy", numpy_implementations(), late=late)


@cache
def gpu_backend() -> Backend:
    """CuPy's backend.

    Raises
    ------
    DeviceError
        No CuPy, no driver or no GPU; the message says which.
    """
    return backend_of_cupy(cupy())


def backend_of_cupy(cp: Any) -> Backend:
    """The backend for the module CuPy; making it needs no GPU."""
    from xpgrad.backends.gpu.cupy import cupy_implementations
    from xpgrad.backends.gpu.cupyx import DECLINES, NAMES, cupyx_implementation
    from xpgrad.backends.gpu.linalg import cupy_linalg_declines

    return Backend(
        "cupy",
        cupy_implementations(cp),
        dict.fromkeys(NAMES, cupyx_implementation),
        DECLINES | cupy_linalg_declines(),
    )


def _is_cupy(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "cupy"


def _is_numpy(kind: type) -> bool:
    return kind in (np.ndarray, np.memmap)


register_dispatcher(Dispatcher("numpy", 1, _is_numpy, lambda op: cpu_backend().implementation(op)))
register_dispatcher(Dispatcher("cupy", 2, _is_cupy, lambda op: gpu_backend().implementation(op)))
