"""The speed of waves under a line of sensors, from an echo: a wave equation in time and one dimension."""

import numpy as np

n, steps = 50, 80
source = np.exp(-((np.arange(steps) - 10.0) ** 2) / 8)
echo = np.sin(np.arange(steps) * 0.3) * 0.1


def start():
    return np.full(n, -1.0)


def loss(log_speed):
    c2 = np.exp(2 * log_speed)
    place = np.eye(n)[5]
    before, now, misfit = np.zeros(n), np.zeros(n), 0.0
    for t in range(steps):
        curve = np.concatenate([now[1:], np.zeros(1)]) - 2 * now + np.concatenate([np.zeros(1), now[:-1]])
        before, now = now, 2 * now - before + c2 * curve + source[t] * place
        misfit = misfit + (now[5] - echo[t]) ** 2
    return misfit
