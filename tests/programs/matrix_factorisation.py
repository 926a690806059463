"""Ratings by factors of users and of films, at the pairs that were rated."""

import numpy as np

rng = np.random.default_rng(0)
users, films, ratings = rng.integers(0, 40, 600), rng.integers(0, 30, 600), rng.uniform(1, 5, 600)


def start():
    return {
        "users": 0.1 * rng.normal(size=(40, 4)),
        "films": 0.1 * rng.normal(size=(30, 4)),
        "mean": np.array(3.0),
    }


def loss(p):
    predicted = p["mean"] + np.sum(p["users"][users] * p["films"][films], axis=1)
    return np.mean((predicted - ratings) ** 2) + 0.01 * (np.sum(p["users"] ** 2) + np.sum(p["films"] ** 2))
