"""Problems with known answers."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def logistic():
    """Loss, start and data of a logistic regression with labels that no plane separates."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(4, 300)) * np.array([[1.0], [3.0], [0.3], [1.0]])
    Y = (rng.random((1, 300)) < 1 / (1 + np.exp(-(X[:1] - X[1:2] / 2 + 0.5)))).astype(float)

    def loss(params, X, Y):
        W, b = params
        Z = np.dot(W.T, X) + b
        return np.mean(np.logaddexp(0, Z) - Y * Z)

    return loss, (np.zeros((4, 1)), np.zeros(())), (X, Y)
