"""Every op on a batch, compiled: the values and the gradients of a loop over the samples."""

import re

import numpy as np
import pytest

import xpgrad as xg
from cases.batches import CASES, SMOOTH_OPS, applied, differentiable, drawn, gradients, looped, same
from xpgrad.core import OPS

OF_OP = {name: [case for case in CASES if case[1] == name] for name in dict.fromkeys(c[1] for c in CASES)}


OF_OP = {name: [case for case in CASES if case[1] == name] for name in dict.fromkeys(c[1] for c in CASES)}


@pytest.mark.rotated
@pytest.mark.sweep
@pytest.mark.parametrize("name", OF_OP)
def test_compiled_values_and_derivatives_are_those_of_the_loop(name, generator):
    """All cases of an op in one program."""
    labels, batched, args, expected = [], [], [], []
    for label, _, draws, params in OF_OP[name]:
        f = applied(name, params)
        mapped = tuple(range(len(draws)))[::2]
        whole, samples = drawn(draws, mapped)
        axes = tuple(0 if k in mapped else None for k in range(len(draws)))
        wanted = {"values": f}
        if name in SMOOTH_OPS and differentiable(OPS[name], samples[0]):
            wanted["derivatives"] = gradients(f, OPS[name], samples[0], axes)[0]
        for what, g in wanted.items():
            labels.append(f"{label}: {what}")
            batched.append(xg.vmap(g, axes))
            args.append(whole)
            expected.append(looped(g, samples))
    found = generator.compile(lambda args: [f(*xs) for f, xs in zip(batched, args, strict=True)])(args)
    assert not [name for name, *both in zip(labels, found, expected, strict=True) if not same(*both)]


# ── what is stored ───────────────────────────────────────────────────────────────────────────
def network(params, x, y):
    W, v = params
    return (np.tanh(W @ x) @ v - y) ** 2


def test_gradients_of_each_sample_store_what_they_return_alone(generator):
    X, params = np.ones((20_000, 50)), (np.ones((8, 50)), np.ones(8))
    text = generator.explain(xg.vmap(xg.grad(network), (None, 0, 0)), params, X, X[:, 0])
    assert text.count("one loop over 20000 entries") == 1
    stored = re.findall(r"writes \w+ (\S+\[.*?\])", text)
    assert sorted(stored) == ["float64[20000, 8, 50]", "float64[20000, 8]"]


def logistic(w, X, y):
    z = X @ w
    return np.mean(np.logaddexp(0.0, z) - y * z)


def test_the_hessian_of_few_features_is_one_pass_that_stores_nothing(generator):
    X = np.ones((20_000, 8))
    text = generator.explain(xg.hessian(logistic), np.ones(8), X, X[:, 0])
    assert text.count("one loop over 20000 entries") == 1
    assert "  writes" not in text[text.index("\nprogram") :]


def test_the_hessian_of_many_features_has_one_product_by_the_library():
    X = np.ones((20_000, 100))
    text = xg.compile(xg.hessian(logistic)).explain(np.ones(100), X, X[:, 0])
    assert text.count("one loop over 20000 entries") == 1
    assert len(re.findall(r"writes \w+ float64\[20000, 100\]", text)) == 1
    assert text[: text.index("\npasses")].count(" = dot(") == 2
