"""Products of small matrices, entry by entry: NumPy's values, and no loop is left."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad._trees import flatten
from xpgrad.backends import reference
from xpgrad.core import verify
from xpgrad.passes import run_passes
from xpgrad.passes.entries import entries
from xpgrad.testing import assert_agrees
from xpgrad.trace import graph_of

RNG = np.random.default_rng(3)
A, B, X = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=3)
TALL = RNG.normal(size=(50, 2, 3))
ARGS = A, X, TALL


def written(a, x, tall):
    a = np.copy(a)
    a[0, 1:] = x[:2] * 2
    return a @ B.astype(a.dtype)


PROGRAMS = {
    "matrix by matrix": lambda a, x, tall: a @ B.astype(a.dtype) + 1,
    "matrix by vector": lambda a, x, tall: a @ x * np.array([2.0, -1.0]),
    "vector by matrix": lambda a, x, tall: x @ B.astype(x.dtype),
    "inner product": lambda a, x, tall: x @ x,
    "outer product": lambda a, x, tall: x[:, None] @ x[None],
    "transposed and reshaped": lambda a, x, tall: (a.T @ a).reshape(9)[2:7].reshape(1, 5),
    "sums along axes": lambda a, x, tall: (
        np.sum(a @ B.astype(a.dtype), axis=0),
        np.sum(a, axis=1, keepdims=True),
        np.sum(x),
    ),
    "joined and padded": lambda a, x, tall: (
        np.concatenate([np.pad(a @ B.astype(a.dtype), 1), np.zeros((1, 4))]) + 1
    ),
    "a write": written,
    "a choice": lambda a, x, tall: np.where(a @ B.astype(a.dtype) > 0, a @ B.astype(a.dtype), -1.0),
    "zeros in the matrix": lambda a, x, tall: np.array([[0, 1, 0], [0, 0, 2]], x.dtype) @ x,
    "an entry of a larger array": lambda a, x, tall: tall[7] @ x + tall[9, 1, 2] * x[0],
    "a number": lambda a, x, tall: np.sum(a @ x) + 3.5,
    "broadcast": lambda a, x, tall: np.broadcast_to((a @ x)[:, None], (2, 4)) * 2,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_values_are_numpys(name, dtype):
    f, args = PROGRAMS[name], [x.astype(dtype) for x in ARGS]
    graph, rebuild = graph_of(f, *args)
    optimised = run_passes(graph)[0]
    verify(optimised)
    assert all(node.op.name != "dot" for node in optimised.nodes)
    for g in (optimised, entries(graph)):
        found = flatten(rebuild(reference.run(g, args)))[0]
        for got, expected in zip(found, flatten(f(*args))[0], strict=True):
            assert_agrees(got, expected, dtype)
    for got, expected in zip(flatten(xg.compile(f)(*args))[0], flatten(f(*args))[0], strict=True):
        assert_agrees(got, expected, dtype)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_those_without_compiling(name):
    def loss(*args):
        return sum(np.sum(part**2) for part in flatten(PROGRAMS[name](*args))[0])

    step = xg.compile(xg.grad(loss, argnums=(0, 1)))
    for got, expected in zip(step(*ARGS), xg.grad(loss, argnums=(0, 1))(*ARGS), strict=True):
        assert_agrees(got, expected, np.float64)


def test_zero_times_infinity_is_nan():
    with np.errstate(invalid="ignore"):
        got = xg.compile(lambda x: np.array([[0.0, 1.0], [1.0, 1.0]]) @ x)(np.array([np.inf, 1.0]))
    assert np.isnan(got[0])
    assert got[1] == np.inf


def test_arrays_without_a_product_and_large_products_keep_their_loops():
    for f, x in [(lambda x: np.sin(x) * 2, np.ones(4)), (lambda x: x @ x, np.ones((9, 9)))]:
        graph, _ = graph_of(f, x)
        assert entries(graph) is graph
