"""Optimisers that look at one gradient at a time, as pure ``(init, update)`` pairs.

    state = optimizer.init(params)
    params, state = optimizer.update(gradient, state, params)

In:  trees of arrays on any device, and of Python or NumPy scalars, which stay scalars.
Out: new trees, with the structure, dtypes and device of the old.
Holds: nothing given is written to; no number leaves its device, except for a scalar parameter.

The gradient of a complex parameter is ``dL/dx - i dL/dy``: downhill is minus its conjugate.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from xpgrad._errors import DTypeError, message
from xpgrad._trees import flatten, paths, tree_map
from xpgrad.core import aval_of

Schedule = Callable[[int], float]


class Optimizer(NamedTuple):
    """A pure ``(init, update)`` pair.

    Attributes
    ----------
    init : callable
        ``init(params) -> state``.
    update : callable
        ``update(gradient, state, params) -> (params, state)``, both new.
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]


class MomentumState(NamedTuple):
    """Steps done, and the decaying sum of the gradients (a tree like the parameters)."""

    step: int
    velocity: Any


class AdamState(NamedTuple):
    """Steps done, and decaying means of the gradients and of their squared magnitudes."""

    step: int
    mean: Any
    square: Any


def sgd(learning_rate: float | Schedule) -> Optimizer:
    """Gradient descent: ``p - learning_rate * g``; stochastic when ``g`` is of a minibatch.

    Parameters
    ----------
    learning_rate : float or callable
        A callable maps the number of steps done (0 for the first) to the rate of the next.

    Raises
    ------
    ValueError
        The rate is not positive and finite.
    DTypeError
        In ``init``: a parameter is neither float nor complex.
    """
    rate = _schedule("sgd", learning_rate)

    def init(params: Any) -> int:
        _check_floating("sgd", params)
        return 0

    def update(gradient: Any, state: int, params: Any) -> tuple[Any, int]:
        a = rate(state)
        return tree_map(lambda p, g: _like(p, p - a * _conjugate(g)), params, gradient), state + 1

    return Optimizer(init, update)


def momentum(learning_rate: float | Schedule, decay: float = 0.9, nesterov: bool = False) -> Optimizer:
    """Gradient descent with a heavy ball: ``v = decay * v + g``, then ``p - learning_rate * v``.

    Parameters
    ----------
    learning_rate : float or callable
        As in `sgd`.
    decay : float in [0, 1)
    nesterov : bool
        Step along ``g + decay * v`` instead of ``v``.

    Notes
    -----
    Sutskever, Martens, Dahl and Hinton (2013), in the form where the rate multiplies ``v``.
    """
    rate = _schedule("momentum", learning_rate)
    _check_decay("momentum", decay=decay)

    def init(params: Any) -> MomentumState:
        _check_floating("momentum", params)
        return MomentumState(0, tree_map(_zeros, params))

    def update(gradient: Any, state: MomentumState, params: Any) -> tuple[Any, MomentumState]:
        a = rate(state.step)
        v = tree_map(lambda v, g: decay * v + _conjugate(g), state.velocity, gradient)
        if nesterov:
            move = tree_map(lambda v, g: _conjugate(g) + decay * v, v, gradient)
        else:
            move = v
        return tree_map(lambda p, d: _like(p, p - a * d), params, move), MomentumState(state.step + 1, v)

    return Optimizer(init, update)


