"""Few samples in columns of many features: feature by feature, or by the library, with the same results."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.backends.cpu.llvm.build import available
from xpgrad.testing.tolerances import close, tolerance

pytestmark = pytest.mark.skipif(available() is not None, reason=str(available()))


def loss(params, X, Y):
    W, b = params
    return np.mean((np.tanh(W @ X + b) - Y) ** 2)


def by_hand(params, X, Y):
    W, b = params
    A = np.tanh(W @ X + b)
    dZ = 2 * (A - Y) * (1 - A**2) / A.size
    return np.mean((A - Y) ** 2), (dZ @ X.T, dZ.sum(1, keepdims=True))


def data(rows, features, samples, dtype):
    rng = np.random.default_rng(0)
    W = rng.normal(size=(rows, features)) / np.sqrt(features)
    X, Y, b = (rng.normal(size=s) for s in ((features, samples), (rows, samples), (rows, 1)))
    return (W.astype(dtype), b.astype(dtype)), X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize(
    ("rows", "dtype", "how"),
    [(1, np.float32, "one loop over 601 entries"), (16, np.float64, "multiplied by the library")],
)
def test_few_samples_in_columns_are_not_taken_tile_by_tile(rows, dtype, how):
    args = data(rows, 601, 999, dtype)
    found = []
    for threads in (1, 3):
        step = xg.compile(xg.value_and_grad(loss), threads=threads)
        found.append(step(*args))
        assert how in step.explain(*args)
    value, (dW, db) = found[0]
    expected, (dW2, db2) = by_hand(*args)
    for a, b in ((value, expected), (dW, dW2), (db, db2)):
        assert close(a, b, tolerance(dtype).value)
    if rows == 1:  # BLAS's own threads decide the bits of its products
        for value2, (dW2, db2) in found[1:]:
            assert value2 == value
            np.testing.assert_array_equal(dW2, dW)
            np.testing.assert_array_equal(db2, db)


def explained(f, *shapes):
    W, b, X, Y = (np.zeros(shape, np.float32) for shape in shapes)
    return xg.compile(xg.value_and_grad(f)).explain((W, b), X, Y)


@pytest.mark.parametrize(("rows", "features", "samples"), [(1, 601, 4500), (16, 100, 4000), (1, 601, 64)])
def test_more_samples_or_fewer_features_are_one_pass(rows, features, samples):
    text = explained(loss, (rows, features), (rows, 1), (features, samples), (rows, samples))
    assert text.count(f"float32[{features}, {samples}] once") == 1
    assert "library" not in text


def test_samples_in_rows_are_one_pass():
    text = explained(lambda p, X, Y: loss(p, X.T, Y), (1, 999), (1, 1), (601, 999), (1, 601))
    assert text.count("float32[601, 999] once") == 1
