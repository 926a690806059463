"""NumPy's implementations where the shared ones are slower or are not NumPy's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.backends.implementations import implementations
from xpgrad.core import Implementation

_SCALAR_DTYPES: dict[type, Any] = {float: np.float64, int: np.int_, complex: np.complex128, bool: np.bool_}


def numpy_implementations() -> dict[str, Implementation]:
    """The implementations, by name of op."""
    table = implementations(np)

    def add_reduce(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return np.add.reduce(x, axis, None, None, keepdims)  # type: ignore[call-overload]

    def astype(x: Any, *, dtype: Any) -> Any:
        return x.astype(dtype) if hasattr(x, "astype") else np.dtype(dtype).type(x)

    def transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
        return x.transpose(axes) if isinstance(x, np.ndarray) else x

    def einsum(*xs: Any, subscripts: str) -> Any:
        out = np.einsum(subscripts, *xs, optimize=len(xs) > 1)
        return out if out.ndim else out[()]  # a scalar, as it is without `optimize`

    # np.sum and x.reshape go through Python wrappers; these are the functions inside.
    table |= {"sum": add_reduce, "astype": astype, "transpose": transpose, "einsum": einsum}
    return table
