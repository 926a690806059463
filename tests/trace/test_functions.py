"""NumPy's functions on traced arrays: NumPy's values, and right derivatives."""

import numpy as np
import pytest

import xpgrad as xg
from cases.numpy_calls import CASES
from xpgrad.core import verify
from xpgrad.testing import close, tolerance
from xpgrad.trace import Symbols, Traced

DATA_DEPENDENT = {"its own mask", "argmax", "unique", "unwrap", "insert", "real_if_close"}


def draw(shapes, dtype=np.float64):
    rng = np.random.default_rng(7)
    arrays = [rng.normal(size=s) for s in shapes]
    if np.dtype(dtype).kind == "c":
        arrays = [x + 1j * rng.normal(size=x.shape) for x in arrays]
    return [np.asarray(x, dtype) for x in arrays]


@pytest.mark.parametrize("name", CASES)
def test_the_value_is_numpys(name):
    f, shapes = CASES[name]
    args = draw(shapes)
    expected = np.asarray(f(*args))
    out, _ = xg.vjp(f, *args)
    assert out.dtype == expected.dtype
    assert close(out, expected, tolerance(np.float64).value)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_order_two_agree_with_differences(name):
    f, shapes = CASES[name]
    xg.check_grads(f, draw(shapes))


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name):
    f, shapes = CASES[name]
    args = draw(shapes, np.float32)
    plain = f(*args)
    out, pullback = xg.vjp(f, *args)
    assert out.dtype == np.asarray(plain).dtype
    assert all(g.dtype == np.float32 for g in pullback(np.ones_like(out)))


@pytest.mark.parametrize("name", sorted(set(CASES) - DATA_DEPENDENT))
def test_shapes_alone_give_the_same_shape(name):
    f, shapes = CASES[name]
    args = draw(shapes)
    symbols = Symbols()
    out = f(*[symbols.enter(x) for x in args])
    expected = np.asarray(f(*args))
    assert type(out) is Traced
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
    symbols.graph.outputs.append(out._node)
    verify(symbols.graph)
