"""Optimisers that look at one gradient at a time, as pure ``(init, update)`` pairs.

    state = optimizer.init(params)
    params, state = optimizer.update(gradient, state, params)

In:  trees of arrays on any device, and of Python or NumPy scalars, which stay scalars.
Out: new trees, with the structure, dtypes and device of the old.
Holds: nothing given is written to; no number leaves its device, except for a scalar parameter.

The gradient of a complex parameter is ``dL/dx - i dL/dy``: downhill is minus its conjugate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Rule(NamedTuple):
    """An optimiser, with what a number of steps decides apart from what is done to arrays.

    Attributes
    ----------
    name : str
    begin : callable
        ``begin(params) -> moments``: a tuple of trees like the parameters, all 0.
    rates : callable
        ``rates(step) -> tuple of float``, for a number of steps done. It runs on the host.
    move : callable
        ``move(rates, gradient, moments, params) -> (params, moments)``, both new. It can be traced, and then
        serves every step.
    """

    name: str
    begin: Callable[[Any], tuple[Any, ...]]
    rates: Callable[[int], tuple[float, ...]]
    move: Callable[[Sequence[float], Any, tuple[Any, ...], Any], tuple[Any, tuple[Any, ...]]]


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
    return _optimizer(sgd_rule(learning_rate), lambda step: step, lambda step: (step,))


def sgd_rule(learning_rate: float | Schedule) -> Rule:
    """`sgd` as a Rule."""
    rate = _schedule("sgd", learning_rate)

    def move(rates: Sequence[float], gradient: Any, moments: Any, params: Any) -> Any:
        (a,) = rates
        return tree_map(lambda p, g: like(p, p - a * _conjugate(g)), params, gradient), ()

    return Rule("sgd", lambda params: (), lambda step: (rate(step),), move)


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
    return _optimizer(momentum_rule(learning_rate, decay, nesterov), MomentumState, tuple)


def momentum_rule(learning_rate: float | Schedule, decay: float = 0.9, nesterov: bool = False) -> Rule:
    """`momentum` as a Rule."""
    rate = _schedule("momentum", learning_rate)
    _check_decay("momentum", decay=decay)

    def move(rates: Sequence[float], gradient: Any, moments: Any, params: Any) -> Any:
        (a,), (velocity,) = rates, moments
        v = tree_map(lambda v, g: decay * v + _conjugate(g), velocity, gradient)
        if nesterov:
            along = tree_map(lambda v, g: _conjugate(g) + decay * v, v, gradient)
        else:
            along = v
        return tree_map(lambda p, d: like(p, p - a * d), params, along), (v,)

    return Rule("momentum", lambda params: (tree_map(_zeros, params),), lambda step: (rate(step),), move)


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
    return _optimizer(adam_rule(learning_rate, b1, b2, eps), AdamState, tuple)


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
    return _optimizer(adamw_rule(learning_rate, b1, b2, eps, weight_decay), AdamState, tuple)


def adamw_rule(
    learning_rate: float | Schedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Rule:
    """`adamw` as a Rule."""
    if not (weight_decay >= 0 and isfinite(weight_decay)):
        raise ValueError(message(f"adamw: weight_decay must be finite and not negative, got {weight_decay!r}"))
    return adam_rule(learning_rate, b1, b2, eps, weight_decay, "adamw")


def adam_rule(
    learning_rate: float | Schedule = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    name: str = "adam",
) -> Rule:
    """`adam` as a Rule."""
    rate = _schedule(name, learning_rate)
    _check_decay(name, b1=b1, b2=b2)

    def rates(step: int) -> tuple[float, ...]:
        t = step + 1
        return rate(step), 1 / (1 - b1**t), 1 / (1 - b2**t)

    def move(rates: Sequence[float], gradient: Any, moments: Any, params: Any) -> Any:
        (a, unbias, unbias_square), (mean, square) = rates, moments
        mean = tree_map(lambda m, g: b1 * m + (1 - b1) * _conjugate(g), mean, gradient)
        square = tree_map(lambda v, g: b2 * v + (1 - b2) * _squared(g), square, gradient)

        def moved(p: Any, m: Any, v: Any) -> Any:
            d = m * unbias / (np.sqrt(v * unbias_square) + eps)
            return like(p, p - a * (d + weight_decay * p if weight_decay else d))

        return tree_map(moved, params, mean, square), (mean, square)

    def begin(params: Any) -> tuple[Any, ...]:
        return tree_map(_zeros, params), tree_map(lambda p: _zeros(p.real), params)

    return Rule(name, begin, rates, move)


def clipped(optimizer: Optimizer, norm: float) -> Optimizer:
    """An optimiser that meets no gradient longer than ``norm``.

    Parameters
    ----------
    optimizer : Optimizer
    norm : float
        Where the Euclidean norm of the gradient over all parameters is larger, the gradient is scaled to it.

    Raises
    ------
    ValueError
        The norm is not positive and finite.

    Notes
    -----
    Pascanu, Mikolov and Bengio (2013), algorithm 1.
    """
    shortened = _shortening(norm)
    return Optimizer(
        optimizer.init, lambda gradient, state, params: optimizer.update(shortened(gradient), state, params)
    )


def clipped_rule(rule: Rule, norm: float) -> Rule:
    """`clipped` of a Rule."""
    shortened = _shortening(norm)
    return rule._replace(
        move=lambda rates, gradient, moments, params: rule.move(rates, shortened(gradient), moments, params)
    )


def _shortening(norm: float) -> Callable[[Any], Any]:
    if not (norm > 0 and isfinite(norm)):
        raise ValueError(message(f"clip_norm must be positive and finite, got {norm!r}"))

    def shortened(gradient: Any) -> Any:
        peak = np.max(np.stack([np.max(np.abs(g)) if np.size(g) else 0.0 for g in flatten(gradient)[0]]))
        unit = np.where(peak > 0, peak, 1.0)  # so that no square overflows or vanishes
        squares = [np.sum(_squared(g / unit)) for g in flatten(gradient)[0]]
        share = norm / np.maximum(unit * np.sqrt(sum(squares)), norm)
        return tree_map(lambda g: like(g, share * g), gradient)

    return shortened


def _optimizer(
    rule: Rule, state_of: Callable[..., Any], parts_of: Callable[[Any], tuple[Any, ...]]
) -> Optimizer:
    """The pair that keeps the number of steps and the moments of a Rule in one state."""

    def init(params: Any) -> Any:
        check_floating(rule.name, params)
        return state_of(0, *rule.begin(params))

    def update(gradient: Any, state: Any, params: Any) -> tuple[Any, Any]:
        step, *moments = parts_of(state)
        params, moved = rule.move(rule.rates(step), gradient, tuple(moments), params)
        return params, state_of(step + 1, *moved)

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


def like(leaf: Any, value: Any) -> Any:
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


def check_floating(name: str, params: Any) -> None:
    """Refuse parameters that are neither float nor complex."""
    for path, leaf in zip(paths(params), flatten(params)[0], strict=True):
        if aval_of(leaf).dtype.kind not in "fc":
            raise DTypeError(message(f"{name}: parameters must be float or complex", {f"params{path}": leaf}))
