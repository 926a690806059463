"""Black-box variational inference: a normal approximation of a curved density, by reparameterised draws."""

import numpy as np

from xpgrad import stats

noise = np.random.default_rng(0).normal(size=(200, 2))


def start():
    return {"mean": np.array([-1.0, 1.0]), "log_scale": np.array([-1.0, -1.0])}


def log_density(z):
    return stats.norm.logpdf(z[:, 0], 0.0, 1.35) + stats.norm.logpdf(z[:, 1], z[:, 0] ** 2, 0.5)


def loss(q):
    z = q["mean"] + np.exp(q["log_scale"]) * noise
    entropy = np.sum(q["log_scale"]) + np.log(2 * np.pi) + 1.0
    return -(np.mean(log_density(z)) + entropy)
