"""The likelihood of a hidden Markov model with normal emissions, by the forward recursion in logarithms."""

import numpy as np

from xpgrad import stats
from xpgrad.special import logsumexp

rng = np.random.default_rng(0)
observed = np.concatenate([rng.normal(m, 0.5, 25) for m in (0.0, 2.0, 0.0, -1.5)])


def start():
    return {"transition": np.zeros((3, 3)), "mean": np.array([-1.0, 0.0, 1.0]), "log_scale": np.zeros(3)}


def loss(p):
    transition = p["transition"] - logsumexp(p["transition"], axis=1, keepdims=True)
    emission = stats.norm.logpdf(observed[:, None], p["mean"], np.exp(p["log_scale"]))
    alpha = emission[0] - np.log(3.0)
    for t in range(1, len(observed)):
        alpha = logsumexp(alpha[:, None] + transition, axis=0) + emission[t]
    return -logsumexp(alpha) / len(observed)
