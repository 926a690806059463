"""Noise for samples of parameters that may be traced, by NumPy's generators.

A sample is differentiable by its path: it is a function of the parameters, with the noise held fixed. Draws are
made on the CPU, so that a seed gives the same ones on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpgrad._errors import DataError, ShapeError, TraceError, message
from xpgrad.autodiff.batching import Batch
from xpgrad.core import aval_of
from xpgrad.devices import device_of, to_device
from xpgrad.ops._define import floating
from xpgrad.ops.elementwise import where
from xpgrad.ops.tails import gammainc, gammaincc, gammainccinv, gammaincinv
from xpgrad.trace import strip
from xpgrad.trace.functions._table import spreads
from xpgrad.trace.symbolic import Symbols
from xpgrad.trace.traced import Traced


def generator(rng: Any) -> np.random.Generator:
    """``rng`` itself, or a generator with that seed; None: seeded by the operating system."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or (isinstance(rng, (int, np.integer)) and not isinstance(rng, bool)):
        return np.random.default_rng(rng)
    raise TypeError(
        message(f"rng must be a numpy.random.Generator, an integer seed or None, not {type(rng).__name__}")
    )


def plain(x: Any) -> Any:
    """The numbers of a parameter, on the CPU."""
    x = strip(x)
    return x.get() if hasattr(x, "get") else x


class Source:
    """The noise of one call of ``rvs``, in the shape and dtype and on the device of the result.

    Raises
    ------
    ShapeError
        The parameters do not broadcast to ``size``.
    TraceError
        A parameter has no numbers yet, or one for each sample of a batch.
    """

    def __init__(
        self, name: str, rng: Any, size: Any, parameters: Sequence[Any], event: tuple[int, ...] = ()
    ) -> None:
        self.name, self.rng = name, generator(rng)
        for x in parameters:
            _refuse_levels(name, x)
        avals = [aval_of(x) for x in parameters]
        common = np.broadcast_shapes(*[a.shape for a in avals]) if not event else ()
        self.size = common if size is None else (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        if not spreads(common, self.size):
            what = f"{name}.rvs: parameters of shape {common} do not broadcast to size={self.size}"
            raise ShapeError(message(what))
        self.event = event
        self.dtype = floating(*avals)
        arrays = [x for x in parameters if hasattr(x, "shape")]
        self.device = device_of(arrays) if arrays else "cpu"

    def require(self, good: Any) -> None:
        """Raise unless all parameters are valid, as SciPy does."""
        if not bool(np.all(plain(good))):
            raise DataError(message(f"{self.name}.rvs: a parameter is out of its domain"))

    def of(self, draws: Any) -> Any:
        """Plain ``draws`` in the dtype and on the device of the result."""
        draws = np.asarray(draws, dtype=self.dtype)
        return to_device(draws, self.device) if self.device != "cpu" else draws if draws.shape else draws[()]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, *self.event)

    def normal(self) -> Any:
        return self.of(self.rng.standard_normal(self.shape))

    def uniform(self) -> Any:
        """Never 0 or 1."""
        eps = float(np.finfo(self.dtype).eps)
        return self.of(np.clip(self.rng.random(self.shape), eps / 4, 1 - eps / 2))

    def exponential(self) -> Any:
        return self.of(self.rng.standard_exponential(self.shape))

    def gamma(self, a: Any) -> Any:
        """Gamma variates of shape ``a``, differentiable in it: quantiles of what is held fixed.

        Figurnov, Mohamed, Mnih, Implicit reparameterization gradients, 2018.
        """
        known = plain(a)
        draws = np.asarray(self.rng.standard_gamma(known, self.shape))
        if type(a) is not Traced:
            return self.of(draws)
        below, above = gammainc(known, draws), gammaincc(known, draws)
        lower = np.asarray(below < 0.5)
        return where(
            self._condition(lower),
            gammaincinv(a, self.of(np.where(lower, below, 0.5))),
            gammainccinv(a, self.of(np.where(lower, 0.5, above))),
        )

    def _condition(self, lower: Any) -> Any:
        return to_device(lower, self.device) if self.device != "cpu" else lower

    def whole(self, x: Any) -> Any:
        """The numbers of a parameter that is a whole number."""
        return np.asarray(plain(x)).astype(np.int64)

    def fixed(self, parameter: str, x: Any) -> Any:
        """The numbers of a parameter in which draws have no derivative.

        Raises
        ------
        TraceError
            It is traced.
        """
        if type(x) is Traced:
            what = f"{self.name}.rvs: the derivative of draws in {parameter}, which is traced, is not known"
            raise TraceError(message(what, {parameter: x}, remedy=f"xg.stop_gradient({parameter})"))
        return plain(x)


def _refuse_levels(name: str, x: Any) -> None:
    while type(x) is Traced:
        if isinstance(x._trace, (Symbols, Batch)):
            what = "draws would be the same in each call of a compiled function, and for each sample of a batch"
            raise TraceError(
                message(f"{name}.rvs: {what}", {"parameter": x}, remedy="draw the noise outside, and pass it")
            )
        x = x._below
