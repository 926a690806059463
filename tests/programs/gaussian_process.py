"""The marginal likelihood of a Gaussian process with a squared exponential kernel."""

import numpy as np

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 40))
y = np.sin(2 * x) + 0.1 * rng.normal(size=40)


def start():
    return np.array([0.0, 0.0, -2.0])


def loss(log_params):
    length, scale, noise = np.exp(log_params[0]), np.exp(log_params[1]), np.exp(log_params[2])
    distance = (x[:, None] - x[None, :]) ** 2
    K = scale**2 * np.exp(-0.5 * distance / length**2) + noise**2 * np.eye(40)
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(K, y)
    return 0.5 * y @ alpha + np.sum(np.log(np.diag(L))) + 20 * np.log(2 * np.pi)
