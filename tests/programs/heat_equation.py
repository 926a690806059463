"""The conductivity of a rod, from the temperature at its ends over time: explicit steps in time."""

import numpy as np

n, steps, dt = 30, 60, 0.2
initial = np.exp(-((np.arange(n) - 10.0) ** 2) / 10)
measured = np.linspace(0.2, 0.05, steps)


def start():
    return np.full(n - 1, -0.3)


def loss(log_conductivity):
    k = np.exp(log_conductivity)
    u, misfit = initial, 0.0
    for i in range(steps):
        flow = k * (u[1:] - u[:-1])
        u = u + dt * (np.concatenate([flow, np.zeros(1)]) - np.concatenate([np.zeros(1), flow]))
        misfit = misfit + (u[-1] - measured[i]) ** 2 + (u[0] - measured[i]) ** 2
    return misfit + 1e-3 * np.sum(np.diff(log_conductivity) ** 2)
