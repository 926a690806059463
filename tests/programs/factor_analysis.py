"""Factor analysis: a normal distribution whose covariance is of low rank and a diagonal."""

import numpy as np

from xpgrad import stats

rng = np.random.default_rng(0)
data = rng.normal(size=(150, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(150, 6)) + 1.0


def start():
    return {"loadings": 0.5 * rng.normal(size=(6, 2)), "log_noise": np.zeros(6), "mean": np.zeros(6)}


def loss(p):
    covariance = p["loadings"] @ p["loadings"].T + np.diag(np.exp(p["log_noise"]))
    return -np.mean(stats.multivariate_normal.logpdf(data, p["mean"], covariance))
