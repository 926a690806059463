"""Torques that swing a pendulum up with little effort."""

import numpy as np


def start():
    return 0.1 * np.cos(np.arange(50) * 0.4)


def loss(torques):
    angle, speed, h = 0.0, 0.0, 0.1
    for u in torques:
        speed = speed + h * (-np.sin(angle) - 0.1 * speed + u)
        angle = angle + h * speed
    return (np.cos(angle) + 1.0) ** 2 + speed**2 + 0.01 * np.sum(torques**2)
