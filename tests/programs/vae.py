"""A variational autoencoder of small images, with noise that is drawn beforehand."""

import numpy as np

rng = np.random.default_rng(0)
images = (rng.random((50, 36)) < 0.3) * 1.0
noise = rng.normal(size=(50, 3))


def start():
    shapes = [(36, 20), (20,), (20, 6), (6,), (3, 20), (20,), (20, 36), (36,)]
    return [0.2 * rng.normal(size=s) for s in shapes]


def loss(params):
    w1, b1, w2, b2, w3, b3, w4, b4 = params
    code = np.tanh(images @ w1 + b1) @ w2 + b2
    mean, log_scale = code[:, :3], code[:, 3:]
    z = mean + np.exp(log_scale) * noise
    logits = np.tanh(z @ w3 + b3) @ w4 + b4
    likelihood = np.sum(images * logits - np.logaddexp(0.0, logits), axis=1)
    divergence = 0.5 * np.sum(np.exp(2 * log_scale) + mean**2 - 1 - 2 * log_scale, axis=1)
    return np.mean(divergence - likelihood)
