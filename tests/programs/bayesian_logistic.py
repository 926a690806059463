"""The log posterior of a logistic regression with a normal prior, as a sampler needs it."""

import numpy as np

rng = np.random.default_rng(0)
X = np.concatenate([np.ones((400, 1)), rng.normal(size=(400, 5))], axis=1)
y = rng.random(400) < 1 / (1 + np.exp(-X @ np.array([0.5, 1.0, -2.0, 0.0, 0.3, 0.7])))


def start():
    return np.zeros(6)


def loss(beta):
    z = X @ beta
    likelihood = np.sum(np.where(y, z, 0.0) - np.logaddexp(0.0, z))
    return -(likelihood - np.sum(beta**2) / (2 * 10.0**2))
