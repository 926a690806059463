"""Embeddings of words by the words near them, with negative samples."""

import numpy as np

rng = np.random.default_rng(0)
centre, near, random = rng.integers(0, 50, 400), rng.integers(0, 50, 400), rng.integers(0, 50, (400, 5))


def start():
    return 0.3 * rng.normal(size=(50, 8)), 0.3 * rng.normal(size=(50, 8))


def loss(tables):
    inside, outside = tables
    v = inside[centre]
    good = np.sum(v * outside[near], axis=1)
    bad = np.einsum("nd,nkd->nk", v, outside[random])
    return np.mean(np.logaddexp(0.0, -good)) + np.mean(np.sum(np.logaddexp(0.0, bad), axis=1))
