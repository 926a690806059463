"""Metrics of predicted probabilities: log-loss, accuracy, ROC and calibration.

Everything takes log-odds ``z`` and labels ``y`` in {0, 1}, both float[m], and computes in float64.
"""

from __future__ import annotations

import numpy as np

from xpgrad.cli.problem import Array


def log_loss(z: Array, y: Array) -> float:
    """Mean negative log-likelihood in nats, ``mean(log(1 + exp(z)) - y z)``; finite for any finite ``z``."""
    z = z.astype(np.float64)
    return float(np.mean(np.logaddexp(0, z) - y * z))


def accuracy(z: Array, y: Array) -> float:
    """Share of labels that the more probable class equals."""
    return float(np.mean((z > 0) == (y > 0.5)))


def roc_auc(z: Array, y: Array) -> float | None:
    """Probability that a random one ranks above a random zero, a tie counting one half.

    By ranks: ``(sum of the ranks of the ones - n1 (n1 + 1) / 2) / (n1 n0)``, tied values sharing the mean
    of their ranks. None where ``y`` holds one class only.

    Notes
    -----
    Mann and Whitney (1947). Costs a sort.
    """
    ones = y > 0.5
    n1 = int(np.count_nonzero(ones))
    n0 = ones.size - n1
    if n1 == 0 or n0 == 0:
        return None
    _, place, counts = np.unique(z, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = last - (counts - 1) / 2
    return float((rank[place.reshape(-1)[ones]].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def roc_curve(z: Array, y: Array, points: int = 200) -> list[tuple[float, float]]:
    """False and true positive rate for falling thresholds, thinned to about ``points`` pairs.

    Starts at (0, 0) and ends at (1, 1); empty where ``y`` holds one class only.
    """
    order = np.argsort(-z, kind="stable")
    sorted_z, hit = z[order], y[order] > 0.5
    true, false = np.cumsum(hit), np.cumsum(~hit)
    if true[-1] == 0 or false[-1] == 0:
        return []
    ends = np.flatnonzero(np.append(sorted_z[1:] != sorted_z[:-1], True))
    ends = ends[np.unique(np.linspace(0, ends.size - 1, points).astype(int))]
    rates = zip(false[ends] / false[-1], true[ends] / true[-1], strict=True)
    return [(0.0, 0.0), *((float(f), float(t)) for f, t in rates)]


def calibration(z: Array, y: Array, bins: int = 10) -> list[dict[str, float]]:
    """Predicted against observed share of ones, in ``bins`` groups of equal size by prediction.

    Each entry holds the mean ``predicted`` probability, the ``observed`` share, and the number of ``rows``.
    """
    probability = np.exp(-np.logaddexp(0, -z.astype(np.float64)))
    groups = np.array_split(np.argsort(probability, kind="stable"), min(bins, z.size))
    return [
        {"predicted": float(probability[g].mean()), "observed": float(y[g].mean()), "rows": int(g.size)}
        for g in groups
    ]
