"""A block of a transformer: one head of attention, a network for each place, and a residual around each."""

import numpy as np

rng = np.random.default_rng(0)
tokens, following = rng.integers(0, 12, (4, 16)), rng.integers(0, 12, (4, 16))
past = np.tril(np.ones((16, 16)))


def start():
    shapes = {"embed": (12, 8), "q": (8, 8), "k": (8, 8), "v": (8, 8), "up": (8, 32), "down": (32, 8)}
    return {name: 0.3 * rng.normal(size=shape) for name, shape in shapes.items()}


def loss(p):
    x = p["embed"][tokens]
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    scores = np.where(past > 0, q @ np.swapaxes(k, 1, 2) / np.sqrt(8.0), -1e30)
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    x = x + weights / np.sum(weights, axis=-1, keepdims=True) @ v
    x = x + np.maximum(x @ p["up"], 0.0) @ p["down"]
    logits = x @ p["embed"].T
    top = np.max(logits, axis=-1, keepdims=True)
    logs = logits - top - np.log(np.sum(np.exp(logits - top), axis=-1, keepdims=True))
    return -np.mean(np.sum(logs * np.eye(12)[following], axis=-1))
