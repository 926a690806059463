"""The loss, its gradient, and the few scalars of them that the host decides by.

In:  a loss, its data, and parameters on their device.
Out: value and gradient on that device; floats where a method must choose.
Holds: `fetch` is the only way from a device to the host, and carries scalars alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from xpgrad._trees import flatten
from xpgrad.devices import asnumpy, device_of, namespace
from xpgrad.transforms import value_and_grad

Loss = Callable[..., Any]

_ON_HOST = (bool, int, float, np.generic, np.ndarray)


def _step(loss: Loss) -> Loss:
    """What every method calls, once for each step: ``(params, *data) -> (value, gradient)``."""
    return value_and_grad(loss)


class Objective:
    """A loss with its data, which counts its evaluations.

    Attributes
    ----------
    data : tuple
        What the loss takes after the parameters.
    evaluations : int
        Of value and gradient together, so far.
    """

    def __init__(self, loss: Loss, data: Sequence[Any] = ()) -> None:
        self._step = _step(loss)
        self.data = tuple(data)
        self.evaluations = 0

    def __call__(self, params: Any, data: Sequence[Any] | None = None) -> tuple[Any, Any]:
        """Value and gradient, on their device; on all the data, or on a batch."""
        self.evaluations += 1
        value, gradient = self._step(params, *(self.data if data is None else data))
        return value, gradient


def peaks(tree: Any) -> list[Any]:
    """The largest magnitude in each leaf, on its device; NaN where there is one."""
    return [
        abs(x).max() if getattr(x, "shape", ()) else abs(x)
        for x in flatten(tree)[0]
        if prod(getattr(x, "shape", ()))
    ]


def fetch(*scalars: Any) -> list[float]:
    """Bring scalars to the host, in one transfer however many they are."""
    if all(isinstance(x, _ON_HOST) for x in scalars):
        return [float(x) for x in scalars]
    xp = namespace(next(x for x in scalars if device_of(x) != "cpu"))
    together = xp.stack([xp.asarray(x, dtype=np.float64) for x in scalars])
    return [float(x) for x in asnumpy(together)]


def fetch_value_and_norm(value: Any, gradient: Any) -> tuple[float, float]:
    """The loss and the largest magnitude in its gradient, in one transfer."""
    number, *largest = fetch(value, *peaks(gradient))
    return number, float(np.max(largest, initial=0.0))
