"""Eager overhead and the logistic step, by device: ``pytest bench``."""

import numpy as np
import pytest

import xpgrad as xg
from bench.workloads import logistic_data, notes_loss, rosenbrock, rosenbrock_data
from xpgrad.devices import gpu_status, synchronize

SMALL = (32, 20_000)


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "gpu" and not gpu_status().available:
        pytest.skip(gpu_status().reason)
    return request.param


def timed(benchmark, f, device):
    """Time ``f`` until the device has finished."""

    def step():
        result = f()
        synchronize(device)
        return result

    return benchmark(step)


OPS = {
    "add": lambda x: x + x,
    "multiply by a number": lambda x: 2.0 * x,
    "exp": lambda x: np.exp(x),
    "slice": lambda x: x[1:],
    "sum": lambda x: np.sum(x),
    "write a slice": lambda x: write(x),
}


def write(x):
    y = x * 1.0
    y[1:] = 0.0
    return y


@pytest.mark.parametrize("name", OPS)
def test_eager_op_overhead(benchmark, name, device):
    x = xg.to_device(np.ones(10), device)
    f = OPS[name]
    out, _ = timed(benchmark, lambda: xg.vjp(f, x), device)
    assert np.array_equal(xg.asnumpy(out), f(np.ones(10)))


def test_rosenbrock_value_and_gradient(benchmark, device):
    x = xg.to_device(rosenbrock_data(), device)
    value, g = timed(benchmark, lambda: xg.value_and_grad(rosenbrock)(x), device)
    assert np.isfinite(float(xg.asnumpy(value)))
    assert g.shape == x.shape


def test_logistic_step(benchmark, device):
    W, b, X, Y = xg.to_device(logistic_data(SMALL), device)
    f = xg.value_and_grad(notes_loss(np))
    value, (dW, _) = timed(benchmark, lambda: f((W, b), X, Y), device)
    assert 0.5 < float(xg.asnumpy(value)) < 1
    assert dW.dtype == np.float32


def test_logistic_step_by_hand(benchmark, device):
    W, b, X, Y = xg.to_device(logistic_data(SMALL), device)
    m = X.shape[1]

    def step():
        Z = W.T @ X + b
        A = 1 / (1 + np.exp(-Z))
        value = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        dz = A - Y
        return value, (X @ dz.T / m, dz.sum() / m)

    value, _ = timed(benchmark, step, device)
    assert 0.5 < float(xg.asnumpy(value)) < 1
