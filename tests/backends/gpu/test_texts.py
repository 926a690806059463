"""Sizes and scalars are arguments: another batch size, step size or penalty gives the same text."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import VARIANTS, Collector
from xpgrad.backends import choose
from xpgrad.backends.gpu.limits import Limits
from xpgrad.compiler import compile


def logistic(params, X, Y, penalty):
    W, b = params
    A = 1 / (1 + np.exp(-(np.dot(W.T, X) + b)))
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)) + penalty * np.sum(W * W)


def softmax(params, X, Y, penalty):
    W, b = params
    Z = X @ W + b
    return np.mean(xg.special.logsumexp(Z, axis=1) - np.sum(Y * Z, axis=1)) + penalty * np.sum(W * W)


def hidden(params, X, Y, penalty):
    """A layer of 40, whose values no thread holds."""
    W, b = params
    H = np.tanh(X @ W + b)
    return np.mean(np.sum(H, axis=1) * Y[:, 0]) + np.mean(H**2) + penalty * np.sum(W * W)


def arguments(f, features, m, dtype):
    r = np.random.default_rng(m)
    if f is logistic:
        params = r.standard_normal((features, 1)).astype(dtype), dtype(0.1)
        return params, r.standard_normal((features, m)).astype(dtype), r.random((1, m)).astype(dtype)
    n = 40 if f is hidden else 3
    params = r.standard_normal((features, n)).astype(dtype), r.standard_normal(n).astype(dtype)
    return params, r.standard_normal((m, features)).astype(dtype), r.random((m, 3)).astype(dtype)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(20_000, 30_001, 50_002, 262_144), (6, 9, 17, 33)], ids=["large", "small"])
@pytest.mark.parametrize("features", [5, 100])
@pytest.mark.parametrize("f", [logistic, softmax])
def test_no_new_text_for_a_new_batch_size_step_size_or_penalty(f, features, sizes, dtype):
    # One dtype with every variant, the other with none; which, by the other parameters.
    on = (dtype is np.float32) == ((features == 5) == (f is logistic))
    check(f, features, sizes, dtype, VARIANTS if on else {})


@pytest.mark.slow
@pytest.mark.parametrize("features", [5, 100])
@pytest.mark.parametrize("sizes", [(2001, 20_000, 30_001, 262_144), (65_536, 3000)])
def test_no_new_text_where_few_samples_have_narrower_tiles(features, sizes):
    check(hidden, features, sizes, np.float32, {"full_waves": True})


def check(f, features, sizes, dtype, on):
    @compile
    def step(params, X, Y, rate, penalty):
        value, slopes = xg.value_and_grad(f)(params, X, Y, penalty)
        return value, [x - rate * dx for x, dx in zip(params, slopes, strict=True)]

    device = Collector(Limits(**on))
    known = None
    for m in sizes:
        for rate, penalty in ((0.1, 0.01), (0.2, 0.0)):
            with choose.use("cuda", None, device):
                step(*arguments(f, features, m, dtype), rate, penalty)
        known = known or set(device.texts)
        assert set(device.texts) == known, f"{m} samples compile anew"
