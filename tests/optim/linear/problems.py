"""Losses of one sample, and designs as dense matrices."""

import numpy as np


def squared(eta, y):
    return (eta - y) ** 2 / 2


def logistic(eta, y):
    return np.logaddexp(0, eta) - y * eta


def poisson(eta, y):
    return np.exp(eta) - y * eta


def gamma(eta, y):
    return eta + y * np.exp(-eta)


def cauchy(eta, y):
    return np.log1p((eta - y) ** 2)


def softmax(eta, y):
    return np.log(np.sum(np.exp(eta), axis=1)) - np.sum(y * eta, axis=1)


def table(rows, numbers, levels, seed=0):
    """Numbers, and codes of which each level has a sample."""
    rng = np.random.default_rng(seed)
    codes = [rng.permutation(np.resize(np.arange(k), rows)).astype(np.int32) for k in levels]
    return rng.normal(size=(rows, numbers)) if numbers else None, codes


def dense(X, codes, levels, intercept=True):
    """The columns of a design, written out."""
    rows = len(codes[0]) if codes else len(X)
    columns = [np.ones((rows, 1))] if intercept else []
    columns += [] if X is None else [X]
    return np.hstack([*columns, *[np.eye(k)[c] for c, k in zip(codes, levels, strict=True)]])
