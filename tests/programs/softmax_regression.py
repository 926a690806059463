"""Classes by a linear model, with a penalty."""

import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(500, 10))
labels = np.argmax(X @ rng.normal(size=(10, 4)) + rng.gumbel(size=(500, 4)), axis=1)
one_hot = np.eye(4)[labels]


def start():
    return np.zeros((10, 4)), np.zeros(4)


def loss(params):
    W, b = params
    logits = X @ W + b
    top = np.max(logits, axis=1, keepdims=True)
    total = np.log(np.sum(np.exp(logits - top), axis=1)) + top[:, 0]
    return np.mean(total - np.sum(logits * one_hot, axis=1)) + 0.01 * np.sum(W**2)
