"""A Poisson regression with exposure, and a spline of one variable."""

import numpy as np

from xpgrad import stats

rng = np.random.default_rng(0)
age = rng.uniform(20, 80, 300)
exposure = rng.uniform(0.5, 2, 300)
knots = np.array([30.0, 45.0, 60.0])
basis = np.stack([np.ones(300), age / 50, *(np.maximum(age - k, 0.0) / 20 for k in knots)], axis=1)
claims = rng.poisson(exposure * np.exp(-0.5 + 0.02 * (age - 50)))


def start():
    return np.zeros(5)


def loss(beta):
    rate = exposure * np.exp(basis @ beta)
    return -np.mean(stats.poisson.logpmf(claims, rate)) + 0.01 * np.sum(np.diff(beta[2:]) ** 2)
