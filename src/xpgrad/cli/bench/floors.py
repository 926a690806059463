"""Rates that no step on this machine exceeds, by NumPy alone, and the least time of a step.

In:  nothing, or a Cell.
Out: rates; bytes and floating-point operations of a step; the least seconds that it can take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from xpgrad.cli.bench.steps import CLASSES, HIDDEN, Cell

READ_BYTES = 1 << 28  # far beyond the caches
GEMM = 1536  # entries along each side of a square product
REPEATS = 5


def floors() -> dict[str, float]:
    """Bytes a second that are read from memory, and operations a second of a product of matrices.

    Returns
    -------
    dict
        ``read_bytes_s``: the best of what reads 256 MB once: a dot product, a product with a vector, a sum.
        ``gemm_float32`` and ``gemm_float64``: of square matrices, by NumPy's BLAS.
    """
    x = np.ones(READ_BYTES // 4, np.float32)
    X, w = x.reshape(32, -1), np.ones((1, 32), np.float32)
    reading = min(_seconds(lambda: x @ x), _seconds(lambda: w @ X), _seconds(x.sum))
    found = {"read_bytes_s": x.nbytes / reading}
    for dtype in ("float32", "float64"):
        A = np.ones((GEMM, GEMM), dtype)
        found[f"gemm_{dtype}"] = 2 * GEMM**3 / _seconds(lambda A=A: A @ A)  # type: ignore[misc]
    return found


def _seconds(call: Callable[[], object]) -> float:
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def operations(cell: Cell) -> int:
    """Floating-point operations of the products with ``X``, forward and backward."""
    width = {"softmax": CLASSES, "mlp": HIDDEN}.get(cell.job, 1)
    return 4 * cell.features * cell.samples * width


def least_seconds(cell: Cell, rates: dict[str, float]) -> float:
    """The time to read ``X`` once, or to compute its products, whichever is longer."""
    return max(cell.bytes / rates["read_bytes_s"], operations(cell) / rates[f"gemm_{cell.dtype}"])
