"""Products with sparse numbers, which are SciPy's or CuPy's: ``X w``, ``X' g`` and ``X' D X``.

In:  the numbers of a Design as a sparse matrix (CSR).
Out: vectors on their device, and sums over the samples on the host.
Holds: nothing of the size of the dense matrix is made. Sums over the samples are in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.devices import asnumpy, namespace
from xpgrad.devices.sparse import rows_of, with_entries


class SparseNumbers:
    """The numbers of a Design, sparse.

    Parameters
    ----------
    matrix : CSR float[n, q]
        On its device; see `xpgrad.devices.sparse.csr_on`.
    """

    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape: tuple[int, int] = matrix.shape
        self.dtype = np.dtype(matrix.dtype)
        self._rows: Any = None

    def __len__(self) -> int:
        return self.shape[0]

    def times(self, w: Any) -> Any:
        """``X w``: float[n] or float[n, k], on the device."""
        return self.matrix @ w

    def transposed(self, g: Any) -> Any:
        """``X' g``: float64[q] or float64[q, k], on the host."""
        return asnumpy(self.matrix.T @ g.astype(np.float64))

    def scaled(self, d: Any) -> Any:
        """``diag(d) X``, in float64."""
        if self._rows is None:
            self._rows = rows_of(self.matrix)
        return with_entries(self.matrix, self.matrix.data * d.astype(np.float64)[self._rows])

    def squares(self, d: Any) -> Any:
        """``sum_i d_i x_ij²``: float64[q], on the host."""
        squared = with_entries(self.matrix, self.matrix.data.astype(np.float64) ** 2)
        return asnumpy(squared.T @ d.astype(np.float64))

    def gram(self, d: Any) -> tuple[Any, Any]:
        """``X' d`` and ``X' diag(d) X``: float64[q] and float64[q, q], on the host."""
        return self.transposed(d), _whole(self.matrix.T @ self.scaled(d))

    def by_code(self, d: Any, code: Any, count: int) -> Any:
        """``sum_i d_i x_i`` by code: float64[count, q], on the host."""
        xp = namespace(d)
        n = self.shape[0]
        ones = (xp.ones(n), code.astype(np.int32), xp.arange(n + 1, dtype=np.int32))
        chosen = type(self.matrix)(ones, shape=(n, count))
        return _whole(chosen.T @ self.scaled(d))

    def quadratic(self, A: Any, block: int = 4096) -> Any:
        """``x' A x`` of each sample, float64[n] on the host, for a matrix on the host.

        Blocks of so many rows are multiplied at a time: ``X A`` is dense.
        """
        out = np.empty(self.shape[0])
        for start in range(0, len(out), block):
            part = self.matrix[start : start + block]
            product = part @ A
            entries = part.data * product[rows_of(part), part.indices]
            out[start : start + block] = np.bincount(rows_of(part), entries, part.shape[0])
        return out


def _whole(product: Any) -> Any:
    """A sparse matrix of coefficients by coefficients, or by levels, as a dense one on the host."""
    return asnumpy(product.toarray())
