"""xg.signal against SciPy, its derivatives against finite differences."""

import numpy as np
import pytest
import scipy.signal as ss

import xpgrad as xg
from xpgrad import ShapeError
from xpgrad.testing import check_grads, tolerance

RNG = np.random.default_rng(0)
NAMES = ["convolve", "fftconvolve", "correlate"]
SHAPES = [((5,), (3,)), ((3,), (6,)), ((4, 5), (2, 3)), ((2, 3), (4, 4)), ((3, 4, 2), (2, 2, 2)), ((1,), (1,))]


def drawn(shape, dtype):
    x = 3 * RNG.normal(size=shape)
    return (x + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_values_are_scipys(name, mode, shapes):
    for dtype in (np.float32, np.float64, np.complex64, np.complex128, np.int64):
        a, b = drawn(shapes[0], dtype), drawn(shapes[1], dtype)
        ours, theirs = getattr(xg.signal, name)(a, b, mode), getattr(ss, name)(a, b, mode)
        assert ours.shape == theirs.shape
        assert ours.dtype == (np.float64 if dtype == np.int64 else dtype)
        bound = 50 * tolerance(ours.dtype).value
        assert np.max(np.abs(ours - theirs)) <= bound * max(np.max(np.abs(theirs)), 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_derivatives_agree_with_differences(name, mode, put):
    f = getattr(xg.signal, name)
    for shapes in (((5,), (3,)), ((3, 4), (2, 2))):
        a, b = put((drawn(shapes[0], float), drawn(shapes[1], float)))
        check_grads(lambda a, b: f(a, b, mode), [a, b])
    check_grads(lambda a, b: f(a, b, mode), [drawn(4, complex), drawn(2, complex)])
    check_grads(xg.compile(lambda a, b: f(a, b, mode)), [drawn(4, float), drawn(2, float)], order=1)


def test_a_batch_is_convolved_one_by_one():
    a, b = drawn((3, 5), float), drawn(2, float)
    ours = xg.vmap(lambda x: xg.signal.convolve(x, b))(a)
    np.testing.assert_allclose(ours, np.stack([np.convolve(x, b) for x in a]), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_refused(name):
    f = getattr(xg.signal, name)
    with pytest.raises(ShapeError, match="as many axes"):
        f(np.ones(3), np.ones((2, 2)))
    with pytest.raises(ShapeError, match="neither array is as long"):
        f(np.ones((3, 2)), np.ones((2, 3)), "valid")
    with pytest.raises(ValueError, match="mode must be"):
        f(np.ones(3), np.ones(2), "all")
