"""The likelihood of noisy positions of something that moves, by a Kalman filter."""

import numpy as np

rng = np.random.default_rng(0)
positions = np.cumsum(np.cumsum(0.1 * rng.normal(size=60))) + rng.normal(size=60)


def start():
    return np.array([0.0, 0.0])


def loss(log_params):
    q, r = np.exp(log_params[0]), np.exp(log_params[1])
    F = np.array([[1.0, 1.0], [0.0, 1.0]])
    Q = q * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    H = np.array([[1.0, 0.0]])
    m, P = np.zeros(2), 10.0 * np.eye(2)
    total = 0.0
    for z in positions:
        m, P = F @ m, F @ P @ F.T + Q
        S = H @ P @ H.T + r
        K = P @ H.T / S
        error = z - H @ m
        total = total + 0.5 * (np.log(2 * np.pi * S[0, 0]) + error[0] ** 2 / S[0, 0])
        m, P = m + K @ error, P - K @ H @ P
    return total / len(positions)
