"""CuPy's implementations of what CuPy lacks, or does differently from NumPy."""

from __future__ import annotations

from typing import Any

from xpgrad.backends.gpu.cupyx import SHORTER
from xpgrad.backends.gpu.linalg import cupy_linalg_declines, cupy_linalg_implementations
from xpgrad.backends.implementations import implementations
from xpgrad.core import Implementation


def cupy_implementations(cp: Any) -> dict[str, Implementation]:
    """The implementations for the module CuPy, by name of op."""
    table = implementations(_WithNumPysNames(cp))

    def einsum(*xs: Any, subscripts: str) -> Any:
        return cp.einsum(subscripts, *xs, optimize=len(xs) > 1)

    def count_nonzero(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return cp.sum(x != 0, axis=axis, keepdims=keepdims)

    plain_scatter_add = table["scatter_add"]

    def scatter_add(g: Any, *arrays: Any, index: Any, shape: tuple[int, ...]) -> Any:
        if g.dtype.kind != "c":
            return plain_scatter_add(g, *arrays, index=index, shape=shape)
        out = cp.empty(shape, g.dtype)  # cupy.add.at takes no complex numbers
        out.real = plain_scatter_add(g.real, *arrays, index=index, shape=shape)
        out.imag = plain_scatter_add(g.imag, *arrays, index=index, shape=shape)
        return out

    table |= cupy_linalg_implementations(cp)
    table |= {
        "einsum": einsum,
        "softplus": lambda x: cp.logaddexp(x, 0),
        "count_nonzero": count_nonzero,
        "scatter_add": scatter_add,
    }
    for name in (*SHORTER, *cupy_linalg_declines()):
        del table[name]  # the registry finds cupyx's, or words the refusal
    return table


class _WithNumPysNames:
    """CuPy's module, with the functions that it lacks written in those that it has."""

    def __init__(self, cp: Any) -> None:
        self._cp = cp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cp, name)

    def float_power(self, x: Any, y: Any) -> Any:
        cp = self._cp
        kind = cp.complex128 if "c" in (cp.asarray(x).dtype.kind, cp.asarray(y).dtype.kind) else cp.float64
        return cp.power(cp.asarray(x, dtype=kind), cp.asarray(y, dtype=kind))
