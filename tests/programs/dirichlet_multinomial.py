"""The likelihood of counts whose probabilities have a Dirichlet distribution."""

import numpy as np

from xpgrad.special import gammaln

rng = np.random.default_rng(0)
counts = np.stack([rng.multinomial(30, p) for p in rng.dirichlet([2.0, 1.0, 0.5, 4.0], 100)])


def start():
    return np.zeros(4)


def loss(log_alpha):
    alpha = np.exp(log_alpha)
    total = gammaln(np.sum(alpha)) - gammaln(np.sum(alpha) + np.sum(counts, axis=1))
    return -np.mean(total + np.sum(gammaln(counts + alpha) - gammaln(alpha), axis=1))
