"""The filters of xg.signal against SciPy, their derivatives against finite differences."""

import numpy as np
import pytest
import scipy.signal as ss

import xpgrad as xg
from xpgrad import DataError, ShapeError
from xpgrad.testing import check_grads, tolerance

RNG = np.random.default_rng(0)
B, A = ss.butter(3, 0.3)
FILTERS = {
    "both": (B, A),
    "poles alone": ([2.0], [2.0, -0.6, 0.2]),
    "zeros alone": ([1.0, 0.5, -0.3, 0.2], [2.0]),
    "a number": ([0.5], [2.0]),
    "more zeros": ([1.0, 0.5, 0.2, 0.1], [1.0, -0.5]),
}


def near(ours, theirs, factor=50):
    assert np.shape(ours) == np.shape(theirs)
    assert ours.dtype == theirs.dtype
    scale = np.max(np.abs(theirs), initial=1e-300)
    assert np.max(np.abs(ours - theirs), initial=0) <= factor * tolerance(ours.dtype).value * scale


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("n", [1, 2, 40])
def test_a_filter_is_scipys(name, n):
    b, a = FILTERS[name]
    x = RNG.normal(size=(2, n, 3))
    near(xg.signal.lfilter(b, a, x, axis=1), ss.lfilter(b, a, x, axis=1))
    zi = RNG.normal(size=(2, max(len(a), len(b)) - 1, 3))
    for state in (zi, zi[:1]):
        ours, theirs = xg.signal.lfilter(b, a, x, 1, state), ss.lfilter(b, a, x, 1, state)
        near(ours[0], theirs[0])
        near(ours[1], theirs[1])


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128, np.int64])
def test_dtypes_are_scipys(dtype):
    x = (10 * RNG.normal(size=20)).astype(dtype)
    kind = np.float64 if dtype == np.int64 else dtype
    near(
        xg.signal.lfilter(B.astype(kind), A.astype(kind), x), ss.lfilter(B.astype(kind), A.astype(kind), x), 500
    )


def test_a_filter_in_two_parts_is_the_filter_of_the_whole():
    x = RNG.normal(size=30)
    first, state = xg.signal.lfilter(B, A, x[:2], zi=np.zeros(3))
    second, _ = xg.signal.lfilter(B, A, x[2:], zi=state)
    near(np.concatenate([first, second]), ss.lfilter(B, A, x))


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_has_derivatives(name):
    b, a = (np.array(c) for c in FILTERS[name])
    zi, x = RNG.normal(size=max(len(a), len(b)) - 1), RNG.normal(size=6)
    check_grads(lambda b, a, x: xg.signal.lfilter(b, a, x), [b, a, x])
    check_grads(lambda b, a, x, zi: xg.signal.lfilter(b, a, x, zi=zi), [b, a, x, zi], order=1)
    check_grads(xg.compile(xg.signal.lfilter), [b, a, x], order=1)


def test_states_at_rest_are_scipys_and_have_derivatives():
    near(xg.signal.lfilter_zi(B, A), ss.lfilter_zi(B, A), 500)
    near(xg.signal.lfilter_zi([2.0], [1.0, -0.5, 0.2]), ss.lfilter_zi([2.0], [1.0, -0.5, 0.2]))
    check_grads(xg.signal.lfilter_zi, [B, A])
    sos = ss.butter(4, 0.3, output="sos")
    near(xg.signal.sosfilt_zi(sos), ss.sosfilt_zi(sos), 500)


@pytest.mark.parametrize("padtype", ["odd", "even", "constant", None])
def test_a_filter_to_and_fro_is_scipys(padtype):
    x = RNG.normal(size=(40, 2))
    for padlen in (None, 5):
        ours = xg.signal.filtfilt(B, A, x, 0, padtype, padlen)
        near(ours, ss.filtfilt(B, A, x, 0, padtype, padlen), 500)
    check_grads(lambda b, x: xg.signal.filtfilt(b, A, x, 0, padtype, 3), [B, x[:5]])


def test_sections_are_filtered_as_by_scipy():
    sos, x = ss.butter(4, 0.3, output="sos"), RNG.normal(size=(3, 30))
    near(xg.signal.sosfilt(sos, x), ss.sosfilt(sos, x))
    zi = RNG.normal(size=(2, 3, 2))
    for ours, theirs in zip(xg.signal.sosfilt(sos, x, zi=zi), ss.sosfilt(sos, x, zi=zi), strict=True):
        near(ours, theirs)
    check_grads(xg.signal.sosfilt, [sos, x[:, :6]])


def test_filters_in_a_batch_of_signals_and_of_coefficients():
    x, b = RNG.normal(size=(3, 10)), RNG.normal(size=(3, 2))
    near(xg.vmap(lambda x: xg.signal.lfilter(B, A, x))(x), ss.lfilter(B, A, x))
    each = xg.vmap(lambda b, x: xg.signal.lfilter(b, A, x))(b, x)
    near(each, np.stack([ss.lfilter(b, A, x) for b, x in zip(b, x, strict=True)]))


def test_a_filter_can_be_fitted_in_a_compiled_function():
    x = RNG.normal(size=200)
    seen = ss.lfilter([0.3], [1.0, -0.7], x)

    def loss(p):
        return np.sum((xg.signal.lfilter(p[:1], np.stack([1.0, p[1]]), x) - seen) ** 2)

    fit = xg.minimize(loss, np.array([1.0, 0.0]), method="lbfgs", tol=1e-8)
    np.testing.assert_allclose(fit.params, [0.3, -0.7], atol=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="vectors of coefficients"):
        xg.signal.lfilter(np.ones((2, 2)), [1.0], np.ones(3))
    for f in (xg.signal.lfilter, xg.compile(xg.signal.lfilter)):
        with pytest.raises(DataError, match=r"a\[0\] must not be 0"):
            f(np.ones(2), np.array([0.0, 1.0]), np.ones(3))
    with pytest.raises(ShapeError, match="must have 3 entries"):
        xg.signal.lfilter(B, A, np.ones(5), zi=np.ones(2))
    with pytest.raises(ShapeError, match="longer than padlen, 12"):
        xg.signal.filtfilt(B, A, np.ones(12))
    with pytest.raises(ValueError, match="padtype must be"):
        xg.signal.filtfilt(B, A, np.ones(30), padtype="zero")
    with pytest.raises(ShapeError, match="rows of six"):
        xg.signal.sosfilt(np.ones((2, 5)), np.ones(9))
