"""A small convolutional network: two convolutions with pooling, and a linear layer."""

import numpy as np

rng = np.random.default_rng(0)
images = rng.normal(size=(16, 1, 14, 14))
labels = np.eye(3)[rng.integers(0, 3, 16)]


def start():
    return [0.3 * rng.normal(size=s) for s in ((4, 1, 3, 3), (4,), (6, 4, 3, 3), (6,), (6 * 2 * 2, 3), (3,))]


def convolve(x, w):
    n, m = x.shape[2] - 2, x.shape[3] - 2
    out = 0.0
    for i in range(3):
        for j in range(3):
            out = out + np.einsum("bchw,oc->bohw", x[:, :, i : i + n, j : j + m], w[:, :, i, j])
    return out


def pool(x):
    b, c, n, m = x.shape
    return np.max(np.reshape(x[:, :, : n // 2 * 2, : m // 2 * 2], (b, c, n // 2, 2, m // 2, 2)), axis=(3, 5))


def loss(params):
    w1, b1, w2, b2, w3, b3 = params
    h = pool(np.tanh(convolve(images, w1) + b1[:, None, None]))
    h = pool(np.tanh(convolve(h, w2) + b2[:, None, None]))
    logits = np.reshape(h, (16, -1)) @ w3 + b3
    top = np.max(logits, axis=1, keepdims=True)
    return -np.mean(np.sum(labels * (logits - top), axis=1) - np.log(np.sum(np.exp(logits - top), axis=1)))
