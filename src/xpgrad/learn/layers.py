"""Dense layers: from samples in rows to the output of the last layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpgrad import special

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "logistic": special.expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


def forward(layers: Any, X: Any, activation: str) -> Any:
    """The output of the last layer, without an activation: float[n, outputs], or float[n] of one output.

    Parameters
    ----------
    layers : sequence of (float[inputs, outputs], float[outputs])
    X : float[n, inputs]
    """
    return onward(layers, X @ layers[0][0], activation)


def onward(layers: Any, product: Any, activation: str) -> Any:
    """`forward` from the product of ``X`` with the weights of the first layer."""
    out = product + layers[0][1]
    for W, b in layers[1:]:
        out = ACTIVATIONS[activation](out) @ W + b
    return out[:, 0] if out.shape[1] == 1 else out


def first_weights(layers: Any) -> Any:
    """The weights of the first layer."""
    return layers[0][0]
