"""Where the optimisers are tested, and problems with known answers."""

import numpy as np
import pytest

from xpgrad.devices import gpu_status, to_device


@pytest.fixture
def real_gpu():
    if not gpu_status().available:
        pytest.skip(gpu_status().reason)


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "gpu" and not gpu_status().available:
        pytest.skip(gpu_status().reason)
    return request.param


@pytest.fixture
def put(device):
    """Put a tree on the device of the test, its NumPy arrays read-only: whoever writes to one fails."""

    def put(tree):
        return _frozen(to_device(tree, device))

    return put


def _frozen(tree):
    if isinstance(tree, (tuple, list)):
        return type(tree)(map(_frozen, tree))
    if isinstance(tree, dict):
        return {key: _frozen(x) for key, x in tree.items()}
    if isinstance(tree, np.ndarray):
        tree.flags.writeable = False
    return tree


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
