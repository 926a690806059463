"""Cox's partial likelihood of survival times, some of them censored."""

import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 4))
times = rng.exponential(np.exp(-X @ np.array([0.5, -1.0, 0.0, 0.25])))
died = rng.random(300) < 0.7
order = np.argsort(-times)
X, died = X[order], died[order]


def start():
    return np.zeros(4)


def loss(beta):
    eta = X @ beta
    at_risk = np.log(np.cumsum(np.exp(eta)))
    return -np.sum(np.where(died, eta - at_risk, 0.0)) / np.sum(died)
