"""The pose of a camera: angles and a shift that bring points to where they were seen."""

import numpy as np

rng = np.random.default_rng(0)
points = rng.normal(size=(30, 3)) + np.array([0.0, 0.0, 5.0])
seen = points[:, :2] / points[:, 2:] + 0.01 * rng.normal(size=(30, 2))


def start():
    return np.array([0.1, -0.1, 0.05, 0.0, 0.1, 0.2])


def rotation(a, b, c):
    x = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(a), -np.sin(a)], [0.0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0.0, np.sin(b)], [0.0, 1.0, 0.0], [-np.sin(b), 0.0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0.0], [np.sin(c), np.cos(c), 0.0], [0.0, 0.0, 1.0]])
    return z @ y @ x


def loss(pose):
    moved = points @ rotation(pose[0], pose[1], pose[2]).T + pose[3:]
    return np.mean((moved[:, :2] / moved[:, 2:] - seen) ** 2)
