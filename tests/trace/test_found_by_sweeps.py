"""What the wide sweeps of NumPy's signatures and the programs found, each as one call."""

import numpy as np
import pytest

import xpgrad as xg

A = np.array([1.7, 2.9, 5.5])
FAR = np.array([[1.0, np.inf, 2.0], [np.inf, 3.0, np.inf]])
CALLS = {
    "sum, int8": lambda: (lambda x: np.sum(100 * x, dtype=np.int8), A),
    "sum, bool": lambda: (lambda x: np.sum(x, dtype=bool), A),
    "mean, int": lambda: (lambda x: np.mean(x, dtype=int), A),
    "var, int": lambda: (lambda x: np.var(x, dtype=int), A),
    "sign": lambda: (np.sign, np.array([complex(np.inf, 3), complex(2, -np.inf), 3e-310 - 4e-310j, 0])),
    "quantile, lower": lambda: (lambda x: np.quantile(x, 1.0, method="lower"), FAR),
    "reshape, copy=False": lambda: (lambda x: np.reshape(x, (2, -1), copy=False), np.zeros((0, 3))),
    "flip": lambda: (lambda x: np.flip(x, axis=()), 2.5),
    "logspace": lambda: (lambda x: np.logspace(x, 1.0, 3), A.astype(np.float32)),
    "einsum": lambda: (lambda x: np.einsum("i,jk->ij", x, np.ones((2, 3), bool)), A),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_numpys_result(name):
    f, x = CALLS[name]()
    found = []
    with np.errstate(all="ignore"):
        xg.vjp(lambda x: (found.append(xg.stop_gradient(f(x))), x)[1], x)
        expected = np.asarray(f(x))
    assert np.asarray(found[0]).dtype == expected.dtype
    assert np.allclose(found[0], expected, rtol=1e-6, atol=0, equal_nan=True)
