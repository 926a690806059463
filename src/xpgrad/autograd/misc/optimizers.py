"""Optimisers of a function of the parameters and the number of the iteration.

``grad(x, i)`` is the gradient in iteration ``i`` at ``x``, a tree of arrays; ``callback(x, i, g)`` sees each
iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad.autograd.misc.flatten import flatten

Fun = Callable[..., Any]


def _run(grad: Fun, x0: Any, callback: Fun | None, num_iters: int, step: Fun) -> Any:
    """``x`` after ``num_iters`` steps: ``step(g, i)`` is what is added to the vector of all parameters."""
    vector, unflatten = flatten(x0)
    for i in range(num_iters):
        x = unflatten(vector)
        g = grad(x, i)
        if callback is not None:
            callback(x, i, g)
        vector = vector + step(flatten(g)[0], i)
    return unflatten(vector)


def sgd(
    grad: Fun,
    x0: Any,
    callback: Fun | None = None,
    num_iters: int = 200,
    step_size: float = 0.1,
    mass: float = 0.9,
) -> Any:
    """Gradient descent with momentum; the last gradient has weight ``1 - mass`` in the velocity."""
    velocity: Any = 0.0

    def step(g: Any, i: int) -> Any:
        nonlocal velocity
        velocity = mass * velocity - (1.0 - mass) * g
        return step_size * velocity

    return _run(grad, x0, callback, num_iters, step)


def rmsprop(
    grad: Fun,
    x0: Any,
    callback: Fun | None = None,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Any:
    """Gradients divided by the root of a mean of their squares, which begins at one."""
    square: Any = 1.0

    def step(g: Any, i: int) -> Any:
        nonlocal square
        square = gamma * square + (1 - gamma) * g**2
        return -step_size * g / (np.sqrt(square) + eps)

    return _run(grad, x0, callback, num_iters, step)


def adam(
    grad: Fun,
    x0: Any,
    callback: Fun | None = None,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Any:
    """Adam (Kingma and Ba, 2014)."""
    mean: Any = 0.0
    square: Any = 0.0

    def step(g: Any, i: int) -> Any:
        nonlocal mean, square
        mean = (1 - b1) * g + b1 * mean
        square = (1 - b2) * g**2 + b2 * square
        unbiased = np.sqrt(square / (1 - b2 ** (i + 1)))
        return -step_size * mean / (1 - b1 ** (i + 1)) / (unbiased + eps)

    return _run(grad, x0, callback, num_iters, step)
