"""A mixture of normal distributions in the plane."""

import numpy as np

from xpgrad import stats
from xpgrad.special import logsumexp

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(m, 0.5, (60, 2)) for m in ((0.0, 0.0), (2.0, 1.0), (-1.0, 2.0))])


def start():
    return {"logits": np.zeros(3), "means": rng.normal(size=(3, 2)), "log_scales": np.zeros((3, 2))}


def loss(p):
    weights = p["logits"] - logsumexp(p["logits"])
    each = stats.norm.logpdf(data[:, None, :], p["means"], np.exp(p["log_scales"]))
    return -np.mean(logsumexp(weights + np.sum(each, axis=2), axis=1))
