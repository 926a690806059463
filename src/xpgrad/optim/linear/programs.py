"""Compiled passes over the samples of a linear predictor.

In:  a loss of one sample, ``unit(eta, *data)``, as NumPy code; the operands of a Design.
Out: the sum of the losses, its gradient in the coefficients, its second derivatives in the predictor; sums by
code.
Holds: derivatives are the engine's. One pass reads each sample once. Programs are kept for later fits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from xpgrad.backends.streaming import Streaming
from xpgrad.compiler import compile, compile_step
from xpgrad.transforms import grad, jvp, value_and_grad, vjp, vmap

Unit = Callable[..., Any]

_TRACES = 48  # of one program; then another takes its place, before `compile` warns of many


class Programs:
    """The two programs of a fit: those that all fits share, or where it reads sources, its own.

    Parameters
    ----------
    unit : callable
    streaming : Streaming or None
        How sources are read.
    """

    def __init__(self, unit: Unit, streaming: Streaming | None) -> None:
        self.streaming, self._unit = streaming, unit
        if streaming is not None:
            self._terms = compile_step(Terms(unit), None, streaming=streaming)
            self._sums = compile_step(weighted_sums, None, streaming=streaming)

    def terms(self) -> Any:
        """The compiled `Terms` of the loss."""
        return terms(self._unit) if self.streaming is None else self._terms

    def sums(self) -> Any:
        """The compiled `weighted_sums`."""
        return sums() if self.streaming is None else self._sums


def terms(unit: Unit) -> Any:
    """The compiled `Terms` of a loss."""
    program = _terms(unit)
    if len(program.traces) < _TRACES:
        return program
    _terms.cache_clear()
    return _terms(unit)


def sums() -> Any:
    """The compiled `weighted_sums`."""
    if len(_sums().traces) >= _TRACES:
        _sums.cache_clear()
    return _sums()


@lru_cache(maxsize=64)
def _terms(unit: Unit) -> Any:
    return compile(Terms(unit))


@lru_cache(maxsize=1)
def _sums() -> Any:
    return compile(weighted_sums)


class Terms:
    """Value, gradient and curvature of ``sum(weights * unit(eta, *data))`` in one pass.

    Parameters
    ----------
    unit : callable
        ``unit(eta, *data)``, of shape (n,): the loss of each sample, for ``eta`` of shape (n,) or (n, K). The
        entry of a sample must not depend on other samples.
    """

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.__name__ = getattr(unit, "__name__", "unit")

    def __call__(
        self, parts: Any, numbers: Any, codes: Any, weights: Any, offset: Any, data: Any, curved: bool
    ) -> Any:
        """The value, its gradient in ``parts``, and the second derivatives in ``eta``: (n,) or (K, n, K).

        Without ``curved``, None in place of the last.
        """

        def total(eta: Any) -> Any:
            losses = self.unit(eta, *data)
            return np.sum(losses if weights is None else weights * losses)

        eta, pullback = vjp(lambda p: predictor(p, numbers, codes, offset), parts)
        value, slope = value_and_grad(total)(eta)

        def curvature(direction: Any) -> Any:
            return jvp(grad(total), (eta,), (np.zeros_like(eta) + direction,))[1]

        if not curved:
            second = None
        elif eta.ndim == 1:
            second = curvature(np.ones((), eta.dtype))
        else:
            second = vmap(curvature)(np.eye(eta.shape[1], dtype=eta.dtype))
        return value, pullback(slope)[0], second


def predictor(parts: Any, numbers: Any, codes: Any, offset: Any) -> Any:
    """The linear predictor of each sample, of shape (n,) or (n, K).

    Slopes without numbers are their product already, which a sparse matrix was multiplied to.
    """
    intercept, slopes, tables = parts
    eta: Any = 0 if offset is None else offset
    if slopes is not None:
        eta = (slopes if numbers is None else numbers @ slopes) + eta
    for table, code in zip(tables, codes, strict=True):
        eta = table[code] + eta
    return eta if intercept is None else eta + intercept


def weighted_sums(
    d: Any, numbers: Any, square: bool, tables: Any, codes: Any, wide: Any, wide_codes: Any
) -> Any:
    """Sums over the samples of ``d``, and of ``d`` times numbers.

    Parameters
    ----------
    d : float[n]
    numbers : float[n, q] or None
    square : bool
        Whether the sums with numbers alone are wanted.
    tables, codes : lists of float[m] and int[n]
        ``d`` is added up by each code, into a table of the shape of these.
    wide, wide_codes : lists of float[m, q] and int[n]
        ``d`` times the numbers is added up by each code.

    Returns
    -------
    tuple
        The sum of ``d``; sums of ``d x`` and of ``d x x'``, or None; tables; wide tables.
    """
    by_code = [_by_code(table, code, d) for table, code in zip(tables, codes, strict=True)]
    if numbers is None:
        return d.sum(), None, None, by_code, []
    scaled = numbers * d[:, None]
    by_wide = [_by_code(table, code, scaled) for table, code in zip(wide, wide_codes, strict=True)]
    if not square:
        return d.sum(), None, None, by_code, by_wide
    return d.sum(), scaled.sum(axis=0), scaled.T @ numbers, by_code, by_wide


def _by_code(table: Any, code: Any, x: Any) -> Any:
    """The transpose of ``table[code]``, on ``x``."""
    return vjp(lambda t: t[code], table)[1](x)[0]
