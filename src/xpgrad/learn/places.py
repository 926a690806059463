"""Arrays of any library come in, and results go where ``X`` was.

In:  ``X`` as a user gives it.
Out: a NumPy array or a table, the device of the computation, and a function that brings results back.

Holds: with scikit-learn's ``array_api_dispatch`` fitted arrays and predictions have the library and device of
``X``; without, those of a CuPy array are CuPy arrays, and all others are NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DTypeError, message
from xpgrad.devices import asnumpy, cupy, device_of, resolve
from xpgrad.devices.door import is_cupy, is_source
from xpgrad.devices.sparse import csr_on, is_sparse, sparse_device
from xpgrad.learn import _sklearn as sk
from xpgrad.learn.columns import is_table


class Arrival(NamedTuple):
    """``X`` as a NumPy array, SciPy's CSR, a table or a list; and what brings results to where it was.

    Attributes
    ----------
    X : object
    follow : callable
        From a NumPy array to an array beside the original ``X``.
    device : str
        Where the original was.
    """

    X: Any
    follow: Callable[[Any], Any]
    device: str


def arrived(X: Any, name: str, *, sparse: bool = False) -> Arrival:
    """Take ``X`` in; sparse it becomes compressed rows (CSR), if ``sparse`` is for the estimator.

    Raises
    ------
    DTypeError
        ``X`` is sparse, and not for the estimator.
    """
    if is_sparse(X):
        if not sparse:
            raise DTypeError(
                message(
                    f"{name}: sparse X is not supported, and is not made dense without being asked to",
                    {"X": X},
                    remedy="X.toarray()",
                )
            )
        rows = X.tocsr()
        place = sparse_device(rows)
        return Arrival(csr_on(rows, "cpu"), _same if place == "cpu" else cupy().asarray, place)
    if is_table(X):
        return Arrival(X, _same, "cpu")
    if is_cupy(X):
        return Arrival(asnumpy(X), cupy().asarray, device_of(X))
    if _on_a_gpu(X):
        on_gpu = cupy().from_dlpack(X)
        follow = _following(X) or cupy().asarray
        return Arrival(asnumpy(on_gpu), follow, device_of(on_gpu))
    follow = _following(X)
    if follow is None:
        return Arrival(X, _same, "cpu")
    return Arrival(host(X), follow, "cpu")


def host(x: Any) -> Any:
    """An array of any library, or a source, as a NumPy array; what is no array as it is."""
    if is_source(x):
        return x.read()
    if not hasattr(x, "shape") or isinstance(x, (np.ndarray, np.generic)):
        return x
    if is_cupy(x):
        return asnumpy(x)
    if _on_a_gpu(x):
        return asnumpy(cupy().from_dlpack(x))
    _, is_array, _ = sk.get_namespace_and_device(x)
    return sk.move_to(x, xp=np, device="cpu") if is_array else x


def chosen_device(device: str, of_data: str) -> str:
    """The device of a prediction; "auto" is where the data are, because one pass does not pay for a copy."""
    return of_data if device == "auto" else resolve(device)


def _same(x: Any) -> Any:
    return x


def _following(X: Any) -> Callable[[Any], Any] | None:
    """What makes an array of the library of ``X``; None for NumPy, or if scikit-learn's dispatch is off."""
    if isinstance(X, (np.ndarray, list, tuple)):
        return None
    xp, is_array, device = sk.get_namespace_and_device(X)
    if not is_array or "numpy" in xp.__name__.rpartition(".")[2]:
        return None

    def follow(x: Any) -> Any:
        return xp.asarray(np.ascontiguousarray(x), device=device)

    return follow


def _on_a_gpu(x: Any) -> bool:
    """Whether another library's array lies on a CUDA device, as DLPack says."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack_device__"):
        return False
    kind, _ = x.__dlpack_device__()
    return int(kind) in (2, 13)  # kDLCUDA, kDLCUDAManaged
