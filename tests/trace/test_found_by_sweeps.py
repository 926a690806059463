"""What the wide sweeps of NumPy's signatures and the programs found, each as one call."""

import itertools

import numpy as np
import pytest

import xpgrad as xg

A = np.array([1.7, 2.9, 5.5])
FAR = np.array([[1.0, np.inf, 2.0], [np.inf, 3.0, np.inf]])
CALLS = {
    "sum, int8": lambda: (lambda x: np.sum(100 * x, dtype=np.int8), A),
    "sum, bool": lambda: (lambda x: np.sum(x, dtype=bool), A),
    "mean, int": lambda: (lambda x: np.mean(x, dtype=int), A),
    "mean, int8, whose sum overflows": lambda: (lambda x: np.mean(x + 98, dtype=np.int8), A),
    "nanmax, all NaN": lambda: (np.nanmax, np.array([np.nan, np.nan])),
    "nanmin, a slice of NaN": lambda: (lambda x: np.nanmin(x, axis=1), np.array([[np.nan] * 2, [1, np.nan]])),
    "var, int": lambda: (lambda x: np.var(x, dtype=int), A),
    "sign": lambda: (np.sign, np.array([complex(np.inf, 3), complex(2, -np.inf), 3e-310 - 4e-310j, 0])),
    "quantile, lower": lambda: (lambda x: np.quantile(x, 1.0, method="lower"), FAR),
    "reshape, copy=False": lambda: (lambda x: np.reshape(x, (2, -1), copy=False), np.zeros((0, 3))),
    "flip": lambda: (lambda x: np.flip(x, axis=()), 2.5),
    "logspace": lambda: (lambda x: np.logspace(x, 1.0, 3), A.astype(np.float32)),
    "einsum": lambda: (lambda x: np.einsum("i,jk->ij", x, np.ones((2, 3), bool)), A),
}


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_numpys_result(name):
    f, x = CALLS[name]()
    found = []
    with np.errstate(all="ignore"):
        xg.vjp(lambda x: (found.append(xg.stop_gradient(f(x))), x)[1], x)
        expected = np.asarray(f(x))
    assert np.asarray(found[0]).dtype == expected.dtype
    assert np.allclose(found[0], expected, rtol=1e-6, atol=0, equal_nan=True)


ENDS = [np.array([1, 2], "i1"), np.array([True, False]), np.array([0.5, 2], "f4"), np.array([0.5, 2], "f2")]
ENDS += [np.array([0.5, 2]), np.array([1 + 1j, 2], "c8"), np.array(2.0, "f4"), np.float32(3), 2.5, 1j]


@pytest.mark.slow
@pytest.mark.parametrize("num", [0, 1, 4])
def test_linspace_has_numpys_dtype_whatever_meets_at_its_ends(num):
    """Of int8 and float32 it is float32, of integers float64; a Python number gives way."""
    for start, stop in itertools.product(ENDS, ENDS):
        expected = np.linspace(start, stop, num, endpoint=False)
        found = xg.compile(lambda a, b: np.linspace(a, b, num, endpoint=False))(start, stop)
        assert found.dtype == expected.dtype, (start, stop)
        assert np.allclose(found, expected)
