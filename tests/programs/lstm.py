"""An LSTM that predicts the next value of a series."""

import numpy as np

rng = np.random.default_rng(0)
series = np.sin(np.arange(40)[:, None] * 0.3 + rng.uniform(0, 6, 8))  # time by sequence


def start():
    return {
        "W": 0.3 * rng.normal(size=(4, 6, 6)),
        "U": 0.3 * rng.normal(size=(4, 1, 6)),
        "b": np.zeros((4, 6)),
        "out": 0.3 * rng.normal(size=6),
    }


def sigmoid(x):
    return 0.5 * (np.tanh(x / 2) + 1)


def loss(p):
    h, c, total = np.zeros((8, 6)), np.zeros((8, 6)), 0.0
    for t in range(39):
        x = series[t][:, None]
        gates = [x @ p["U"][k] + h @ p["W"][k] + p["b"][k] for k in range(4)]
        c = sigmoid(gates[0]) * c + sigmoid(gates[1]) * np.tanh(gates[2])
        h = sigmoid(gates[3]) * np.tanh(c)
        total = total + np.mean((h @ p["out"] - series[t + 1]) ** 2)
    return total / 39
