"""The workloads, each written for each contender: one function that gives value and gradient.

A contender is made by ``make(workload, contender)``, which imports its library and gives
``(step, check)``: ``step()`` does the work and returns ``(value, gradient)`` as the library has them,
``check(result)`` turns that into one flat float64 array, to hold contenders against each other.
"""

import numpy as np

SEED = 0
LOGISTIC_SHAPE = (32, 2_000_000)  # n_x, m: samples in columns, float32
ROSENBROCK_N = 10


def flat(result):
    """Value and gradient as one float64 vector."""
    value, gradient = result
    parts = gradient if isinstance(gradient, (tuple, list)) else (gradient,)
    return np.concatenate([np.ravel(np.asarray(p, np.float64)) for p in (value, *parts)])


def rosenbrock_data():
    return np.random.default_rng(SEED).normal(size=ROSENBROCK_N)


def logistic_data(shape=LOGISTIC_SHAPE):
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal(shape, np.float32)
    Y = (rng.random((1, shape[1])) > 0.5).astype(np.float32)
    W = 0.1 * rng.standard_normal((shape[0], 1), np.float32)
    return W, np.float32(0.1), X, Y


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def notes_loss(np):
    """The loss of the notes, in the NumPy of the contender."""

    def loss(params, X, Y):
        W, b = params
        Z = np.dot(W.T, X) + b
        A = 1 / (1 + np.exp(-Z))
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    return loss


def rosenbrock_xpgrad():
    import xpgrad as xg

    x, f = rosenbrock_data(), xg.value_and_grad(rosenbrock)
    return (lambda: f(x)), flat


def rosenbrock_autograd():
    import autograd

    x, f = rosenbrock_data(), autograd.value_and_grad(rosenbrock)
    return (lambda: f(x)), flat


def rosenbrock_torch():
    import torch

    x = torch.tensor(rosenbrock_data(), requires_grad=True)

    def step():
        value = rosenbrock(x)
        return value, torch.autograd.grad(value, x)

    return step, lambda r: flat((r[0].item(), r[1][0].numpy()))


def logistic_numpy():
    """The notes by hand, with the value."""
    W, b, X, Y = logistic_data()
    m = X.shape[1]

    def step():
        Z = np.dot(W.T, X) + b
        A = 1 / (1 + np.exp(-Z))
        value = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        dz = A - Y
        return value, (np.dot(X, dz.T) / m, dz.sum() / m)

    return step, flat


def logistic_xpgrad():
    import xpgrad as xg

    W, b, X, Y = logistic_data()
    f = xg.value_and_grad(notes_loss(np))
    return (lambda: f((W, b), X, Y)), flat


def logistic_autograd():
    import autograd
    import autograd.numpy as anp

    W, b, X, Y = logistic_data()
    f = autograd.value_and_grad(notes_loss(anp))
    return (lambda: f((W, b), X, Y)), flat


def logistic_torch():
    import torch

    W, b, X, Y = map(torch.tensor, logistic_data())
    W.requires_grad_()
    b.requires_grad_()

    def step():
        Z = W.T @ X + b
        A = 1 / (1 + torch.exp(-Z))
        value = -torch.mean(Y * torch.log(A) + (1 - Y) * torch.log(1 - A))
        return value, torch.autograd.grad(value, (W, b))

    return step, lambda r: flat((r[0].item(), [g.numpy() for g in r[1]]))


WORKLOADS = {
    "rosenbrock": {"xpgrad": rosenbrock_xpgrad, "torch": rosenbrock_torch, "autograd": rosenbrock_autograd},
    "logistic": {
        "xpgrad": logistic_xpgrad,
        "numpy": logistic_numpy,
        "torch": logistic_torch,
        "autograd": logistic_autograd,
    },
}
