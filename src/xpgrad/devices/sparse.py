"""Sparse matrices in compressed rows, on a device; products with them are SciPy's or CuPy's.

In:  a sparse array or matrix of SciPy or CuPy, of any format.
Out: the same entries as compressed sparse rows (CSR), on the device asked for.
Holds: nothing is made dense.
"""

from __future__ import annotations

from typing import Any

from xpgrad.devices import asnumpy, cupy, device_of, using
from xpgrad.devices.door import is_cupy


def is_sparse(x: Any) -> bool:
    """Whether ``x`` is a sparse array or matrix, of SciPy or CuPy."""
    return hasattr(x, "tocsr") and hasattr(x, "toarray")


def sparse_device(x: Any) -> str:
    """The device of a sparse matrix in compressed rows."""
    return device_of(x.data)


def csr_on(x: Any, device: str) -> Any:
    """A sparse matrix as CSR on a device: ``scipy.sparse.csr_array``, or ``cupyx.scipy.sparse.csr_matrix``.

    Parameters
    ----------
    x : sparse float[n, p]
    device : str

    Raises
    ------
    DeviceError
        No such device.
    """
    x = x.tocsr()
    if device == "cpu":
        from scipy.sparse import csr_array

        parts = asnumpy((x.data, x.indices, x.indptr))
        return csr_array(parts, shape=x.shape)
    with using(device):
        cupy()
        from cupyx.scipy.sparse import csr_matrix

        if is_cupy(x.data) and sparse_device(x) == device:
            return x
        return csr_matrix(csr_on(x, "cpu"))


def with_entries(x: Any, entries: Any) -> Any:
    """A matrix with the places of the CSR matrix ``x`` and other entries."""
    return type(x)((entries, x.indices, x.indptr), shape=x.shape)


def rows_of(x: Any) -> Any:
    """The row of each entry of a CSR matrix, int[nnz]."""
    return x.tocoo().row
