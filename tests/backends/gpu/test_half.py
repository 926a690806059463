"""Samples stored in 16 bits: read as they are, computed with in float32."""

import numpy as np
import pytest

import xpgrad as xg
from backends.gpu.device import ShimDevice
from backends.gpu.shim import missing
from xpgrad.backends import choose
from xpgrad.compiler import compile
from xpgrad.testing import tolerance

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

CLOSE = tolerance(np.float32).value


def loss(w, X, y):
    return np.mean((X @ w - y) ** 2)


@pytest.mark.parametrize("n", [5, 200])
def test_float16_data_beside_float32_parameters_give_float32_sums(n):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, n)).astype(np.float16), rng.standard_normal(300).astype(np.float32)
    w = rng.standard_normal(n).astype(np.float32)
    device, step = ShimDevice(), xg.value_and_grad(loss)
    compiled = compile(step)
    with choose.use("cuda", None, device):
        value, grad = compiled(w, X, y)
        text = compiled.explain(w, X, y)
    expected, expected_grad = step(w.astype(np.float64), X.astype(np.float64), y.astype(np.float64))
    assert value.dtype == grad.dtype == np.float32
    np.testing.assert_allclose(value, expected, rtol=CLOSE)
    np.testing.assert_allclose(grad, expected_grad, rtol=CLOSE, atol=CLOSE)
    assert any("const xg::half* __restrict__" in source for source in device.texts)
    assert "by the library" not in text
