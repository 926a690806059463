"""``reduce``, ``accumulate`` and ``reduceat`` of ufuncs that have no reduction of their own."""

import numpy as np
import pytest

import xpgrad as xg
from xpgrad.testing import check_grads, close, tolerance

EXACT = tolerance(np.float64).value
X = np.random.default_rng(7).uniform(0.4, 2.0, 7)
M = np.random.default_rng(8).uniform(0.4, 2.0, (3, 5))
UFUNCS = "add subtract multiply divide maximum minimum fmax fmin logaddexp logaddexp2 hypot fmod".split()
CALLS = {
    "reduce": lambda u: lambda x: u.reduce(x),
    "reduce along an axis": lambda u: lambda x: u.reduce(np.stack([x, 2 * x, x * x]), axis=1),
    "reduce and keep the axis": lambda u: (
        lambda x: u.reduce(np.stack([x, 2 * x, x * x]), axis=0, keepdims=True)
    ),
    "accumulate": lambda u: lambda x: u.accumulate(x),
    "accumulate along an axis": lambda u: lambda x: u.accumulate(np.stack([x, 2 * x, x * x]), axis=1),
    "reduceat": lambda u: lambda x: u.reduceat(x, [0, 2, 1, 4]),
    "reduceat along an axis": lambda u: lambda x: u.reduceat(np.stack([x, 2 * x, x * x]), [0, 3, 3], axis=1),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", UFUNCS)
def test_values_are_numpys(name, call, compiled):
    f = call(getattr(np, name))
    plain = f(X)
    traced = xg.compile(f)(X) if compiled else xg.vjp(f, X)[0]
    assert np.shape(traced) == np.shape(plain)
    assert close(traced, plain, EXACT)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", UFUNCS)
def test_derivatives_agree_with_differences(name, call):
    check_grads(call(getattr(np, name)), (X,))


def test_the_derivative_of_a_running_maximum_goes_to_the_entry_that_holds_it():
    x = np.array([1.0, 3.0, 2.0, 5.0])
    assert close(xg.grad(lambda x: np.maximum.accumulate(x).sum())(x), [1.0, 2.0, 0.0, 1.0], EXACT)


def test_logaddexp_of_large_numbers_does_not_overflow():
    x = np.array([1000.0, 1000.0, -np.inf])
    value, g = xg.value_and_grad(np.logaddexp.reduce)(x)
    assert close(value, 1000 + np.log(2), EXACT)
    assert close(g, [0.5, 0.5, 0.0], EXACT)


def test_fmax_passes_over_nan():
    x = np.array([1.0, np.nan, 3.0])
    value, g = xg.value_and_grad(np.fmax.reduce)(x)
    assert value == 3.0
    assert close(g, [0.0, 0.0, 1.0], EXACT)


def test_what_cannot_be_done_is_refused_by_name():
    with pytest.raises(xg.TraceError, match=r"hypot.reduce: of traced arrays, along one axis"):
        xg.grad(lambda x: np.hypot.reduce(x, axis=(0, 1)))(M)
    with pytest.raises(xg.OutOfBoundsError, match=r"multiply.reduceat: an index outside"):
        xg.grad(lambda x: np.multiply.reduceat(x, [0, 9]).sum())(X)
    with pytest.raises(xg.TraceError, match=r"power.reduce: not known"):
        xg.grad(np.power.reduce)(X)
