"""Maximum likelihood of counts with more variance than Poisson's: a regression with a dispersion."""

import numpy as np

from xpgrad.special import gammaln

rng = np.random.default_rng(0)
X = np.concatenate([np.ones((300, 1)), rng.normal(size=(300, 3))], axis=1)
y = rng.negative_binomial(2.0, 1 / (1 + np.exp(X @ np.array([0.5, 0.3, -0.2, 0.1])) / 2.0))


def start():
    return {"beta": np.zeros(4), "log_size": np.array(0.0)}


def loss(p):
    mu, r = np.exp(X @ p["beta"]), np.exp(p["log_size"])
    counts = gammaln(y + r) - gammaln(r) - gammaln(y + 1.0)
    return -np.mean(counts + r * np.log(r / (r + mu)) + y * np.log(mu / (r + mu)))
