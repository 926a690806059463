"""NumPy's functions on traced arrays: NumPy's values, and right derivatives."""

import numpy as np
import pytest

import xpgrad as xg
from cases.numpy_calls import CASES
from xpgrad.core import verify
from xpgrad.testing import close, tolerance
from xpgrad.trace import graph_of

EXACT = tolerance(np.float64).value
# What these do depends on the numbers: shapes alone do not trace them.
DATA_DEPENDENT = {"its own mask", "unique"}


def draw(shapes, dtype=np.float64):
    rng = np.random.default_rng(7)
    return [np.asarray(rng.normal(size=s), dtype) for s in shapes]


@pytest.mark.sweep
@pytest.mark.parametrize("name", CASES)
def test_the_value_is_numpys(name, backend):
    f, shapes = CASES[name]
    args = draw(shapes)
    if name in DATA_DEPENDENT and backend.refuses(lambda: backend.run(f, *args)):
        return
    expected = np.asarray(f(*args))
    out = backend.run(f, *args)
    assert out.dtype == expected.dtype
    assert close(out, expected, EXACT)


@pytest.mark.sweep
@pytest.mark.parametrize("name", CASES)
def test_the_pullback_is_the_same_on_every_backend(name, backend):
    f, shapes = CASES[name]
    args = draw(shapes)
    out, pullback = xg.vjp(f, *args)
    g = np.random.default_rng(8).normal(size=out.shape)
    if name in DATA_DEPENDENT and backend.refuses(lambda: backend.pull(f, g, *args)):
        return
    for actual, expected in zip(backend.pull(f, g, *args), pullback(g), strict=True):
        assert close(actual, expected, EXACT)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_order_two_agree_with_differences(name, put):
    f, shapes = CASES[name]
    xg.check_grads(f, put(draw(shapes)))


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name, put):
    f, shapes = CASES[name]
    expected = np.asarray(f(*draw(shapes, np.float32)))
    out, pullback = xg.vjp(f, *put(draw(shapes, np.float32)))
    assert out.dtype == expected.dtype
    ones = put(np.ones(expected.shape, expected.dtype))
    assert all(g.dtype == np.float32 for g in pullback(ones))


@pytest.mark.parametrize("name", sorted(set(CASES) - DATA_DEPENDENT))
def test_shapes_alone_give_the_same_shape(name):
    f, shapes = CASES[name]
    args = draw(shapes)
    graph, _ = graph_of(f, *args)
    verify(graph)
    expected = np.asarray(f(*args))
    assert [(v.shape, v.dtype) for v in graph.outputs] == [(expected.shape, expected.dtype)]