def adam(
    learning_rate: float | Schedule = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """Steps of about ``learning_rate`` in each entry, whatever the scale of its gradient.

    Parameters
    ----------
    learning_rate : float or callable
        As in `sgd`.
    b1, b2 : float in [0, 1)
        Decay of the means of the gradient and of its squared magnitude.
    eps : float
        Added to the root of the second mean.

    Notes
    -----
    Kingma and Ba (2015), algorithm 1. A complex entry has one squared magnitude, so that the
    method does not depend on its phase.
    """
    return _adam("adam", learning_rate, b1, b2, eps, 0.0)


def adamw(
    learning_rate: float | Schedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Optimizer:
    """`adam` that also takes ``learning_rate * weight_decay * p`` off each parameter ``p``.

    Notes
    -----
    Loshchilov and Hutter (2019), algorithm 2, with the schedule in the learning rate.
    """
    if not (weight_decay >= 0 and isfinite(weight_decay)):
        raise ValueError(message(f"adamw: weight_decay must be finite and not negative, got {weight_decay!r}"))
    return _adam("adamw", learning_rate, b1, b2, eps, weight_decay)


def _adam(
    name: str, learning_rate: float | Schedule, b1: float, b2: float, eps: float, weight_decay: float
) -> Optimizer:
    rate = _schedule(name, learning_rate)
    _check_decay(name, b1=b1, b2=b2)

    def init(params: Any) -> AdamState:
        _check_floating(name, params)
        return AdamState(0, tree_map(_zeros, params), tree_map(lambda p: _zeros(p.real), params))

    def update(gradient: Any, state: AdamState, params: Any) -> tuple[Any, AdamState]:
        a, t = rate(state.step), state.step + 1
        mean = tree_map(lambda m, g: b1 * m + (1 - b1) * _conjugate(g), state.mean, gradient)
        square = tree_map(lambda v, g: b2 * v + (1 - b2) * _squared(g), state.square, gradient)
        unbias, unbias_square = 1 / (1 - b1**t), 1 / (1 - b2**t)

        def moved(p: Any, m: Any, v: Any) -> Any:
            d = m * unbias / (np.sqrt(v * unbias_square) + eps)
            return _like(p, p - a * (d + weight_decay * p if weight_decay else d))

        return tree_map(moved, params, mean, square), AdamState(t, mean, square)

    return Optimizer(init, update)


# Leaves -------------------------------------------------------------------------------------------------


def _is_scalar(leaf: Any) -> bool:
    return isinstance(leaf, (float, complex, np.generic))


def _zeros(leaf: Any) -> Any:
    """Zeros like a parameter; for a scalar one a Python zero, which takes on its gradient's dtype."""
    return 0.0 if _is_scalar(leaf) else np.zeros_like(leaf)


def _conjugate(g: Any) -> Any:
    return g.conjugate() if aval_of(g).dtype.kind == "c" else g


def _squared(g: Any) -> Any:
    return g.real * g.real + g.imag * g.imag if aval_of(g).dtype.kind == "c" else g * g


def _like(leaf: Any, value: Any) -> Any:
    """``value`` as what ``leaf`` is: a scalar of its type, or an array of its dtype."""
    if _is_scalar(leaf):
        number = value.item() if hasattr(value, "item") else value
        return leaf.dtype.type(number) if isinstance(leaf, np.generic) else type(leaf)(number)
    if isinstance(leaf, np.ndarray):
        return np.asarray(value, dtype=leaf.dtype)  # arithmetic makes scalars of 0-d arrays
    return value if value.dtype == leaf.dtype else value.astype(leaf.dtype)


# Arguments ----------------------------------------------------------------------------------------------


def _schedule(name: str, learning_rate: float | Schedule) -> Schedule:
    if callable(learning_rate):
        return lambda step: float(learning_rate(step))
    rate = float(learning_rate)
    if not (rate > 0 and isfinite(rate)):
        raise ValueError(message(f"{name}: learning_rate must be positive and finite, got {learning_rate!r}"))
    return lambda step: rate


def _check_decay(name: str, **decays: float) -> None:
    for key, decay in decays.items():
        if not 0 <= decay < 1:
            raise ValueError(message(f"{name}: {key} must be at least 0 and below 1, got {decay!r}"))


def _check_floating(name: str, params: Any) -> None:
    for path, leaf in zip(paths(params), flatten(params)[0], strict=True):
        if aval_of(leaf).dtype.kind not in "fc":
            raise DTypeError(message(f"{name}: parameters must be float or complex", {f"params{path}": leaf}))
