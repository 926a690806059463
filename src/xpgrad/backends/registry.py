"""The backends, and their registration as carriers of ops.

NumPy's is there from the start. CuPy's is made, and CuPy imported, when the first CuPy array is
met; a GPU asked for by name and not there is an error that `devices` words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xpgrad._errors import XpgradError, message
from xpgrad.backends.cpu.numpy_rows import numpy_rows
from xpgrad.backends.cpu.scipy_rows import scipy_row
from xpgrad.backends.special_rows import LIBRARY
from xpgrad.core import Carrier, Op, register_carrier
from xpgrad.devices import cupy

Row = Callable[..., Any]


class Backend:
    """A table of rows for one array library.

    Parameters
    ----------
    name : str
    table : dict of str to callable
        For each op that it carries out, by name.
    late : dict of str to callable
        For each op whose row needs an optional package, what finds the row given the name.
    declines : dict of str to str
        For each op that it does not carry out, why.
    """

    def __init__(
        self,
        name: str,
        table: dict[str, Row],
        late: dict[str, Callable[[str], Row]] | None = None,
        declines: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self.late = late or {}
        self.declines = declines or {}

    def row(self, op: Op) -> Row:
        """The function that carries ``op`` out."""
        row = self.table.get(op.name)
        if row is None and op.name in self.late:
            row = self.table[op.name] = self.late[op.name](op.name)
        if row is None:
            raise XpgradError(
                message(f"{op.name}: not available on {self.name}: {self.declines.get(op.name, 'no row')}")
            )
        return row

    def carries(self, name: str) -> bool:
        """Whether there is a row for the op of that name."""
        return name in self.table or name in self.late


@cache
def cpu_backend() -> Backend:
    return Backend("numpy", numpy_rows(), late=dict.fromkeys(LIBRARY, scipy_row))


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
    """The backend for the module CuPy, which needs no GPU to be looked at."""
    from xpgrad.backends.gpu.cupy_rows import cupy_rows
    from xpgrad.backends.gpu.cupyx_rows import DECLINES, NAMES, cupyx_row
    from xpgrad.backends.gpu.linalg_rows import cupy_linalg_declines

    return Backend("cupy", cupy_rows(cp), dict.fromkeys(NAMES, cupyx_row), DECLINES | cupy_linalg_declines())


def _is_cupy(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "cupy"


register_carrier(
    Carrier("numpy", 1, lambda kind: kind in (np.ndarray, np.memmap), lambda op: cpu_backend().row(op))
)
register_carrier(Carrier("cupy", 2, _is_cupy, lambda op: gpu_backend().row(op)))
