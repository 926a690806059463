"""A net of springs under its weight: the energy of the places of its knots."""

import numpy as np

n = 8
fixed = np.linspace(0.0, 1.0, n)


def start():
    x, y = np.meshgrid(np.linspace(0, 1, n), -np.linspace(0.1, 1, n - 1))
    return np.stack([x, y], axis=2) + 0.01 * np.random.default_rng(0).normal(size=(n - 1, n, 2))


def loss(free):
    top = np.stack([fixed, np.zeros(n)], axis=1)[None]
    knots = np.concatenate([top, free], axis=0)
    across = np.sqrt(np.sum((knots[:, 1:] - knots[:, :-1]) ** 2, axis=2)) - 0.14
    down = np.sqrt(np.sum((knots[1:] - knots[:-1]) ** 2, axis=2)) - 0.14
    return 50 * (np.sum(across**2) + np.sum(down**2)) + 0.1 * np.sum(free[:, :, 1])
