"""NumPy's rows where the shared one would be slower or is not NumPy's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpgrad.backends.rows import Row, rows

_SCALAR_DTYPES: dict[type, Any] = {float: np.float64, int: np.int_, complex: np.complex128, bool: np.bool_}


def numpy_rows() -> dict[str, Row]:
    """The rows, by name of op."""
    table = rows(np)

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
