"""CuPy's implementations of linear algebra that it checks less than NumPy does."""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from xpgrad.backends.linalg import linalg_implementations
from xpgrad.core import Implementation

# Ops of cuSOLVER whose status CuPy ignores by default.
_CHECKED = [
    "inv",
    "inv_lower",
    "solve",
    "apply_inverse",
    "solve_banded",
    "det",
    "slogdet",
    "adjugate",
    "adjugate_change",
    "pinv",
    "lstsq",
    "cholesky",
    "eigh",
    "eig",
    "svd",
    "qr",
]


def cupy_linalg_implementations(cp: Any) -> dict[str, Implementation]:
    """The implementations, by name of op. Failures raise NumPy's LinAlgError; the host waits for the GPU."""
    import cupyx

    table = linalg_implementations(cp)

    def solve(a: Any, b: Any) -> Any:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (x if x.shape[:-2] == stack else cp.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
        return cp.linalg.solve(a, b)

    def solve_banded(ab: Any, b: Any, *, lower: int, upper: int) -> Any:
        """By elimination in the whole matrix, of order n^3: CUDA's libraries have no banded one."""
        n = ab.shape[-1]
        a = cp.zeros((*ab.shape[:-2], n, n), ab.dtype)
        for d in range(-upper, lower + 1):
            j = cp.arange(max(0, -d), min(n, n - d))
            a[..., j + d, j] = ab[..., upper + d, j]
        return solve(a, b)

    table |= {"solve": solve, "apply_inverse": solve, "solve_banded": solve_banded}
    return table | {name: _checked(table[name], cupyx.errstate) for name in _CHECKED}


def _checked(implementation: Implementation, errstate: Any) -> Implementation:
    @wraps(implementation)
    def checked(*xs: Any, **params: Any) -> Any:
        with errstate(linalg="raise"):
            return implementation(*xs, **params)

    return checked


def cupy_linalg_declines() -> dict[str, str]:
    """The ops that the CUDA libraries of this machine lack, each with the reason."""
    try:
        from cupyx.cusolver import check_availability
    except ImportError:  # no cuSOLVER at all: CuPy says so itself when it is called
        return {}
    if check_availability("geev"):
        return {}
    return {"eig": "cuSOLVER has it from CUDA 12.6 update 2; for Hermitian matrices there is eigh"}
