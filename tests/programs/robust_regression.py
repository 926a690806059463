"""A line through points with outliers: Student's t distribution, its degrees of freedom fitted too."""

import numpy as np

from xpgrad import stats

rng = np.random.default_rng(0)
x = np.linspace(0, 1, 100)
y = 2 * x + 1 + 0.1 * rng.standard_t(2, 100)


def start():
    return {"line": np.array([0.0, 0.0]), "log_scale": np.array(0.0), "log_df": np.array(1.0)}


def loss(p):
    mean = p["line"][0] * x + p["line"][1]
    return -np.mean(stats.t.logpdf(y, np.exp(p["log_df"]), mean, np.exp(p["log_scale"])))
